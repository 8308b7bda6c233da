"""A cluster that changes while it is weighed without an end: followed, with the lag of a change."""

from __future__ import annotations

import asyncio

from analysis import Policy
from analysis.data.live import State
from analysis.data.live_events import ChangeTold, NoteTold, StateTold
from analysis.data.report import Verdict
from analysis.watching.asked import WatchPolicy
from sampler import Target, read
from sampler.base.errors import ExitCode
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster.overview import look
from sampler.expect.rules.model import Question
from sampler.plan.load import Load
from sampler.plan.run import RunPlan
from sampler.watch.session import Session
from sampler.watch.telling import Teller
from tests.clusters import (
    FakeCluster,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    pod,
)

RATE = 500.0


def watched(url, acts, folder=None):
    """Weigh until each act was followed by OK; return the session, its events and its exit code."""

    async def run():
        overview = await look(Question(service="app", namespace="shop"))
        expected = overview.expectation()
        plan = RunPlan(
            Target(url), Load(rate=RATE), split=expected.split, policy=Policy(),
            source=expected.source, seed=4, out=folder, name="watch-app",
        )  # fmt: skip
        teller, told, left, running = Teller(), [], list(acts), []
        asked = WatchPolicy(plan.policy, 30 * 86_400, RATE)
        session = Session("app", plan, asked, teller, overview.watch(None), max_time_s=60.0)
        is_armed = True

        def listen(event):
            nonlocal is_armed
            told.append(event)
            if isinstance(event, StateTold) and event.state.state is not State.OK:
                is_armed = True
            elif isinstance(event, StateTold) and is_armed:
                is_armed = False
                if left:
                    running.append(asyncio.ensure_future(asyncio.to_thread(left.pop(0))))
                else:
                    session.stop()

        teller.listeners.append(listen)
        code = await session.run()
        return session, told, code

    return asyncio.run(run())


def test_a_promotion_is_followed_and_its_lag_measured(reach, tmp_path):
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster)

        def promote():
            cluster.add(pod(names("v2", 2)[1], "v2", "app-canary"))
            for body in (
                deployment("app", "v1", 2),
                deployment("app-canary", "v2", 2),
                endpoint_slice(map(endpoint, [*names("v1", 2), *names("v2", 2)])),
            ):
                cluster.change(body)
            service.configure({"v1": 2, "v2": 2})

        session, told, code = watched(service.url, [promote], tmp_path)

    notes = [each.text for each in told if isinstance(each, NoteTold) and each.kind == "turn"]
    changes = [each.change for each in told if isinstance(each, ChangeTold)]
    assert code is ExitCode.PASS
    assert session.lookout.verdict is Verdict.PASS
    assert notes[:3] == ["STARTING to OK", "OK to CHANGING", "CHANGING to STARTING"]
    assert not session.lookout.alarms
    assert changes[-1].kind == "settled"
    assert changes[-1].expected == {"v1": 0.5, "v2": 0.5}
    assert list(session.lookout.lags_s) == [changes[-1].lag_s]
    assert session.latest is not None
    assert [each.endpoints for each in session.latest.labels] == [0.5, 0.5]
    (run,) = tmp_path.glob("*-watch-app")
    said = " ".join(read(run).report.notes)
    assert "a FAIL is an alarm, and not one of the rate alpha" in said
    assert "the verdict is about what came after, v1=2,v2=2 alone" in said
    assert "with an error rate" not in said


def test_a_replaced_pod_keeps_the_proof(reach):
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster)

        def replace():
            cluster.add(pod("v1-new", "v1", "app"))
            fresh = [*names("v1", 9)[1:], "v1-new", *names("v2", 1)]
            cluster.change(endpoint_slice(map(endpoint, fresh)))

        session, told, code = watched(service.url, [replace])

    notes = [each.text for each in told if isinstance(each, NoteTold) and each.kind == "turn"]
    assert code is ExitCode.PASS
    assert notes == ["STARTING to OK", "OK to CHANGING", "CHANGING to OK"]
    assert session.lookout.stretches == 1
