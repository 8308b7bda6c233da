"""Calibrated thresholds on the whole fold, and routers that break or keep what they assume."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.planning.exact import boundaries

PASS, FAIL = ReasonCode.WITHIN_TOLERANCE, ReasonCode.OUTSIDE_TOLERANCE
EVEN = Split.parse("v1=1,v2=1")
WIDE = Tolerance.parse("10pp")
POLICY = Policy(alpha=0.05, beta=0.05, tolerance=WIDE, max_samples=600, calibrated=True)
RUNS = 2000


@pytest.mark.parametrize("lost", [0.0, 0.01])
def test_shares_on_an_edge_pass_and_fail_no_more_often_than_promised(settle, at_most, lost):
    """With labels that are missing, too: each counts as the worst."""
    ends = Counter(
        evidence.settled
        for evidence in settle(
            EVEN, POLICY, [0.6, 0.4], count=RUNS, seed=51, unlabelled=[lost, lost]
        )
    )

    assert ends[PASS] <= at_most(POLICY.beta, RUNS)
    assert ends[FAIL] <= at_most(POLICY.alpha, RUNS)


def test_without_losses_the_levels_are_spent_and_not_a_part_of_them(settle, at_least):
    ends = Counter(
        evidence.settled for evidence in settle(EVEN, POLICY, [0.6, 0.4], count=RUNS, seed=52)
    )

    assert ends[PASS] >= at_least(0.95 * POLICY.beta, RUNS)
    assert ends[FAIL] >= at_least(0.75 * POLICY.alpha, RUNS)


def worst(policy, band):
    """Chance of FAIL where a router knows the counts and picks an inner edge each time."""
    limits = boundaries(band, policy, policy.max_samples)
    edges = (
        band.expected - policy.inner * band.below,
        band.expected + policy.inner * band.above,
    )
    value = np.zeros(policy.max_samples + 2)
    for n in range(policy.max_samples, 0, -1):
        value[: max(limits.fail_low[n - 1] + 1, 0)] = 1.0
        value[max(limits.fail_high[n - 1], 0) :] = 1.0
        value = np.append(
            np.maximum(*(edge * value[1:] + (1 - edge) * value[:-1] for edge in edges)), 1.0
        )
    return value[0]


@pytest.mark.parametrize("inner", [0.3, 0.5, 1.0])
def test_a_router_that_goes_by_the_counts_breaks_alpha_here_and_not_by_default(inner):
    """Each share it picks is inside the band: given the past nothing is wrong, but draws depend."""
    policy = replace(POLICY, alpha=0.01, beta=0.01, inner=inner)
    band = WIDE.bands(EVEN)[1]

    assert worst(replace(policy, calibrated=False), band) < 0.6 * policy.alpha
    lost = worst(policy, band)
    assert policy.alpha < lost < 1.3 * policy.alpha
