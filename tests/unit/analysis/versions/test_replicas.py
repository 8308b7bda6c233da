"""Replicas inside a version: what is warned of, and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, multinomial

from analysis.data.batch import ABSENT, Batch
from analysis.versions.replicas import (
    MOST_REPLICAS,
    ReplicaCounts,
    chi_square_lower_tail,
    replica_warnings,
    requests_to_see_all,
    uniformity_log_evidence,
)


def batch_of(replicas, label="v1"):
    """Make a batch in which these replicas answered, one connection each."""
    names = tuple(dict.fromkeys(replicas))
    codes = np.array([names.index(name) for name in replicas], dtype=np.int32)
    return replace(Batch.of_labels([label] * len(replicas)), replica=codes, replicas=names)


def warnings(counts, alpha=0.01, **declared):
    return replica_warnings(ReplicaCounts.of(counts), declared, alpha)


def uneven(rest, *last):
    """Give counts near a mean, so that nothing but the last ones is odd."""
    counts = [rest + step for step in (-9, 7, 3, -4, 8, -6, 5, -4)]
    return {f"app-{n}": count for n, count in enumerate([*counts, *last])}


@pytest.mark.parametrize(
    ("counts", "nats"),
    [([60, 55, 45, 50, 40, 50, 52, 48, 51, 49], -5.93830638), ([120, 60, 60], 10.4709282)],
)
def test_evidence_against_equal_parts_has_its_reference_values(counts, nats):
    assert uniformity_log_evidence(counts) == pytest.approx(nats, abs=1e-7)


def test_evidence_against_equal_parts_is_a_fair_game():
    n, law = 6, multinomial(6, [1 / 3] * 3)
    mean = sum(
        law.pmf([a, b, n - a - b]) * np.exp(uniformity_log_evidence([a, b, n - a - b]))
        for a in range(n + 1)
        for b in range(n + 1 - a)
    )

    assert mean == pytest.approx(1)


@pytest.mark.parametrize(("replicas", "n"), [(3, 15), (10, 66), (30, 237)])
def test_the_number_of_requests_after_which_none_is_unseen(replicas, n):
    assert requests_to_see_all(replicas, 0.01) == n


def test_a_replica_that_hardly_answers_is_named_with_what_was_expected():
    (warning,) = warnings({"v1": uneven(79, 4)})

    assert warning.startswith("v1: app-8 answered 4 of 636 connections (expected 71); its 9 ")
    assert "may still be right" in warning


def test_equal_replicas_are_not_worth_a_word():
    assert warnings({"v1": uneven(71, 75), "v2": {"app-9": 80}}) == []


def test_a_declared_replica_that_never_answers_is_warned_of():
    assert warnings({"v1": uneven(71)}) == []
    (warning,) = warnings({"v1": uneven(71)}, v1=9)

    assert "1 of 9 replicas answered none of 568 connections" in warning


def test_a_replica_may_stay_unseen_as_long_as_chance_explains_it():
    assert warnings({"v1": {f"app-{n}": 3 + n for n in range(9)}}, v1=10) == []


def test_more_replicas_than_declared_are_said():
    (warning,) = warnings({"v1": uneven(71)}, v1=7)

    assert "8 replicas answered, but 7 were declared" in warning


def test_a_single_replica_is_no_warning():
    assert warnings({"v1": {"app-1": 900}}) == []


def test_too_few_requests_to_have_met_every_replica_say_nothing():
    """Four names of an unknown number of pods: the rest may be still to come."""
    assert warnings({"v1": {"a": 14, "b": 1, "c": 1, "d": 1}}) == []


def test_names_that_never_come_again_do_no_harm():
    counts = ReplicaCounts()
    for start in range(0, 3 * MOST_REPLICAS, 500):
        counts.observe(batch_of([f"pod-{n}" for n in range(start, start + 500)]))
    counts.observe(batch_of(["a", "b"] * 5, label="v2"))

    assert counts.unbounded == {"v1"}
    assert counts.by_label == {"v2": {"a": 5, "b": 5}}
    assert replica_warnings(counts, {"v1": 9}, 0.01) == []


def test_a_handful_of_names_for_each_answer_are_no_replicas():
    assert warnings({"v1": {f"pod-{n}": 1 for n in range(200)}}) == []


def test_only_the_first_answer_of_a_connection_counts():
    batch = batch_of(["a", "a", "b"])
    batch = replace(batch, ordinal=np.array([0, 1, 0], dtype=np.int32))
    counts = ReplicaCounts()

    counts.observe(batch)

    assert counts.by_label == {"v1": {"a": 1, "b": 1}}


def test_answers_without_a_label_or_a_replica_are_left_out():
    batch = batch_of(["a", "a", "b"])
    counts = ReplicaCounts()

    counts.observe(replace(batch, replica=np.full(3, ABSENT, dtype=np.int32)))
    counts.observe(replace(batch, label=np.array([ABSENT, 0, ABSENT], dtype=np.int32)))

    assert counts.by_label == {"v1": {"a": 1}}


def test_replicas_that_take_turns_are_said_to_be_harmless():
    (warning,) = warnings({"v1": {f"app-{n}": 50 for n in range(9)}})

    assert "round robin" in warning
    assert "harmless" in warning


def test_the_number_of_replicas_is_taken_from_what_was_seen_often_enough():
    counts = ReplicaCounts.of({"v1": {"a": 8, "b": 9}, "v2": {"x": 1, "y": 1}})

    assert counts.covered("v1", 0.01) == 2
    assert counts.covered("v2", 0.01) is None
    assert counts.covered("v3", 0.01) is None


@pytest.mark.parametrize(
    ("statistic", "freedom"), [(0.5, 9), (1, 3), (3, 9), (20, 40), (900, 1000)]
)
def test_the_lower_tail_of_chi_square_agrees_with_scipy(statistic, freedom):
    assert chi_square_lower_tail(statistic, freedom) == pytest.approx(chi2.cdf(statistic, freedom))


def test_the_lower_tail_of_chi_square_at_its_ends():
    assert chi_square_lower_tail(0, 9) == 0
    assert chi_square_lower_tail(30, 9) == 1
