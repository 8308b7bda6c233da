"""How far a roll-out is, as the status of a workload says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sampler.expect.rules.objects import KubeObject


def progress_of(each: KubeObject) -> str:
    """Return what a workload's status leaves to do of its roll-out; empty if it is complete."""
    status = each["status"]
    if each.kind not in {"Deployment", "StatefulSet"} or not status.exists:
        return ""
    seen, meant = status["observedGeneration"], each["metadata"]["generation"]
    if meant.exists and seen.integer(0) < meant.integer(0):
        return f"generation {meant.integer(0)} has not been taken up yet"
    wanted = each["spec"]["replicas"].count(1)
    if each.kind == "StatefulSet":
        return _progress_of_ordered(each, wanted)
    updated, every = status["updatedReplicas"].count(0), status["replicas"].count(0)
    if updated < wanted:
        return f"{updated} of {wanted} pods have its template"
    if every > updated:
        return f"{every - updated} pods of an earlier template are left"
    return ""


def _progress_of_ordered(each: KubeObject, wanted: int) -> str:
    """Return the same of a StatefulSet, which replaces its pods one by one."""
    status, strategy = each["status"], each["spec"]["updateStrategy"]
    if status["replicas"].count(wanted) < wanted:
        return f"{status['replicas'].count(0)} of {wanted} pods exist"
    is_halted = strategy["type"].text("") == "OnDelete" or strategy["rollingUpdate"][
        "partition"
    ].count(0)
    revision = status["currentRevision"].text("")
    if is_halted or status["updateRevision"].text(revision) == revision:
        return ""
    return f"{status['updatedReplicas'].count(0)} of {wanted} pods have its template"
