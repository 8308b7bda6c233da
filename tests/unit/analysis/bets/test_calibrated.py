"""Calibrated thresholds: the levels are spent whole, and hold for what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.calibrated import LONGEST_CALIBRATED, factors, factors_of, require_calibratable
from analysis.data.errors import InputError
from analysis.data.policy import OutOfRangeError, Policy
from analysis.data.split import Split, Tolerance
from analysis.data.split import tested_arms as judged_arms
from analysis.evidence.state import Evidence
from analysis.planning.exact import boundaries, characteristics, follow


def problem(text, level, inner=1.0, **more):
    split = Split.parse(text)
    policy = Policy(alpha=level, beta=level, inner=inner, calibrated=True, **more)
    band = policy.tolerance.bands(split)[judged_arms(split)[0]]
    return band, policy, Evidence.start(split, policy).budget


@pytest.mark.parametrize(
    ("text", "level", "inner"),
    [("v1=9,v2=1", 0.01, 1.0), ("v1=1,v2=1", 0.05, 1.0), ("v1=4,v2=1", 0.05, 0.5)],
)
def test_both_levels_are_spent_whole_and_not_exceeded(text, level, inner):
    """By another way: the recursion over all counts, not that over what is lacking."""
    band, policy, budget = problem(text, level, inner)

    edges = characteristics(band, policy, [band.low, band.high], budget)

    assert np.all(edges.passed <= level)
    assert np.all(edges.passed > 0.975 * level)
    # The rest of alpha is left to the restarted part, which the recursion does not follow.
    inner_edges = [band.expected - inner * band.below, band.expected + inner * band.above]
    failed = characteristics(band, policy, inner_edges, budget).failed
    assert np.all(failed <= 0.8 * level * (1 + 1e-9))
    assert failed.max() > 0.9 * 0.8 * level


@pytest.mark.parametrize("inner", [0.0, 0.1, 0.5, 1.0])
def test_no_share_inside_the_inner_band_fails_more_often_than_its_edges_may(inner):
    """The two directions are not halved: their sum is looked at everywhere between."""
    band, policy, budget = problem("v1=4,v2=1", 0.05, inner)
    reach = np.linspace(-1, 1, 41)
    shares = band.expected + inner * np.where(reach < 0, band.below, band.above) * reach

    failed = characteristics(band, policy, shares.tolist(), budget).failed

    assert failed.max() <= 0.8 * policy.alpha * (1 + 1e-9)


def test_a_right_split_passes_and_a_wrong_one_fails_sooner():
    band, policy, budget = problem("v1=9,v2=1", 0.01)
    plain = Policy()
    shares = [band.expected, 2 / 11, 0.2]

    after = characteristics(band, policy, shares, budget)
    before = characteristics(band, plain, shares, budget)

    assert after.mean[0] < 0.95 * before.mean[0]
    assert after.mean[2] < 0.85 * before.mean[2]
    assert after.failed[1] > before.failed[1] + 0.05


def test_the_pass_side_holds_for_shares_that_change_with_the_past():
    """A share that stays on the edge or beyond, chosen each time so that PASS is likeliest."""
    band, policy, budget = problem("v1=9,v2=1", 0.05)
    limits = boundaries(band, policy, budget)
    # Chance that "too high" is ever refuted, under the worst choice out of three shares.
    value = np.zeros(budget + 2)
    for n in range(budget, 0, -1):
        value[: max(limits.upper[n - 1] + 1, 0)] = 1.0
        nexts = [p * value[1:] + (1 - p) * value[:-1] for p in (band.high, 0.3, 1.0)]
        value = np.append(np.max(nexts, axis=0), 0.0)

    assert value[0] <= policy.beta * (1 + 1e-9)


def test_what_is_not_there_cannot_be_calibrated():
    policy = Policy(calibrated=True)

    with pytest.raises(InputError, match="two versions, and 3"):
        require_calibratable(Split.parse("a=8,b=1,c=1"), policy)
    with pytest.raises(InputError, match=f"up to {LONGEST_CALIBRATED}"):
        Evidence.start(Split.parse("v1=9999,v2=1"), policy)
    with pytest.raises(OutOfRangeError, match="fresh connection"):
        Policy(calibrated=True, per_connection=2)
    with pytest.raises(OutOfRangeError, match="worst case"):
        Policy(calibrated=True, missing_ratio=2.0)


def test_a_share_of_zero_is_exact_as_it_is():
    split = Split.parse("v1=10,v2=0")

    assert factors_of(split, Policy(calibrated=True), 500) is None
    assert factors_of(Split.parse("v1=9,v2=1"), Policy(), 500) is None


def test_a_budget_in_which_hardly_anything_can_be_refuted_has_bounded_factors():
    band = Tolerance().bands(Split.parse("v1=9,v2=1"))[1]

    found = factors(band, 0.01, 0.01, 1.0, 5)

    assert all(1 <= factor <= 10 for factor in found.passing)
    limits = boundaries(band, Policy(calibrated=True), 5)
    assert follow(band, limits, [band.high]).passed[0] == 0
