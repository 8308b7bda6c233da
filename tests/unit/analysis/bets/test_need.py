from __future__ import annotations

from math import log

import pytest

from analysis.bets.hypotheses import lower_null, upper_null
from analysis.bets.need import Edge


def test_an_edge_is_open_at_first_and_refuted_at_last():
    edge = Edge.of(upper_null(0.14, 0.04), 0.1, -log(0.01))

    assert edge.beyond(5) == 1
    assert 1 > edge.beyond(600) > edge.beyond(2000) > edge.beyond(9000)
    assert edge.beyond(9000) < 1e-4


@pytest.mark.parametrize("n", [400, 900.5, 2500])
def test_both_sides_are_mirror_images(n):
    above = Edge.of(upper_null(0.14, 0.04), 0.1, -log(0.01))
    below = Edge.of(lower_null(0.86, 0.04), 0.9, -log(0.01))

    assert above.beyond(n) == pytest.approx(below.beyond(n), rel=1e-6)
