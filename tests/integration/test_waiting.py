"""A target that is still starting: waited for, and not judged."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from analysis.data.report import Verdict
from sampler.plan.load import Limits, Load, TransportKind
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.door import check, sample
from sampler.run.gate import Weighing
from tests.conformance.scripted import Act, ScriptedServer
from tests.poor_targets import response

READY = response("200 OK", b'{"label": "v1"}')
EARLY = {
    "closes": [Act.CLOSE],
    "resets": [Act.RESET],
    "no endpoints": [response("503 Service Unavailable"), Act.CLOSE],
    "no route": [response("404 Not Found"), Act.CLOSE],
}


@asynccontextmanager
async def starting(early, requests):
    """Serve `early` to some requests, and a label to the others."""

    def script(request):
        return early if request.number < requests else [READY, Act.CLOSE]

    async with ScriptedServer(script) as server:
        yield server


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("early", EARLY)
@pytest.mark.parametrize("requests", [0, 1, 3])
def test_a_target_that_is_starting_passes_and_what_came_before_is_not_counted(
    early, requests, transport
):
    async def run():
        async with starting(EARLY[early], requests) as server:
            report = await check(
                f"http://127.0.0.1:{server.port}/", "v1=1", wait_for_s=60,
                load=Load(transport=TransportKind(transport)),
            )  # fmt: skip
            return report, len(server.requests)

    report, served = asyncio.run(run())

    assert report.verdict is Verdict.PASS
    assert report.samples.outcomes == {"ok": report.samples.launched}
    assert served == report.samples.launched + requests + 1
    assert any(f"({requests + 1} request" in note for note in report.notes)


def test_an_answer_without_a_label_is_an_answer():
    async def run():
        async with starting([response("200 OK", b"hello"), Act.CLOSE], 10**6) as server:
            report = await sample(f"http://127.0.0.1:{server.port}/", wait_for_s=60)
            return report, len(server.requests)

    report, served = asyncio.run(run())

    assert report.reasons[0].code.value == "unmeasurable"
    assert served == report.samples.launched + 1


def test_when_the_time_is_up_the_run_says_what_is_wrong():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        report = asyncio.run(check(url, "v1=1", wait_for_s=0.3))

    assert report.reasons[0].failure == "refused"


def test_an_interrupted_wait_sends_nothing_more():
    async def run():
        async with starting([Act.CLOSE], 10**6) as server:
            plan = RunPlan(
                Target(f"http://127.0.0.1:{server.port}/"),
                Load(),
                Limits(max_time_s=9),
                wait_for_s=60,
            )
            weighing = Weighing(plan)
            server.on_request = lambda _request: weighing.interrupt()
            report = await weighing.run()
            return report, len(server.requests)

    report, served = asyncio.run(run())

    assert (report.samples.launched, served) == (0, 1)
