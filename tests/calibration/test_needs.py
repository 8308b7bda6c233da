"""What a plan says a check will need is what right splits need."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.sizing import required_samples
from analysis.data.policy import Policy
from analysis.data.split import Split
from tests.calibration.flock import Flock

RUNS = 300


@pytest.mark.parametrize("weights", [(9, 1), (1, 1, 1), (8, 1, 1), (1,) * 10])
def test_nearly_all_right_splits_pass_within_the_budget_however_many_versions(weights, at_least):
    """Each version has two edges to refute: ten equal ones take longer than any one of them."""
    split = Split(tuple(f"v{arm}" for arm in range(len(weights))), weights)
    flock = Flock(split, Policy())
    draws = np.random.default_rng(71).random((RUNS, flock.budget))
    codes = np.searchsorted(np.cumsum(split.shares)[:-1], draws, side="right").astype(np.int32)

    ends = flock.judge(codes)

    planned = required_samples(split, Policy())
    passed = ends.passed > 0
    assert np.count_nonzero(passed) >= at_least(0.98, RUNS)
    assert np.where(passed, ends.passed, flock.budget).mean() == pytest.approx(
        planned.mean, rel=0.15
    )
