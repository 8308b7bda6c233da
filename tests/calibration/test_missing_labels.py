"""Missing labels, with what is known about them used and not used.

The naive twin leaves them out: that is what a bound of 1 on the missing ratio does.
"""

from __future__ import annotations

from collections import Counter
from math import inf, log

import numpy as np
import pytest

from analysis.bets.hypotheses import clean_connections, clean_null
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance

PASS, FAIL = ReasonCode.WITHIN_TOLERANCE, ReasonCode.OUTSIDE_TOLERANCE
EVEN = Split.parse("v1=1,v2=1")
FIVE_TIMES = (0.03, 0.15)
"""v2 loses its labels five times as often as v1."""


def policy(ratio, budget):
    return Policy(
        alpha=0.05,
        beta=0.05,
        tolerance=Tolerance.parse("10pp"),
        max_samples=budget,
        max_unlabelled=1.0,
        missing_ratio=ratio,
    )


def ends(settle, ratio, share, count, seed, budget=800, unlabelled=FIVE_TIMES):
    runs = settle(
        EVEN,
        policy(ratio, budget),
        [1 - share, share],
        count=count,
        seed=seed,
        unlabelled=unlabelled,
    )
    return Counter(evidence.settled for evidence in runs)


@pytest.mark.parametrize("ratio", [5.0, inf])
def test_a_share_at_its_edge_passes_rarely_if_the_ratio_is_bounded_rightly(settle, at_most, ratio):
    found = ends(settle, ratio, 0.6, 300, 41)

    assert found[PASS] <= at_most(0.05, 300)


def test_leaving_missing_labels_out_passes_a_share_at_its_edge(settle, at_most):
    """The naive twin: 60 % have v2, of the labels only 57 %."""
    found = ends(settle, 1.0, 0.6, 150, 41)

    assert found[PASS] > at_most(0.05, 150)


def test_a_share_at_the_inner_edge_fails_rarely_if_the_ratio_is_bounded_rightly(settle, at_most):
    found = ends(settle, 5.0, 0.4, 300, 42)

    assert found[FAIL] <= at_most(0.05, 300)


def test_leaving_missing_labels_out_fails_a_share_at_the_inner_edge(settle, at_most):
    """The naive twin: 40 % have v2, of the labels only 37 %."""
    found = ends(settle, 1.0, 0.4, 120, 42, budget=3000)

    assert found[FAIL] > at_most(0.05, 120)


def test_a_bound_lets_right_splits_pass_where_nothing_known_does_not(settle):
    """A fifth of all labels is missing."""
    worst = ends(settle, inf, 0.5, 20, 43, budget=3000, unlabelled=(0.2, 0.2))
    bounded = ends(settle, 1.2, 0.5, 40, 43, budget=3000, unlabelled=(0.2, 0.2))

    assert worst[PASS] == 0
    assert bounded[PASS] >= 36


def chance_of_refuting(null, needed, level, share, horizon):
    """Exact: contradictions of a share, all of them lost, over all paths of their number."""
    most = 60
    alive = np.zeros(most + 1)
    alive[0] = 1.0
    refuted = 0.0
    for n in range(1, horizon + 1):
        alive[1:] = alive[1:] * (1 - share) + alive[:-1] * share
        alive[0] *= 1 - share
        for missing in np.flatnonzero(alive > 1e-12).tolist():
            whole = missing == 0 and n >= needed
            if whole or (missing <= n and null.log_evidence(n, 0, missing) >= -log(level)):
                refuted += alive[missing]
                alive[missing] = 0.0
    return refuted


@pytest.mark.parametrize("tolerance", [0.05, 0.1])
def test_contradictions_that_are_all_lost_pass_at_most_at_rate_beta(tolerance):
    """At its tolerance, a share of zero passes with less than beta, however long the run."""
    needed = clean_connections(tolerance, 0.05)

    chance = chance_of_refuting(clean_null(tolerance, 0.05), needed, 0.05, tolerance, 8 * needed)

    assert (1 - tolerance) ** needed < chance <= 0.05


def test_accepting_one_lost_label_beside_a_clean_run_passes_too_often():
    """The naive twin: a clean run of the usual length, but for one label."""
    n = clean_connections(0.05, 0.05)

    assert 0.95**n + n * 0.05 * 0.95 ** (n - 1) > 3 * 0.05


def test_lost_labels_of_a_right_promotion_cost_connections_and_not_the_verdict(settle):
    split = Split.parse("v1=10,v2=0")

    runs = list(settle(split, Policy(), [1.0, 0.0], count=100, seed=44, unlabelled=[0.0005, 0.0]))

    assert Counter(run.settled for run in runs)[PASS] >= 97
    assert {run.judged for run in runs if not run.missing} == {459}
    assert all(run.judged >= 1450 for run in runs if run.missing)
