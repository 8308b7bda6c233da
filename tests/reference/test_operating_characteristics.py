"""Exact error rates and average needs, by forward recursion over all paths of the counts.

State: connections n, those with the label x, and which of the two PASS hypotheses have been
refuted so far. The restarted part is left out (its stakes are never won here), which makes
the FAIL evidence a function of the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import pytest

from analysis.boundaries import fail_nulls, pass_nulls
from analysis.policy import Policy
from analysis.sizing import required_samples
from analysis.split import Band, Split, Tolerance


@dataclass(frozen=True)
class Characteristics:
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


def characteristics(band, share, *, inner=1.0, alpha, beta, budget):
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
    return Characteristics(passed, failed, mean)


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
    found = characteristics(
        Band("v2", 0.1, 0.02, 0.02), share, alpha=level, beta=level, budget=budget
    )

    assert found.passed == pytest.approx(passed, abs=1e-7)
    assert found.failed == pytest.approx(failed, abs=1e-9)
    assert found.mean == pytest.approx(mean, abs=1e-3)


AUTOMATIC = [("v1=9,v2=1", 0.01), ("v1=4,v2=1", 0.05), ("v1=1,v2=1", 0.05), ("v1=19,v2=1", 0.05)]


@pytest.mark.parametrize(("split", "level"), AUTOMATIC)
@pytest.mark.parametrize("inner", [1.0, 0.5, 0.0])
def test_error_rates_hold_at_the_edges_of_automatic_bands(split, level, inner):
    band = Tolerance().bands(Split.parse(split))[1]

    def at(share, budget=1500):
        return characteristics(band, share, inner=inner, alpha=level, beta=level, budget=budget)

    assert at(band.low).passed <= level
    assert at(band.high).passed <= level
    assert at(band.expected - inner * band.below).failed <= level
    assert at(band.expected + inner * band.above).failed <= level
    # Not by never deciding.
    assert at(band.low / 2).failed > 0.75
    assert at(min(0.9, band.high + 2 * band.above)).failed > 0.9


@pytest.mark.parametrize(("split", "level"), AUTOMATIC)
def test_a_right_split_passes_within_what_the_planner_allows(split, level):
    parsed = Split.parse(split)
    sizing = required_samples(parsed, Policy(alpha=level, beta=level))

    found = characteristics(
        Tolerance().bands(parsed)[1],
        parsed.share("v2"),
        alpha=level,
        beta=level,
        budget=sizing.q99,
    )

    assert found.passed > 0.975  # q99 is a closed form, within 7 %
    assert found.mean == pytest.approx(sizing.mean, rel=0.05)
