"""A run that was cut off is read, and nothing else is done for that."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from analysis import Batch, Split, Verdict
from analysis.data.report import ReasonCode
from sampler.base.errors import UsageError
from sampler.plan.document import to_document
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.recovery import report_of
from sampler.store.reader import RunFolder
from sampler.store.writer import RunWriter
from tests.processes import REPOSITORY, completed

STORED = Path(__file__).resolve().parents[3] / "stored"
STARTED = datetime(2026, 1, 31, 12, tzinfo=UTC)

ALONE = """
import resource, sys
from pathlib import Path

def refuse(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(event)

sys.addaudithook(refuse)
before = resource.getrlimit(resource.RLIMIT_NOFILE)

from sampler.run.recovery import report_of
from sampler.store.reader import RunFolder

report = report_of(RunFolder(Path(sys.argv[1])))
assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
rooms = ("sampler.engine", "sampler.exchange", "aiohttp", "uvloop")
print(report.verdict, sorted(name for name in sys.modules if name.startswith(rooms)))
"""


@pytest.fixture
def cut_off(tmp_path):
    """Leave what a run leaves that is killed after it flushed 3000 samples that would pass."""
    plan = RunPlan(Target("http://shop/"), split=Split.parse("v1=9,v2=1"), seed=5, name="check")
    writer = RunWriter(tmp_path, plan.name, STARTED)
    writer.begin(to_document(plan, STARTED.isoformat()), None)
    rng = np.random.default_rng(1)
    batch = Batch.of_labels(["v2" if each else "v1" for each in rng.random(3000) < 0.1])
    times = np.arange(3000) * 1_000_000
    writer.write(replace(batch, scheduled_ns=times, sent_ns=times, done_ns=times + 500_000))
    writer.flush(0)
    return writer.path


def test_reading_a_killed_run_loads_no_engine_and_no_transport_and_raises_no_limit(cut_off):
    done = completed([sys.executable, "-c", ALONE, str(cut_off)], REPOSITORY)

    assert (done.stderr, done.stdout) == ("", "INCONCLUSIVE []\n")


def test_what_it_left_is_counted_and_nothing_is_claimed(cut_off):
    run = RunFolder(cut_off)

    report = report_of(run)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.INTERRUPTED
    assert report.samples.launched == len(run.batch) > 0
    assert report.notes[0].startswith("the run was cut off")
    assert (report.run.id, report.run.seed) == (cut_off.name, 5)
    assert report.run.started_at == STARTED.isoformat()
    assert report.performance.duration_s == pytest.approx(2.9995)
    assert report.performance.rate_per_s == pytest.approx(3000 / 2.9995)


def test_a_run_that_came_to_its_end_has_its_own_report():
    run = RunFolder(STORED / "first")

    assert report_of(run) == run.report


def test_samples_without_plan_and_report_are_nothing_to_report_on(cut_off):
    (cut_off / "plan.json").unlink()

    with pytest.raises(UsageError, match=r"neither report\.json nor plan\.json"):
        report_of(RunFolder(cut_off))


def test_a_plan_without_its_shape_is_refused_by_name(cut_off):
    (cut_off / "plan.json").write_text('{"schema": "weighbridge.plan/1"}')

    with pytest.raises(UsageError, match="does not have its shape"):
        report_of(RunFolder(cut_off))


@pytest.mark.parametrize("zones", [("a", "b"), ("b",)], ids=["check", "vantage"])
def test_a_check_of_several_zones_that_was_cut_off_is_told_by_zone(tmp_path, zones):
    """Each by its own split, undecided, whatever its samples would prove."""
    splits = {"a": Split.parse("v1=1"), "b": Split.parse("v2=1")}
    plan = RunPlan(Target("http://shop/"), split=splits["a"], zone_of=zones, zone_splits=splits)
    writer = RunWriter(tmp_path, plan.name, STARTED)
    writer.begin(to_document(plan, STARTED.isoformat()), None)
    where = np.arange(2000) % len(zones)
    batch = Batch.of_labels(["v1" if zones[each] == "a" else "v2" for each in where])
    writer.write(replace(batch, worker=where.astype(np.uint16)))
    writer.flush(0)

    report = report_of(RunFolder(writer.path))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert {name: each.verdict for name, each in report.observed.by_zone.items()} == dict.fromkeys(
        "ab", Verdict.INCONCLUSIVE
    )
    assert {name: any(each.counts.values()) for name, each in report.observed.by_zone.items()} == {
        name: name in zones for name in "ab"
    }
