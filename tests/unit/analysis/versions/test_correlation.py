"""How the answers of a connection depend on each other."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.fold import finish, weigh
from analysis.evidence.state import Evidence
from analysis.simulate import RandomPerConnection, RandomPerRequest, simulate
from analysis.versions.correlation import (
    ConnectionCounts,
    Picks,
    effective_draws,
    groups_of,
    notes_on,
)
from tests.kept import cut, kept, of_counts


def correlation(*batches):
    counts = ConnectionCounts()
    for batch in batches:
        counts.observe(batch)
    return counts.finish()


def simulated(router, requests=10, connections=400):
    return simulate(router, connections, np.random.default_rng(5), requests=requests)


def test_a_balancer_of_connections_is_recognised():
    seen = correlation(simulated(RandomPerConnection((0.9, 0.1))))

    assert seen.picks is Picks.CONNECTION
    assert seen.icc == pytest.approx(1)
    assert seen.effective == pytest.approx(400)
    assert (seen.shared, seen.mixed) == (400, 0)


def test_a_balancer_of_requests_is_recognised():
    seen = correlation(simulated(RandomPerRequest((0.9, 0.1))))

    assert seen.picks is Picks.REQUEST
    assert seen.icc == pytest.approx(0, abs=0.05)
    assert seen.effective == pytest.approx(4000, rel=0.3)
    assert seen.mixed > 200


def test_what_tends_to_stay_is_neither():
    pinned = of_counts([10] * 20 + [0] * 180, 10)
    free = of_counts([1, 0, 2, 1, 1], 10)

    seen = correlation(kept([*pinned, *free], planned=10))

    assert seen.picks is Picks.PARTLY
    assert 0.5 < seen.icc < 1


def test_few_connections_or_one_version_tell_nothing():
    assert correlation(kept(of_counts([0] * 5, 10))).picks is Picks.UNKNOWN
    assert correlation(kept(of_counts([2, 0], 2))).picks is Picks.UNKNOWN
    lone = correlation(kept([["v1"], ["v2"]]))
    assert (lone.picks, lone.icc, lone.effective) == (Picks.UNKNOWN, None, 2.0)


def test_where_nothing_can_be_estimated_answers_of_a_connection_are_one_draw():
    seen = correlation(kept(of_counts([0] * 8, 10)))

    assert seen.icc is None
    assert seen.effective == pytest.approx(8)


def test_connections_without_a_planned_end_count_with_all_their_answers():
    seen = correlation(kept(of_counts([1] * 10, 30), in_flight=10))

    assert (seen.connections, seen.answers) == (10, 300)


def test_how_samples_were_cut_makes_no_difference():
    batch = kept(of_counts([1, 0, 2, 5, 10] * 8, 10), planned=10, in_flight=4)

    whole, parts = correlation(batch), correlation(*cut(batch, range(0, len(batch), 7)))

    assert parts.icc == pytest.approx(whole.icc, abs=1e-12)
    assert (parts.mixed, parts.effective) == (whole.mixed, pytest.approx(whole.effective))


def test_unlabelled_answers_are_no_answers_here():
    seen = correlation(kept([["v1", None, "v1"], [None], ["v2", "v2", None]], planned=3))

    assert (seen.connections, seen.answers, seen.shared) == (2, 4, 2)


def test_versions_beyond_the_first_few_count_as_one_and_still_count():
    names = [f"v{number:02}" for number in range(30)]

    seen = correlation(kept([[name, name] for name in names], planned=2))

    assert (seen.connections, seen.answers, seen.mixed) == (30, 60, 0)


def test_the_balancer_is_named_in_a_note():
    seen = correlation(simulated(RandomPerConnection((0.9, 0.1))))

    (note,) = notes_on(groups_of(seen, None), None, 4000)

    assert note.startswith("the balancer picks a pod for each connection: 0 of 400 connections")


def test_answers_that_are_all_alike_are_worth_no_more_draws_than_connections_were_judged():
    """Short connections after the decision do not make those before it worth more."""
    judged, later = of_counts([10, *[0] * 9] * 10, 10), of_counts([1, *[0] * 9] * 30, 1)
    batch = kept([*judged, *later], planned=[10] * len(judged) + [1] * len(later))
    policy = Policy(per_connection=10, max_samples=len(judged), alpha=1e-6, beta=1e-6)

    evidence = finish(weigh(Evidence.start(Split.parse("v1=9,v2=1"), policy), batch))

    seen = correlation(batch)
    assert (evidence.judged, seen.icc) == (100, pytest.approx(1))
    assert effective_draws(evidence, seen, len(batch)) == 100


def test_answers_that_know_nothing_of_each_other_are_worth_one_draw_each():
    batch = kept(of_counts([0, 1, 2, 1, 1] * 20, 10), planned=10)
    policy = Policy(per_connection=10, max_samples=100, alpha=1e-6, beta=1e-6)

    evidence = finish(weigh(Evidence.start(Split.parse("v1=9,v2=1"), policy), batch))

    assert effective_draws(evidence, correlation(batch), len(batch)) == 1000


def test_a_measurement_is_worth_its_labels_where_each_has_a_connection_of_its_own():
    assert effective_draws(None, None, 300) == 300
    seen = correlation(simulated(RandomPerConnection((0.9, 0.1))))
    assert effective_draws(None, seen, 4000) == pytest.approx(400)
