"""Mistakes that can be found before a single request is sent.

Each check looks at one object (and at what was read beside it) and yields findings. A check
never raises for what another check, or the expectation itself, says better.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.resolve import ROUTES, RULES
from sampler.expect.routes.argo import (
    of_experiments,
    pairs_of_experiments,
    services_without_router,
    unachievable_steps,
    without_hash,
)
from sampler.expect.routes.gateway import is_inbound
from sampler.expect.routes.ingress_annotations import dividing, is_canary
from sampler.expect.routes.ingress_strays import stray
from sampler.expect.routes.istio import bound_to_pods
from sampler.expect.rules.alike import alike, require_told_apart
from sampler.expect.rules.declared import unread
from sampler.expect.rules.findings import Finding, FindingCode, first_few, refusal
from sampler.expect.rules.matching import ElsewhereError
from sampler.expect.rules.objects import in_words, selects
from sampler.expect.rules.services import affinity_of, behind_service, services_of
from sampler.expect.rules.workloads import (
    WORKLOADS,
    autoscalers,
    counted,
    label_of,
    others_selected,
    own_pods_missed,
    selected,
)
from sampler.expect.unread import not_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject

    Check = Callable[[KubeObject, Inventory, Question], Iterable[Finding]]

_OF_ITS_SERVICE = frozenset({FindingCode.PORT_MISSING, FindingCode.NAMESPACE_OPEN})
"""What differs between Services with the same pods."""

_NEAR = frozenset({"PreferClose", "PreferSameZone", "PreferSameNode"})
_TOPOLOGY = tuple(f"service.kubernetes.io/topology-{name}" for name in ("mode", "aware-hints"))


def lint(
    inventory: Inventory, question: Question, among: Iterable[KubeObject] | None = None
) -> tuple[Finding, ...]:
    """Find what is known to go wrong.

    Parameters
    ----------
    inventory : Inventory
        All that was read.
    question : Question
        How versions are found.
    among : iterable of KubeObject or None
        Objects to look at; None looks at all of them, and says which kinds are unknown.
    """
    objects = inventory.objects if among is None else tuple(among)
    findings = [
        finding
        for each in objects
        for check in _CHECKS.get(each.kind, ())
        for finding in _guarded(check, each, inventory, question)
    ]
    findings += not_read(inventory)
    return tuple(dict.fromkeys(findings))


def _guarded(
    check: Check, each: KubeObject, inventory: Inventory, question: Question
) -> list[Finding]:
    """Run a check; a value of a wrong type is a finding too, and not the end of all others."""
    try:
        return list(check(each, inventory, question))
    except ExpectationError as error:
        return [refusal(error, each.place)]


# Services


def _affinity(service: KubeObject, inventory: Inventory, question: Question) -> Iterator[Finding]:
    found = affinity_of(service)
    if found is not None and not _is_behind_a_route(service, inventory, question):
        yield found


def _bound_to_pods(
    service: KubeObject, inventory: Inventory, question: Question
) -> Iterator[Finding]:
    """Warn only: a client without a sidecar never meets a DestinationRule."""
    if not _is_behind_a_route(service, inventory, question):
        for each in bound_to_pods(service, inventory):
            yield replace(each, code=FindingCode.STICKY)


def _local_policies(service: KubeObject, _: Inventory, __: Question) -> Iterator[Finding]:
    for key in ("internalTrafficPolicy", "externalTrafficPolicy"):
        node = service["spec"][key]
        if node.text("Cluster") == "Local":
            yield Finding(
                FindingCode.LOCAL_TRAFFIC_POLICY,
                f"{service} has {key} Local: a client reaches only the pods of one node",
                "set it to Cluster, or accept that the split depends on the node",
                node.where,
            )


def _zones(service: KubeObject, _: Inventory, __: Question) -> Iterator[Finding]:
    annotations = service["metadata"]["annotations"]
    nodes = [service["spec"]["trafficDistribution"]]
    nodes += [annotations[key] for key in _TOPOLOGY]
    for node in nodes:
        if node.text("") in _NEAR | {"Auto", "auto"}:
            yield Finding(
                FindingCode.ZONE_HINTS,
                f"{service} prefers near endpoints ({node.text()}): the split depends on the zone",
                "check from every zone, or remove the preference while the canary runs",
                node.where,
            )


def _headless(service: KubeObject, _: Inventory, __: Question) -> Iterator[Finding]:
    node = service["spec"]["clusterIP"]
    if node.text("") == "None":
        yield Finding(
            FindingCode.HEADLESS,
            f"{service} is headless: the client's resolver picks the pod, not kube-proxy",
            "check through a Service with a cluster IP",
            node.where,
        )


def _selection(service: KubeObject, inventory: Inventory, _: Question) -> Iterator[Finding]:
    selector = service["spec"]["selector"]
    pairs = selector.texts()
    if not pairs:
        return
    for each in selected(without_hash(pairs), inventory):
        # Argo adds the hash of a version to the selector, which the template does not have.
        is_own = each.owner.kind == "Rollout" or selects(pairs, each.labels)
        if each.owner.namespace == service.namespace and is_own:
            return
    if inventory.unread.intersection(WORKLOADS):
        return  # what may not be read is not nothing
    place = (service.namespace, *next(iter(pairs.items())))
    for rollout in inventory.by(pairs_of_experiments, place, "Rollout"):
        if any(selects(pairs, labels) for labels in of_experiments(rollout)):
            return
    if any(others_selected(pairs, service.namespace, inventory)) or any(
        each.namespace == service.namespace and selects(pairs, each.labels)
        for each in inventory.pods
    ):
        return
    yield unread(service, inventory) or Finding(
        FindingCode.SELECTS_NOTHING,
        f"{service} selects {in_words(pairs)}, which no pod template carries",
        "compare the selector with metadata.labels of the pod templates",
        selector.where,
    )


def _pods(service: KubeObject, inventory: Inventory, question: Question) -> Iterator[Finding]:
    """Ask what stands behind a Service that no route divides, and pass on what is found."""
    if question.service or _is_behind_a_route(service, inventory, question):
        return  # the expectation itself says it, or the route's own
    try:
        mixture = behind_service(service, inventory, question)
    except ExpectationError:
        return  # other checks say so
    # Services with the same pods share the numbers: what is said of the pods is said once.
    first = inventory.once(("numbers", id(mixture.numbers)), None, lambda: service)
    if first is not service:
        yield from (each for each in mixture.findings if each.code in _OF_ITS_SERVICE)
        return
    yield from mixture.findings
    require_told_apart(mixture.objects, inventory, question)


def _is_behind_a_route(service: KubeObject, inventory: Inventory, question: Question) -> bool:
    """Whether requests reach a Service through a route, which picks the pods itself."""
    return not question.service and (bool(question.route) or any(_routes_to(service, inventory)))


def _routes_to(service: KubeObject, inventory: Inventory) -> Iterator[KubeObject]:
    for route in inventory.by(_services_named, (service.namespace, service.name), *ROUTES):
        if route.kind not in {"Rollout", "Canary"} and not is_inbound(route):
            yield route


def _services_named(route: KubeObject) -> Iterator[tuple[str, str]]:
    for name in _mentioned(route.body.get("spec")):
        yield route.namespace, name


def _decided_elsewhere(
    service: KubeObject, inventory: Inventory, question: Question
) -> Iterator[Finding]:
    """Report which route divides the traffic of a Service that was asked about as such."""
    if question.service != service.name:
        return
    for route in _routes_to(service, inventory):
        yield Finding(
            FindingCode.ROUTE_DECIDES,
            f"{route} sends traffic to {service}: requests through it follow its weights, "
            "not the number of pods",
            f"to check the route: --route {route.kind}/{route.name}",
            route.place,
        )
    for ingress in inventory.of("Ingress"):
        for node in dividing(ingress, "*"):
            if service.name in node.text() or service.name in _mentioned(ingress.body.get("spec")):
                yield Finding(
                    FindingCode.TRAFFIC_UNREAD,
                    f"{ingress} divides or diverts the traffic of {service} by the annotation "
                    f"{node.path[-1]}, which is not evaluated",
                    "declare the split with --expect",
                    node.where,
                )


def _mentioned(value: object) -> set[str]:
    """Names of Services that a route's spec holds, by the fields that name one."""
    found: set[str] = set()
    pending = [value]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            found |= {
                text.partition(".")[0]
                for key in ("name", "host", "service", "serviceName")
                if isinstance(text := here.get(key), str)
            }
            pending += here.values()
        elif isinstance(here, list):
            pending += here
    return found


# Workloads


def _autoscaled(owner: KubeObject, inventory: Inventory, _: Question) -> Iterator[Finding]:
    for scaler in autoscalers(owner, inventory):
        yield Finding(
            FindingCode.AUTOSCALED,
            f"{scaler} changes the replicas of {owner}: the split changes with the load",
            "pause it while the canary runs, or split traffic by the weights of a route",
            scaler["spec"]["scaleTargetRef"].where,
        )


def _own_pods(owner: KubeObject, _: Inventory, __: Question) -> Iterator[Finding]:
    yield from filter(None, [own_pods_missed(owner)])


def _version(owner: KubeObject, inventory: Inventory, question: Question) -> Iterator[Finding]:
    each = counted(owner, inventory)
    if each is None or not any(services_of(each.labels, owner.namespace, inventory)):
        return
    try:
        label_of(each.template, owner, question)
    except ExpectationError as error:
        yield refusal(error, each.template.where, FindingCode.VERSION_MISSING)


def _ends(pod: KubeObject, inventory: Inventory, _: Question) -> Iterator[Finding]:
    node = pod["spec"]["restartPolicy"]
    if node.text("Always") == "Always" or list(pod["metadata"]["ownerReferences"]):
        return
    if services := first_few(services_of(pod.labels, pod.namespace, inventory)):
        yield Finding(
            FindingCode.UNKNOWN_WORKLOAD,
            f"{pod} is selected by {services}, counts as long as it is declared, and ends by its "
            f"restartPolicy {node.text()}",
            "give it other labels, or declare the split with --expect",
            node.where,
        )


def _steps(owner: KubeObject, _: Inventory, __: Question) -> Iterator[Finding]:
    yield from services_without_router(owner)
    yield from unachievable_steps(owner)


# Routes


def _canary_ingress(ingress: KubeObject, inventory: Inventory, _: Question) -> Iterator[Finding]:
    if is_canary(ingress):
        yield from stray(ingress, inventory)


def _weights(route: KubeObject, inventory: Inventory, question: Question) -> Iterator[Finding]:
    """Ask the route's own rule, and pass on what it finds."""
    if (route.kind == "Ingress" and is_canary(route)) or is_inbound(route):
        return
    for look in _looks(route, inventory, question):
        try:
            mixture = look()
            yield from mixture.findings
            if found := alike(mixture):
                yield found
            require_told_apart(mixture.objects, inventory, question)
        except ElsewhereError as error:
            if question.route or question.path is not None:
                yield refusal(error, route.place)
        except ExpectationError as error:
            yield refusal(error, route.place)


def _looks(
    route: KubeObject, inventory: Inventory, question: Question
) -> Iterator[Callable[[], Mixture]]:
    """Yield how to see what stands behind a route: without a request, behind each of its rules."""
    if route.kind in RULES and not question.route and question.path is None:
        rules_of, behind = RULES[route.kind]
        # An Ingress may hold a host or a certificate alone, an HTTPProxy what it includes.
        may_be_empty = route.kind == "Ingress" or route["spec"]["includes"].exists
        if (rules := list(rules_of(route))) or may_be_empty:
            yield from (partial(behind, route, inventory, question, rule) for rule in rules)
            return
    yield partial(ROUTES[route.kind], route, inventory, question)


_CHECKS: dict[str, tuple[Check, ...]] = {
    "Service": (
        _affinity,
        _bound_to_pods,
        _local_policies,
        _zones,
        _headless,
        _selection,
        _pods,
        _decided_elsewhere,
    ),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "ReplicaSet"), (_autoscaled, _version, _own_pods)
    ),
    "DaemonSet": (_own_pods,),
    "Pod": (_version, _ends),
    "Rollout": (_autoscaled, _version, _own_pods, _steps),
    **dict.fromkeys(set(ROUTES) - {"Canary", "Rollout"}, (_weights,)),
    "Ingress": (_canary_ingress, _weights),
}
