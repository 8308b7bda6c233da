"""A quick part of the large calibration: every data plane, few runs, and the naive twins.

`make calibrate` runs more of it, on all expectations and error rates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.simulate import RandomPerRequest, RoundRobin
from tests.calibration import twins
from tests.calibration.comparison import compare
from tests.calibration.flock import ABSENT, Flock
from tests.calibration.large import agrees, batch_of, run_cell
from tests.calibration.regimes import REGIMES, truths


@pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
@pytest.mark.parametrize("expectation", ["v1=1,v2=1", "v1=10,v2=0"])
def test_error_rates_hold_on_every_data_plane(regime, expectation):
    for number, case in enumerate(truths(expectation)[:3]):
        cell = run_cell(regime, expectation, 0.05, case, runs=60, seed=100 + number)

        assert not cell.is_broken, cell


@pytest.mark.parametrize("text", ["v1=9,v2=1", "v1=1,v2=1", "v1=10,v2=0", "a=8,b=1,c=1"])
def test_many_runs_at_once_end_where_each_alone_does(text):
    split, policy = Split.parse(text), Policy(alpha=0.05, beta=0.05, max_unlabelled=1.0)
    flock, random = Flock(split, policy), np.random.default_rng(3)
    seen = Counter[str]()
    for lost in (0.0, 0.004):
        for first in (*split.shares[:1], 0.97, 0.6):
            rest = split.shares[1:] if split.shares[1] else np.ones(1)
            shares = (first, *((1 - first) * rest / rest.sum()))
            codes = np.stack(
                [RandomPerRequest(shares).draw(flock.budget, random) for _ in range(6)]
            )
            codes[random.random(codes.shape) < lost] = ABSENT
            ends = flock.judge(codes)
            for row, passed, failed in zip(codes, ends.passed, ends.failed, strict=True):
                evidence = weigh(Evidence.start(split, policy), batch_of(row, split))
                assert agrees(evidence, (passed, failed))
                seen[str(evidence.settled)] += 1
    assert {"within_tolerance"} < set(seen)


def test_counting_each_answer_of_a_kept_connection_fails_right_splits(at_most):
    pinned = twins.keep_alive(40, 5, requests=(10,), correlations=(1.0,))[0]
    free = twins.keep_alive(40, 5, requests=(10,), correlations=(0.0,))[0]

    assert pinned.verdict == free.verdict == "FAIL"
    assert pinned.naive * 40 > at_most(0.01, 40)
    assert pinned.ours * 40 <= at_most(0.01, 40)
    assert free.naive * 40 <= at_most(0.01, 40)


@pytest.mark.parametrize("requests", [5, 10])
@pytest.mark.parametrize("icc", [0.0, 0.3, 1.0])
def test_the_mean_of_a_connection_is_wrong_as_rarely_as_promised(requests, icc):
    """On both sides of the edge, whatever the answers of a connection have to do with others."""
    regime = next(r for r in REGIMES if r.requests == requests and r.name.endswith(f"{icc:g}"))
    for number, case in enumerate(truths("v1=9,v2=1")[:4]):
        cell = run_cell(regime, "v1=9,v2=1", 0.05, case, runs=240, seed=200 + number)

        assert not cell.is_broken, cell
        if case.name == "as expected":
            assert cell.passed > 0.9 * cell.runs


def test_a_naive_twin_that_shows_nothing_is_noticed():
    shown = twins.Twin("a trap", "10 %", "FAIL", naive=0.2, ours=0.0, runs=200)

    assert not shown.has_no_teeth
    assert replace(shown, naive=0.02).has_no_teeth
    assert not replace(shown, naive=0.02, should_break=False).has_no_teeth


def test_stickiness_passes_wrong_splits_without_the_guards(at_most):
    twin = twins.sticky(runs=100, seed=6)

    assert twin.is_broken
    assert twin.ours * twin.runs <= at_most(0.01, twin.runs)


@pytest.mark.parametrize(
    "simulate",
    [
        pytest.param(twins.lost_labels, id="unlabelled answers left out"),
        pytest.param(twins.order_of_arrival, id="vantages merged as answers arrive"),
        pytest.param(twins.completion_order, id="tallied as answers come"),
    ],
)
def test_a_naive_count_passes_a_wrong_split(at_most, simulate):
    twin = simulate(runs=40, seed=5)

    assert twin.naive * 40 > at_most(0.01, 40)
    assert twin.ours * 40 <= at_most(0.01, 40)


def test_looking_at_a_chi_square_again_and_again_fails_right_splits(at_most):
    twin = twins.peeking(runs=100, seed=5)
    assert twin.is_broken
    assert twin.ours * 100 <= at_most(0.01, 100)


def test_counts_alone_overlook_an_outage():
    twin = twins.outage(runs=10, seed=5)

    assert twin.naive > 0.9
    assert twin.ours < 0.1


def test_pods_of_a_version_that_stand_together_are_no_independent_draws():
    """IPVS walks 49 pods of v1 and then 8 of v2: an answer tells what the next one will be."""
    split, policy = Split.parse("v1=9,v2=1"), Policy(alpha=0.05, beta=0.05)
    flock, random = Flock(split, policy), np.random.default_rng(4)

    def failed(router):
        codes = np.stack([router.draw(flock.budget, random) for _ in range(20)])
        return np.count_nonzero(flock.judge(codes).failed)

    assert failed(RoundRobin((49, 8))) > 15
    assert failed(RoundRobin((49, 8), shuffled=True)) < 5


def test_a_pass_costs_what_was_published_and_half_of_a_confidence_sequence():
    row = compare(0.1, 0.05, 0.01)

    assert row.ours == pytest.approx(520, rel=0.01)
    assert row.bound < row.best < row.ours < row.tost < row.chi_square * 1.5
    assert row.ours < 1.15 * row.best
    assert row.confidence > 1.4 * row.ours
