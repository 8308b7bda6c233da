"""A check that begins in the middle of a roll-out: it waits, and says for what."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import Any

import pytest

from analysis.data.report import Verdict
from sampler.base.errors import ClusterError, ExpectationError
from sampler.cli import main
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import overview, waiting
from sampler.expect.cluster.standing import Deciding
from sampler.expect.cluster.state import ClusterState
from sampler.expect.rules.model import Question
from tests.clusters import (
    Body,
    FakeCluster,
    Script,
    canary,
    endpoint,
    endpoint_slice,
    names,
    pod,
    weigh,
)
from tests.scenes import BY_KIND

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"}
STARTING = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def starting(reason):
    """Give 9 + 1 of which the canary is not ready yet, because its container waits."""
    kept = [each for each in canary(9, 1) if each["kind"] != "EndpointSlice"]
    kept = [each for each in kept if each["metadata"]["name"] != "v2-0"]
    container = {"restartCount": 0, "state": {"waiting": {"reason": reason}}}
    status = {"phase": "Pending", "conditions": [STARTING], "containerStatuses": [container]}
    first = endpoint("v2-0", conditions={"ready": False})
    slices = endpoint_slice([*map(endpoint, names("v1", 9)), first])
    return [*kept, {**pod("v2-0", "v2", "app-canary"), "status": status}, slices]


def test_a_roll_out_is_waited_for_with_few_requests(reach):
    with (
        FakeCluster(starting("ContainerCreating")) as cluster,
        EmbeddedService({"v1": 9}, seed=5) as service,
    ):
        reach(cluster)

        def finish():
            status = {"phase": "Running", "conditions": [READY]}
            cluster.change({**pod("v2-0", "v2", "app-canary"), "status": status})
            service.configure({"v1": 9, "v2": 1})
            cluster.change(endpoint_slice(map(endpoint, [*names("v1", 9), *names("v2", 1)])))

        report = weigh(service.url, Script((3, finish)))

    assert report.verdict is Verdict.PASS, report.reasons
    assert "v2 is configured" in report.events[0].text
    assert any("not judged" in note for note in report.notes)


def test_what_does_not_become_ready_ends_undecided_and_is_named(reach, capsys):
    with (
        FakeCluster(starting("ImagePullBackOff")) as cluster,
        EmbeddedService({"v1": 9}, seed=5) as service,
    ):
        reach(cluster)
        code = main(
            ["check", service.url, "--cluster", "--service", "app", "--wait", "0s", "--json", "-"]
        )
    report = json.loads(capsys.readouterr().out)

    assert code == 3
    assert report["reasons"][0]["code"] == "expectation_moved"
    assert "v2: 1 of 1 pods: ImagePullBackOff (v2-0)" in report["reasons"][0]["message"]
    assert report["samples"]["launched"] <= 2


def test_a_service_without_any_endpoint_is_no_unmeasurable_target(reach, capsys):
    objects = [each for each in canary(9, 1) if each["kind"] not in {"EndpointSlice", "Pod"}]
    with FakeCluster([*objects, endpoint_slice([])]) as cluster:
        reach(cluster)
        code = main(
            ["check", "http://127.0.0.1:9/", "--cluster", "--service", "app", "--wait", "0s"]
        )

    assert code == 3
    assert "no endpoint is ready" in capsys.readouterr().out


OBJECTS = list(canary(9, 1))
EMPTY = endpoint_slice([])
BEFORE = {
    "all at 0": [each for each in canary(0, 0) if each["kind"] != "EndpointSlice"] + [EMPTY],
    "the Service alone": [each for each in OBJECTS if each["kind"] == "Service"],
}


@pytest.mark.parametrize("objects", BEFORE.values(), ids=BEFORE)
def test_a_split_that_nobody_can_read_yet_is_waited_for(reach, monkeypatch, objects):
    monkeypatch.setattr(waiting, "LOOKS_EVERY_S", 0.01)
    said: list[str] = []
    looks = 0
    with FakeCluster(objects) as cluster:
        reach(cluster)

        async def look():
            nonlocal looks
            looks += 1
            if looks == 3:
                for each in OBJECTS:
                    cluster.store_silently(each)
            return await overview.look(Question(service="app", namespace="shop"))

        seen = asyncio.run(waiting.look_until_known(look, None, 60, said.append))

    assert seen.expectation().split.weight_of == {"v1": 9, "v2": 1}
    assert (looks, len(said)) == (3, 1)


@pytest.mark.parametrize("objects", BEFORE.values(), ids=BEFORE)
def test_a_split_that_nobody_could_read_ends_undecided_and_says_why(reach, capsys, objects):
    with FakeCluster(objects) as cluster, EmbeddedService({"v1": 9}) as service:
        reach(cluster)
        code = main(["check", service.url, "--cluster", "--service", "app", "--wait", "0s"])
        sent = service.counts().total

    assert (code, sent) == (3, 0)
    said = " ".join(capsys.readouterr().err.split())
    assert "no split became known: " in said
    assert "every version has weight 0 (Deployment" in said or "no pod template carries" in said


@pytest.mark.parametrize(("answered", "looks"), [(0, 1), (1, 4), (3, 4)])
def test_an_api_server_that_has_answered_once_is_asked_again(monkeypatch, answered, looks):
    monkeypatch.setattr(waiting, "LOOKS_EVERY_S", 0.0)
    access: Any = None
    asked = 0

    async def look():
        nonlocal asked
        asked += 1
        if answered < asked <= 3:
            raise ClusterError("cannot be reached")
        state = ClusterState()
        for kind, resource in BY_KIND.items():
            known = OBJECTS if asked > 3 else BEFORE["the Service alone"]
            state.take((resource, "shop"), [each for each in known if each["kind"] == kind], "1")
        return overview.compare(access, state, Question(service="app", namespace="shop"), None)

    def wait(seconds):
        looking = waiting.look_until_known(look, None, seconds, lambda why: None)
        return asyncio.run(looking)

    with pytest.raises(ClusterError) if answered == 0 else nullcontext():
        assert wait(60).expectation().split.weight_of == {"v1": 9, "v2": 1}
    assert asked == looks


def test_what_is_deleted_while_it_is_waited_for_is_not_called_misspelt(monkeypatch):
    monkeypatch.setattr(waiting, "LOOKS_EVERY_S", 0.0)
    access: Any = None
    said: list[str] = []
    looks: list[list[Body]] = [BEFORE["the Service alone"], []]

    async def look():
        state = ClusterState()
        key = BY_KIND["Service"], "shop"
        state.take(key, looks.pop(0), "1")
        question = Question(service="app", namespace="shop")
        return overview.compare(access, state, question, None)

    with pytest.raises(ExpectationError, match="was there and is deleted: expected a Serv") as it:
        asyncio.run(waiting.look_until_known(look, None, 60, said.append))

    assert it.value.exit_code == 3


def test_what_will_never_be_a_split_is_not_waited_for():
    looks = 0
    access: Any = None

    async def look():
        nonlocal looks
        looks += 1
        question = Question(service="app", namespace="shop")
        return overview.compare(access, ClusterState(), question, None)

    seen = asyncio.run(waiting.look_until_known(look, Deciding.OBSERVED, 60, pytest.fail))

    assert looks == 1
    with pytest.raises(ExpectationError, match="expected a Service named 'app'"):
        seen.expectation()
