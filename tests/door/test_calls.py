"""`weighbridge.check` and `sample` as programs call them: with and without a loop, in threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context

import pytest

import weighbridge
from sampler.demo.process import EmbeddedService
from sampler.run.gate import Weighing

NAME = ContextVar("NAME", default="nobody")


@pytest.fixture
def service():
    with EmbeddedService({"v1": 1, "v2": 9}, seed=1) as served:
        yield served


def in_this_thread(call):
    return call()


def in_another_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def below_a_running_loop(call):
    async def cell():
        return call()

    return asyncio.run(cell())


def below_a_loop_of_another_thread(call):
    return in_another_thread(lambda: below_a_running_loop(call))


WAYS = [
    in_this_thread,
    in_another_thread,
    below_a_running_loop,
    below_a_loop_of_another_thread,
]


@pytest.mark.parametrize("way", WAYS)
def test_a_check_blocks_and_decides_wherever_it_is_called(service, way):
    report = way(lambda: weighbridge.check(service.url, {"v1": 9, "v2": 1}, seed=1))

    assert report.verdict is weighbridge.Verdict.FAIL
    assert service.counts().total == report.samples.launched


@pytest.mark.parametrize("way", WAYS)
def test_a_sample_blocks_wherever_it_is_called(service, way):
    report = way(lambda: weighbridge.sample(service.url, weighbridge.Limits(max_samples=20)))

    assert report.samples.launched == 20
    assert report.verdict is None


@pytest.mark.parametrize("way", WAYS)
def test_errors_reach_the_caller_wherever_it_is(way):
    with pytest.raises(weighbridge.SamplingError) as told:
        way(lambda: weighbridge.check("http://nobody.invalid/", "v1=1"))

    assert "nobody.invalid" in str(told.value)


def test_no_thread_stays_behind(service):
    before = threading.enumerate()

    below_a_running_loop(lambda: weighbridge.sample(service.url, weighbridge.Limits(5)))

    assert [each for each in threading.enumerate() if each.name == "weighbridge"] == []
    assert len(threading.enumerate()) <= len(before) + 1  # the one of the service's pipe


@pytest.mark.parametrize("way", [in_this_thread, below_a_running_loop])
def test_a_run_sees_the_context_of_its_caller(service, monkeypatch, way):
    seen = []

    carry_out = Weighing.run

    async def looking(self, on_report=None):
        seen.append(NAME.get())
        return await carry_out(self, on_report)

    monkeypatch.setattr(Weighing, "run", looking)

    def call():
        NAME.set("caller")
        return weighbridge.sample(service.url, weighbridge.Limits(max_samples=2))

    copy_context().run(way, call)

    assert seen == ["caller"]


def test_coroutines_have_names_of_their_own(service):
    limits = weighbridge.Limits(max_samples=20)

    checked = asyncio.run(weighbridge.acheck(service.url, {"v1": 9, "v2": 1}, seed=1))
    sampled = asyncio.run(weighbridge.asample(service.url, limits))

    assert checked.verdict is weighbridge.Verdict.FAIL
    assert sampled.samples.launched == 20


def test_a_coroutine_that_is_cancelled_ends_at_once_and_sends_no_more(service):
    async def cancelled():
        task = asyncio.create_task(weighbridge.asample(service.url, weighbridge.Limits(None, 60)))
        while not service.counts().total:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return service.counts().total

    sent = asyncio.run(cancelled())

    assert service.counts().total - sent <= 16  # those that were on their way


@pytest.mark.parametrize("name", ["check", "acheck", "sample", "asample"])
def test_help_shows_the_parameters_and_what_they_are(name):
    call = getattr(weighbridge, name)
    told = inspect.signature(call)

    assert call.__name__ == name.removeprefix("a")
    assert told.return_annotation == "Report"
    assert all(each.annotation is not each.empty for each in told.parameters.values())
    assert inspect.iscoroutinefunction(call) == name.startswith("a")
    assert call.__doc__.startswith("Sample `target` until")


def test_a_report_says_that_its_split_came_from_a_call(service):
    report = weighbridge.check(service.url, "v1=9,v2=1")

    assert report.expected is not None
    assert report.expected.source.where == "argument of weighbridge.check"
    assert report.expected.source.name == "split"


def test_label_rules_are_given_as_text_or_as_what_they_are(service):
    rule = weighbridge.LabelRule.parse("status")

    report = weighbridge.sample(
        service.url, weighbridge.Limits(5), label=rule, replica=weighbridge.LabelRule.parse("/host")
    )

    assert report.observed.counts == {"200": 5}


def test_a_run_is_read_and_judged_again_from_its_report(service, tmp_path):
    report = weighbridge.check(service.url, "v1=9,v2=1", out=tmp_path, seed=1)

    run = weighbridge.read(report)
    again = weighbridge.judge(report)
    other = weighbridge.judge(run, {"v1": 1, "v2": 9}, policy=weighbridge.Policy(alpha=0.02))

    assert run.report == report
    assert again.verdict is report.verdict is weighbridge.Verdict.FAIL
    assert again.expected is not None
    assert again.expected.source.where == "argument of weighbridge.check"
    assert other.verdict is not weighbridge.Verdict.FAIL
    assert other.expected is not None
    assert other.expected.source.where == "argument of weighbridge.judge"
    assert weighbridge.judge(str(run.path)).reasons == again.reasons


def test_everything_public_is_there_and_shown_to_who_looks():
    assert {"check", "acheck", "Policy", "Report", "read", "judge"} <= set(dir(weighbridge))
    assert [name for name in dir(weighbridge) if not hasattr(weighbridge, name)] == []
    assert not hasattr(weighbridge, "nothing")
    assert sorted(weighbridge._HOMES) == sorted(weighbridge.__all__)
