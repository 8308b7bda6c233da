"""What the client counts is what the server counted, whatever goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from analysis import Policy, Report, Split
from sampler.demo.pods import Fate, Faults
from sampler.demo.process import EmbeddedService
from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing

NINE_TO_ONE = Split(("v1", "v2"), (9, 1))
TRANSPORTS = [TransportKind.FAST, TransportKind.FULL]

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda kind: kind.value)


def weigh(service, transport, *, split=NINE_TO_ONE, limits=None, policy=None, **load):
    plan = RunPlan(
        Target(service.url),
        Load(transport=transport, **load),
        limits or Limits(max_time_s=90),
        split=split,
        policy=policy or Policy(),
        seed=1,
    )
    return asyncio.run(Weighing(plan).run())


def outcomes(report: Report) -> dict[str, int]:
    assert sum(report.samples.outcomes.values()) == report.samples.launched
    return report.samples.outcomes


@pytest.mark.parametrize("connection", ["fresh", "reuse", "2:5"])
def test_a_healthy_service_is_counted_alike(transport, connection):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        report = weigh(
            service, transport, split=None, limits=Limits(max_samples=1_000),
            connection=ConnectionLife.parse(connection),
        )  # fmt: skip
        counts = service.counts()

    assert outcomes(report) == {"ok": 1_000}
    assert report.samples.connections == counts.connections
    assert report.observed.counts == {
        label: counts.of(label)[Fate.ANSWERED] for label in report.observed.counts
    }


def test_connections_are_counted_by_who_closed_them(transport):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        limits = Limits(max_samples=500)
        fresh = weigh(service, transport, split=None, limits=limits)
        kept = weigh(
            service, transport, split=None, limits=limits, connection=ConnectionLife.parse("reuse")
        )

    if transport is TransportKind.FULL:
        assert fresh.performance.closed == kept.performance.closed == {}
    else:
        # The server closes first. Of the last ones in flight, it may do so too late to be seen.
        closed = fresh.performance.closed
        assert closed["by_server"] + closed.get("by_us", 0) == 500
        assert closed.get("by_us", 0) <= Load().concurrency
        assert kept.performance.closed == {"by_us": kept.samples.connections}


def test_failed_exchanges_end_their_connections_by_a_reset(transport):
    with EmbeddedService({"v1": 1}, {"v1": Faults(hang=0.5)}, seed=1) as service:
        report = weigh(service, transport, split=None, limits=Limits(max_samples=20), timeout_s=0.2)

    if transport is TransportKind.FAST:
        ended = outcomes(report)
        timeouts = ended["timeout"] + ended.get("connect_timeout", 0)
        assert report.performance.closed["reset"] == timeouts > 0


def test_hanging_requests_are_counted_as_timeouts(transport):
    with EmbeddedService({"v1": 9, "v2": 1}, {"v2": Faults(hang=0.5)}, seed=1) as service:
        report = weigh(
            service, transport, split=None, limits=Limits(max_samples=400),
            timeout_s=4, concurrency=32,  # no answer may be late, however the machine stalls
        )  # fmt: skip
        counts = service.counts()

    assert report.samples.launched == counts.total == 400
    assert outcomes(report) == {
        "ok": counts.by_fate()[Fate.ANSWERED],
        "timeout": counts.by_fate()[Fate.HUNG],
    }
    assert counts.by_fate()[Fate.HUNG] > 5


def test_a_slow_canary_still_gets_its_share(transport):
    """In the order of completion, a slow version would be under-counted and fail."""
    faults = {"v2": Faults(delay_s=0.3)}
    with EmbeddedService({"v1": 9, "v2": 1}, faults, seed=4) as service:
        report = weigh(service, transport, concurrency=128)

    assert report.verdict == "PASS"
    assert report.observed.shares["v2"] == pytest.approx(0.1, abs=0.05)


def test_a_hanging_canary_is_not_reported_as_absent(transport):
    faults = {"v2": Faults(hang=1.0)}
    with EmbeddedService({"v1": 9, "v2": 1}, faults, seed=4) as service:
        report = weigh(service, transport, timeout_s=2, concurrency=64)

    assert report.verdict in {"FAIL", "INCONCLUSIVE"}
    codes = [reason.code for reason in report.reasons]
    # On a machine that stalls, the timeouts may be the client's own.
    assert codes[0] in {"too_many_unlabelled", "missing_labels", "client_saturated"}
    assert "looks_like" not in codes
    assert "timeout" in " ".join(reason.message for reason in report.reasons) + " ".join(
        report.notes
    )
    _, high = report.observed.intervals["v2"]
    assert high > 0.05
