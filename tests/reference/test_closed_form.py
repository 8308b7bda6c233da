"""The closed form against the exact recursion: as near as `docs/plan.md` says."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.planning.closed_form import Passage
from analysis.planning.exact import characteristics
from analysis.planning.fates import Method
from analysis.planning.outlook import foresee


@pytest.mark.parametrize(
    ("text", "tolerance", "level"),
    [("v1=9,v2=1", "auto", 0.01), ("v1=1,v2=1", "auto", 0.01), ("v1=4,v2=1", "4pp", 0.05)],
)
def test_the_closed_form_is_as_near_to_the_exact_chances_as_is_said(text, tolerance, level):
    split = Split.parse(text)
    policy = Policy(alpha=level, beta=level, tolerance=Tolerance.parse(tolerance))
    band = policy.tolerance.bands(split)[1]
    budget = foresee(split, policy).budget
    shares = np.linspace(max(band.low - band.below, 0.001), band.high + 2 * band.above, 25)
    exact = characteristics(band, policy, shares.tolist(), budget)
    passage = Passage(split, policy)

    for position, share in enumerate(shares):
        truth = (1 - share, share)
        passed, failed = passage.chances(truth, budget)
        assert passed == pytest.approx(exact.passed[position], abs=0.1)
        assert failed == pytest.approx(exact.failed[position], abs=0.1)
        mean = passage.mean(truth, budget)
        assert mean == pytest.approx(exact.mean[position], rel=0.15)


def test_exact_and_closed_form_agree_on_what_is_told_apart():
    split, policy = Split.parse("v1=1,v2=1"), Policy(tolerance=Tolerance.parse("10pp"))

    closed, exact = foresee(split, policy), foresee(split, policy, exact=True)

    assert (closed.method, exact.method) == (Method.CLOSED_FORM, Method.EXACT)
    assert closed.distinctions[0].above == pytest.approx(exact.distinctions[0].above, abs=0.01)
    assert closed.samples.mean == pytest.approx(exact.samples.mean, rel=0.03)
    assert closed.samples.q99 == pytest.approx(exact.samples.q99, rel=0.07)
