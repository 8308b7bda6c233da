"""Intervals of the difference of two runs miss it as seldom as they claim, at whatever looks."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm

from analysis.bets.kt import kt_sides
from analysis.review.comparison import RunRecord, compare
from analysis.review.difference import difference_interval
from tests.recorded import recorded

LEVEL = 0.05
LOOKS = [20, 60, 150, 400, 1000, 2500]


def one_look(n, x, m, y):
    """The naive twin: the interval of two proportions that holds at one fixed look (Wald's)."""
    one, other = x / n, y / m
    reach = norm.isf(LEVEL / 2) * sqrt(one * (1 - one) / n + other * (1 - other) / m)
    return other - one - reach, other - one + reach


def ever_missed(shares, interval, *, pace, count, seed):
    """Count pairs of runs in which some look misses; the second run is so many times as long."""
    random = np.random.default_rng(seed)
    missed = 0
    for _ in range(count):
        first, second = (
            np.cumsum(random.random(LOOKS[-1] * length) < share)
            for share, length in zip(shares, (1, pace), strict=True)
        )
        missed += any(
            not low <= shares[1] - shares[0] <= high
            for n in LOOKS
            for low, high in [interval(n, first[n - 1], pace * n, second[pace * n - 1])]
        )
    return missed


def joint(n, x, m, y):
    return difference_interval(kt_sides(n, x, x), kt_sides(m, y, y), LEVEL)


@pytest.mark.parametrize(("shares", "pace"), [((0.1, 0.1), 1), ((0.5, 0.6), 1), ((0.02, 0.1), 3)])
def test_a_difference_is_missed_at_any_look_as_seldom_as_its_level(at_most, shares, pace):
    missed = ever_missed(shares, joint, pace=pace, count=120, seed=81)

    assert missed <= at_most(LEVEL, 120)


def test_an_interval_for_one_look_misses_the_difference_far_more_often(at_most):
    """The naive twin."""
    missed = ever_missed((0.1, 0.1), one_look, pace=1, count=1000, seed=81)

    assert missed > at_most(LEVEL, 1000)


def run(identity, weights, **more):
    batch, report = recorded(["v1", "v2"], weights, n=900, **more)
    return RunRecord(replace(report, run=replace(report.run, id=identity)), batch)


def test_the_interval_of_a_difference_misses_it_less_often_than_its_level():
    """Stopped by their own decision, which a fixed-n interval would not survive."""
    choose = np.random.default_rng(20260102)
    missed = 0
    runs = 150
    for _ in range(runs):
        seeds = choose.integers(0, 2**31, 2)
        first = run("a", [9, 1], seed=int(seeds[0]))
        second = run("b", [8, 2], seed=int(seeds[1]), expect=[9, 1])
        (interval,) = (
            each.interval for each in compare(first, second).shares if each.label == "v2"
        )
        assert interval is not None
        low, high = interval
        missed += not low <= 0.1 <= high
    assert missed <= 3
