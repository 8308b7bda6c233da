"""When the evidence of a run that goes on as it does will refute an edge."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from analysis import Evidence, Policy, Split, weigh
from analysis.bets.hypotheses import pass_nulls
from analysis.planning.forecast import _crossing, remaining
from tests.recorded import recorded

SPLIT = Split.parse("v1=9,v2=1")
LOW, HIGH = pass_nulls(Policy().tolerance.bands(SPLIT)[1])


@pytest.mark.parametrize("null", [LOW, HIGH], ids=["too low", "too high"])
@pytest.mark.parametrize(("n", "x"), [(0, 0), (1, 0), (10, 1), (200, 21)])
def test_the_crossing_is_the_first_number_of_connections_that_refutes(null, n, x):
    rate, threshold = 0.1, -log(0.01)

    found = _crossing(null, (n, x, 0), (rate, 0.0), threshold)

    evidence = [
        null.log_evidence(total, x + (total - n) * rate, 0) for total in range(n + 1, n + 3000)
    ]
    first = int(np.argmax(np.array(evidence) >= threshold))
    assert found == n + 1 + first


def test_the_next_connection_may_be_the_one_that_refutes():
    found = _crossing(HIGH, (200, 20, 0), (0.1, 0.0), -log(0.01))
    assert found is not None

    before = (found - 1, 0.1 * (found - 1), 0)

    assert _crossing(HIGH, before, (0.1, 0.0), -log(0.01)) == found


def test_counts_on_the_wrong_side_of_an_edge_never_cross():
    assert _crossing(HIGH, (100, 40, 0), (0.4, 0.0), -log(0.01)) is None


def test_growth_that_is_too_slow_has_no_end_in_sight():
    assert _crossing(HIGH, (100, 14, 0), (HIGH.edge - 1e-12, 0.0), -log(0.01)) is None


def test_what_remains_shrinks_as_the_run_goes_on():
    batch, _ = recorded(["v1", "v2"], [9, 1], n=400)
    start = Evidence.start(SPLIT, Policy())

    early, late = (remaining(weigh(start, batch[:n])) for n in (50, 400))

    assert early is not None
    assert late is not None
    assert late < early
