"""The closed form against the exact recursion: as near as `docs/plan.md` says."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.evidence.state import Evidence
from analysis.planning.exact import characteristics
from analysis.planning.fates import Method, forecast_of
from analysis.planning.outlook import foresee


@pytest.mark.parametrize(
    ("text", "tolerance", "level", "inner"),
    [
        ("v1=9,v2=1", "auto", 0.01, 1.0),
        ("v1=1,v2=1", "auto", 0.01, 1.0),
        ("v1=4,v2=1", "4pp", 0.05, 1.0),
        ("v1=4,v2=1", "10pp", 0.05, 0.0),
        ("v1=3,v2=1", "auto", 0.2, 0.0),
        ("v1=19,v2=1", "3pp", 0.2, 1.0),
    ],
)
def test_the_closed_form_is_as_near_to_the_exact_chances_as_is_said(text, tolerance, level, inner):
    """Also where PASS and FAIL are both likely, and where all connections are alike."""
    split = Split.parse(text)
    policy = Policy(alpha=level, beta=level, tolerance=Tolerance.parse(tolerance), inner=inner)
    band = policy.tolerance.bands(split)[1]
    # Without an inner band runs that would pass within a long budget fail first, and the reverse.
    budget = Evidence.start(split, policy).budget * (1 if inner else 5)
    wide = np.linspace(max(band.low - band.below, 0.001), band.high + 2 * band.above, 25)
    shares = [0.0, *wide.tolist(), 1.0]
    forecast = forecast_of(split, policy, budget)
    assert (forecast.margin, forecast.mean_margin) == ((0.1, 0.15) if level < 0.1 else (0.2, 0.35))
    exact = characteristics(band, policy, shares, budget)

    for position, fate in enumerate(forecast.fates(band, shares)):
        assert fate.passed == pytest.approx(exact.passed[position], abs=forecast.margin)
        assert fate.failed == pytest.approx(exact.failed[position], abs=forecast.margin)
        assert fate.mean == pytest.approx(exact.mean[position], rel=forecast.mean_margin)
    for position in (0, -1):
        alike = forecast.fates(band, [shares[position]])[0]
        assert alike.mean == pytest.approx(exact.mean[position], abs=1)


def test_exact_and_closed_form_agree_on_what_is_told_apart():
    split, policy = Split.parse("v1=1,v2=1"), Policy(tolerance=Tolerance.parse("10pp"))

    closed, exact = foresee(split, policy), foresee(split, policy, exact=True)

    assert (closed.method, exact.method) == (Method.CLOSED_FORM, Method.EXACT)
    assert closed.distinctions[0].above == pytest.approx(exact.distinctions[0].above, abs=0.01)
    assert closed.samples.mean == pytest.approx(exact.samples.mean, rel=0.03)
    assert closed.samples.q99 == pytest.approx(exact.samples.q99, rel=0.07)
