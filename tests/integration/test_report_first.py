"""Who waits for a verdict does not wait for the disk, and cannot keep a run from it."""

import asyncio
from datetime import UTC, datetime

import pytest

from analysis import Split
from sampler.demo.process import EmbeddedService
from sampler.plan.load import Limits, Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing
from sampler.show.stored import read
from sampler.store.layout import REPORT, SAMPLES
from sampler.store.recording import Recording

WEIGHTS = {"v1": 9, "v2": 1}


class NobodyReadsError(Exception):
    """Stands for a closed pipe."""


def test_the_report_is_told_before_the_run_is_written_which_no_failure_to_tell_it_prevents(
    tmp_path,
):
    there = []

    def tell(report):
        there.append({path.name for path in tmp_path.glob("*/*")})
        raise NobodyReadsError

    with EmbeddedService(WEIGHTS, seed=1) as service:
        plan = RunPlan(
            Target(service.url),
            Load(),
            Limits(max_samples=40),
            split=Split.parse("v1=9,v2=1"),
            out=tmp_path,
        )
        with pytest.raises(NobodyReadsError):
            asyncio.run(Weighing(plan).run(tell))

    (folder,) = tmp_path.iterdir()
    assert there[0].isdisjoint({REPORT, SAMPLES})
    assert len(read(folder).batch) == read(folder).report.samples.launched == 40


@pytest.mark.parametrize(("most", "is_open"), [(40, False), (40_000, True)])
def test_only_a_run_that_outlasts_a_second_opens_its_stream_before_it_sends(
    tmp_path, most, is_open
):
    plan = RunPlan(Target("http://127.0.0.1:9/"), Load(), Limits(max_samples=most), out=tmp_path)

    Recording(plan, datetime.now(UTC)).begin(None)

    assert bool(list(tmp_path.glob("*/samples.arrows"))) is is_open
