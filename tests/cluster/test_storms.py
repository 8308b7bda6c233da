"""An API server that refuses again and again: what is asked has an end, and says why."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from kmock import Response  # type: ignore[attr-defined]  # its list of names lacks it

from analysis.data.report import ReasonCode, Verdict
from sampler.base.errors import ClusterError
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import api
from sampler.expect.cluster.overview import look
from tests.cluster.test_changes import NINE_TO_ONE, QUESTION
from tests.clusters import FakeCluster, Script, canary, weigh

TOO_OLD = {"type": "ERROR", "object": {"metadata": {}, "code": 410, "message": "too old"}}


def refusal(status, **headers):
    return lambda _: Response(status=status, headers=headers, payload={"message": "refused"})


def is_watch(request):
    return "watch" in request.params


def is_of_pods(request):
    return request.url.path.endswith("/pods")


def asked_of_pods(cluster):
    return len([each for each in cluster.asked() if is_of_pods(each)])


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_listed_and_cannot_be_watched_is_no_bug(reach, status):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(is_watch, refusal(status))
        with pytest.raises(ClusterError, match="were listed and cannot be watched: refused"):
            weigh("http://127.0.0.1:9/", Script())


def test_watches_that_fail_after_the_lists_are_opened_again(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        turns = count(1)
        cluster.react(lambda request: is_watch(request) and next(turns) <= 8, refusal(500))
        report = weigh(service.url, Script(), tolerance="8pp")

    assert report.verdict is Verdict.PASS, report.reasons
    assert any("can no longer be watched" in event.text for event in report.events)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"Retry-After": "soon"}])
def test_a_server_with_too_many_requests_is_asked_a_few_times_more(reach, monkeypatch, headers):
    monkeypatch.setattr(api, "_PAUSES_S", (0.0, 0.0, 3600.0))
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        turns = count(1)
        cluster.react(
            lambda request: is_of_pods(request) and next(turns) < 3, refusal(429, **headers)
        )
        assert str(asyncio.run(look(QUESTION)).expectation().split) == "v1=9,v2=1"

    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(is_of_pods, refusal(429, **headers))
        with pytest.raises(ClusterError, match=r"answered 429 for .*/pods: refused"):
            asyncio.run(look(QUESTION))
        assert asked_of_pods(cluster) == 3


def test_a_time_beyond_the_limit_is_not_waited_for(reach):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(is_of_pods, refusal(503, **{"Retry-After": "11"}))
        with pytest.raises(ClusterError, match=r"answered 503 for .*/pods: refused"):
            asyncio.run(look(QUESTION))
        assert asked_of_pods(cluster) == 1


@pytest.mark.parametrize(
    ("is_stuck", "pages", "said"),
    [(True, 2, "goes on where it was"), (False, 1, "could not be listed within 0 s: 0 came")],
)
def test_a_list_without_an_end_is_given_up(reach, monkeypatch, is_stuck, pages, said):
    if not is_stuck:
        monkeypatch.setattr(api, "LISTED_WITHIN_S", 0.0)
    turns = count()

    def page(_):
        rest = "again" if is_stuck else str(next(turns))
        return Response(payload={"items": [], "metadata": {"continue": rest}})

    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(is_of_pods, page)
        with pytest.raises(ClusterError, match=said):
            asyncio.run(look(QUESTION))
        assert asked_of_pods(cluster) == pages


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: Response(payload=TOO_OLD), "for 1 s no watch could be opened"),
        (refusal(410), "for 1 s no watch could be opened"),
        (refusal(429), "no watch could be opened (the API server answered 429)"),
    ],
    ids=["too old on the stream", "too old", "too many"],
)
def test_watches_that_are_refused_again_and_again_are_lost_ones(reach, answer, why):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def storm():
            cluster.react(is_watch, answer)
            for kind in ("Pod", "EndpointSlice"):
                cluster.say(kind, ...)

        report = weigh(service.url, Script((100, storm)), tolerance="2pp", wait_s=2)
        asked = asked_of_pods(cluster)

    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "pods in shop, endpointslices in shop can no longer be watched" in (
        message := report.reasons[0].message
    )
    assert why in message
    assert asked <= 30
