"""What runs behind a Service, and how many pods of each version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import Mixture, Number, Quantity
from sampler.expect.rules.objects import selects
from sampler.expect.rules.places import asked_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


def selected(selector: Mapping[str, str], inventory: Inventory) -> list[Workload]:
    """Return what declares pods that a selector selects, in any namespace."""
    index = _by_pair(inventory)
    candidates = min((index.get(pair, []) for pair in selector.items()), key=len, default=[])
    return [each for each in candidates if selects(selector, each.labels)]


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
            for each in selected(selector, inventory)
            if each.owner.namespace == service.namespace
        ),
        key=lambda each: each.owner.name,
    )
    _refuse_daemons(service, selector, inventory)
    away = other_namespace(service, selector, inventory)
    if not found:
        wanted = ",".join(f"{key}={value}" for key, value in selector.items())
        raise ExpectationError(
            f"{service['spec']['selector'].where}: {service} selects {wanted}, "
            f"which no pod template carries{inventory.but_unread(WORKLOADS)}"
            + (f"; {away.message}" if away else ""),
            hint=away.remedy
            if away
            else "compare the selector with metadata.labels of the pod templates; "
            "is the namespace the same?",
        )
    mixture = _count(service, found, inventory, question)
    return mixture if away is None else replace(mixture, findings=(*mixture.findings, away))


def _count(
    service: KubeObject, found: list[Workload], inventory: Inventory, question: Question
) -> Mixture:
    weights: dict[str, Fraction] = {}
    numbers = []
    findings = []
    for each in found:
        label = label_of(each.template, each.owner, question, also=service.name)
        closed, is_out = _ports(service, each, question)
        number = _number(each, label, inventory, is_out=is_out)
        weights[label] = weights.get(label, Fraction(0)) + number.value
        numbers.append(number)
        findings += [*closed, *traits(each)]
    return Mixture(
        weights, tuple(numbers), tuple(findings), (service, *(each.owner for each in found))
    )


def traits(each: Workload) -> Iterator[Finding]:
    """Find what keeps pods on another template than the one that is declared."""
    owner, spec = each.owner, each.owner["spec"]
    if owner.kind == "Rollout" and list(spec["strategy"]["canary"]["steps"]):
        yield Finding(
            FindingCode.ROLLOUT_HAS_STEPS,
            f"{owner} has steps; its template is what runs after the last one",
            f"for a step before that: --route Rollout/{owner.name} --step N",
            spec["strategy"]["canary"]["steps"].where,
        )
    stays = _half_rolled(each)
    if stays is not None:
        node, reason = stays
        yield Finding(
            FindingCode.HALF_ROLLED,
            f"{owner} {reason}",
            "finish the update, or take the split from the live pods: --cluster",
            node.where,
        )


def _half_rolled(each: Workload) -> tuple[Node, str] | None:
    """Return why pods keep the template that was there before, and where that stands."""
    spec, update = each.owner["spec"], each.owner["spec"]["updateStrategy"]
    if each.owner.kind in {"Deployment", "Rollout"} and spec["paused"].value is True:
        return spec["paused"], "is paused: its pods stay on the template before this one"
    if each.owner.kind != "StatefulSet":
        return None
    if update["type"].text("RollingUpdate") == "OnDelete":
        return update["type"], "updates only pods that are deleted: all others stay as they were"
    partition = update["rollingUpdate"]["partition"]
    kept = min(partition.count(0) - spec["ordinals"]["start"].count(0), each.replicas)
    if kept <= 0:
        return None
    return partition, (
        f"has partition {partition.count()}: {kept} of {each.replicas} pods stay on the template "
        "before this one, whose version no manifest holds"
    )


def _ports(service: KubeObject, each: Workload, question: Question) -> tuple[list[Finding], bool]:
    """Find ports of a Service that pods do not have by name, and whether none is left to ask.

    Pods without the port that is named are no endpoints of it (Kubernetes, ``FindPort``).
    """
    named = [port for port in service["spec"]["ports"] if isinstance(port["targetPort"].value, str)]
    spec = each.template["spec"]
    helpers = [
        node for node in spec["initContainers"] if node["restartPolicy"].text("") == "Always"
    ]
    known = {
        (port["name"].text(""), port["protocol"].text("TCP"))
        for container in [*spec["containers"], *helpers]
        for port in container["ports"]
    }
    missing = [
        port
        for port in named
        if (port["targetPort"].text(), port["protocol"].text("TCP")) not in known
    ]
    asked = {port.path for port in asked_ports(service, question)}
    is_out = bool(missing) and asked <= {port.path for port in missing}
    return [
        Finding(
            FindingCode.PORT_MISSING,
            f"the pods of {each.owner} have no port named {port['targetPort'].text()}, to which "
            f"{service} sends traffic: they get none of it",
            "name that port in their containers, or write the targetPort as a number",
            port["targetPort"].where,
        )
        for port in missing
    ], is_out


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


def _number(each: Workload, label: str, inventory: Inventory, *, is_out: bool) -> Number:
    quantity, what = Quantity.REPLICAS, "replicas"
    if each.owner.kind == "Pod":
        quantity, what = Quantity.BARE_POD, "pod"
    elif not each.number.exists:
        what = "replicas, by default"
        if autoscalers(each.owner, inventory):
            quantity = Quantity.AUTOSCALED
    if is_out:
        what = f"{what}, without the port"
    return Number(
        0 if is_out else each.replicas,
        quantity,
        what,
        each.owner.kind,
        each.owner.full_name,
        each.number.where,
        label,
    )


def other_namespace(
    service: KubeObject, selector: Mapping[str, str], inventory: Inventory
) -> Finding | None:
    """Find pods that would be selected, if it is their namespace that is not written down."""
    for each in selected(selector, inventory):
        if each.owner.namespace == service.namespace:
            continue
        if each.owner.namespace and service.namespace:
            continue
        namespace = each.owner.namespace or service.namespace
        return Finding(
            FindingCode.NAMESPACE_OPEN,
            f"only one of {service} and {each.owner} names a namespace: {each.owner} was left out",
            f"say where the other one is applied: -n {namespace}",
            each.owner.place,
        )
    return None


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


def _refuse_daemons(service: KubeObject, selector: Mapping[str, str], inventory: Inventory) -> None:
    for daemon in inventory.by(_daemon_keys, next(iter(selector.items()), ()), "DaemonSet"):
        labels = daemon["spec"]["template"]["metadata"]["labels"].texts()
        if daemon.namespace == service.namespace and selects(selector, labels):
            raise ExpectationError(
                f"{service} ({service.place}) selects {daemon} ({daemon.place}), which runs one "
                "pod per node",
                hint="declare the split with --expect",
            )


def _daemon_keys(daemon: KubeObject) -> Iterable[tuple[str, str]]:
    return daemon["spec"]["template"]["metadata"]["labels"].texts().items()
