"""The promised error rates, on the whole fold, restarted part and missing labels included.

Each bound is crossed by chance once in a million; seeds are fixed besides.
"""

from __future__ import annotations

import heapq
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2

from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance

PASS, FAIL = ReasonCode.WITHIN_TOLERANCE, ReasonCode.OUTSIDE_TOLERANCE
NINE_ONE = Split.parse("v1=9,v2=1")
EVEN = Split.parse("v1=1,v2=1")
WIDE = Tolerance.parse("10pp")


def tally(runs):
    return Counter(evidence.settled for evidence in runs)


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_a_share_at_the_edge_of_its_band_rarely_passes_or_fails(settle, at_most, share):
    policy = Policy(alpha=0.05, beta=0.05, tolerance=WIDE, max_samples=1500)

    ends = tally(settle(EVEN, policy, [1 - share, share], count=2000, seed=11))

    assert ends[PASS] <= at_most(0.05, 2000)
    assert ends[FAIL] <= at_most(0.05, 2000)
    assert ends[PASS] > 0


@pytest.mark.parametrize("share", [0.05, 0.1 + 0.9 / 22])
def test_automatic_bands_of_ten_pods_keep_beta_at_their_edges(settle, at_most, share):
    policy = Policy(alpha=0.05, beta=0.05)

    ends = tally(settle(NINE_ONE, policy, [1 - share, share], count=1000, seed=12))

    assert ends[PASS] <= at_most(0.05, 1000)
    assert ends[PASS] > 0


@pytest.mark.parametrize("inner", [0.0, 1.0])
def test_a_right_split_rarely_fails_and_mostly_passes(settle, at_most, at_least, inner):
    policy = Policy(alpha=0.05, beta=0.05, inner=inner)

    ends = tally(settle(NINE_ONE, policy, [0.9, 0.1], count=1500, seed=13))

    assert ends[FAIL] <= at_most(0.05, 1500)
    assert ends[PASS] >= at_least(0.93, 1500)


def test_a_departure_of_inner_tolerances_rarely_fails(settle, at_most):
    """The tightest case of alpha: the truth on the edge of the inner band, half way out."""
    policy = Policy(alpha=0.1, beta=0.1, tolerance=WIDE, inner=0.5, max_samples=1200)

    ends = tally(settle(EVEN, policy, [0.45, 0.55], count=1500, seed=14))

    assert ends[FAIL] <= at_most(0.1, 1500)
    assert ends[FAIL] > 0


def test_three_versions_pass_rarely_when_one_is_at_its_edge(settle, at_most):
    split = Split.parse("a=2,b=1,c=1")
    policy = Policy(alpha=0.1, beta=0.1, tolerance=WIDE, max_samples=1500)

    ends = tally(settle(split, policy, [0.5, 0.35, 0.15], count=800, seed=15))
    right = tally(settle(split, policy, [0.5, 0.25, 0.25], count=300, seed=16))

    assert ends[PASS] <= at_most(0.1, 800)
    assert right[PASS] > 250


def test_a_version_that_loses_its_labels_does_not_pass_for_a_smaller_one(settle, at_most):
    """60 % go to v2, and a third of its answers is lost: half of the labels say v2."""
    policy = Policy(alpha=0.05, beta=0.05, tolerance=WIDE, max_samples=800, max_unlabelled=1.0)

    ends = tally(settle(EVEN, policy, [0.4, 0.6], count=800, seed=17, unlabelled=[0, 1 / 3]))

    assert ends[PASS] <= at_most(0.05, 800)
    assert ends[FAIL] <= at_most(0.05, 800)


def test_labels_lost_evenly_still_let_a_right_split_pass(settle):
    policy = Policy(alpha=0.05, beta=0.05, tolerance=WIDE, max_samples=4000)

    ends = tally(settle(EVEN, policy, [0.5, 0.5], count=200, seed=18, unlabelled=[0.02, 0.02]))

    assert ends[PASS] > 190


def test_a_tolerable_rate_of_missing_labels_rarely_fails(settle, at_most):
    policy = Policy(alpha=0.1, beta=0.01, tolerance=Tolerance.parse("30pp"), max_samples=2000)

    ends = tally(settle(EVEN, policy, [0.2, 0.8], count=600, seed=19, unlabelled=[0.05, 0.05]))

    assert ends[ReasonCode.TOO_MANY_UNLABELLED] <= at_most(0.1, 600)


@pytest.mark.parametrize("share", [0.01])
def test_a_share_of_zero_passes_at_its_edge_at_rate_beta_exactly(settle, at_most, at_least, share):
    """The bound is attained, so the count is held from both sides."""
    policy = Policy(beta=0.05)

    ends = tally(settle(Split.parse("v1=1,v2=0"), policy, [1 - share, share], count=4000, seed=20))

    rate = 0.99**299
    assert at_least(rate, 4000) <= ends[PASS] <= at_most(rate, 4000)
    assert ends[PASS] + ends[ReasonCode.UNEXPECTED_LABEL] == 4000


def test_an_outage_in_mid_run_is_failed_by_the_restarted_part(stretches):
    """None of the canary in connections 1000 to 1199; the counts alone would pass it."""
    policy = Policy(tolerance=Tolerance.parse("2pp"), max_samples=8000)

    runs = list(stretches(NINE_ONE, policy, [(0.1, 1000), (0.0, 200)], count=40, seed=21))

    assert {evidence.settled for evidence in runs} == {FAIL}
    assert all(1000 < evidence.judged <= 1200 for evidence in runs)


def test_a_share_that_drifts_passes_rarely_if_its_average_is_at_the_edge(stretches, at_most):
    """70 % and 50 % in turns: the share of all connections so far is never below 60 %."""
    policy = Policy(alpha=0.05, beta=0.05, tolerance=WIDE, max_samples=1200)

    ends = tally(stretches(EVEN, policy, [(0.7, 20), (0.5, 20)] * 30, count=1500, seed=23))

    assert ends[PASS] <= at_most(0.05, 1500)
    assert ends[PASS] > 0


def closed_loop(random, shares, seconds, *, in_flight, length):
    """Simulate labels in the order of their sending, and of their completion."""
    codes = (random.random(length) < shares).astype(np.int32)
    takes = random.exponential(1.0, length) * np.where(codes, seconds, 1.0)
    free = [0.0] * in_flight
    done = np.empty(length)
    for position, lasts in enumerate(takes):
        done[position] = free[0] + lasts
        heapq.heapreplace(free, done[position])
    return codes, codes[np.argsort(done)]


def test_a_slow_version_is_judged_right_in_the_order_of_sending_only(weigh_codes, at_most):
    """100 in flight, a canary of 12 % that is 5 times slower, 10 % +-2 pp accepted."""
    random = np.random.default_rng(24)
    policy = Policy(tolerance=Tolerance.parse("2pp"), max_samples=5000)
    sent, completed = Counter[ReasonCode | None](), Counter[ReasonCode | None]()
    for _ in range(150):
        in_order, as_done = closed_loop(random, 0.12, 5.0, in_flight=100, length=5400)
        sent[weigh_codes(NINE_ONE, policy, in_order).settled] += 1
        completed[weigh_codes(NINE_ONE, policy, as_done).settled] += 1

    assert sent[PASS] <= at_most(0.01, 150)
    assert sent[FAIL] <= at_most(0.01, 150)
    assert completed[PASS] > 30


def test_looking_at_a_chi_square_after_each_batch_fails_right_splits(at_most):
    """The naive twin: a significance test that is looked at every 50 connections."""
    random = np.random.default_rng(22)
    limit = chi2.isf(0.05, 1)
    looks = np.arange(100, 5001, 50)
    hits = np.cumsum(random.random((1000, 5000)) < 0.1, axis=1)[:, looks - 1]
    statistic = (hits - 0.1 * looks) ** 2 / (0.1 * 0.9 * looks)
    false_alarms = int((statistic > limit).any(axis=1).sum())

    assert false_alarms > at_most(0.05, 1000)
    assert false_alarms == pytest.approx(352, abs=60)
