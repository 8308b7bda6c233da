"""Endpoints that change while they are weighed: a real Service, an API server on loopback."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import UTC, datetime

import kmock
import pytest

from analysis import Policy
from analysis.data.report import ReasonCode, Source, Verdict
from analysis.weighing.watched import Watched
from sampler import Target
from sampler.base.errors import ExpectationError
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster.overview import look
from sampler.expect.rules.model import Question
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from tests.clusters import (
    FakeCluster,
    Script,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    pod,
    weigh,
)

NINE_TO_ONE = {"v1": 9, "v2": 1}
QUESTION = Question(service="app", namespace="shop")


def scaled(stable, new):
    """Give slices and Deployments for other numbers of pods."""
    pods = [*names("v1", stable), *names("v2", new)]
    return [
        deployment("app", "v1", stable),
        deployment("app-canary", "v2", new),
        endpoint_slice(map(endpoint, pods)),
    ]


def test_after_a_change_the_new_split_alone_is_judged(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def promote():
            for body in [*(pod(name, "v2", "app-canary") for name in names("v2", 2)[1:])]:
                cluster.add(body)
            for body in scaled(2, 2):
                cluster.change(body)
            service.configure({"v1": 2, "v2": 2})

        report = weigh(service.url, Script((100, promote)))

    assert report.verdict is Verdict.PASS, report.reasons
    assert report.expected.weights == {"v1": 2, "v2": 2}
    places = "Deployment shop/app, generation 1, Deployment shop/app-canary, generation 1"
    assert report.expected.source.where == places
    assert {event.kind for event in report.events} == {"endpoints", "settled"}
    text = " ".join(event.text for event in report.events)
    assert "v1 9 → 2, v2 1 → 2" in text
    assert report.samples.independent < report.samples.launched - 100
    assert any(
        "the verdict is about what came after, v1=2,v2=2 alone" in note for note in report.notes
    )


def test_a_data_plane_that_does_not_follow_fails(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def promote():
            for name in names("v2", 2)[1:]:
                cluster.add(pod(name, "v2", "app-canary"))
            for body in scaled(2, 2):
                cluster.change(body)

        report = weigh(service.url, Script((100, promote)))

    assert report.verdict is Verdict.FAIL, report.reasons
    assert report.expected is not None
    assert report.expected.weights == {"v1": 2, "v2": 2}
    assert report.events[-1].kind == "settled"


def test_auto_waits_until_the_answers_follow_and_tells_the_lag(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def promise():
            for name in names("v2", 9)[1:]:
                cluster.add(pod(name, "v2", "app-canary"))
            for body in scaled(1, 9):
                cluster.change(body)

        script = Script((100, promise), (500, lambda: service.configure({"v1": 1, "v2": 9})))
        report = weigh(service.url, script, settle_s=None)

    assert report.verdict is Verdict.PASS, report.reasons
    changed = next(event for event in report.events if event.kind == "endpoints")
    settled = report.events[-1]
    assert settled.kind == "settled"
    assert "the data plane followed" in settled.text, report.events
    assert settled.at_s - changed.at_s >= 1


def test_a_replaced_pod_holds_the_judging_and_keeps_the_evidence(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def replace():
            cluster.add(pod("v1-new", "v1", "app"))
            fresh = [*names("v1", 9)[1:], "v1-new", *names("v2", 1)]
            cluster.change(endpoint_slice(map(endpoint, fresh)))

        script = Script((300, replace))
        report = weigh(service.url, script, tolerance="4pp")

    assert report.verdict is Verdict.PASS, report.reasons
    assert "pods were replaced; the split stays v1=9,v2=1" in report.events[0].text
    assert not any("the verdict is about" in note for note in report.notes)
    judged = [evidence.judged for evidence in script.seen]
    replaced = next(place for place, n in enumerate(judged) if n >= 150)
    assert min(judged[replaced:]) > 0, "the evidence began anew"


def test_a_canary_that_loses_its_pods_is_not_taken_for_right(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def crash():
            cluster.change(endpoint_slice(map(endpoint, names("v1", 9))))
            service.configure({"v1": 9})

        report = weigh(service.url, Script((100, crash)), tolerance="2pp", wait_s=0.5)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED, (report.reasons, report.events)
    assert "Deployment shop/app-canary, generation 1" in report.reasons[0].message
    assert "none of its endpoints is ready" in report.reasons[0].message


def test_an_expired_watch_is_listed_again_and_what_was_missed_is_found(reach):
    gone = {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "code": 410,
            "message": "too old resource version",
            "metadata": {"namespace": "shop"},  # kmock sends it to watches of this namespace
        },
    }
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def expire():
            # The slices change without an event; then the server says that it forgot.
            for name in names("v2", 2)[1:]:
                cluster.add(pod(name, "v2", "app-canary"))
            for body in scaled(2, 2)[:2]:
                cluster.change(body)
            cluster.store_silently(scaled(2, 2)[2])
            cluster.say("EndpointSlice", gone)
            service.configure({"v1": 2, "v2": 2})

        report = weigh(service.url, Script((100, expire)))
        lists = [
            request
            for request in cluster.asked()
            if request.url.path.endswith("/endpointslices") and "watch" not in request.params
        ]

    assert report.verdict is Verdict.PASS, report.reasons
    assert report.expected.weights == {"v1": 2, "v2": 2}
    assert len(lists) == 3  # at first, after 410, and before the verdict


def test_a_watch_that_is_forbidden_later_ends_undecided(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)

        def forbid():
            cluster.forbid("EndpointSlice")
            cluster.say("EndpointSlice", ...)

        report = weigh(service.url, Script((100, forbid)), tolerance="2pp", wait_s=0.5)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED, (report.reasons, report.events)
    assert re.search("endpointslices in shop can no longer be watched", report.reasons[0].message)


def test_an_api_server_that_goes_away_ends_undecided(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        report = weigh(service.url, Script((100, cluster.go_away)), tolerance="2pp", wait_s=0.5)

    assert report.verdict is Verdict.INCONCLUSIVE
    reason = report.reasons[0]
    assert reason.code is ReasonCode.EXPECTATION_MOVED, (report.reasons, report.events)
    assert re.search(
        r"from \d+\.\d s to the end of the run \(\d+\.\d s\): the cluster can no longer be "
        r"watched: the API server http://\S+ cannot be reached: .* "
        r"\(until then v1=9,v2=1 was expected\)",
        reason.message,
    )
    assert "kubectl cluster-info" in reason.remedy
    assert "roll-out" not in reason.remedy
    assert any(re.search(r"for \d+\.\d s the cluster could not be", note) for note in report.notes)


def test_an_api_server_that_comes_back_costs_no_verdict(reach):
    is_away = threading.Event()

    def refuse(_):
        raise kmock.KubernetesError(status=503, message="etcdserver: leader changed")

    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        cluster.react(lambda _: is_away.is_set(), refuse)

        def go():
            is_away.set()
            for kind in ("EndpointSlice", "Pod", "Service", "Deployment", "ReplicaSet"):
                cluster.say(kind, ...)

        script = Script((100, go), (140, is_away.clear))
        report = weigh(service.url, script, tolerance="2pp")

    assert report.verdict is Verdict.PASS, report.reasons
    assert any("the cluster could not be watched" in note for note in report.notes), report.notes
    assert any("can no longer be watched" in event.text for event in report.events)


def test_a_forbidden_watch_is_refused_before_anything_is_sent(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as service:
        reach(cluster)
        overview = asyncio.run(look(QUESTION))
        cluster.forbid("Pod")
        expected = overview.expectation()
        plan = RunPlan(Target(service.url), split=expected.split)

        with pytest.raises(ExpectationError, match="may not list pods in") as refused:
            asyncio.run(Weighing(plan, watch=overview.watch(None)).run())
        assert service.counts().total == 0

    assert "weighbridge rbac -n shop --account" in (refused.value.hint or "")


@pytest.mark.parametrize(("age_s", "wait_s"), [(4.0, 6.0), (20.0, None)])
def test_what_changed_just_before_the_run_has_time_to_settle(reach, age_s, wait_s):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    trigger = {
        "endpoints.kubernetes.io/last-change-trigger-time": "2025-12-31T23:59:56Z"
        if age_s == 4.0
        else "2025-12-31T23:59:40Z"
    }
    objects = [body for body in canary(9, 1) if body["kind"] != "EndpointSlice"]
    slices = endpoint_slice(map(endpoint, ["v1-0", "v2-0"]), annotations=trigger)
    with FakeCluster([*objects, slices]) as cluster:
        reach(cluster)
        overview = asyncio.run(look(QUESTION))

    watch = overview.watch(None, now)
    split, settle_s = overview.expectation().split, watch.settle_s
    stretches = Watched(split, Policy(), 0, Source(), settle_s=settle_s, age_s=watch.age_s)

    assert watch.age_s == age_s
    assert bool(stretches.doubt) is (wait_s is not None)
    assert [event.at_s for event in stretches.events] == ([] if wait_s is None else [-age_s])
