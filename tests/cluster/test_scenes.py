"""Scenes of a cluster that moves, told event by event: none passes or fails what it should not.

What the pods answer is drawn at random by the shares of each scene; time is a clock of its own.
"""

from __future__ import annotations

import copy

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.cluster.standing import Deciding
from tests.clusters import deployment, endpoint, endpoint_slice, pod, replica_set
from tests.replays import declare
from tests.scenes import (
    LEAVING,
    RIGHT,
    UNREADY,
    Scene,
    another_pod,
    at,
    cluster,
    copied,
    names,
    scaled,
    slice_of,
    status,
    without_owner,
)


@pytest.mark.parametrize("pause_s", [0, 2])
def test_each_roll_out_is_waited_for_by_itself(pause_s):
    objects = cluster()
    scene, app = Scene(objects, wait_s=6), copied(objects, "Deployment", "app")
    scene.run(0.5, RIGHT)
    for generation in (2, 3):
        app["metadata"]["generation"] = generation
        app["spec"]["template"]["metadata"]["annotations"] = {"restartedAt": str(generation)}
        scene.tell("MODIFIED", copy.deepcopy(app))
        scene.run(5, RIGHT)
        if generation == 3 or pause_s:
            app["status"]["observedGeneration"] = generation
            scene.tell("MODIFIED", copy.deepcopy(app))
            scene.run(pause_s, RIGHT)
    scene.run(30, RIGHT)

    assert scene.report().verdict is Verdict.PASS


@pytest.mark.parametrize("deciding", [None, Deciding.CONFIGURED, Deciding.OBSERVED])
@pytest.mark.parametrize("is_listed", [False, True])
def test_a_ready_pod_that_no_slice_has_yet_fails_no_canary(deciding, is_listed):
    objects = cluster(9, 4)
    pods = [name for name in names(objects) if is_listed or name not in {"v2-2", "v2-3"}]
    away = {"v2_2": UNREADY, "v2_3": UNREADY} if is_listed else {}
    objects = [each for each in objects if each["kind"] != "EndpointSlice"]
    scene = Scene([*objects, slice_of(pods, **away)], "4pp", deciding=deciding)
    scene.run(60, {"v1": 9, "v2": 2})
    before = scene.fold.is_decided
    scene.tell("MODIFIED", slice_of(names(objects)))
    scene.run(60, {"v1": 9, "v2": 4})

    assert before == (deciding is Deciding.OBSERVED)
    assert scene.report().verdict is Verdict.PASS


def test_a_slice_that_never_follows_is_named():
    objects = cluster(9, 2)
    pods = [name for name in names(objects) if name != "v2-1"]
    objects = [each for each in objects if each["kind"] != "EndpointSlice"]
    scene = Scene([*objects, slice_of(pods)], wait_s=20)
    scene.run(60, RIGHT)
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "1 of 11 pods are ready, and no EndpointSlice has" in report.reasons[0].message
    assert "v2-1; --expected observed" in report.reasons[0].message


def test_endpoints_that_are_asked_about_are_waited_for():
    objects = cluster()
    bare = [each for each in objects if each["kind"] not in {"Pod", "EndpointSlice"}]
    scene = Scene(bare, deciding=Deciding.OBSERVED)
    scene.run(3, RIGHT)
    for each in objects:
        if each["kind"] in {"Pod", "EndpointSlice"}:
            scene.tell("ADDED", each)
    scene.run(30, RIGHT)

    assert scene.report().verdict is Verdict.PASS


def test_what_was_lost_is_not_made_good_by_a_roll_out_of_the_same_split():
    objects = cluster()
    scene, pods = Scene(objects, "4pp"), names(objects)
    scene.run(0.5, RIGHT)
    lost = copied(objects, "Pod", "v2-0")
    for ready, seconds, shares in ((False, 2, {"v1": 1}), (True, 1, RIGHT)):
        lost = {**lost, "status": status(ready=ready, turned=1 if not ready else 3)}
        scene.tell("MODIFIED", lost)
        scene.tell("MODIFIED", slice_of(pods, **({} if ready else {"v2_0": UNREADY})))
        scene.run(seconds, shares)
    app = copied(objects, "Deployment", "app")
    app["metadata"]["generation"] = 2
    app["spec"]["template"]["metadata"]["annotations"] = {"restartedAt": "x"}
    scene.tell("MODIFIED", app)
    scene.run(1, RIGHT)
    scene.tell("MODIFIED", {**app, "status": {**app["status"], "observedGeneration": 2}})
    unready = {**copied(objects, "Pod", "v1-0"), "status": status(ready=False, turned=4)}
    scene.tell("MODIFIED", unready)
    scene.tell("MODIFIED", slice_of(pods, v1_0=UNREADY))
    scene.run(40, {"v1": 8, "v2": 1})

    assert scene.report().verdict is not Verdict.PASS


def test_a_pod_of_an_owner_that_is_gone_hides_no_split_while_it_drains():
    objects = [
        each for each in without_owner(cluster(), "app-canary") if each["kind"] != "EndpointSlice"
    ]
    for each in objects:
        if each["metadata"]["name"] == "v2-0":
            each["metadata"]["deletionTimestamp"] = at(600)
        if each["metadata"]["name"] in {"v1-0", "v1-1", "v1-2", "v1-3"}:
            each["status"] = status(ready=False, turned=-100)
    made = deployment("app-b", "v3", 1)
    made["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    newest = {**pod("v3-0", "v3", "app-b"), "status": status()}
    objects += [made, replica_set("app-b", 1, "v3"), newest]
    away = dict.fromkeys(("v1_0", "v1_1", "v1_2", "v1_3"), UNREADY)
    scene = Scene([*objects, slice_of(names(objects), **away, v2_0=LEAVING)])
    scene.run(60, {"v1": 5, "v3": 1})

    assert scene.asked.split.weights[:1] == (9,)
    assert scene.report().verdict is not Verdict.PASS


def test_a_pod_that_crashed_while_it_started_is_waited_for():
    objects = cluster()
    scene = Scene(objects, wait_s=40)
    scene.run(0.5, RIGHT)
    made = another_pod(objects, "v2-0", "v2-1")
    scene.tell("MODIFIED", scaled(objects, "app-canary", 2))
    scene.tell("ADDED", {**made, "status": status(ready=False, turned=1, started=2)})
    scene.run(3, RIGHT)
    crashed = status(ready=False, turned=1, started=5, restarts=1, last=(2, 4))
    scene.tell("MODIFIED", {**made, "status": crashed})
    scene.run(60, RIGHT)
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "starting" in report.reasons[0].message


def test_an_init_container_that_was_tried_again_is_no_crash_loop():
    done = {"exitCode": 0, "reason": "Completed"}
    tried = {"exitCode": 1, "reason": "Error"}
    init = {
        "restartCount": 1,
        "state": {"terminated": {**done, "startedAt": at(-9000), "finishedAt": at(-8990)}},
        "lastState": {"terminated": {**tried, "startedAt": at(-9200), "finishedAt": at(-9100)}},
    }
    objects = cluster()
    for each in objects:
        if each["metadata"]["name"] == "v2-0":
            each["status"] = status(inits=[init])
    scene = Scene(objects)
    scene.run(30, RIGHT)

    assert scene.report().verdict is Verdict.PASS


def test_a_stateful_set_that_replaces_its_pods_one_by_one_is_waited_for():
    objects = without_owner(cluster(7, 3), "app-canary")
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app-canary", "uid": "x"}
    for each in objects:
        if each["kind"] == "Pod" and each["metadata"]["name"].startswith("v2"):
            each["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    ordered = deployment("app-canary", "v2", 3) | {"kind": "StatefulSet"}
    ordered["status"] = {
        "observedGeneration": 1, "replicas": 3, "currentRevision": "a", "updateRevision": "a",
        "updatedReplicas": 3,
    }  # fmt: skip
    objects.append(ordered)
    scene = Scene(objects, wait_s=20)
    scene.run(0.3, {"v1": 7, "v2": 3})
    again = copy.deepcopy(ordered)
    again["metadata"]["generation"] = 2
    again["status"] |= {"observedGeneration": 2, "updateRevision": "b", "updatedReplicas": 0}
    leaving = copied(objects, "Pod", "v2-2")
    leaving["metadata"]["deletionTimestamp"] = at(31)
    scene.tell("MODIFIED", again)
    scene.tell("MODIFIED", leaving)
    scene.tell("MODIFIED", slice_of(names(objects), v2_2=LEAVING))
    scene.run(30, {"v1": 7, "v2": 2})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "is being rolled out: 0 of 3 pods have its template" in report.reasons[0].message


def test_a_pod_that_went_before_its_endpoint_is_no_loss_of_its_version():
    objects = cluster()
    scene, pods = Scene(objects), names(objects)
    scene.run(1.5, RIGHT)
    scene.tell("DELETED", copied(objects, "Pod", "v1-0"))
    scene.run(0.6, RIGHT)
    left = [name for name in pods if name != "v1-0"]
    made = another_pod(objects, "v1-1", "v1-9")
    scene.tell("ADDED", {**made, "status": status(ready=False, turned=1, started=1)})
    scene.tell("MODIFIED", slice_of(left))
    scene.run(1.5, {"v1": 8, "v2": 1})
    scene.tell("MODIFIED", {**made, "status": status(turned=3, started=2)})
    scene.tell("MODIFIED", slice_of([*left, "v1-9"]))
    scene.run(60, RIGHT)

    assert scene.report().verdict is Verdict.PASS


@pytest.mark.parametrize("published", [False, True])
def test_another_version_that_is_scaled_makes_no_loss_good(published):
    objects = cluster()
    for each in objects:
        if each["kind"] == "Service":
            each["spec"]["publishNotReadyAddresses"] = published
    scene, pods = Scene(objects), names(objects)
    scene.run(0.5, RIGHT)
    lost = copied(objects, "Pod", "v2-0")
    for ready, seconds, shares in ((False, 3, {"v1": 1}), (True, 1, RIGHT)):
        scene.tell("MODIFIED", {**lost, "status": status(ready=ready, turned=1 + 3 * ready)})
        is_away = not ready and not published
        scene.tell("MODIFIED", slice_of(pods, **({"v2_0": UNREADY} if is_away else {})))
        scene.run(seconds, shares)
    if not published:
        scene.tell("ADDED", another_pod(objects, "v1-0", "v1-9"))
        scene.tell("MODIFIED", scaled(objects, "app", 10))
        scene.tell("MODIFIED", slice_of([*pods, "v1-9"]))
    scene.run(60, {"v1": 9 + (not published), "v2": 1})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VERSION_LOST


def test_unready_pods_at_the_place_of_the_client_are_not_what_was_declared():
    objects = cluster()
    zones = {f"v1-{n}": "z1" if n < 5 else "z2" for n in range(9)} | {"v2-0": "z1"}
    bad = {"v1-0", "v1-1", "v1-2", "v1-3"}

    def slice_without(unready):
        return endpoint_slice(
            endpoint(
                name, nodeName=f"n-{zone}", zone=zone, hints={"forZones": [{"name": zone}]},
                **({"conditions": UNREADY} if name in unready else {}),
            )
            for name, zone in zones.items()
        )  # fmt: skip

    objects = [each for each in objects if each["kind"] != "EndpointSlice"] + [slice_without(())]
    scene = Scene(objects, wait_s=30, declared=declare(9, 1), zone="z1")
    scene.run(1, {"v1": 5, "v2": 1})
    for name in bad:
        unready = status(ready=False, turned=1)
        scene.tell("MODIFIED", {**copied(objects, "Pod", name), "status": unready})
    scene.tell("MODIFIED", slice_without(bad))
    scene.run(60, {"v1": 1, "v2": 1})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "4 of 6 endpoints at this client's place are not ready" in report.reasons[0].message
