"""How figures are computed: by formula, exactly, or by simulation, for each kind of split."""

from __future__ import annotations

import pytest

from analysis.bets.sizing import required_samples
from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.planning.fates import FOUND, Method, forecast_of


@pytest.mark.parametrize(
    ("text", "exact", "method"),
    [
        ("v1=9,v2=1", False, Method.CLOSED_FORM),
        ("v1=9,v2=1", True, Method.EXACT),
        ("v1=9,v2=0", False, Method.EXACT),
        ("a=8,b=1,c=1", False, Method.SIMULATION),
    ],
)
def test_each_kind_of_split_has_its_way(text, exact, method):
    assert forecast_of(Split.parse(text), Policy(), 300, exact=exact).method is method


def test_versions_that_are_alike_share_their_figures_and_all_share_those_of_a_right_split():
    split, policy = Split.parse("a=2,b=1,c=1"), Policy()
    a, b, c = policy.tolerance.bands(split)
    forecast = forecast_of(split, policy, required_samples(split, policy).q99)

    assert forecast.fates(b, [0.2]) == forecast.fates(c, [0.2])
    (right,) = forecast.fates(a, [a.expected])
    assert forecast.fates(b, [b.expected]) == [right]
    assert right.passed == pytest.approx(0.99, abs=forecast.margin)


def test_nothing_is_told_apart_within_too_small_a_budget():
    split, policy = Split.parse("a=2,b=1,c=1"), Policy()
    band = policy.tolerance.bands(split)[1]

    assert forecast_of(split, policy, 3).found_from(band, band.high, 1.0) is None
    far = forecast_of(split, policy, 400).found_from(band, band.high, 1.0)
    assert far is not None
    assert forecast_of(split, policy, 400).fates(band, [far])[0].failed >= FOUND
