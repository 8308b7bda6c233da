"""When the client counts as saturated, and which verdicts that can touch."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import Outcome
from analysis.data.report import ReasonCode
from sampler.engine.saturation import Delays, Strain

MS = 1_000_000


def delays(*values_ms: float) -> Delays:
    made = Delays()
    made.add(np.array([round(value * MS) for value in values_ms], dtype=np.int64))
    return made


def strain(**changed) -> Strain:
    values = {
        "sending_s": 10.0,
        "cpu_share": 1.0,
        "lag": delays(1.0),
        "lateness": None,
        "launched": 1_000,
        "shed": 0,
        "late": 0,
        "timeout_s": 2.0,
    }
    return Strain(**{**values, **changed})


def test_quantiles_are_right_to_the_width_of_a_bin():
    values_ms = np.random.default_rng(1).lognormal(0.0, 2.0, 20_000)
    made = delays(*values_ms)
    for q in (0.5, 0.99):
        exact = float(np.quantile(values_ms, q))
        assert exact * 0.97 <= made.quantile_ms(q) <= exact * 1.08
    assert made.summary_ms()["max"] == pytest.approx(values_ms.max(), abs=1e-6)


def test_early_and_enormous_delays_are_kept_within_the_ends():
    made = delays(-5.0, 0.0, 5_000_000.0)
    assert made.quantile_ms(0.3) == pytest.approx(0.001)
    assert made.quantile_ms(1.0) == 5_000_000.0
    assert Delays().summary_ms() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_a_whole_core_or_a_lagging_loop_is_saturation_and_a_short_run_is_not():
    assert strain().is_saturated
    assert strain(cpu_share=0.1, lag=delays(200.0)).is_saturated
    assert not strain(cpu_share=0.5).is_saturated
    assert not strain(sending_s=0.2).is_saturated


@pytest.mark.parametrize("code", [ReasonCode.WITHIN_TOLERANCE, ReasonCode.OUTSIDE_TOLERANCE])
def test_lost_arrivals_of_a_saturated_client_cast_doubt_on_a_share(code):
    lost = strain(lateness=delays(1.0), launched=900, shed=80, late=20)
    assert "10.2 % of the arrivals" in (lost.doubt(code, {}, 0.05) or "")
    assert lost.doubt(code, {}, 0.2) is None


def test_an_idle_client_that_shed_for_a_slow_target_casts_no_doubt():
    shed = strain(cpu_share=0.1, lateness=delays(1.0), launched=500, shed=500)
    assert shed.doubt(ReasonCode.WITHIN_TOLERANCE, {}, 0.05) is None


def test_a_closed_workload_casts_no_doubt_on_a_share():
    late = strain(lag=delays(3_000.0))
    assert late.doubt(ReasonCode.WITHIN_TOLERANCE, {Outcome.TIMEOUT: 50}, 0.05) is None
    assert late.doubt(ReasonCode.OUTSIDE_TOLERANCE, {Outcome.TIMEOUT: 50}, 0.05) is None


def test_own_delays_that_reach_the_timeout_cast_doubt_on_missing_labels():
    code = ReasonCode.TOO_MANY_UNLABELLED
    assert "50 timeouts" in (
        strain(lag=delays(1_500.0)).doubt(code, {Outcome.TIMEOUT: 50}, 0.05) or ""
    )
    assert strain(lag=delays(1_500.0)).doubt(code, {Outcome.RESET: 50}, 0.05) is None
    assert strain(lag=delays(150.0)).doubt(code, {Outcome.TIMEOUT: 50}, 0.05) is None


def test_a_label_that_must_not_come_is_beyond_doubt():
    lost = strain(lateness=delays(1.0), launched=100, shed=900)
    assert lost.doubt(ReasonCode.UNEXPECTED_LABEL, {}, 0.05) is None
