"""A new driver: batches in memory, a stored run and a live one give the same report."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis import Policy, Split, Tolerance
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.report import Account, Asked, assemble
from sampler import ConnectionLife, Limits, Load, Target, read, rejudge
from sampler.demo.process import EmbeddedService
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing

SPLIT = Split.parse("v1=9,v2=1")
REPLICAS = {"v1": 9, "v2": 3}


def driven(batches, plan, live):
    """Weigh batches as any driver would: this is all that it takes."""
    is_fresh = plan.load.connection.is_fresh
    fold = Fold(
        Fixed(plan.split, plan.deciding_policy, plan.seed),
        health=HealthEvidence.start(plan.split, plan.health, plan.seed),
        has_connections=not is_fresh,
    )
    for batch in batches:
        fold.take(batch)
    asked = Asked(
        plan.deciding_policy, plan.source, (), plan.replica_counts, plan.previous, is_fresh
    )
    return assemble(asked, fold.finish(), Account(live.performance, live.run))


def without_provenance(report):
    """Leave out which run it was, and what only the client of a live run knows."""
    return replace(
        report,
        run=replace(report.run, command=""),
        samples=replace(report.samples, shed=0),
        # A busy machine makes a busy client.
        notes=[note for note in report.notes if not note.startswith("the client was saturated")],
    )


@pytest.mark.parametrize("connection", ["fresh", "3:5"])
@pytest.mark.parametrize("pods", [{"v1": 9, "v2": 1}, {"v1": 5, "v2": 5}], ids=["right", "wrong"])
def test_samples_in_memory_stored_and_live_give_the_same_report(tmp_path, connection, pods):
    with EmbeddedService(pods, seed=3) as service:
        plan = RunPlan(
            Target(service.url),
            Load(connection=ConnectionLife.parse(connection), max_rate=None),
            Limits(max_time_s=90),
            split=SPLIT,
            policy=Policy(tolerance=Tolerance.parse("5pp")),
            health=HealthPolicy(max_slowdown=50.0),
            replica_counts=REPLICAS,
            previous=Split.parse("v1=1,v2=1"),
            seed=11,
            out=tmp_path,
        )
        live = asyncio.run(Weighing(plan).run())
    stored = read(str(live.run.path))
    batch = stored.batch
    middle = len(batch) // 2

    memory = driven([batch[:middle], batch[middle:]], plan, live)
    again = rejudge(stored)

    assert live.verdict is not None
    assert live.decision is not None
    assert live.decision.decided_after > 0
    assert any("replica" in note for note in live.notes)  # v2 has one of three
    assert without_provenance(memory) == without_provenance(live)
    assert without_provenance(again) == without_provenance(live)
