"""What runs behind a Service, and how many pods of each version."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import Mixture, Number, Quantity
from sampler.expect.rules.objects import selects
from sampler.expect.rules.versions import VersionFrom, version_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "Rollout", "Pod")
"""Kinds whose number of pods is declared."""

_IMAGES = ("image",)
"""What tells pods apart whose label says that they are one version."""
_PODS = ("image", "command", "args", "env", "envFrom", "volumes")
"""What tells pods apart of which an image tag alone says it."""


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


def _is_scaled_by_another(owner: KubeObject, inventory: Inventory) -> bool:
    """Whether another object that was read counts these pods already."""
    if owner.kind in {"ReplicaSet", "Pod"}:
        return _is_owned(owner, inventory)
    if owner.kind != "Deployment":
        return False
    borrowers = inventory.of("Rollout")
    return any(
        each.namespace == owner.namespace
        and each["spec"]["workloadRef"]["name"].text("") == owner.name
        for each in borrowers
    )


def counted(owner: KubeObject, inventory: Inventory) -> Workload | None:
    """Read one object as a workload; None if it is none, or if another one counts its pods."""
    if owner.kind not in WORKLOADS or _is_scaled_by_another(owner, inventory):
        return None
    return workload(owner, inventory)


def workload(owner: KubeObject, inventory: Inventory) -> Workload:
    """Read one workload."""
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


def behind_service(service: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return the pods by label that a Service selects.

    Raises
    ------
    ExpectationError
        If it has no selector, selects nothing, or a pod's version cannot be told.
    """
    if service["spec"]["type"].text("") == "ExternalName":
        raise ExpectationError(
            f"{service['spec'].where}: {service} is an ExternalName: its pods are elsewhere",
            hint="declare the split with --expect",
        )
    selector = service["spec"]["selector"].texts()
    if not selector:
        raise ExpectationError(
            f"{service.place}: {service} has no selector: its endpoints are managed by hand",
            hint="declare the split with --expect",
        )
    return behind_selector(service, selector, inventory, question)


def behind_selector(
    service: KubeObject,
    selector: Mapping[str, str],
    inventory: Inventory,
    question: Question,
) -> Mixture:
    """Return the pods by label that a selector selects in a Service's namespace.

    Raises
    ------
    ExpectationError
        As `behind_service`.
    """
    found = sorted(
        (
            each
            for each in workloads(inventory)
            if each.owner.namespace == service.namespace and selects(selector, each.labels)
        ),
        key=lambda each: each.owner.name,
    )
    _refuse_daemons(service, selector, inventory)
    if not found:
        wanted = ",".join(f"{key}={value}" for key, value in selector.items())
        raise ExpectationError(
            f"{service['spec']['selector'].where}: {service} selects {wanted}, "
            f"which no pod template carries{inventory.but_unread(WORKLOADS)}",
            hint="compare the selector with metadata.labels of the pod templates; "
            "is the namespace the same?",
        )
    return _count(service, found, question)


def _count(service: KubeObject, found: list[Workload], question: Question) -> Mixture:
    weights: dict[str, Fraction] = {}
    numbers = []
    findings = []
    for each in found:
        label = label_of(each.template, each.owner, question, also=service.name)
        weights[label] = weights.get(label, Fraction(0)) + each.replicas
        numbers.append(_number(each, label))
        if each.owner.kind == "Rollout" and list(each.owner["spec"]["strategy"]["canary"]["steps"]):
            findings.append(
                Finding(
                    FindingCode.ROLLOUT_HAS_STEPS,
                    f"{each.owner} has steps; its template is what runs after the last one",
                    f"for a step before that: --route Rollout/{each.owner.name} --step N",
                    each.owner["spec"]["strategy"]["canary"]["steps"].where,
                )
            )
    return Mixture(
        weights, tuple(numbers), tuple(findings), (service, *(each.owner for each in found))
    )


def _number(each: Workload, label: str) -> Number:
    quantity, what = Quantity.REPLICAS, "replicas"
    if each.owner.kind == "Pod":
        quantity, what = Quantity.BARE_POD, "pod"
    elif not each.number.exists:
        what = "replicas, by default"
    return Number(
        each.replicas,
        quantity,
        what,
        each.owner.kind,
        each.owner.full_name,
        each.number.where,
        label,
    )


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


def require_told_apart(
    owners: Iterable[KubeObject], inventory: Inventory, question: Question
) -> None:
    """Refuse workloads that run different pods under one version, unless somebody named it.

    Raises
    ------
    ExpectationError
        With both places, and names for their versions.
    """
    found: dict[str, Workload] = {}
    for each in (workload(owner, inventory) for owner in owners if owner.kind in WORKLOADS):
        name, versions = _name_of(each.owner), question.versions
        is_named = name in versions.names or versions.kind is VersionFrom.LABEL
        version = versions.of_template(each.template, name)
        if not each.replicas or not version or is_named:
            continue
        if any(map(versions.of_name, _services_of(each, inventory))):
            continue
        first = found.setdefault(version, each)
        keys = _IMAGES if version_label(each.template) == version else _PODS
        if _what_runs(first.template, keys) != _what_runs(each.template, keys):
            raise ExpectationError(
                f"{first.owner} ({first.template.where}) and {each.owner} "
                f"({each.template.where}) run different pods, and both have the version {version}:"
                " they cannot be told apart",
                hint="name the versions as they answer: --version-from "
                f"{_name_of(first.owner)}=v1,{name}=v2; or label the pod templates (version: v1)",
            )


def _name_of(owner: KubeObject) -> str:
    """Return the name that versions are given: of a pod, that of its controller."""
    for reference in owner["metadata"]["ownerReferences"] if owner.kind == "Pod" else ():
        if reference["controller"].value is True:
            return reference["name"].text()
    return owner.name


def _services_of(each: Workload, inventory: Inventory) -> Iterator[str]:
    for service in inventory.of("Service"):
        if service.namespace == each.owner.namespace and selects(
            service["spec"]["selector"].texts(), each.labels
        ):
            yield service.name


def _what_runs(template: Node, keys: Iterable[str]) -> list[object]:
    """Return what makes pods answer as they do: images, commands, environment and files."""
    spec = template["spec"]
    containers = [[container[key].value for key in keys] for container in spec["containers"]]
    # Each pod of a cluster has a volume of its own for the token of its account.
    volumes = [
        each.value
        for each in spec["volumes"]
        if "volumes" in keys and not each["name"].text("").startswith("kube-api-access-")
    ]
    return [containers, volumes]


def _is_owned(owner: KubeObject, inventory: Inventory) -> bool:
    for reference in owner["metadata"]["ownerReferences"]:
        kind, name = reference["kind"].text(""), reference["name"].text("")
        if kind in WORKLOADS and inventory.find(kind, name, owner.namespace) is not None:
            return True
    return False


def _refuse_daemons(service: KubeObject, selector: Mapping[str, str], inventory: Inventory) -> None:
    for daemon in inventory.of("DaemonSet"):
        labels = daemon["spec"]["template"]["metadata"]["labels"].texts()
        if daemon.namespace == service.namespace and selects(selector, labels):
            raise ExpectationError(
                f"{service} ({service.place}) selects {daemon} ({daemon.place}), which runs one "
                "pod per node",
                hint="declare the split with --expect",
            )
