"""A version that somebody takes out of the configuration while a check goes on, and others."""

from __future__ import annotations

import copy

import pytest

from analysis.data.report import ReasonCode, Verdict
from analysis.weighing.holding import REPLACED_S
from sampler.expect.cluster.standing import Deciding
from tests.replays import NAMESPACE
from tests.scenes import (
    RIGHT,
    UNREADY,
    Scene,
    another_pod,
    cluster,
    copied,
    names,
    scaled,
    slice_of,
    status,
)


def without(objects, *gone):
    return [name for name in names(objects) if name not in gone]


def delete_canary(scene, objects):
    for kind, name in (("Deployment", "app-canary"), ("ReplicaSet", "app-canary-1")):
        scene.tell("DELETED", copied(objects, kind, name))
    scene.tell("DELETED", copied(objects, "Pod", "v2-0"))
    scene.tell("MODIFIED", slice_of(without(objects, "v2-0")))


def scale_canary_to_0(scene, objects):
    scene.tell("MODIFIED", scaled(objects, "app-canary", 0))
    scene.tell("DELETED", copied(objects, "Pod", "v2-0"))
    scene.tell("MODIFIED", slice_of(without(objects, "v2-0")))


def promote(scene, objects):
    app = scaled(objects, "app", 9)
    app["spec"]["template"]["metadata"]["labels"]["version"] = "v2"
    scene.tell("MODIFIED", app)
    for name in without(objects, "v2-0"):
        scene.tell("DELETED", copied(objects, "Pod", name))
        made = another_pod(objects, name, name.replace("v1", "new"))
        made["metadata"]["labels"]["version"] = "v2"
        scene.tell("ADDED", made)
    scene.tell("MODIFIED", slice_of([name.replace("v1", "new") for name in names(objects)]))


def select_one_version(scene, objects):
    service = copied(objects, "Service", "app")
    service["spec"]["selector"]["version"] = "v1"
    scene.tell("MODIFIED", service)
    scene.tell("MODIFIED", slice_of(without(objects, "v2-0")))


@pytest.mark.parametrize("since_s", [0, 1])
@pytest.mark.parametrize("deciding", [None, Deciding.CONFIGURED, Deciding.OBSERVED])
@pytest.mark.parametrize(
    ("act", "label"),
    [(delete_canary, "v2"), (scale_canary_to_0, "v2"), (promote, "v1"), (select_one_version, "v2")],
)
def test_a_split_without_a_version_of_the_first_one_does_not_pass(act, label, deciding, since_s):
    objects = cluster()
    scene = Scene(objects, "3pp", wait_s=20, deciding=deciding)
    scene.run(since_s, RIGHT)
    act(scene, objects)
    scene.run(60, {"v1": 1} if label == "v2" else {"v2": 1})
    report = scene.report()
    # The spec that sets it to 0 says all; what is deleted may be about to be replaced.
    waited_s = 0 if act is scale_canary_to_0 and deciding is not Deciding.OBSERVED else REPLACED_S
    assert scene.playing.now_s - since_s <= waited_s + 0.5

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert f"{label} has no share of the split any more" in report.reasons[0].message
    assert "v1=9,v2=1 was expected, and now it is" in report.reasons[0].message
    assert report.reasons[0].remedy.startswith("If that was meant, check again")


FLAGGER = {
    "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
    "spec": {"targetRef": {"kind": "Deployment", "name": "app-canary"}},
}  # fmt: skip
ARGO = {
    "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
    "spec": {"workloadRef": {"kind": "Deployment", "name": "app-canary", "scaleDown": "onsuccess"}},
}  # fmt: skip


# What Argo scales is configured by the Rollout, which the reason names.
@pytest.mark.parametrize(
    ("act", "mover"),
    [(delete_canary, FLAGGER), (scale_canary_to_0, FLAGGER), (delete_canary, ARGO)],
)
def test_what_a_controller_takes_away_has_the_remedy_of_the_controller(act, mover):
    objects = [*cluster(), {**mover, "metadata": {"name": "web", "namespace": NAMESPACE}}]
    scene = Scene(objects, "3pp", wait_s=20, deciding=Deciding.OBSERVED)
    scene.run(1, RIGHT)
    act(scene, objects)
    scene.run(60, {"v1": 1})

    remedy = scene.report().reasons[0].remedy
    assert remedy.startswith(f"{mover['kind']} shop/web scales Deployment shop/app-canary")
    assert remedy.endswith(f"--route {mover['kind']}/web.")


def test_a_version_that_comes_back_is_judged_again():
    objects = cluster()
    scene = Scene(objects, "4pp", wait_s=20)
    scene.run(1, RIGHT)
    delete_canary(scene, objects)
    scene.run(3, {"v1": 1})
    for kind, name in (("Deployment", "app-canary"), ("ReplicaSet", "app-canary-1")):
        scene.tell("ADDED", copied(objects, kind, name))
    scene.tell("ADDED", another_pod(objects, "v2-0", "v2-9"))
    scene.tell("MODIFIED", slice_of([*without(objects, "v2-0"), "v2-9"]))
    scene.run(60, RIGHT)

    assert scene.report().verdict is Verdict.PASS


def roll_stable(scene, objects, turn):
    """Begin a roll-out of the stable version, or end it."""
    app = scaled(objects, "app", 9)
    app["spec"]["template"]["metadata"]["annotations"] = {"restartedAt": "now"}
    app["status"]["updatedReplicas"] = 4 if turn < 3 else 9
    scene.tell("MODIFIED", app)


def scale_stable(scene, objects, turn):
    """Scale the stable version up by one pod, as an autoscaler does."""
    body = scaled(objects, "app", 10 + turn)
    body["metadata"]["generation"] = body["status"]["observedGeneration"] = 2 + turn
    scene.tell("MODIFIED", body)
    scene.tell("ADDED", another_pod(objects, "v1-0", f"v1-{9 + turn}"))


@pytest.mark.parametrize(("act", "stable"), [(roll_stable, 9), (scale_stable, 13)])
def test_a_version_that_is_lost_while_another_one_moves_does_not_pass(act, stable):
    objects = cluster()
    scene, pods = Scene(objects, "3pp", wait_s=60), names(objects)
    scene.run(1, RIGHT)
    for turn in range(4):
        is_away = turn % 2 == 0
        act(scene, objects, turn)
        pods += [f"v1-{9 + turn}"] if act is scale_stable else []
        lost = status(ready=not is_away, turned=turn)
        scene.tell("MODIFIED", {**copied(objects, "Pod", "v2-0"), "status": lost})
        scene.tell("MODIFIED", slice_of(pods, **({"v2_0": UNREADY} if is_away else {})))
        scene.run(1, {"v1": 9, "v2": 0 if is_away else 1})
    scene.run(90, {"v1": stable, "v2": 1})
    report = scene.report()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VERSION_LOST
    assert "v2 lost its last ready endpoint" in report.reasons[0].message


def test_addresses_and_ports_that_change_are_settled_like_other_endpoints():
    objects = cluster()
    scene, pods = Scene(objects, "3pp"), slice_of(names(objects))
    scene.run(0.5, RIGHT)
    for change in ({"addresses": ["10.1.0.251"]}, {}):
        moved = copy.deepcopy(pods)
        moved["endpoints"][-1] |= change
        moved["ports"][0]["port"] = 8080 if change else 9090
        scene.tell("MODIFIED", moved)
        scene.run(0.9, {"v1": 9, None: 1})
    scene.run(60, RIGHT)
    report = scene.report()

    assert report.verdict is Verdict.PASS
    assert "gave no label" not in report.reasons[0].message
