"""What is said of this machine's limits before a run."""

from __future__ import annotations

import pytest

from sampler.engine.preflight import LocalLimits, files_needed, warnings
from sampler.plan.load import ConnectionLife, Limits, Load

ROOMY = LocalLimits(ports=28_232, reuses_ports=False, files=65_536)
LONG = Limits(max_time_s=600)


def test_the_sustainable_rate_is_a_port_for_each_minute_of_time_wait():
    assert ROOMY.sustainable_per_s == pytest.approx(470.5, abs=0.1)


def test_a_plan_that_runs_out_of_ports_is_told_the_command():
    (warning,) = warnings(ROOMY, Load(), LONG, keeps_time_wait=True)
    assert "28232 local ports sustain 471 requests/s" in warning
    assert "sysctl -w net.ipv4.tcp_tw_reuse=1" in warning


@pytest.mark.parametrize(
    ("load", "until", "limits", "keeps"),
    [
        (Load(), LONG, ROOMY, False),
        (Load(), Limits(max_samples=20_000, max_time_s=600), ROOMY, True),
        (Load(rate=400), LONG, ROOMY, True),
        (Load(connection=ConnectionLife(None, None)), LONG, ROOMY, True),
        (Load(), LONG, LocalLimits(28_232, reuses_ports=True, files=65_536), True),
    ],
    ids=["server-closes", "few-samples", "slow", "reuse", "tcp_tw_reuse"],
)
def test_a_plan_that_fits_is_told_nothing(load, until, limits, keeps):
    assert warnings(limits, load, until, keeps_time_wait=keeps) == []


def test_too_few_open_files_are_told_the_command():
    limits = LocalLimits(28_232, reuses_ports=False, files=1_024)
    (warning,) = warnings(limits, Load(concurrency=1_000), LONG, keeps_time_wait=False)
    assert f"ulimit -n {files_needed(1_000)}" in warning


def test_the_limits_of_this_machine_can_be_read():
    here = LocalLimits.here()
    assert here.ports >= 1
    assert here.files >= 1
