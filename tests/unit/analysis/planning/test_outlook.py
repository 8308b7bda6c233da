"""What a run will cost and what it would tell apart, before anything is sent."""

from __future__ import annotations

import pytest

from analysis.bets.sizing import required_samples
from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.planning.fates import FOUND, Method, true_shares
from analysis.planning.outlook import foresee

NINE_ONE = Split.parse("v1=9,v2=1")


def prospect(outlook, share):
    return min(outlook.prospects, key=lambda each: abs(each.share - share))


def test_a_share_of_zero_among_others_is_failed_by_one_label():
    split, policy = Split.parse("a=8,b=2,c=0"), Policy()

    outlook = foresee(split, policy)

    of_c = next(found for found in outlook.distinctions if found.arm == "c")
    assert of_c.below is None
    assert of_c.above is not None
    # Most runs pass long before the budget: one label within all of it would not suffice.
    (fate,) = (each for each in outlook.prospects if each.arm == "c" and "failed" in each.meaning)
    assert fate.share == pytest.approx(of_c.above)
    assert FOUND <= fate.failed < FOUND + 0.04
    assert 1 - (1 - of_c.above) ** outlook.budget > 0.99


def test_other_shares_keep_their_proportions():
    assert true_shares(Split.parse("a=6,b=2,c=2"), "c", 0.5) == pytest.approx((0.375, 0.125, 0.5))
    assert true_shares(Split.parse("a=1,b=0,c=0"), "a", 0.5) == pytest.approx((0.5, 0.25, 0.25))


def test_the_cost_and_the_budget_are_those_of_the_run_itself():
    outlook = foresee(NINE_ONE, Policy())

    assert outlook.samples == required_samples(NINE_ONE, Policy())
    assert outlook.budget == outlook.samples.q99
    assert foresee(NINE_ONE, Policy(max_samples=50)).budget == 50


def test_a_right_split_passes_and_one_at_the_edge_hardly_ever_does():
    policy = Policy()
    band = policy.tolerance.bands(NINE_ONE)[1]

    outlook = foresee(NINE_ONE, policy)

    assert prospect(outlook, 0.1).passed > 0.98
    for edge in (band.low, band.high):
        assert prospect(outlook, edge).share == pytest.approx(edge)
        assert prospect(outlook, edge).passed <= policy.beta
    for each in outlook.prospects:
        assert each.passed + each.failed + each.undecided == pytest.approx(1)


def test_every_share_of_interest_is_there_once_with_its_meaning():
    meanings = {each.meaning: each.share for each in foresee(NINE_ONE, Policy()).prospects}

    assert len(set(meanings.values())) == len(meanings)
    assert meanings["as expected"] == 0.1
    assert meanings["one pod more"] == pytest.approx(2 / 11)
    assert meanings["the same for every version"] == 0.5
    assert meanings["no traffic at all"] == 0


def test_what_is_told_apart_is_failed_with_the_chance_that_is_said_and_no_nearer_share_is():
    outlook = foresee(NINE_ONE, Policy())
    (found,) = outlook.distinctions

    assert found.below is not None
    assert found.above is not None
    for share in (found.below, found.above):
        assert prospect(outlook, share).share == pytest.approx(share)
        assert prospect(outlook, share).failed == pytest.approx(FOUND, abs=1e-3)
    assert found.below < 0.1 < found.above


def test_a_budget_that_is_too_small_tells_nothing_apart():
    (found,) = foresee(NINE_ONE, Policy(max_samples=10)).distinctions

    assert found.below is None


def test_one_label_alone_follows_a_formula():
    outlook = foresee(Split.parse("v1=10,v2=0"), Policy())

    assert outlook.method is Method.EXACT
    assert outlook.samples.q99 == 459
    half = prospect(outlook, 0.5)
    assert half.mean == pytest.approx(2)
    assert half.failed == pytest.approx(1)
    assert prospect(outlook, 0.0).passed == 1
    (found,) = outlook.distinctions
    assert found.above == pytest.approx(1 - (1 - FOUND) ** (1 / 459))
