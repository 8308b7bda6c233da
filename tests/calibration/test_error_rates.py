"""The promised error rates, on the whole fold, restarted part and missing labels included.

Each bound is crossed by chance once in a million; seeds are fixed besides.
"""

from __future__ import annotations

from collections import Counter

import pytest

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
