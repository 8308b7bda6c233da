"""Evidence that begins anew at each connection keeps alpha, however long a run may be."""

from __future__ import annotations

import numpy as np

from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from tests.calibration.flock import Flock

RUNS = 300
BUDGET = 4_000
POLICY = Policy(alpha=0.05, beta=0.05, tolerance=Tolerance.parse("10pp"), max_samples=BUDGET)


def failed(horizon):
    """Count the runs that fail although the share is just within, if stakes are 1/horizon."""
    flock = Flock(Split.parse("v1=1,v2=1"), POLICY)
    flock._horizon = horizon
    codes = np.random.default_rng(91).random((RUNS, BUDGET)) < 0.6
    return np.count_nonzero(flock.judge(codes.astype(np.int32)).failed)


def test_stakes_shared_over_the_budget_keep_alpha(at_most):
    assert failed(BUDGET) <= at_most(0.05, RUNS)


def test_stakes_that_go_on_beyond_their_horizon_do_not(at_most):
    """The naive twin."""
    assert failed(BUDGET // 100) > at_most(0.05, RUNS)
