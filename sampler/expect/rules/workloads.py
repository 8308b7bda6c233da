"""What declares pods: how many of each version, and what moves, scales or holds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import in_words, selects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "Rollout", "Pod")
"""Kinds whose number of pods is declared."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that declares pods.

    Parameters
    ----------
    owner : KubeObject
    template : Node
        With ``metadata`` and ``spec`` of the pods.
    replicas : int
    number : Node
        Where `replicas` was read, or should have been.
    labels : mapping of str to str
        Of the pods.
    """

    owner: KubeObject
    template: Node
    replicas: int
    number: Node
    labels: Mapping[str, str]


@lru_cache(maxsize=1)
def workloads(inventory: Inventory) -> tuple[Workload, ...]:
    """Return everything that declares pods; what another object scales is left out."""
    return tuple(
        workload(owner, inventory)
        for owner in inventory.of(*WORKLOADS)
        if not _is_scaled_by_another(owner, inventory)
    )


@lru_cache(maxsize=1)
def _by_pair(inventory: Inventory) -> dict[tuple[str, str], list[Workload]]:
    found: dict[tuple[str, str], list[Workload]] = {}
    for each in workloads(inventory):
        for pair in each.labels.items():
            found.setdefault(pair, []).append(each)
    return found


def selected(selector: Mapping[str, str], inventory: Inventory) -> Iterator[Workload]:
    """Yield what declares pods that a selector selects, in any namespace."""
    index = _by_pair(inventory)
    candidates = min((index.get(pair, []) for pair in selector.items()), key=len, default=[])
    return (each for each in candidates if selects(selector, each.labels))


def pod_labels(each: KubeObject) -> Mapping[str, str]:
    """Labels of the pod template of an object of any kind, as far as it has one."""
    here: object = each.body
    inside = ("spec", "jobTemplate") if each.kind == "CronJob" else ()
    for key in (*inside, "spec", "template", "metadata", "labels"):
        here = here.get(key) if isinstance(here, dict) else None
    labels = here if isinstance(here, dict) else {}
    return {str(key): value for key, value in labels.items() if isinstance(value, str)}


def _pod_pairs(each: KubeObject) -> Iterator[tuple[str, str]]:
    yield from pod_labels(each).items()


def others_selected(
    selector: Mapping[str, str], namespace: str, inventory: Inventory
) -> Iterator[KubeObject]:
    """Yield what has pods that a selector selects, and is of a kind that is not counted."""
    fewest = min((inventory.by(_pod_pairs, pair) for pair in selector.items()), key=len, default=[])
    for each in fewest:
        is_other = each.kind not in WORKLOADS and each.namespace == namespace
        if is_other and selects(selector, pod_labels(each)):
            yield each


def _is_scaled_by_another(owner: KubeObject, inventory: Inventory) -> bool:
    """Whether another object that was read counts these pods already."""
    if owner.kind in {"ReplicaSet", "Pod"}:
        return _is_owned(owner, inventory)
    # Argo leaves the pods of a borrowed template alone unless it is told to scale them down.
    return any(
        each["spec"]["workloadRef"]["scaleDown"].text("never") != "never"
        for each in inventory.by(_borrowed, _identity(owner), "Rollout")
    )


def _identity(owner: KubeObject) -> tuple[str, str, str]:
    return owner.kind, owner.name, owner.namespace


def _borrowed(rollout: KubeObject) -> Iterator[tuple[str, str, str]]:
    reference = rollout["spec"]["workloadRef"]
    if reference.exists:
        yield reference["kind"].text("Deployment"), reference["name"].text(""), rollout.namespace


def _moved(mover: KubeObject) -> Iterator[tuple[str, str, str]]:
    spec = mover["spec"]
    for target in (spec["workloadRef"], spec["objectRef"]["workloadRef"], spec["targetRef"]):
        if target.exists:
            yield target["kind"].text("Deployment"), target["name"].text(""), mover.namespace


def _scaled(scaler: KubeObject) -> Iterator[tuple[str, str, str]]:
    target = scaler["spec"]["scaleTargetRef"]
    yield target["kind"].text("Deployment"), target["name"].text(""), scaler.namespace


def counted(owner: KubeObject, inventory: Inventory) -> Workload | None:
    """Read one object as a workload; None if it is none, or if another one counts its pods."""
    if owner.kind not in WORKLOADS or _is_scaled_by_another(owner, inventory):
        return None
    return workload(owner, inventory)


def workload(owner: KubeObject, inventory: Inventory) -> Workload:
    """Read one workload."""
    return inventory.once(("workload", owner), None, lambda: _workload(owner, inventory))


def _workload(owner: KubeObject, inventory: Inventory) -> Workload:
    if owner.kind == "Pod":
        return Workload(owner, owner.root, 1, owner["metadata"], owner.labels)
    number, template = owner["spec"]["replicas"], template_of(owner, inventory)
    labels = template["metadata"]["labels"].texts()
    return Workload(owner, template, number.count(1), number, labels)


def template_of(owner: KubeObject, inventory: Inventory) -> Node:
    """Return the pod template; a Rollout may borrow a Deployment's.

    Raises
    ------
    ExpectationError
        If it borrows one that was not read.
    """
    reference = owner["spec"]["workloadRef"]
    if owner.kind == "Rollout" and reference.exists:
        name = reference["name"].text()
        lender = inventory.find(reference["kind"].text("Deployment"), name, owner.namespace)
        if lender is None:
            raise ExpectationError(
                f"{reference.where}: {owner} takes its pods from {name}, which was not found",
                hint="add its manifest to what --manifests reads",
            )
        return lender["spec"]["template"]
    return owner["spec"]["template"]


def own_pods_missed(owner: KubeObject) -> Finding | None:
    """Return the finding that the selector of a workload does not select its own pods."""
    spec = owner["spec"]
    if spec["workloadRef"].exists:
        return None
    wanted, node = spec["selector"]["matchLabels"].texts(), spec["template"]["metadata"]["labels"]
    labels = node.texts()
    missed = {key: value for key, value in wanted.items() if labels.get(key) != value}
    if not missed:
        return None
    return Finding(
        FindingCode.SELECTS_NOTHING,
        f"{owner} selects {in_words(missed)}, which its own pod template "
        "does not carry: the API server rejects it",
        "label the pod template as the selector says",
        node.where if node.exists else spec["template"].where,
    )


def autoscalers(owner: KubeObject, inventory: Inventory) -> list[KubeObject]:
    """Return what scales a workload."""
    return inventory.by(_scaled, _identity(owner), "HorizontalPodAutoscaler", "ScaledObject")


def movers(owner: KubeObject, inventory: Inventory) -> list[KubeObject]:
    """Return what moves the pods of a workload from one version to another."""
    kinds = ("Rollout", "Rollout.rollouts.kruise.io", "Canary")
    return [
        each
        for each in inventory.by(_moved, _identity(owner), *kinds)
        if each.kind != "Rollout" or _is_scaled_by_another(owner, inventory)
    ]


def label_of(
    template: Node,
    owner: KubeObject,
    question: Question,
    also: str = "",
    owner_name: str = "",
) -> str:
    """Return the label with which the pods of a template answer.

    Parameters
    ----------
    template, owner
        The pods, and the workload that declares them.
    question : Question
        How the version is found, and what it is called in answers.
    also : str
        Another name that ``--version-from`` may have used: the Service's.
    owner_name : str
        Name of the workload, where `owner` is a pod of it.

    Raises
    ------
    ExpectationError
        If the version cannot be told.
    """
    name = owner_name or owner.name
    version = question.versions.of_template(template, name)
    if version is None or name not in question.versions.names:
        version = question.versions.of_name(also) or version
    if not version:
        raise ExpectationError(
            f"{template.where}: the pods of {owner} do not name their version",
            hint="label the pod template (version: v1), tag its image, or use "
            f"--version-from label:KEY or --version-from {name}=v1",
        )
    return question.renames.get(version, version)


def _is_owned(owner: KubeObject, inventory: Inventory) -> bool:
    for reference in owner["metadata"]["ownerReferences"]:
        kind, name = reference["kind"].text(""), reference["name"].text("")
        if kind in WORKLOADS and inventory.find(kind, name, owner.namespace) is not None:
            return True
    return False
