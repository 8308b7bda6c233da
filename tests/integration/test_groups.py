"""Connections with several requests, from the wire to the verdict and back from the disk."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from analysis import Policy, Split, Tolerance
from sampler.demo.process import EmbeddedService
from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing
from sampler.run.judging import rejudge
from sampler.show.stored import read

EVEN = Split.parse("v1=1,v2=1")
WIDE = Policy(tolerance=Tolerance.parse("30pp"))
TRANSPORTS = [TransportKind.FAST, TransportKind.FULL]


def weigh(service, *, connection, transport=TransportKind.FAST, split=EVEN, out=None, **limits):
    plan = RunPlan(
        Target(service.url),
        Load(connection=ConnectionLife.parse(connection), transport=transport, max_rate=None),
        Limits(max_time_s=90, **limits),
        split=split,
        policy=WIDE,
        out=out,
        seed=4,
    )
    return asyncio.run(Weighing(plan).run())


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda kind: kind.value)
def test_connections_are_judged_by_the_means_of_their_answers(transport, tmp_path):
    with EmbeddedService({"v1": 1, "v2": 1}, seed=2) as service:
        live = weigh(service, connection="2:5", transport=transport, out=tmp_path)
    (folder,) = tmp_path.iterdir()
    batch = read(folder).batch

    assert live.verdict == "PASS"
    assert live.decision.per_connection == 5
    assert live.groups.judged_by == "means"
    assert live.groups.picks == "connection"
    assert live.groups.short == 0
    assert live.samples.effective < live.samples.labelled / 2
    assert set(batch.planned.tolist()) <= {2, 3, 4, 5}
    again = rejudge(read(folder))
    assert again.verdict == live.verdict
    assert again.decision == live.decision
    for label, interval in live.observed.intervals.items():
        assert again.observed.intervals[label] == pytest.approx(interval, abs=1e-9)


def test_connections_that_are_kept_without_end_are_judged_by_their_first_answers():
    with EmbeddedService({"v1": 1, "v2": 1}, seed=2) as service:
        report = weigh(service, connection="reuse", max_samples=500)

    assert report.verdict == "INCONCLUSIVE"
    assert report.groups.judged_by == "first answers"
    assert report.decision.decided_after == 16


def test_a_measurement_says_what_the_balancer_picks_for():
    with EmbeddedService({"v1": 1, "v2": 1}, seed=2) as service:
        kept = weigh(service, connection="5:5", split=None, max_samples=400)
        fresh = weigh(service, connection="fresh", split=None, max_samples=400)

    assert (kept.groups.judged_by, kept.groups.picks) == (None, "connection")
    assert kept.samples.effective == pytest.approx(kept.samples.connections, rel=0.1)
    assert (fresh.groups, fresh.samples.effective) == (None, 400)


def test_runs_of_earlier_versions_without_the_new_columns_are_still_read(tmp_path):
    import pyarrow.parquet as pq  # noqa: PLC0415 - as everywhere

    with EmbeddedService({"v1": 1, "v2": 1}, seed=2) as service:
        live = weigh(service, connection="fresh", out=tmp_path)
    (folder,) = tmp_path.iterdir()
    samples = folder / "samples.parquet"
    table = pq.read_table(samples)
    pq.write_table(table.drop_columns(["planned", "closed", "remote"]), samples)

    stored = read(folder)
    assert np.all(stored.batch.planned == -1)
    assert rejudge(stored).verdict == live.verdict
