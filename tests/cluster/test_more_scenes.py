"""Scenes around the Service: its address, kinds of owners, roll-outs that stand still."""

from __future__ import annotations

import re

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.rules.model import Client, Place
from tests.clusters import deployment
from tests.scenes import (
    RIGHT,
    UNREADY,
    Scene,
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


@pytest.mark.parametrize(
    ("spec", "said", "remedy"),
    [
        ({"sessionAffinity": "ClientIP"}, "one client stays with one pod", "Remove it while the"),
        ({"type": "ExternalName"}, "its pods are elsewhere", "Declare the split with --expect."),
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
