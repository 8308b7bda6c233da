"""The pods behind a Service, as workloads declare them, by label."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from sampler.base.errors import ExpectationError
from sampler.expect.rules.dividers import runs_pods
from sampler.expect.rules.findings import Finding, FindingCode, first_few, unknown
from sampler.expect.rules.halted import kept_pods, traits
from sampler.expect.rules.model import Mixture, Number, Quantity, only
from sampler.expect.rules.objects import in_words, selects
from sampler.expect.rules.places import asked_ports
from sampler.expect.rules.workloads import (
    WORKLOADS,
    autoscalers,
    label_of,
    others_selected,
    selected,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node
    from sampler.expect.rules.workloads import Workload


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
        If it selects nothing, or a pod's version cannot be told.
    """
    found = _Selected(service.namespace, tuple(sorted(selector.items())))
    _refuse_daemons(service, selector, inventory)
    away = _other_namespace(service, found, inventory)
    if not found.within(inventory):
        if others := first_few(others_selected(selector, service.namespace, inventory)):
            raise ExpectationError(
                f"{service['spec']['selector'].where}: {service} selects pods of {others} only, of "
                "a kind whose replicas are not supported",
                hint="declare the split with --expect",
            )
        absent = None if away else unread(service, inventory)
        if absent is None:
            raise ExpectationError(
                f"{service['spec']['selector'].where}: {service} selects {in_words(selector)}, "
                f"which no pod template carries{inventory.but_unread(WORKLOADS)}"
                + (f"; {away.message}" if away else ""),
                hint=away.remedy
                if away
                else "compare the selector with metadata.labels of the pod templates; "
                "is the namespace the same?",
            )
        versions = question.versions
        version = versions.of_name(service.name) or versions.of_labels(selector)
        if version:
            return replace(only(version, question), findings=(absent,), objects=(service,))
        more = f"; or say which version it is: --version-from {service.name}=v1"
        raise unknown(
            absent.message,
            absent.remedy + more * question.is_asked,
            absent.where,
            is_asked=question.is_asked,
        )
    mixture = _count(service, found, inventory, question)
    return mixture if away is None else replace(mixture, findings=(*mixture.findings, away))


def unread(service: KubeObject, inventory: Inventory) -> Finding | None:
    """Return the finding that nothing can be said of pods, if what runs them was not read.

    Workloads may live in a repository of their own, or be made by an operator for an object whose
    name the selector has. Where other ones are, or may be, of the namespace, a selector that
    selects nothing is a mistake.
    """
    if service.namespace in inventory.live:
        return None
    values = service["spec"]["selector"].texts().values()
    named = (inventory.by(_placed, (service.namespace, value)) for value in values)
    makers = (each for each in chain.from_iterable(named) if each.once(runs_pods))
    of = f"of {service.namespace} " if service.namespace else ""
    if maker := next(makers, None):
        why = f"{maker} may run them, which is of a kind that is not evaluated"
    elif inventory.has_beside(service.namespace, *WORKLOADS, "DaemonSet"):
        return None
    else:
        why = f"no workload {of}was read"
    return Finding(
        FindingCode.REFERENCE_UNREAD,
        f"{service} selects pods, and {why}: which pods it has, and of which versions, was not "
        "checked",
        "add the manifests of the workloads to --manifests, or look into the cluster: --cluster",
        service["spec"]["selector"].where,
    )


def _placed(each: KubeObject) -> Iterator[tuple[str, str]]:
    yield each.namespace, each.name


class _Selected(NamedTuple):
    """Pods of a namespace, which several Services may select."""

    namespace: str
    selector: tuple[tuple[str, str], ...]

    def within(self, inventory: Inventory) -> tuple[Workload, ...]:
        """Return what declares them, by name."""
        return inventory.once(self, None, lambda: tuple(sorted(
            (each for each in selected(dict(self.selector), inventory)
             if each.owner.namespace == self.namespace),
            key=lambda each: each.owner.name,
        )))  # fmt: skip

    def elsewhere(self, inventory: Inventory) -> KubeObject | None:
        """Return one of them of which only one of it and the Service names a namespace."""
        owners = (each.owner for each in selected(dict(self.selector), inventory))
        return next((each for each in owners if bool(each.namespace) != bool(self.namespace)), None)


class _Port(NamedTuple):
    """A port of a Service that names one of the pods."""

    name: str
    protocol: str
    is_asked: bool


def _count(
    service: KubeObject, found: _Selected, inventory: Inventory, question: Question
) -> Mixture:
    asked = {port.path for port in asked_ports(service, question)}
    nodes = [port for port in service["spec"]["ports"] if isinstance(port["targetPort"].value, str)]
    ports = tuple(
        _Port(each["targetPort"].text(), each["protocol"].text("TCP"), each.path in asked)
        for each in nodes
    )
    is_named = len(asked) == sum(port.is_asked for port in ports)
    # The name of a Service matters only where versions were given by name.
    key = (found, ports, is_named, service.name if question.versions.names else "")
    plain, closed = inventory.once(
        key, question, lambda: _counted(found, ports, service.name, inventory, question, is_named)
    )
    missing = [_port_missing(service, nodes[at], owners) for at, owners in closed.items()]
    findings = (*missing, *plain.findings) if missing else plain.findings
    return replace(plain, findings=findings, objects=(service, *plain.objects))


def _counted(
    found: _Selected,
    ports: Sequence[_Port],
    also: str,
    inventory: Inventory,
    question: Question,
    is_named: bool,  # noqa: FBT001 - whether each port that is asked is among `ports`
) -> tuple[Mixture, dict[int, list[KubeObject]]]:
    """Return what is the same for all Services of these pods, and the ports that pods lack.

    Pods without the port that is named are no endpoints of it (Kubernetes, ``FindPort``).
    """
    weights: dict[str, Fraction] = {}
    numbers: list[Number] = []
    findings: list[Finding] = []
    closed: dict[int, list[KubeObject]] = {}
    for each in found.within(inventory):
        label = label_of(each.template, each.owner, question, also=also)
        known = _port_names(each) if ports else set()
        missing = [at for at, port in enumerate(ports) if port[:2] not in known]
        is_out = is_named and bool(missing) and all(
            at in missing for at, port in enumerate(ports) if port.is_asked
        )  # fmt: skip
        whole = _number(each, label, inventory, is_out=is_out)
        kept = _kept(each, also, inventory, question) if whole.value else Counter[str]()
        older = [
            replace(whole, value=n, towards=name, what="replicas of an earlier template")
            for name, n in kept.items()
        ]
        for number in (replace(whole, value=whole.value - kept.total()), *older):
            weights[number.towards] = weights.get(number.towards, Fraction(0)) + number.value
            numbers.append(number)
        findings += traits(each.owner, each.replicas)
        for at in missing:
            closed.setdefault(at, []).append(each.owner)
    owners = tuple(each.owner for each in found.within(inventory))
    return Mixture(weights, tuple(numbers), tuple(findings), owners), closed


def _kept(each: Workload, also: str, inventory: Inventory, question: Question) -> Counter[str]:
    """Count the pods that are to stay on an earlier template, by version."""

    def label(pod: KubeObject) -> str:
        return label_of(pod.root, pod, question, also=also, owner_name=each.owner.name)

    return kept_pods(each.owner, each.replicas, inventory, label)


def _port_names(each: Workload) -> set[tuple[str, str]]:
    """Return the names of the ports of pods, with their protocols."""
    spec = each.template["spec"]
    helpers = [
        node for node in spec["initContainers"] if node["restartPolicy"].text("") == "Always"
    ]
    return {
        (port["name"].text(""), port["protocol"].text("TCP"))
        for container in [*spec["containers"], *helpers]
        for port in container["ports"]
    }


def _port_missing(service: KubeObject, port: Node, owners: Iterable[KubeObject]) -> Finding:
    return Finding(
        FindingCode.PORT_MISSING,
        f"the pods of {first_few(owners)} have no port named {port['targetPort'].text()}, to which "
        f"{service} sends traffic: they get none of it",
        "name that port in their containers, or write the targetPort as a number",
        port["targetPort"].where,
    )


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


def _other_namespace(service: KubeObject, found: _Selected, inventory: Inventory) -> Finding | None:
    """Find pods that would be selected, if it is their namespace that is not written down."""
    each = inventory.once((found, "elsewhere"), None, lambda: found.elsewhere(inventory))
    if each is None:
        return None
    return Finding(
        FindingCode.NAMESPACE_OPEN,
        f"only one of {service} and {each} names a namespace: {each} was left out",
        f"say where the other one is applied: -n {each.namespace or service.namespace}",
        each.place,
    )


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
