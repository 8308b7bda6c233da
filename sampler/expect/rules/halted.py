"""Pods that stay on an earlier template than the one that is declared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.owners import controller_of
from sampler.expect.rules.pods import is_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.expect.rules.objects import Inventory, KubeObject, Node

REVISION = "controller-revision-hash"
"""Label of a StatefulSet's pod that names its template."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Why pods keep the template that was there before.

    Parameters
    ----------
    node : Node
        Where that stands.
    reason : str
        A clause for people.
    kept : int
        How many pods that is.
    is_least : bool
        Whether it is as many in any case, also if they are made anew.
    """

    node: Node
    reason: str
    kept: int
    is_least: bool = False


def halt_of(owner: KubeObject, replicas: int) -> Halt | None:
    """Return why some of a workload's pods stay on an earlier template; None if they do not."""
    spec, update = owner["spec"], owner["spec"]["updateStrategy"]
    if owner.kind in {"Deployment", "Rollout"} and spec["paused"].value is True:
        reason = "is paused: its pods stay on the template before this one"
        return Halt(spec["paused"], reason, replicas)
    if owner.kind != "StatefulSet":
        return None
    if update["type"].text("RollingUpdate") == "OnDelete":
        reason = "updates only pods that are deleted: all others stay as they were"
        return Halt(update["type"], reason, replicas)
    partition = update["rollingUpdate"]["partition"]
    kept = min(partition.count(0) - spec["ordinals"]["start"].count(0), replicas)
    if kept <= 0:
        return None
    reason = (
        f"has partition {partition.count()}: {kept} of {replicas} pods stay on the template "
        "before this one, whose version no manifest holds"
    )
    return Halt(partition, reason, kept, is_least=True)


def traits(owner: KubeObject, replicas: int) -> Iterator[Finding]:
    """Find what keeps a workload's pods on another template than the one that is declared."""
    steps = owner["spec"]["strategy"]["canary"]["steps"]
    if owner.kind == "Rollout" and list(steps):
        yield Finding(
            FindingCode.ROLLOUT_HAS_STEPS,
            f"{owner} has steps; its template is what runs after the last one",
            f"for a step before that: --route Rollout/{owner.name} --step N",
            steps.where,
        )
    halt = halt_of(owner, replicas)
    if halt is not None:
        yield Finding(
            FindingCode.HALF_ROLLED,
            f"{owner} {halt.reason}",
            "finish the update, or take the split from the live pods: --cluster",
            halt.node.where,
        )


def kept_pods(
    owner: KubeObject, replicas: int, inventory: Inventory, label: Callable[[KubeObject], str]
) -> Counter[str]:
    """Count the pods of a live StatefulSet that are to stay on an earlier template, by version.

    Parameters
    ----------
    owner : KubeObject
    replicas : int
        Of it.
    inventory : Inventory
        With the live pods, if there are any.
    label : callable
        The version of a pod.

    Raises
    ------
    ExpectationError
        If they are of several versions, so that nobody knows how many of each are to stay.
    """
    halt, revision = halt_of(owner, replicas), owner["status"]["updateRevision"].text("")
    if halt is None or owner.kind != "StatefulSet" or not revision:
        return Counter()
    older = Counter(
        label(pod)
        for pod in inventory.pods
        if pod.once(controller_of) == (owner.kind, owner.name)
        and pod.namespace == owner.namespace
        and pod.labels.get(REVISION, revision) != revision
        and not is_over(pod)
    )
    if not halt.is_least or not older:
        return older
    if len(older) > 1:
        raise ExpectationError(
            f"{halt.node.where}: {owner} has partition {halt.kept}, and the pods below it are of "
            f"the versions {', '.join(sorted(older))}",
            hint="judge what is there: --expected observed",
        )
    return Counter(dict.fromkeys(older, halt.kept))
