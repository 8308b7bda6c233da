from __future__ import annotations

import pytest

from analysis.bets.sizing import Sizing, required_samples, tolerable_missing
from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance


def test_ten_pods_take_about_seven_hundred_connections():
    assert required_samples(Split.parse("v1=9,v2=1"), Policy()).mean == pytest.approx(716, abs=2)


def test_a_share_of_zero_takes_exactly_the_clean_connections():
    assert required_samples(Split.parse("v1=10,v2=0"), Policy()) == Sizing(459, 459, 459)


def test_several_arms_take_as_long_as_the_slowest_and_a_little_more_where_others_are_as_slow():
    policy = Policy(tolerance=Tolerance.parse("2pp"))

    slowest = required_samples(Split.parse("v1=80,v2=20"), policy)
    one_is_slow = required_samples(Split.parse("a=80,b=15,c=5"), policy)
    two_are_slow = required_samples(Split.parse("a=2,b=2,c=1"), policy)

    for name in ("mean", "q95", "q99"):
        assert getattr(slowest, name) <= getattr(one_is_slow, name)
        assert getattr(one_is_slow, name) == pytest.approx(getattr(slowest, name), rel=0.06)
    both = required_samples(Split.parse("v1=3,v2=2"), policy)
    assert two_are_slow.mean > 1.1 * both.mean


@pytest.mark.parametrize("split", ["a=1,b=1,c=1", "a=8,b=1,c=1", "a=5,b=3,c=1,d=1,e=0"])
def test_more_runs_stay_within_more_connections(split):
    size = required_samples(Split.parse(split), Policy())

    assert size.mean < size.q95 < size.q99


@pytest.mark.parametrize(
    ("split", "tolerance", "ratio", "expected"),
    [
        ("v1=9,v2=1", "2pp", float("inf"), 0.0222222222),
        ("v1=1,v2=1", "10pp", float("inf"), 0.2),
        ("v1=10,v2=0", "1pp", float("inf"), 0.01),
        ("v1=9,v2=1", "2pp", 1.0, 1.0),
        ("v1=9,v2=1", "2pp", 2.0, 0.02 / (0.214285714 - 0.1)),
    ],
)
def test_the_rate_of_missing_labels_beyond_which_nothing_passes(split, tolerance, ratio, expected):
    policy = Policy(tolerance=Tolerance.parse(tolerance), missing_ratio=ratio)

    assert tolerable_missing(Split.parse(split), policy) == pytest.approx(expected, abs=1e-8)
