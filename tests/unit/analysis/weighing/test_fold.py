"""The fold: one way from batches to what is known of a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from analysis import Batch, Evidence, Policy, Split, Tally, Verdict, decide, finish, weigh
from analysis.versions.health import HealthEvidence, HealthPolicy, health_of
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold, weighed_again

SPLIT = Split.parse("v1=9,v2=1")


def run_of(n, share=0.1, seed=1):
    rng = np.random.default_rng(seed)
    return Batch.of_labels(["v2" if each else "v1" for each in rng.random(n) < share])


def cut(batch, at):
    return [batch[first:end] for first, end in pairwise([0, *at, len(batch)])]


def folded(batches, **more):
    fold = Fold(Fixed(SPLIT, Policy()), **more)
    for batch in batches:
        fold.take(batch)
    return fold


def test_batches_are_counted_and_weighed():
    batch = run_of(300)

    end = folded([batch]).finish()

    assert end.tally == Tally.of(batch)
    assert end.evidence == finish(weigh(Evidence.start(SPLIT, Policy()), batch))
    assert end.history is None
    assert end.is_uniform


def test_how_a_run_is_cut_into_batches_makes_no_difference():
    batch = run_of(2000)
    health = HealthEvidence.start(SPLIT, HealthPolicy())

    one = folded([batch], health=health, has_connections=True).finish()
    many = folded(cut(batch, [1, 2, 700]), health=health, has_connections=True).finish()

    assert (one.evidence.counts, one.evidence.settled) == (
        many.evidence.counts,
        many.evidence.settled,
    )
    assert one.tally == many.tally
    assert one.correlation == many.correlation
    assert health_of(one.health, seed=0) == health_of(many.health, seed=0)
    assert one.last_ns == many.last_ns


def test_a_look_is_the_decision_of_the_evidence_and_a_final_one_stays():
    batch = run_of(3000)
    fold = folded([batch[:50]])
    assert fold.decision is None

    assert fold.look().verdict is Verdict.INCONCLUSIVE
    assert not fold.is_decided

    fold.take(batch[50:])
    final = fold.look()
    assert fold.is_decided
    assert final == decide(fold.evidence)
    assert final.verdict is Verdict.PASS

    fold.take(Batch.of_labels(["v3"] * 10))

    assert fold.look() is final is fold.decision
    assert "v3" not in fold.evidence.counts
    assert fold.tally.labels["v3"] == 10  # what comes after the verdict is shown


def test_without_an_expectation_everything_is_counted_and_nothing_judged():
    fold = Fold(None)
    fold.take(run_of(20))

    assert fold.look() is None
    end = fold.finish()
    assert end.evidence is None
    assert end.health is None
    assert end.tally.launched == 20
    assert end.without_verdict() is end


def test_windows_of_a_long_record_need_not_be_kept():
    assert not folded([run_of(20)], keeps_windows=False).finish().tally.windows
    assert folded([run_of(20)]).finish().tally.windows


def test_a_run_that_no_rule_ended_claims_nothing():
    end = folded([run_of(3000)]).finish()
    assert end.evidence.settled is not None

    assert end.without_verdict().evidence.settled is None


def test_the_last_instant_is_that_of_the_sample_that_was_complete_last():
    batch = run_of(3)
    late = replace(
        batch, sent_ns=np.array([0, 5, 6]), done_ns=np.array([40, -1, 9], dtype=np.int64)
    )

    assert folded([late[:1], late[1:]]).finish().last_ns == 40
    assert Fold(None).finish().last_ns == 0


@pytest.mark.parametrize("at", [[10], [1, 150, 299]])
def test_a_run_weighed_again_gives_the_evidence_after_each_batch(at):
    batch = run_of(300)

    judged = [each.judged for each in weighed_again(Fixed(SPLIT, Policy()), cut(batch, at))]

    assert judged == [*at, 300]
