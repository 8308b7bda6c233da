"""The interval of a difference: it holds what neither run refutes, and little more."""

from __future__ import annotations

from math import exp, log

import pytest

from analysis.bets.kt import kt_sides
from analysis.review.difference import KEPT, difference_interval


def between(first, second, level=0.01):
    """Interval of the difference of two runs, each a pair of connections and labels."""
    one, other = (kt_sides(n, x, x) for n, x in (first, second))
    return difference_interval(one, other, level)


def evidence(run, share):
    """Log evidence of a run against a share, of somebody who keeps a part of the stake."""
    (inside, below), (_, above) = kt_sides(run[0], run[1], run[1])
    bet = below(share) if share < inside else above(share)
    return log(KEPT + (1 - KEPT) * exp(min(bet, 700)))


def test_the_observed_difference_lies_inside():
    low, high = between((400, 40), (500, 150))

    assert low < 0.3 - 0.1 < high


def test_equal_runs_have_an_interval_around_zero():
    low, high = between((400, 40), (400, 40))

    assert low == pytest.approx(-high, abs=1e-9)
    assert low < 0 < high


def test_exchanged_runs_have_the_mirrored_interval():
    one, other = between((400, 40), (900, 300)), between((900, 300), (400, 40))

    assert other == pytest.approx((-one[1], -one[0]), abs=0.005)


def test_more_connections_and_a_higher_level_make_it_narrower():
    def width(interval):
        return interval[1] - interval[0]

    assert width(between((4000, 400), (4000, 800))) < width(between((400, 40), (400, 80)))
    assert width(between((400, 40), (400, 80), 0.1)) < width(between((400, 40), (400, 80), 0.001))


def test_every_pair_that_the_product_does_not_refute_is_inside():
    first, second, level = (300, 30), (200, 60), 0.01
    low, high = between(first, second, level)
    shares = [number / 100 for number in range(1, 100)]

    kept = [
        there - here
        for here in shares
        for there in shares
        if evidence(first, here) + evidence(second, there) < -log(level)
    ]

    assert low <= min(kept)
    assert max(kept) <= high
    # And it is hardly wider than these pairs are apart: by a step of the grid on each side.
    assert min(kept) - low < 0.02
    assert high - max(kept) < 0.02


def test_a_missing_label_widens_the_interval_on_both_sides():
    whole = between((300, 30), (300, 60))

    with_gap = difference_interval(kt_sides(300, 30, 30), kt_sides(300, 60, 75), 0.01)

    assert with_gap[0] == pytest.approx(whole[0], abs=1e-9)
    assert with_gap[1] > whole[1]


def test_the_ends_are_differences_of_shares():
    low, high = between((1, 0), (1, 1))

    assert -1 <= low < high <= 1
