"""Runs from several clients, judged as one."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis import Policy, Split, Tally, Tolerance, Verdict
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.merging import merged
from sampler import ConnectionLife, Limits, Load, Target, read
from sampler.base.errors import UsageError
from sampler.demo.process import EmbeddedService
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


def test_a_run_and_its_own_vantages_are_not_judged_together(folders, tmp_path):
    whole = shutil.copytree(folders[0], tmp_path / "run")
    part = shutil.copytree(folders[1], whole / "vantages" / "worker-0")
    records = [open_record(str(each)) for each in (part, whole)]
    runs = [RunFolder(each) for each in (part, whole)]

    with pytest.raises(UsageError, match="would count twice"):
        merged_record([str(part), str(whole)], records, runs)


def test_a_client_that_was_at_its_limit_doubts_its_own_zone_alone(tmp_path):
    """As live: what is proven in another zone stays proven."""
    splits, runs = dict.fromkeys("ab", SPLIT), []
    for zone, counts, shed in (("a", [0, 100], 0), ("b", [90, 10], 500)):
        plan = RunPlan(Target("http://shop/"), split=SPLIT, zone_of=(zone,), zone_splits=splits)
        batch, report = made(["v1", "v2"], counts, n=100)
        report = replace(
            report,
            samples=replace(report.samples, shed=shed),
            performance=replace(report.performance, client_saturated=bool(shed)),
        )
        writer = RunWriter(tmp_path, zone, datetime.now(UTC))
        writer.begin(to_document(plan, report.run.started_at), None)
        writer.write(batch)
        writer.finish(report, Tally.of(batch))
        runs.append(read(writer.path))
    files = [str(run.path) for run in runs]
    record = merged_record(files, [open_record(file) for file in files], runs)
    policy = Policy(tolerance=Tolerance.parse("9pp"), alpha=0.05, beta=0.05)

    report = judge(record, Judging(SPLIT, policy, run=runs[0], others=tuple(runs[1:])))

    assert report.verdict is Verdict.FAIL
    zones = {zone: each.verdict for zone, each in report.observed.by_zone.items()}
    assert zones == {"a": Verdict.FAIL, "b": Verdict.INCONCLUSIVE}
