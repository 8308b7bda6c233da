"""StatefulSets that keep pods on an earlier template, by partition or strategy: a canary, too."""

from __future__ import annotations

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.cluster.standing import Deciding
from tests.clusters import deployment
from tests.replays import declare
from tests.scenes import Scene, cluster, copied, names, slice_of, without_owner

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}


def partitioned(strategy, updated=2):
    body = deployment("app", "v2", 5) | {"kind": "StatefulSet"}
    body["spec"]["updateStrategy"] = strategy
    body["status"] = {
        "observedGeneration": 1, "replicas": 5, "currentRevision": "a", "updateRevision": "b",
        "updatedReplicas": updated,
    }  # fmt: skip
    return body


def five(strategy, *revisions):
    """Give three pods of v1 and two of v2 of one StatefulSet."""
    objects = without_owner(cluster(3, 2), "app")
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app", "controller": True}
    pods = [each for each in objects if each["kind"] == "Pod"]
    for each, revision in zip(pods, revisions or "aaabb", strict=True):
        each["metadata"]["ownerReferences"] = [owner]
        each["metadata"]["labels"]["controller-revision-hash"] = revision
    return [*objects, partitioned(strategy)]


@pytest.mark.parametrize("deciding", [None, Deciding.CONFIGURED, Deciding.OBSERVED])
@pytest.mark.parametrize("strategy", [ROLLING, {"type": "OnDelete"}])
def test_pods_that_are_to_stay_are_configured_as_they_are(strategy, deciding):
    scene = Scene(five(strategy), deciding=deciding)
    scene.run(60, {"v1": 3, "v2": 2})

    assert scene.asked.split.weight_of == {"v1": 3, "v2": 2}
    assert scene.report().verdict is Verdict.PASS


def test_what_no_manifest_holds_is_not_what_is_declared():
    scene = Scene(five(ROLLING), wait_s=5, declared=declare(0, 5))
    scene.run(30, {"v1": 3, "v2": 2})

    assert scene.report().reasons[0].code is ReasonCode.DECLARED_DIFFERS


def test_pods_above_the_partition_are_waited_for():
    objects = five(ROLLING)
    scene = Scene(objects, wait_s=5)
    scene.run(0.2, {"v1": 3, "v2": 2})
    scene.tell("MODIFIED", partitioned(ROLLING, updated=1))
    scene.run(30, {"v1": 3, "v2": 2})

    assert "StatefulSet shop/app is being rolled out: 1 of 2 pods have its template" in (
        scene.report().reasons[0].message
    )


def test_a_kept_pod_that_is_made_anew_moves_no_split():
    objects = five(ROLLING)
    scene, pods = Scene(objects, "4pp"), names(objects)
    scene.run(0.5, {"v1": 3, "v2": 2})
    scene.tell("DELETED", copied(objects, "Pod", "v1-0"))
    scene.tell("MODIFIED", slice_of(pods[1:]))
    scene.run(1, {"v1": 2, "v2": 2})
    scene.tell("ADDED", copied(objects, "Pod", "v1-0"))
    scene.tell("MODIFIED", slice_of(pods))
    scene.run(60, {"v1": 3, "v2": 2})
    report = scene.report()

    assert report.verdict is Verdict.PASS
    assert report.expected.weights == {"v1": 3, "v2": 2}


def test_kept_pods_of_several_versions_are_not_counted_by_guess():
    objects = five(ROLLING, *"acabb")
    for each in objects:
        if each["metadata"]["name"] == "v1-1":
            each["metadata"]["labels"]["version"] = "v0"
    scene = Scene(objects, deciding=Deciding.OBSERVED, tolerance="8pp")
    scene.run(60, {"v0": 1, "v1": 2, "v2": 2})

    assert scene.report().verdict is Verdict.PASS
    with pytest.raises(Exception, match="pods below it are of the versions v0, v1"):
        Scene(objects, deciding=Deciding.CONFIGURED)
