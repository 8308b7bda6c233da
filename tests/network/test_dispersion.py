"""The statistics that name a data plane's regime, on sequences whose regime is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network.dispersion import BLOCK, dispersion
from tests.network.planes.base import Regime


def drawn(seed, n=2000, share=0.1):
    return np.where(np.random.default_rng(seed).random(n) < share, "v2", "v1").tolist()


@pytest.mark.parametrize("seed", range(20))
def test_independent_draws_are_called_binomial(seed):
    seen = dispersion(drawn(seed), "v2")

    assert seen.regime is Regime.BINOMIAL
    # Five standard deviations of either statistic.
    assert abs(seen.runs_z) < 5
    assert abs(seen.index - 1) < 5 * (2.3 / seen.degrees) ** 0.5


def test_a_balancer_that_goes_round_is_called_under_dispersed():
    seen = dispersion((["v1"] * 9 + ["v2"]) * 100, "v2")

    assert seen.regime is Regime.UNDER_DISPERSED
    assert seen.index == 0
    assert seen.runs_z > 3


def test_answers_that_stick_together_are_called_over_dispersed():
    seen = dispersion([label for label in drawn(1, 200) for _ in range(10)], "v2")

    assert seen.regime is Regime.OVER_DISPERSED
    assert seen.runs_z < -5


def test_the_statistics_are_those_of_the_formulas():
    # Blocks with 1 and 3 hits: mean 2, share 0.1, chi-square (1 + 1) / (20 * 0.1 * 0.9).
    labels = ["b", *"a" * (BLOCK - 1), *"bbb", *"a" * (BLOCK - 3)]

    seen = dispersion(labels, "b")

    assert seen.chi2 == pytest.approx(2 / 1.8)
    assert seen.degrees == 1
    # 4 runs; 2 * 4 * 36 = 288: mean 8.2, variance 288 * 248 / (40 * 40 * 39).
    assert seen.runs_z == pytest.approx((4 - 8.2) / (288 * 248 / 62400) ** 0.5)


def test_a_sequence_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="two blocks"):
        dispersion(["v1", "v2"], "v2")
    with pytest.raises(ValueError, match="two labels"):
        dispersion(["v1"] * 100, "v2")
