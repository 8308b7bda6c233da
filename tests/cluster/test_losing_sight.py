"""An API server that is silent, forgets, or closes: no verdict rests on what was not seen."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import pytest
from aiohttp import web_response
from kmock import Response  # type: ignore[attr-defined]  # its list of names lacks it

from analysis.data.report import ReasonCode, Verdict
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import watch
from sampler.expect.cluster.overview import look
from tests.cluster.test_changes import NINE_TO_ONE, QUESTION, scaled
from tests.cluster.test_playback import play
from tests.clusters import (
    FakeCluster,
    Script,
    canary,
    endpoint,
    endpoint_slice,
    names,
    pod,
    weigh,
)
from tests.replays import declare


@pytest.fixture
def thaw(monkeypatch):
    monkeypatch.setattr(watch, "ANSWERED_WITHIN_S", 1.0)
    event = threading.Event()
    yield event
    event.set()


def test_an_api_server_that_falls_silent_is_no_quiet_cluster(reach, thaw):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        script = Script((100, lambda: cluster.freeze(thaw)))
        report = weigh(service.url, script, tolerance="6pp", wait_s=0.5)
        thaw.set()

    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "for 1 s the API server did not answer" in report.reasons[0].message
    assert "until then v1=9,v2=1 was expected" in report.reasons[0].message
    assert report.samples.independent == 0, "who answered since then is not known"


def test_a_run_whose_time_is_over_finds_out_whether_its_verdict_is_sure(reach, thaw):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        script = Script((100, lambda: cluster.freeze(thaw)))
        report = weigh(service.url, script, tolerance="8pp", wait_s=0.5, max_time_s=1.3)
        thaw.set()

    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons


def test_a_change_that_no_watch_has_told_is_found_before_the_verdict(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def promote_in_silence():
            cluster.store_silently(pod("v2-1", "v2", "app-canary"))
            for body in scaled(2, 2):
                cluster.store_silently(body)

        report = weigh(service.url, Script((100, promote_in_silence)), tolerance="6pp")

    # The answers go on as before, which is right no more.
    assert names("v2", 2) == ["v2-0", "v2-1"]
    assert report.verdict is Verdict.FAIL, report.reasons
    assert report.expected.weights == {"v1": 2, "v2": 2}
    assert any("was not told by its watch" in event.text for event in report.events)


@pytest.mark.parametrize(
    ("name", "declared", "since_s", "verdict", "code"),
    [
        ("a-settled", (10, 0), 0.2, Verdict.PASS, ReasonCode.WITHIN_TOLERANCE),
        ("g-scale-8-2", (9, 1), 4.5, Verdict.INCONCLUSIVE, ReasonCode.DECLARED_DIFFERS),
    ],
)
def test_watches_that_are_closed_and_forgotten_change_no_verdict(
    reach, name, declared, since_s, verdict, code
):
    report = play(reach, name, 4.0, since_s=since_s, declared=declare(*declared), watch_s=0.4)

    assert (report.verdict, report.reasons[0].code) == (verdict, code), report.reasons


def test_a_busy_api_server_is_asked_again_when_it_says(reach):
    is_busy = [True]

    def wait(_):
        is_busy.clear()
        return Response(status=429, headers={"Retry-After": "1"}, payload={"message": "slow"})

    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(lambda request: bool(is_busy) and request.url.path.endswith("/pods"), wait)
        began_s = monotonic()
        overview = asyncio.run(look(QUESTION))

    assert not is_busy
    assert monotonic() - began_s >= 1
    assert str(overview.expectation().split) == "v1=9,v2=1"


@pytest.mark.parametrize("ahead_s", [3600, -3600])
def test_ages_are_by_the_clock_of_the_api_server(reach, monkeypatch, ahead_s):
    changed = datetime.now(UTC) - timedelta(seconds=ahead_s + 3)
    trigger = {"endpoints.kubernetes.io/last-change-trigger-time": changed.isoformat()}
    objects = [body for body in canary(9, 1) if body["kind"] != "EndpointSlice"]
    pods = [body["metadata"]["name"] for body in objects if body["kind"] == "Pod"]

    def theirs():
        return format_datetime(datetime.now(UTC) - timedelta(seconds=ahead_s), usegmt=True)

    monkeypatch.setattr(web_response, "rfc822_formatted_time", theirs)
    slices = endpoint_slice(map(endpoint, pods), annotations=trigger)
    with FakeCluster([*objects, slices]) as cluster:
        reach(cluster)
        overview = asyncio.run(look(QUESTION))
        begun = overview.watch(None)

    assert begun.age_s is not None
    assert 2 < begun.age_s < 60
    way = "ahead of" if ahead_s > 0 else "behind"
    assert re.search(rf"clock is 3(600|601|599) s {way} the API server's", begun.remarks[0])
