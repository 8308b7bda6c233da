"""How far a roll-out is, as the status of a workload says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.rules.halted import halt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sampler.expect.rules.objects import KubeObject

_MOST_SAID = 200


def progress_of(each: KubeObject) -> str:
    """Return what a workload's status leaves to do of its roll-out; empty if it is complete."""
    left, why = _left(each), blocked_by(each) if each["status"].exists else ""
    return f"{left} ({why})" if left and why else left


def blocked_by(each: KubeObject) -> str:
    """Return why a roll-out stands still, as its spec and status say; or nothing."""
    if each.kind == "Deployment" and each["spec"]["paused"].value is True:
        return "it is paused: kubectl rollout resume"
    for condition in each["status"]["conditions"]:
        kind, status = condition["type"].text(""), condition["status"].text("")
        if (kind, status) in {("ReplicaFailure", "True"), ("Progressing", "False")}:
            said = condition["message"].value or condition["reason"].value
            return str(said)[:_MOST_SAID]
    return ""


def _left(each: KubeObject) -> str:
    rule = _RULES.get(each.kind)
    if rule is None or not each["status"].exists:
        return ""
    # A Rollout has it as text.
    seen = str(each["status"]["observedGeneration"].value or 0)
    meant = each["metadata"]["generation"].integer(0)
    if seen.isdecimal() and int(seen) < meant:
        return f"generation {meant} has not been taken up yet"
    return rule(each)


def _left_to_make(each: KubeObject) -> str:
    """Return how many pods are not there yet, of whatever template."""
    wanted = each["spec"]["replicas"].count(1)
    every = each["status"]["replicas"].count(0)
    return f"{every} of {wanted} pods exist" if every < wanted else ""


def _left_of_deployment(each: KubeObject) -> str:
    status, wanted = each["status"], each["spec"]["replicas"].count(1)
    updated, every = status["updatedReplicas"].count(0), status["replicas"].count(0)
    if updated < wanted:
        return f"{updated} of {wanted} pods have its template"
    if every > updated:
        return f"{every - updated} pods of an earlier template are left"
    return ""


def _left_of_daemons(each: KubeObject) -> str:
    status = each["status"]
    wanted, updated = (
        status[key].count(0) for key in ("desiredNumberScheduled", "updatedNumberScheduled")
    )
    if updated >= wanted or each["spec"]["updateStrategy"]["type"].text("") == "OnDelete":
        return ""
    return f"{updated} of {wanted} pods have its template"


def _left_of_ordered(each: KubeObject) -> str:
    """Return the same of a StatefulSet, which replaces its pods one by one."""
    status = each["status"]
    wanted = each["spec"]["replicas"].count(1)
    if status["replicas"].exists and (left := _left_to_make(each)):
        return left
    revision = status["currentRevision"].text("")
    if status["updateRevision"].text(revision) == revision:
        return ""
    halt = halt_of(each, wanted)
    due = wanted if halt is None else wanted - halt.kept
    updated = status["updatedReplicas"].count(0)
    return f"{updated} of {due} pods have its template" if updated < due else ""


_RULES: Mapping[str, Callable[[KubeObject], str]] = {
    "Deployment": _left_of_deployment,
    "StatefulSet": _left_of_ordered,
    "DaemonSet": _left_of_daemons,
    "ReplicaSet": _left_to_make,
    "Rollout": _left_to_make,
}
