"""Scenes around the Service: its address, kinds of owners, roll-outs that stand still."""

from __future__ import annotations

import copy
import re

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.rules.model import Client, Place
from tests.clusters import deployment, pod
from tests.scenes import (
    RIGHT,
    UNREADY,
    Scene,
    at,
    cluster,
    copied,
    names,
    slice_of,
    status,
    without_owner,
)

INSIDE = Place(Client.NODE, addresses=frozenset({"10.0.0.1"}), port=80)


def with_daemons(generation=1, updated=3):
    """Give a canary that is a DaemonSet with three pods."""
    objects = without_owner(cluster(9, 3), "app-canary")
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "app-canary", "uid": "x"}
    for each in objects:
        if each["kind"] == "Pod" and each["metadata"]["name"].startswith("v2"):
            each["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    return [*objects, daemons(generation, updated)]


def daemons(generation, updated, seen=None):
    made = deployment("app-canary", "v2", 3, generation=generation) | {"kind": "DaemonSet"}
    made["status"] = {
        "observedGeneration": generation if seen is None else seen,
        "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
    }  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ({}, {"clusterIP": "10.0.0.2"}, INSIDE),
        (
            {"ports": [{"port": 80, "nodePort": 30080}]},
            {"ports": [{"port": 80, "nodePort": 30081}]},
            Place(Client.OUTSIDE, addresses=frozenset({"192.168.0.1"}), port=30080),
        ),
    ],
)
def test_a_service_that_was_made_anew_is_not_what_is_asked(before, after, place):
    objects = cluster()
    service = next(each for each in objects if each["kind"] == "Service")
    service["spec"] |= before
    scene = Scene(objects, wait_s=20, place=place)
    scene.run(0.5, RIGHT)
    scene.tell("DELETED", service)
    scene.run(1, {None: 1})
    scene.tell("ADDED", {**service, "spec": {**service["spec"], **after}})
    scene.run(60, {None: 1})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert f"no longer the address that is asked ({min(place.addresses)}, port" in (
        report.reasons[0].message
    )


def test_a_service_that_has_no_longer_the_port_is_not_what_is_asked():
    objects = cluster()
    objects[0]["spec"]["ports"] = [{"port": 80}]
    scene = Scene(objects, wait_s=20, place=INSIDE)
    scene.run(0.5, RIGHT)
    service = copied(objects, "Service", "app")
    service["spec"]["ports"] = [{"port": 81}]
    scene.tell("MODIFIED", service)
    scene.run(60, {None: 1})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no longer the address that is asked (10.0.0.1, port 80)" in report.reasons[0].message


def test_pods_without_an_address_of_the_family_are_no_split_of_it():
    objects = cluster(6, 4)
    objects[0]["spec"] |= {"ipFamilies": ["IPv4", "IPv6"], "clusterIPs": ["10.0.0.1", "fd00::1"]}
    behind = slice_of([name for name in names(objects) if name not in {"v2-0", "v2-1"}])
    behind["metadata"]["name"], behind["addressType"] = "app-v6", "IPv6"
    place = Place(Client.NODE, addresses=frozenset({"fd00::1"}), port=80)
    scene = Scene([*objects, behind], wait_s=20, place=place)
    scene.run(60, {"v1": 6, "v2": 2})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "2 of 10 pods are ready, and no EndpointSlice" in report.reasons[0].message


@pytest.mark.parametrize("is_evicted", [True, False])
def test_a_bare_pod_that_ends_is_not_configured(is_evicted):
    over = {**pod("v2-old", "v2", "nobody"), "status": status()}
    del over["metadata"]["ownerReferences"]
    if is_evicted:
        over["status"] |= {"phase": "Failed", "reason": "Evicted"}
    else:
        over["metadata"]["deletionTimestamp"] = at(30)
    scene = Scene([*cluster(), over])
    scene.run(30, RIGHT)

    assert scene.asked.split.weight_of == {"v1": 9, "v2": 1}
    assert scene.report().verdict is Verdict.PASS


@pytest.mark.parametrize("kind", ["ReplicaSet", "Rollout"])
def test_pods_that_cannot_be_made_hold_the_judging_whoever_is_to_make_them(kind):
    objects = without_owner(cluster(9, 3), "app-canary")
    version = "apps/v1" if kind == "ReplicaSet" else "argoproj.io/v1alpha1"
    owner = {"apiVersion": version, "kind": kind, "name": "app-canary", "controller": True}
    for each in objects:
        if each["metadata"]["name"].startswith("v2"):
            each["metadata"]["ownerReferences"] = [owner]
    made = deployment("app-canary", "v2", 3) | {"kind": kind, "apiVersion": version}
    made["status"] = {"observedGeneration": "1", "replicas": 3}
    scene = Scene([*objects, made], wait_s=10)
    scene.run(0.3, {"v1": 9, "v2": 3})
    more = copy.deepcopy(made)
    more["metadata"]["generation"], more["spec"]["replicas"] = 2, 9
    why = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    more["status"] |= {"observedGeneration": "2", "conditions": [why]}
    scene.tell("MODIFIED", more)
    scene.run(60, {"v1": 9, "v2": 3})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"{kind} shop/app-canary is being rolled out: 3 of 9 pods exist (exceeded quota" in (
        report.reasons[0].message
    )


@pytest.mark.parametrize(
    ("spec", "said", "remedy"),
    [
        ({"sessionAffinity": "ClientIP"}, "one client stays with one pod", "Remove it while the"),
        ({"type": "ExternalName"}, "its pods are elsewhere", "Name the version that answers"),
    ],
)
def test_what_ends_the_judging_has_a_remedy_of_its_own(spec, said, remedy):
    objects = cluster()
    scene = Scene(objects, wait_s=5)
    scene.run(0.5, RIGHT)
    service = copied(objects, "Service", "app")
    scene.tell("MODIFIED", {**service, "spec": {**service["spec"], **spec}})
    scene.run(20, RIGHT)
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert re.search(
        r"nothing could be judged from 0\.\d s to the end of the run \(\d\.\d s\): .*" + said,
        report.reasons[0].message,
    )
    assert report.reasons[0].remedy.startswith(remedy)


def test_a_pod_that_is_ready_now_and_then_is_told_once():
    objects = cluster()
    scene, pods = Scene(objects, "3pp", wait_s=20), names(objects)
    scene.run(1, RIGHT)
    for turn in range(20):
        is_away = turn % 2 == 0
        lost = status(ready=not is_away, turned=turn)
        scene.tell("MODIFIED", {**copied(objects, "Pod", "v2-0"), "status": lost})
        scene.tell("MODIFIED", slice_of(pods, **({"v2_0": UNREADY} if is_away else {})))
        scene.run(1, {"v1": 9, "v2": 0 if is_away else 1})
    scene.run(60, RIGHT)
    report = scene.report()

    assert report.reasons[0].code is ReasonCode.VERSION_LOST
    assert re.search(r"from 1\.\d s to 2\.\d s, and 9 times more, to ", report.reasons[0].message)


@pytest.mark.parametrize("updated", [0, 2])
def test_a_daemon_set_that_replaces_its_pods_is_waited_for(updated):
    scene = Scene(with_daemons(), wait_s=20)
    scene.run(0.3, {"v1": 9, "v2": 3})
    scene.tell("MODIFIED", daemons(2, updated))
    scene.run(60, {"v1": 9, "v2": 3})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"DaemonSet shop/app-canary is being rolled out: {updated} of 3 pods have" in (
        report.reasons[0].message
    )


def test_a_version_of_an_unknown_configuration_that_was_away_does_not_pass():
    objects = with_daemons()
    scene, pods = Scene(objects, "3pp"), names(objects)
    scene.run(1, {"v1": 9, "v2": 3})
    away = dict.fromkeys(("v2_0", "v2_1", "v2_2"), UNREADY)
    for is_away in (True, False):
        for name in ("v2-0", "v2-1", "v2-2"):
            body = {**copied(objects, "Pod", name), "status": status(ready=not is_away, turned=1)}
            scene.tell("MODIFIED", body)
        scene.tell("MODIFIED", slice_of(pods, **(away if is_away else {})))
        scene.run(2 if is_away else 60, {"v1": 9, "v2": 0 if is_away else 3})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VERSION_LOST
    assert "v2 lost its last ready endpoint under an unknown configuration" in (
        report.reasons[0].message
    )


@pytest.mark.parametrize(
    ("spec", "conditions", "why"),
    [
        ({"paused": True}, [], "it is paused: kubectl rollout resume"),
        (
            {},
            [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
              "message": 'pods "app-canary-x" is forbidden: exceeded quota: small'}],
            "exceeded quota: small",
        ),
        (
            {},
            [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
            "ProgressDeadlineExceeded",
        ),
    ],
)  # fmt: skip
def test_why_a_roll_out_stands_still_is_told(spec, conditions, why):
    objects = cluster()
    scene = Scene(objects, wait_s=5)
    scene.run(0.3, RIGHT)
    made = copied(objects, "Deployment", "app-canary")
    made["spec"] |= {"replicas": 2, **spec}
    made["metadata"]["generation"] = 2
    made["status"] |= {"observedGeneration": 2, "conditions": conditions}
    scene.tell("MODIFIED", made)
    scene.run(30, RIGHT)
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "Deployment shop/app-canary is being rolled out: 1 of 2 pods have its template (" in (
        report.reasons[0].message
    )
    assert why in report.reasons[0].message
