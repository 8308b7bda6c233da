"""What a PASS costs beside the fewest connections that any test could need."""

from __future__ import annotations

from analysis.data.policy import Policy
from analysis.data.split import Band
from analysis.planning.exact import characteristics
from tests.calibration.optimum import optimum


def test_a_right_split_passes_after_a_quarter_more_than_the_fewest_connections_at_most():
    """At 5 %; `test_regimes` has a case at 1 %, where it is a seventh at most."""
    band, level = Band("v2", 0.5, 0.1, 0.1), 0.05
    best = optimum(band, level)

    need = characteristics(band, Policy(alpha=level, beta=level), [0.5], 3000).mean[0]

    assert max(best.pass_low, best.pass_high, best.fail) <= 1.01 * level
    assert min(best.pass_low, best.pass_high, best.fail) >= 0.99 * level
    assert 1 < need / best.mean < 1.25
