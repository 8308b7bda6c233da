"""Exact error rates and average needs: `analysis.planning.exact`, stored values, a second route.

The stored values were computed by another program. The second route here walks the counts that
decide one step at a time, with the formulas of `Null.log_evidence`, and keeps every state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import pytest

from analysis.bets.hypotheses import fail_nulls, pass_nulls
from analysis.bets.sizing import required_samples
from analysis.data.policy import Policy
from analysis.data.split import Band, Split, Tolerance
from analysis.planning.exact import boundaries, characteristics


@dataclass(frozen=True)
class Walked:
    passed: float
    failed: float
    mean: float


def decisive_counts(band, inner, alpha, beta, budget):
    """For each n: largest x refuting "too high", smallest refuting "too low", FAIL counts.

    Each boundary moves by at most one as n grows by one.
    """
    too_low, too_high = pass_nulls(band)
    up, down = fail_nulls(band, inner)
    refuted, failed = -log(beta), -log(alpha) - log(0.8) + log(2)

    def fails(n, x):
        return np.logaddexp(up.log_evidence(n, x), down.log_evidence(n, x)) >= failed

    upper, lower, fail_low, fail_high = -1, 1, -1, 1
    for n in range(1, budget + 1):
        upper += too_high.log_evidence(n, upper + 1) >= refuted
        if lower > n or too_low.log_evidence(n, lower) < refuted:
            lower += 1
        fail_low += fails(n, fail_low + 1)
        if fail_high > n or not fails(n, fail_high):
            fail_high += 1
        yield n, upper, lower, fail_low, fail_high


def walk(band, share, *, inner=1.0, alpha, beta, budget):
    # alive[h, l, x]: chance of being undecided, with "too high", "too low" refuted or not.
    width = budget + 2
    alive = np.zeros((2, 2, width))
    alive[0, 0, 0] = 1.0
    passed = failed = mean = 0.0
    first, last = 0, 0
    for n, upper, lower, fail_low, fail_high in decisive_counts(band, inner, alpha, beta, budget):
        window = slice(first, last + 2)
        mean += alive[:, :, window].sum()
        moved = alive[:, :, window] * (1 - share)
        moved[:, :, 1:] += alive[:, :, first : last + 1] * share
        alive[:, :, window] = moved
        last += 1

        failed += alive[:, :, first : fail_low + 1].sum() + alive[:, :, fail_high : last + 1].sum()
        alive[:, :, : fail_low + 1] = 0
        alive[:, :, fail_high : last + 1] = 0
        first, last = max(first, fail_low + 1), min(last, fail_high - 1)

        if upper >= first:
            alive[1, :, first : upper + 1] += alive[0, :, first : upper + 1]
            alive[0, :, first : upper + 1] = 0
        if lower <= last:
            alive[:, 1, lower : last + 1] += alive[:, 0, lower : last + 1]
            alive[:, 0, lower : last + 1] = 0
        x = np.arange(first, last + 1)
        inside = np.flatnonzero((x / n > band.low) & (x / n < band.high)) + first
        passed += alive[1, 1, inside].sum()
        alive[1, 1, inside] = 0
    return Walked(passed, failed, mean)


def computed(band, share, *, inner=1.0, alpha, beta, budget):
    policy = Policy(alpha=alpha, beta=beta, inner=inner)
    found = characteristics(band, policy, [share], budget)
    return Walked(float(found.passed[0]), float(found.failed[0]), float(found.mean[0]))


SECOND_ROUTE = [
    (Tolerance().bands(Split.parse("v1=9,v2=1"))[1], 0.1, 1.0, 0.01, 900),
    (Tolerance().bands(Split.parse("v1=9,v2=1"))[1], 0.16, 0.5, 0.05, 600),
    (Band("v2", 0.5, 0.1, 0.1), 0.45, 0.0, 0.05, 500),
    (Band("v2", 0.99, 0.008, 0.009), 0.985, 1.0, 0.2, 700),
]


@pytest.mark.parametrize(("band", "share", "inner", "level", "budget"), SECOND_ROUTE)
def test_both_routes_give_the_same_chances(band, share, inner, level, budget):
    arguments = {"inner": inner, "alpha": level, "beta": level, "budget": budget}
    walked, found = walk(band, share, **arguments), computed(band, share, **arguments)

    assert found.passed == pytest.approx(walked.passed, abs=1e-11)
    assert found.failed == pytest.approx(walked.failed, abs=1e-11)
    assert found.mean == pytest.approx(walked.mean, abs=1e-8)


@pytest.mark.parametrize(("band", "share", "inner", "level", "budget"), SECOND_ROUTE)
def test_both_routes_find_the_same_counts_that_decide(band, share, inner, level, budget):
    found = boundaries(band, Policy(alpha=level, beta=level, inner=inner), budget)

    columns = (found.upper, found.lower, found.fail_low, found.fail_high)
    rows = zip(range(1, budget + 1), *(column.tolist() for column in columns), strict=True)
    assert list(rows) == list(decisive_counts(band, inner, level, level, budget))


def test_many_shares_at_once_are_the_same_as_each_alone():
    band, policy = Band("v2", 0.1, 0.05, 0.04), Policy()
    shares = [0.0, 0.05, 0.1, 0.2, 1.0]
    together = characteristics(band, policy, shares, 1000)

    for position, share in enumerate(shares):
        alone = characteristics(band, policy, [share], 1000)
        assert together.passed[position] == pytest.approx(alone.passed[0], abs=1e-12)
        assert together.failed[position] == pytest.approx(alone.failed[0], abs=1e-12)
        assert together.mean[position] == pytest.approx(alone.mean[0], abs=1e-9)


def test_quantiles_of_the_need_are_those_that_were_published():
    found = characteristics(Band("v2", 0.1, 0.02, 0.02), Policy(), [0.1, 0.0], 20000)

    assert found.quantile(0.95).tolist() == [5354, 86]
    assert found.quantile(0.99).tolist() == [7076, 86]
    assert found.mean == pytest.approx([3157, 86], abs=0.5)


@pytest.mark.parametrize(
    ("share", "level", "budget", "passed", "failed", "mean"),
    [
        (0.10, 0.01, 7000, 0.9889941, 0.00025534795, 3145.4198),
        (0.12, 0.01, 7000, 0.0071460708, 0.0015217945, 6966.3965),
        (0.08, 0.01, 7000, 0.0072904549, 0.0023580761, 6959.1284),
        (0.10, 0.05, 5600, 0.98774433, 0.0022741868, 2171.7123),
    ],
)
def test_error_rates_and_average_need(share, level, budget, passed, failed, mean):
    found = computed(Band("v2", 0.1, 0.02, 0.02), share, alpha=level, beta=level, budget=budget)

    assert found.passed == pytest.approx(passed, abs=1e-7)
    assert found.failed == pytest.approx(failed, abs=1e-9)
    assert found.mean == pytest.approx(mean, abs=1e-3)


AUTOMATIC = [("v1=9,v2=1", 0.01), ("v1=4,v2=1", 0.05), ("v1=1,v2=1", 0.05), ("v1=19,v2=1", 0.05)]


@pytest.mark.parametrize(("split", "level"), AUTOMATIC)
@pytest.mark.parametrize("inner", [1.0, 0.5, 0.0])
def test_error_rates_hold_at_the_edges_of_automatic_bands(split, level, inner):
    band = Tolerance().bands(Split.parse(split))[1]
    inside = (band.expected - inner * band.below, band.expected + inner * band.above)
    beyond = (band.low / 2, min(0.9, band.high + 2 * band.above))

    found = characteristics(
        band,
        Policy(alpha=level, beta=level, inner=inner),
        [band.low, band.high, *inside, *beyond],
        1500,
    )

    assert found.passed[:2].max() <= level
    assert found.failed[2:4].max() <= level
    # Not by never deciding.
    assert found.failed[4] > 0.75
    assert found.failed[5] > 0.9


@pytest.mark.parametrize(("split", "level"), AUTOMATIC)
def test_a_right_split_passes_within_what_the_planner_allows(split, level):
    parsed = Split.parse(split)
    sizing = required_samples(parsed, Policy(alpha=level, beta=level))

    found = computed(
        Tolerance().bands(parsed)[1],
        parsed.share("v2"),
        alpha=level,
        beta=level,
        budget=sizing.q99,
    )

    assert found.passed > 0.975  # q99 is a closed form, within 7 %
    assert found.mean == pytest.approx(sizing.mean, rel=0.05)
