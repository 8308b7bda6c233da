"""Runs from several clients, judged as one."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import Batch, Policy, Split, Tally, Tolerance, Verdict
from analysis.data.report import ReasonCode, Worker
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.merging import SLICE_NS, merged
from analysis.weighing.zones import Zones
from sampler import ConnectionLife, Limits, Load, Target, read
from sampler.base.errors import UsageError
from sampler.demo.process import EmbeddedService
from sampler.engine.effort import Effort
from sampler.engine.saturation import Delays, Strain
from sampler.logs import StoredSamples, open_record
from sampler.plan.document import to_document
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from sampler.run.judging import Judging, judge
from sampler.run.vantages import merged_record
from sampler.store.reader import RunFolder
from sampler.store.writer import RunWriter
from tests.recorded import recorded as made

SPLIT = Split.parse("v1=9,v2=1")


def recorded(service, out, **changes):
    """Run one client, and return the folder of its run."""
    plan = RunPlan(
        Target(service.url),
        Load(rate=2000.0, concurrency=64),
        Limits(max_samples=150),
        split=SPLIT,
        policy=Policy(tolerance=Tolerance.parse("8pp")),
        out=out,
    )
    report = asyncio.run(Weighing(replace(plan, **changes)).run())
    return report.run.path


def copied(run, beside):
    """Copy a run under another name."""
    return shutil.copytree(run, Path(beside).parent / "copy")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    with EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service:
        fresh = [recorded(service, out, seed=seed) for seed in (1, 2, 3)]
        kept = recorded(service, out, load=Load(connection=ConnectionLife.parse("reuse")))
    return [*fresh, kept]


def test_runs_are_judged_together_on_the_connections_of_the_merged_stream(weighbridge, folders):
    three = folders[:3]
    fold = Fold(Fixed(SPLIT, Policy(tolerance=Tolerance.parse("8pp"))))
    for batch in merged([[read(folder).batch] for folder in three]):
        fold.take(batch)
    assert fold.evidence is not None
    samples = sum(len(read(folder).batch) for folder in three)

    done = weighbridge("judge", *three, "--json", "-")

    report = json.loads(done.stdout)
    assert report["samples"]["launched"] == samples == fold.tally.launched
    assert report["decision"]["decided_after"] == fold.evidence.judged
    assert report["observed"]["counts"] == fold.evidence.answers
    assert (done.returncode == 0) == (report["verdict"] == Verdict.PASS)
    assert report["run"]["target"].startswith("GET http://")


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda a, b, kept, log: [a, b, copied(a, log)], "is a copy of"),
        (lambda a, b, kept, log: [a, a], "named twice"),
        (lambda a, b, kept, log: [a, b, log], "is a log"),
        (lambda a, b, kept, log: [a, kept], "connections reuse"),
    ],
    ids=["copy", "twice", "log", "another check"],
)
def test_what_is_not_one_check_is_refused(folders, tmp_path, choose, message):
    log = tmp_path / "log.csv"
    log.write_text("time,label\n1,v1\n", encoding="utf-8")
    files = choose(folders[0], folders[1], folders[3], str(log))
    records = [open_record(file) for file in files]
    runs = [RunFolder(each.folder) for each in records if isinstance(each, StoredSamples)]

    with pytest.raises(UsageError, match=message):
        merged_record(files, records, runs)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"zone_of": ["a"]}, "zone none in .* and zone one of its own in"),
        ({"zone_splits": {"a": {"arms": ["v1"], "weights": [1]}}}, "none .* a: v1=1 in"),
        ({"zone_of": ["a", "b"]}, "holds the samples of several zones"),
        ({"policy": {"alpha": 0.02}}, "alpha 0.01 in .* and alpha 0.02 in"),
        ({"health": {"max_slowdown": 3.0}}, "max_slowdown None in .* and max_slowdown 3.0 in"),
    ],
    ids=["zone", "splits", "several zones", "policy", "health"],
)
def test_runs_that_were_asked_something_else_are_refused_in_any_order(
    folders, tmp_path, plan, message
):
    other = shutil.copytree(folders[1], tmp_path / "other")
    document = json.loads((other / "plan.json").read_text(encoding="utf-8"))
    for name, value in plan.items():
        is_part = isinstance(document[name], dict) and name != "zone_splits"
        document[name] = document[name] | value if is_part else value
    (other / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    files = [str(folders[0]), str(other)]
    records = [open_record(file) for file in files]
    runs = [RunFolder(each.folder) for each in records if isinstance(each, StoredSamples)]

    with pytest.raises(UsageError, match=message):
        merged_record(files, records, runs)
    with pytest.raises(UsageError):
        merged_record(files[::-1], records[::-1], runs[::-1])


class Scripted:
    """Sends from two zones by turns, in slices of 20, until it is told to stop."""

    silent: frozenset[int] = frozenset()

    def __init__(self, plan, **_):
        self.is_stopping, self.launched, self.limits = False, 0, plan.limits

    def elapsed_ns(self):
        return self.launched * SLICE_NS // 200

    def stop(self):
        self.is_stopping = True

    def effort(self):
        strain = Strain(1.0, 0.0, Delays(), None, self.launched, 0, 0, 10.0)
        workers = tuple(
            Worker(zone, zone=zone, launched=self.launched // 2, lost=0) for zone in "ab"
        )
        return Effort("fast", (strain,), self.launched, 0, self.elapsed_ns(), workers=workers)

    async def batches(self):
        while not self.is_stopping and self.launched < 2000:
            batch = Batch.of_labels(["v1", "v2"] * 10)
            planned = np.full(20, self.launched // 20 * SLICE_NS, dtype=np.int64)
            worker = (np.arange(20) % 2).astype(np.uint16)
            self.launched += 20
            yield replace(batch, scheduled_ns=planned, worker=worker)


class OneEnds(Scripted):
    """The second of the vantages ends at once, as where its target is overloaded."""

    silent = frozenset({1})

    async def batches(self):
        async for batch in super().batches():
            yield batch.chosen(batch.worker == 0)


def of_zones(splits):
    """Plan a check of two zones."""
    split = Split.parse(splits[0])
    zones = dict(zip("ab", map(Split.parse, splits), strict=True))
    return RunPlan(Target("http://shop/"), split=split, zone_of=("a", "b"), zone_splits=zones)


def test_after_a_gross_failure_of_a_zone_enough_is_sent_to_tell_its_split():
    """As where there are no zones; and no more."""
    scripted: Any = Scripted

    report = asyncio.run(Weighing(of_zones(["v1=1", "v1=1"]), sampling=scripted).run())

    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].message.startswith("In zone b: ")
    assert report.samples.launched == 200


def test_nobody_waits_for_a_zone_in_which_nobody_sends_any_more():
    ends: Any = OneEnds

    report = asyncio.run(Weighing(of_zones(["v1=1", "v1=1"]), sampling=ends).run())

    assert {zone: each.verdict for zone, each in report.observed.by_zone.items()} == {
        "a": Verdict.PASS,
        "b": Verdict.INCONCLUSIVE,
    }
    assert report.samples.launched < 1000  # of a zone


def test_each_zone_may_send_what_the_neediest_needs():
    """One with a small share needs more connections than the first one, which has none."""
    plan = of_zones(["v1=1", "v1=99,v2=1"])
    sent: list[Scripted] = []

    def sampling(plan, **more) -> Any:
        sent.append(Scripted(plan, **more))
        return sent[0]

    Weighing(plan, sampling=sampling)

    alone = Zones(("b",), plan.zone_splits["b"], replace(plan.policy, alpha=plan.policy.alpha / 2))
    assert sent[0].limits.max_samples == 2 * alone.evidence.budget


def test_a_run_and_its_own_vantages_are_not_judged_together(folders, tmp_path):
    whole = shutil.copytree(folders[0], tmp_path / "run")
    part = shutil.copytree(folders[1], whole / "vantages" / "worker-0")
    records = [open_record(str(each)) for each in (part, whole)]
    runs = [RunFolder(each) for each in (part, whole)]

    with pytest.raises(UsageError, match="would count twice"):
        merged_record([str(part), str(whole)], records, runs)


def judged_by_zone(out, *clients):
    """Judge runs of one zone each: who answered how often, what was shed, whether it ended."""
    splits, runs = {zone: SPLIT for zone, *_ in clients}, []
    for zone, counts, shed, has_ended in clients:
        plan = RunPlan(Target("http://shop/"), split=SPLIT, zone_of=(zone,), zone_splits=splits)
        batch, report = made(["v1", "v2", "v3"], counts, n=100)
        report = replace(
            report,
            samples=replace(report.samples, shed=shed),
            performance=replace(report.performance, client_saturated=bool(shed)),
        )
        writer = RunWriter(out, zone, datetime.now(UTC))
        writer.begin(to_document(plan, report.run.started_at), None)
        writer.write(batch)
        writer.flush(0)
        if has_ended:
            writer.finish(report, Tally.of(batch))
        runs.append(RunFolder(writer.path))
    files = [str(run.path) for run in runs]
    record = merged_record(files, [open_record(file) for file in files], runs)
    policy = Policy(tolerance=Tolerance.parse("9pp"), alpha=0.05, beta=0.05)
    report = judge(record, Judging(SPLIT, policy, run=runs[0], others=tuple(runs[1:])))
    return report, {zone: each.verdict for zone, each in report.observed.by_zone.items()}


def test_a_client_that_was_at_its_limit_doubts_its_own_zone_alone(tmp_path):
    """As live: what is proven in another zone stays proven."""
    report, zones = judged_by_zone(
        tmp_path, ("a", [0, 100, 0], 0, True), ("b", [90, 10, 0], 500, True)
    )

    assert report.verdict is Verdict.FAIL
    assert zones == {"a": Verdict.FAIL, "b": Verdict.INCONCLUSIVE}


def test_a_label_that_must_not_come_is_a_proof_also_of_a_client_at_its_limit(tmp_path):
    """As live: arrivals that were not sent have not made it."""
    report, zones = judged_by_zone(
        tmp_path, ("a", [90, 10, 0], 0, True), ("b", [80, 10, 10], 500, True)
    )

    assert report.reasons[0].code is ReasonCode.UNEXPECTED_LABEL
    assert report.verdict is zones["b"] is Verdict.FAIL


def test_a_run_that_was_cut_off_says_so_in_the_verdict_on_all(tmp_path):
    report, _ = judged_by_zone(tmp_path, ("a", [90, 10, 0], 0, True), ("b", [82, 18, 0], 0, False))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert "1 run of 2 ended without a report: " in report.reasons[0].message
    assert any("what was sent last is not known" in note for note in report.notes)
