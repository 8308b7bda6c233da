"""Routes by weight whose pods, weights and controllers move while a check goes on."""

from __future__ import annotations

import copy

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.rules.model import NotYetError
from tests.clusters import (
    NAMESPACE,
    deployment,
    endpoint,
    endpoint_slice,
    pod,
    replica_set,
    service,
)
from tests.scenes import RIGHT, UNREADY, Scene, copied, status

CANARY = "new-0"


def behind(name, version, count, labels, *, kind="Deployment", of=""):
    """Give a workload, its ready pods, and a Service of them."""
    pods = [f"{'new' if version == 'v2' else 'old'}-{n}" for n in range(count)]
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}
    if kind == "ReplicaSet":
        workload = replica_set(of, count, version)
        workload["metadata"] |= {"name": name, "labels": labels}
        workload["metadata"]["ownerReferences"] = [{**owner, "kind": "Rollout", "name": of}]
    else:
        workload = deployment(name, version, count)
    workload["status"] = {"observedGeneration": 1, "replicas": count, "updatedReplicas": count}
    workload["spec"]["template"]["metadata"]["labels"] = {"version": version, **labels}
    yield workload
    for each in pods:
        made = {**pod(each, version, name), "status": status()}
        made["metadata"] |= {"uid": each, "labels": {"version": version, **labels}}
        made["metadata"]["ownerReferences"] = [owner]
        yield made
    yield service(name, selector=labels, ports=[{"port": 80}])
    yield endpoint_slice(map(endpoint, pods), f"{name}-s", name)


def extension(group, kind, spec, **state):
    return {
        "apiVersion": group, "kind": kind, "spec": spec, **state,
        "metadata": {"name": "web", "namespace": NAMESPACE, "generation": 1},
    }  # fmt: skip


def rollout(weight):
    """Give a Rollout, whose router has a weight, and what is behind it."""
    steps = {"steps": [{"setWeight": 10}, {"pause": {}}], "trafficRouting": {"nginx": {}}}
    spec = {
        "replicas": 3,
        "template": {"metadata": {"labels": {"app": "web", "version": "v2"}}, "spec": {}},
        "strategy": {"canary": steps},
    }
    state = {
        "observedGeneration": "1", "replicas": 4, "currentStepIndex": 1, "stableRS": "old",
        "currentPodHash": "new", "canary": {"weights": {"canary": {"weight": weight}}},
    }  # fmt: skip
    yield extension("argoproj.io/v1alpha1", "Rollout", spec, status=state)
    for hashed, version, count in (("old", "v1", 3), ("new", "v2", 1)):
        labels = {"app": "web", "rollouts-pod-template-hash": hashed}
        yield from behind(f"web-{hashed}", version, count, labels, kind="ReplicaSet", of="web")


def canary(weight):
    """Give a Canary of Flagger with a weight, and what is behind it."""
    spec = {"targetRef": {"kind": "Deployment", "name": "web"}, "analysis": {"stepWeight": 10}}
    yield extension("flagger.app/v1beta1", "Canary", spec, status={"canaryWeight": weight})
    for name, version, count in (("web-primary", "v1", 3), ("web", "v2", 1)):
        yield from behind(name, version, count, {"app": name})


def http_route(weight):
    """Give an HTTPRoute with weights, and what is behind it."""
    refs = [
        {"name": name, "port": 80, "weight": each}
        for name, each in (("stable", 100 - weight), ("canary", weight))
    ]
    spec = {"rules": [{"backendRefs": refs}]}
    yield extension("gateway.networking.k8s.io/v1", "HTTPRoute", spec)
    for name, version, count in (("stable", "v1", 3), ("canary", "v2", 1)):
        yield from behind(name, version, count, {"app": name})


EVERY = pytest.mark.parametrize("route", [rollout, canary, http_route])


def watch(route, tolerance="3pp", **changed):
    """Begin a check of a route, whose canary has another status."""
    objects = [copy.deepcopy(each) for each in route(10)]
    for each in objects:
        if changed and each["metadata"]["name"] == CANARY:
            each["status"] = status(**changed)
    kind = objects[0]["kind"]
    return objects, Scene(objects, tolerance, wait_s=20, service="", route=f"{kind}/web")


def turn(scene, objects, *, ready, since):
    """Make the canary ready, or not."""
    lost = status(ready=ready, turned=since)
    scene.tell("MODIFIED", {**copied(objects, "Pod", CANARY), "status": lost})
    found = next(
        each
        for each in objects
        if each["kind"] == "EndpointSlice" and CANARY in str(each["endpoints"])
    )
    now = endpoint(CANARY, **({} if ready else {"conditions": UNREADY}))
    scene.tell("MODIFIED", {**found, "endpoints": [now]})


@EVERY
def test_a_settled_one_passes(route):
    _, scene = watch(route)
    scene.run(60, RIGHT)

    assert scene.report().verdict is Verdict.PASS


@EVERY
def test_a_canary_that_was_away_does_not_pass(route):
    objects, scene = watch(route)
    scene.run(1, RIGHT)
    for ready in (False, True):
        turn(scene, objects, ready=ready, since=1 + ready)
        scene.run(60 if ready else 0.5, RIGHT)
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.VERSION_LOST
    assert "v2: 1 of 1 pods: not ready any more (new-0)" in report.reasons[0].message


@EVERY
def test_a_canary_between_two_crashes_does_not_pass(route):
    _, scene = watch(route, turned=-2, started=-3, restarts=4, last=(-90, -20))
    scene.run(60, RIGHT)
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "v2 crashes and starts again: restarted 4 times" in report.reasons[0].message


@EVERY
def test_a_canary_that_does_not_start_is_named(route):
    objects, scene = watch(route)
    waiting = status(ready=False, turned=-9, started=-8)
    waiting["containerStatuses"][0]["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    turn(scene, objects, ready=False, since=-9)
    scene.tell("MODIFIED", {**copied(objects, "Pod", CANARY), "status": waiting})
    scene.run(60, {"v1": 9, None: 1})
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "v2: 1 of 1 pods: ImagePullBackOff (new-0)" in report.reasons[0].message


@EVERY
def test_a_weight_of_0_is_another_question(route):
    _, scene = watch(route)
    scene.run(1, RIGHT)
    scene.tell("MODIFIED", next(route(0)))
    scene.run(60, {"v1": 1})
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "v2 has no share of the split any more" in report.reasons[0].message


@EVERY
def test_a_route_that_is_deleted_is_not_called_misspelt(route):
    objects, scene = watch(route)
    scene.run(1, RIGHT)
    scene.tell("DELETED", objects[0])
    scene.run(60, RIGHT)
    reason = scene.report().reasons[0]

    assert reason.code is ReasonCode.EXPECTATION_MOVED
    assert f"{objects[0]['kind']} shop/web was there before and is deleted" in reason.message
    assert reason.remedy.startswith("If that was not meant, apply it again")


@EVERY
def test_a_service_behind_a_route_that_is_deleted_is_named(route):
    objects, scene = watch(route)
    scene.run(1, RIGHT)
    gone = [each for each in objects if each["kind"] == "Service"][-1]
    scene.tell("DELETED", gone)
    scene.run(60, RIGHT)
    reason = scene.report().reasons[0]

    assert f"Service shop/{gone['metadata']['name']} was there before and is" in reason.message


def test_a_canary_whose_route_was_written_first_is_waited_for():
    written = [
        {
            "backendRefs": [
                {"name": "web-primary", "weight": 80},
                {"name": "web-canary", "weight": 20},
            ]
        }
    ]
    route = extension("gateway.networking.k8s.io/v1", "HTTPRoute", {"rules": written})

    with pytest.raises(NotYetError, match="its canary gets 10 %"):
        Scene([*canary(10), route], service="", route="Canary/web")
