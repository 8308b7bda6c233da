"""Simulated routers do what the real ones do, and the documentation's examples run."""

from __future__ import annotations

import doctest
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from analysis.data.batch import ABSENT, Outcome
from analysis.simulate import (
    Affinity,
    Drifting,
    LeastRequest,
    MissingLabels,
    Outage,
    RandomPerConnection,
    RandomPerRequest,
    RoundRobin,
    SmoothRoundRobin,
    Sticky,
    by_completion,
    every_request_a_connection,
    simulate,
)

DOCS = Path(__file__).resolve().parents[4] / "docs"
ROUTERS = [
    RandomPerConnection((0.9, 0.1)),
    RandomPerRequest((0.9, 0.1)),
    RoundRobin((9, 1)),
    SmoothRoundRobin((9, 1)),
    LeastRequest((9, 1), (1.0, 1.0)),
    Sticky((0.9, 0.1), 0.3),
    Drifting((((0.9, 0.1), 10),)),
    MissingLabels(RandomPerConnection((0.9, 0.1)), (0.0, 0.0)),
]


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_the_examples_of_the_page_run():
    failed, attempted = doctest.testfile(
        str(DOCS / "simulate.md"), module_relative=False, encoding="utf-8"
    )

    assert attempted > 20
    assert failed == 0


@pytest.mark.parametrize("router", ROUTERS, ids=lambda router: type(router).__name__)
def test_a_tenth_is_a_tenth_in_the_long_run_and_the_seed_repeats_it(router):
    arms = router.draw(20_000, np.random.default_rng(1))

    assert 1700 < np.count_nonzero(arms == 1) < 2300
    assert np.array_equal(arms, router.draw(20_000, np.random.default_rng(1)))


def test_round_robin_meets_each_pod_once_in_a_turn(random):
    arms = RoundRobin((3, 1)).draw(4000, random)

    assert set(np.convolve(arms, np.ones(4), "valid").tolist()) == {1.0}


def test_smooth_round_robin_is_that_of_nginx(random):
    """The sequence of its source's own comment: weights 5, 1, 1 give a a b a c a a."""
    arms = SmoothRoundRobin((5, 1, 1)).draw(14, random)

    text = "".join("abc"[arm] for arm in arms)
    assert "aabacaa" in text


def test_random_picks_are_independent_of_their_neighbours(random):
    arms = RandomPerConnection((0.5, 0.5)).draw(10_000, random)

    changes = int(np.count_nonzero(np.diff(arms)))
    assert binom.ppf(1e-6, 9999, 0.5) <= changes <= binom.isf(1e-6, 9999, 0.5)


def test_sticky_stays_as_often_as_it_says(random):
    arms = Sticky((0.5, 0.5), 0.8).draw(10_000, random)

    # Stays, or picks the same one anew: 0.8 + 0.2 / 2.
    same = int(np.count_nonzero(np.diff(arms) == 0))
    assert binom.ppf(1e-6, 9999, 0.9) <= same <= binom.isf(1e-6, 9999, 0.9)


def test_affinity_pins_each_client(random):
    arms = Affinity((0.5, 0.5), clients=3).draw(300, random)

    assert all(len(set(arms[client::3].tolist())) == 1 for client in range(3))


def test_least_request_avoids_a_slow_version(random):
    alike = LeastRequest((5, 5), (1.0, 1.0)).draw(20_000, random).mean()
    slow = LeastRequest((5, 5), (1.0, 5.0)).draw(20_000, random).mean()

    assert abs(alike - 0.5) < 0.02
    assert slow < 0.3


def test_an_outage_takes_one_version_away_for_its_time_only(random):
    arms = Outage((0.5, 0.5), arm=1, first=100, length=50).draw(300, random)

    assert not arms[100:150].any()
    assert arms[:100].any()
    assert arms[150:].any()


def test_drifting_shares_move_in_steps_or_evenly():
    stages = (((1.0, 0.0), 10), ((0.0, 1.0), 10))

    assert Drifting(stages).shares_at(12)[:, 1].tolist() == [0.0] * 10 + [1.0] * 2
    smooth = Drifting(stages, smooth=True).shares_at(12)[:, 1]
    assert smooth == pytest.approx([*np.arange(10) / 10, 1.0, 1.0])


def test_missing_labels_come_from_the_version_that_loses_them(random):
    batch = simulate(MissingLabels(RoundRobin((1, 1)), (0.0, 1.0)), 100, random)

    assert np.count_nonzero(batch.label == ABSENT) == 50
    assert np.all((batch.label == ABSENT) == (batch.outcome == Outcome.UNLABELLED))
    assert 1 not in batch.label


def test_requests_of_a_connection_share_its_pod_only_where_connections_are_balanced(random):
    pinned = simulate(RandomPerConnection((0.5, 0.5)), 200, random, requests=5)
    mixed = simulate(RandomPerRequest((0.5, 0.5)), 200, random, requests=5)

    def mixed_ones(batch):
        return sum(len(set(row)) > 1 for row in batch.label.reshape(200, 5).tolist())

    assert pinned.ordinal[:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert mixed_ones(pinned) == 0
    assert mixed_ones(mixed) > 150


def test_a_closed_loop_keeps_its_number_in_flight(random):
    batch = simulate(RandomPerConnection((0.5, 0.5)), 500, random, seconds=(1, 5), in_flight=8)

    assert all(a <= b for a, b in pairwise(batch.sent_ns.tolist()))
    for instant in batch.sent_ns[100:400].tolist():
        in_flight = np.count_nonzero((batch.sent_ns <= instant) & (batch.done_ns > instant))
        assert in_flight == 8


def test_the_order_of_completion_holds_slow_answers_back(random):
    batch = simulate(RandomPerConnection((0.5, 0.5)), 2000, random, seconds=(1, 9), in_flight=200)

    early = by_completion(batch).label[:300]
    assert early.mean() < batch.label[:300].mean() - 0.15
    assert sorted(by_completion(batch).done_ns) == by_completion(batch).done_ns.tolist()


def test_pretended_connections_carry_one_request_each(random):
    batch = every_request_a_connection(
        simulate(RandomPerConnection((0.5, 0.5)), 10, random, requests=3)
    )

    assert not batch.ordinal.any()
    assert len(set(batch.connection.tolist())) == 30


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomPerConnection((0.9, 0.2)),
        lambda: RandomPerRequest(()),
        lambda: RoundRobin((0, 0)),
        lambda: SmoothRoundRobin((-1, 2)),
        lambda: LeastRequest((1, 1), (1.0, 0.0)),
        lambda: LeastRequest((1, 1), (1.0, 1.0), in_flight=0),
        lambda: Affinity((0.5, 0.5), clients=0),
        lambda: Sticky((0.5, 0.5), 1.0),
        lambda: Drifting(()),
        lambda: Drifting((((1.0, 0.0), -1),)),
        lambda: Outage((0.0, 1.0), arm=1, first=0, length=1),
        lambda: MissingLabels(RoundRobin((1, 1)), (0.0, 1.5)),
        lambda: simulate(RoundRobin((1, 1)), 5, np.random.default_rng(1), requests=0),
        lambda: simulate(RoundRobin((1, 1)), 5, np.random.default_rng(1), seconds=(1.0,)),
    ],
)
def test_what_cannot_be_simulated_is_refused(make):
    with pytest.raises(ValueError, match=r"expected|must|cannot|add up"):
        make()
