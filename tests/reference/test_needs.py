"""The budget against the exact recursion: what it ends undecided, with two versions."""

from __future__ import annotations

import pytest

from analysis.bets.sizing import UNDECIDED, required_samples
from analysis.data import split as splits
from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.planning.exact import characteristics

CASES = [
    ("v1=1,v2=1", "auto", 0.01),
    ("v1=2,v2=1", "auto", 0.01),
    ("v1=3,v2=1", "auto", 0.01),
    ("v1=4,v2=1", "auto", 0.05),
    ("v1=9,v2=1", "auto", 0.01),
    ("v1=9,v2=1", "auto", 0.1),
    ("v1=9,v2=1", "auto", 0.001),
    ("v1=9,v2=1", "2pp", 0.01),
    ("v1=9,v2=1", "-9pp+3pp", 0.01),
    ("v1=1,v2=1", "20pp", 0.01),
    ("v1=3,v2=7", "5pp", 0.05),
    ("v1=19,v2=1", "auto", 0.01),
    ("v1=99,v2=1", "auto", 0.01),
]


@pytest.mark.parametrize(("text", "tolerance", "level"), CASES)
def test_the_budget_ends_as_many_right_splits_undecided_as_it_says(text, tolerance, level):
    split = Split.parse(text)
    policy = Policy(alpha=level, beta=level, tolerance=Tolerance.parse(tolerance))
    band = policy.tolerance.bands(split)[splits.tested_arms(split)[0]]
    sizing = required_samples(split, policy)

    found = characteristics(band, policy, [band.expected], sizing.q99)

    left = found.undecided[:, 0]
    assert 0.9 * UNDECIDED < left[-1] < 1.01 * UNDECIDED
    assert left[sizing.q95] == pytest.approx(0.05, rel=0.05)
