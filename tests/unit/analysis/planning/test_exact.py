"""The recursion over counts, against every sequence of a short run."""

from __future__ import annotations

from itertools import product
from math import log, prod

import numpy as np
import pytest

from analysis.bets.hypotheses import pass_nulls
from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.planning.exact import Boundaries, boundaries, characteristics, follow

BUDGET = 12
# So coarse that twelve connections decide something.
POLICY = Policy(alpha=0.4, beta=0.4, tolerance=Tolerance.parse("30pp"))
BAND = POLICY.tolerance.bands(Split.parse("v1=1,v2=1"))[1]


def fate(decisive, draws):
    """Return the verdict and the connection of one sequence of draws, by the rules as written."""
    x = 0
    high = low = False
    for n, draw in enumerate(draws, start=1):
        x += draw
        if x <= decisive.fail_low[n - 1] or x >= decisive.fail_high[n - 1]:
            return "failed", n
        high |= bool(x <= decisive.upper[n - 1])
        low |= bool(x >= decisive.lower[n - 1])
        if high and low and BAND.low < x / n < BAND.high:
            return "passed", n
    return "undecided", len(draws)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_the_chances_are_the_sums_over_all_sequences(share):
    decisive = boundaries(BAND, POLICY, BUDGET)
    expected = {"passed": 0.0, "failed": 0.0, "undecided": 0.0}
    mean = 0.0
    for draws in product((0, 1), repeat=BUDGET):
        chance = prod(share if draw else 1 - share for draw in draws)
        verdict, n = fate(decisive, draws)
        expected[verdict] += chance
        mean += chance * n

    found = characteristics(BAND, POLICY, [share], BUDGET)

    assert found.passed[0] == pytest.approx(expected["passed"], abs=1e-12)
    assert found.failed[0] == pytest.approx(expected["failed"], abs=1e-12)
    assert found.undecided[-1, 0] == pytest.approx(expected["undecided"], abs=1e-12)
    assert found.mean[0] == pytest.approx(mean, abs=1e-9)


def test_every_verdict_is_met_in_that_comparison():
    decisive = boundaries(BAND, POLICY, BUDGET)

    verdicts = {fate(decisive, draws)[0] for draws in product((0, 1), repeat=BUDGET)}

    assert verdicts == {"passed", "failed", "undecided"}


def test_a_count_at_the_boundary_refutes_and_its_neighbour_does_not():
    decisive = boundaries(BAND, POLICY, BUDGET)
    too_low, too_high = pass_nulls(BAND)
    threshold = -log(POLICY.beta)

    for n in range(1, BUDGET + 1):
        upper, lower = int(decisive.upper[n - 1]), int(decisive.lower[n - 1])
        if upper >= 0:
            assert too_high.log_evidence(n, upper) >= threshold
        assert too_high.log_evidence(n, upper + 1) < threshold
        if lower <= n:
            assert too_low.log_evidence(n, lower) >= threshold
        if lower:
            assert too_low.log_evidence(n, lower - 1) < threshold


def test_a_quantile_is_the_number_by_which_that_part_of_the_runs_has_ended():
    never = np.full(3, -1)
    over = np.arange(1, 4) + 1
    # The first label fails; without any, the run ends undecided after three connections.
    decisive = Boundaries(upper=never, lower=over, fail_low=never, fail_high=np.ones(3, dtype=int))

    found = follow(BAND, decisive, [0.5])

    assert found.failed[0] == pytest.approx(0.875)
    assert found.undecided[:, 0] == pytest.approx([1, 0.5, 0.25, 0.125])
    assert [found.quantile(level)[0] for level in (0.4, 0.6, 0.8, 0.99)] == [1, 2, 3, 3]


def test_what_the_recursion_is_not_for_is_refused():
    certain = Policy().tolerance.bands(Split.parse("v1=1,v2=0"))[1]

    with pytest.raises(ValueError, match="expected to be 0"):
        boundaries(certain, Policy(), 10)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        characteristics(BAND, POLICY, [1.1], BUDGET)
