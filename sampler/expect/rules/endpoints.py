"""Which endpoints of a Service get traffic, as kube-proxy reads its EndpointSlices.

References: Kubernetes, EndpointConditions of discovery/v1; kube-proxy, pkg/proxy/topology.go
(CategorizeEndpoints, topologyModeFromHints).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.model import Mixture, NotYetError, Number, Quantity
from sampler.expect.rules.objects import selects
from sampler.expect.rules.owners import top_of
from sampler.expect.rules.places import asked_ports, entries_of, zone_of
from sampler.expect.rules.workloads import label_of, selected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node
from sampler.expect.rules.places import Entry

SERVICE_NAME = "kubernetes.io/service-name"
"""Label of a slice that names its Service."""

_IN_WORDS = {
    Quantity.READY_ENDPOINTS: "ready endpoints",
    Quantity.TERMINATING_ENDPOINTS: "serving, terminating endpoints",
}
_NOWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a Service.

    Parameters
    ----------
    node : Node
        The endpoint in its slice.
    identity : str
        Of the pod, or else the address; the same in every slice that repeats it.
    pod, uid : str
        Name and identity of the pod; empty if it is none, or that is not known.
    is_ready, is_serving, is_terminating : bool
        As kube-proxy reads the conditions: absent means ready, serving as ready, and not
        terminating.
    host : str
        Name of its node; empty if it is not known.
    zones, nodes : frozenset of str
        Its hints: for whom it is meant.
    """

    node: Node
    identity: str
    pod: str
    uid: str
    is_ready: bool
    is_serving: bool
    is_terminating: bool
    host: str
    zones: frozenset[str]
    nodes: frozenset[str]


def endpoints_of(service: KubeObject, inventory: Inventory, question: Question) -> list[Endpoint]:
    """Return the endpoints behind the address and the port of a Service that are asked, each once.

    kube-proxy has a list of its own for each port, and for each address family.
    """
    ports = {port["name"].text("") for port in asked_ports(service, question)}
    found: dict[str, Endpoint] = {}
    for each in _slices(service, inventory, question):
        if ports and ports.isdisjoint(port["name"].text("") for port in each["ports"]):
            continue
        for endpoint in each.once(_endpoints_in):
            known = found.get(endpoint.identity)
            # While a pod moves from one slice to another, it stands in both for a moment.
            if known is None or (endpoint.is_ready and not known.is_ready):
                found[endpoint.identity] = endpoint
    return list(found.values())


def listed(service: KubeObject, inventory: Inventory, question: Question) -> dict[str, str]:
    """Return the pods that a Service has as ready, at whatever port: uid by name."""
    return {
        endpoint.pod: endpoint.uid
        for each in _slices(service, inventory, question)
        for endpoint in each.once(_endpoints_in)
        if endpoint.is_ready
    }


def _slices(service: KubeObject, inventory: Inventory, question: Question) -> Iterator[KubeObject]:
    """Yield the slices of a Service with the addresses of the family that is asked."""
    slices = [
        each
        for each in inventory.of("EndpointSlice")
        if each.namespace == service.namespace and each.labels.get(SERVICE_NAME) == service.name
    ]
    families = [node.text() for node in service["spec"]["ipFamilies"]]
    present = sorted({each["addressType"].text("IPv4") for each in slices})
    asked = () if question.route else question.place.families
    family = next((each for each in (*asked, *families, *present) if each in present), "")
    yield from (each for each in slices if each["addressType"].text("IPv4") == family)


def _endpoints_in(each: KubeObject) -> list[Endpoint]:
    return [_endpoint(node) for node in each["endpoints"]]


def _endpoint(node: Node) -> Endpoint:
    conditions, target, hints = node["conditions"], node["targetRef"], node["hints"]
    is_ready = conditions["ready"].value is not False
    is_serving = conditions["serving"].value
    addresses = [each.text() for each in node["addresses"]]
    name, uid = target["name"].text(""), target["uid"].text("")
    return Endpoint(
        node=node,
        identity=uid or name or ",".join(addresses),
        pod=name if target["kind"].text("") == "Pod" else "",
        uid=uid,
        is_ready=is_ready,
        is_serving=is_ready if is_serving is None else is_serving is True,
        is_terminating=conditions["terminating"].value is True,
        host=node["nodeName"].text(""),
        zones=frozenset(each["name"].text() for each in hints["forZones"]),
        nodes=frozenset(each["name"].text() for each in hints["forNodes"]),
    )


def eligible(
    endpoints: Sequence[Endpoint], *, is_local: bool = False, node: str = "", zone: str = ""
) -> list[Endpoint]:
    """Return the endpoints that kube-proxy on one node sends connections to.

    Parameters
    ----------
    endpoints : sequence of Endpoint
        All of the Service.
    is_local : bool
        Whether the traffic policy that holds is ``Local``.
    node, zone : str
        Of the kube-proxy; empty if it is not known.
    """
    if is_local:
        here = [each for each in endpoints if each.host == node]
        return [each for each in here if each.is_ready] or _leaving(here)
    ready = [each for each in endpoints if each.is_ready]
    return _near(ready, node, zone) or _leaving(endpoints)


def _leaving(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return those that still serve while they terminate: better than none."""
    return [each for each in endpoints if each.is_serving and each.is_terminating]


def _near(ready: list[Endpoint], node: str, zone: str) -> list[Endpoint]:
    """Follow hints if every ready endpoint has them and one of them is for this place."""
    hints: tuple[tuple[str, Callable[[Endpoint], frozenset[str]]], ...] = (
        (node, lambda each: each.nodes),
        (zone, lambda each: each.zones),
    )
    for place, meant in hints:
        if all(meant(each) for each in ready):
            near = [each for each in ready if place in meant(each)]
            if near:
                return near
    return ready


def behind_endpoints(
    service: KubeObject,
    inventory: Inventory,
    question: Question,
    labels: Mapping[str, str] | None = None,
) -> Mixture:
    """Return the endpoints by label that get the traffic of a Service.

    Parameters
    ----------
    service, inventory, question
        The inventory holds live objects.
    labels : mapping of str to str or None
        Of the pods that are meant, where a route names a subset.

    Raises
    ------
    ExpectationError
        If the version of an endpoint cannot be told, or the split depends on a node or zone
        that nobody named.
    """
    chosen = _chosen(service, endpoints_of(service, inventory, question), inventory, question)
    counts: Counter[tuple[str, KubeObject, bool]] = Counter()
    pods: list[KubeObject] = []
    for each in chosen:
        pod = _pod(each, inventory)
        if labels and (pod is None or not selects(labels, pod.labels)):
            continue
        label = _label(each, pod, service, inventory, question)
        counts[label, each.node.owner, each.is_ready] += 1
        pods += () if pod is None else (pod,)
    weights: dict[str, Fraction] = dict.fromkeys(
        _declared(service, inventory, question, labels), Fraction(0)
    )
    numbers = []
    for (label, owner, is_ready), count in sorted(
        counts.items(), key=lambda item: (item[0][0], item[0][1].name)
    ):
        weights[label] = weights.get(label, Fraction(0)) + count
        quantity = Quantity.READY_ENDPOINTS if is_ready else Quantity.TERMINATING_ENDPOINTS
        what = _IN_WORDS[quantity]
        numbers.append(
            Number(count, quantity, what, owner.kind, owner.full_name, owner.place, label)
        )
    slices = dict.fromkeys(each.node.owner for each in chosen)
    owners = dict.fromkeys(top_of(pod, inventory).owner or pod for pod in pods)
    return Mixture(weights, tuple(numbers), (), (service, *slices, *owners))


def _declared(
    service: KubeObject,
    inventory: Inventory,
    question: Question,
    labels: Mapping[str, str] | None,
) -> list[str]:
    """Labels that workloads behind the Service declare: without endpoints they stay silent."""
    selector = service["spec"]["selector"].texts() | dict(labels or {})
    found = sorted(selected(selector, inventory), key=lambda each: each.owner.name)
    return [
        label_of(each.template, each.owner, question, also=service.name)
        for each in found
        if each.owner.namespace == service.namespace
    ]


def _chosen(
    service: KubeObject, endpoints: list[Endpoint], inventory: Inventory, question: Question
) -> list[Endpoint]:
    """Return what kube-proxy at the client's place uses, if that is known or does not matter."""
    if question.route or service["spec"]["clusterIP"].text("") == "None":
        # A gateway, and who resolves the name of a headless Service, reads the endpoints itself;
        # kube-proxy's policies and hints are not theirs.
        return eligible([replace(each, zones=_NOWHERE, nodes=_NOWHERE) for each in endpoints])
    entries = entries_of(service, inventory, question)
    seen = {
        f"{entry.in_words(service)}{spot}"
        if len(entries) > 1
        else spot.removeprefix(" at "): chosen
        for entry in entries
        for spot, chosen in _spots(entry, service, endpoints, inventory, question)
    }
    if len(seen) == 1:
        return next(iter(seen.values()))
    return _alike(service, seen, inventory, question)


def _spots(
    entry: Entry,
    service: KubeObject,
    endpoints: list[Endpoint],
    inventory: Inventory,
    question: Question,
) -> Iterator[tuple[str, list[Endpoint]]]:
    """Yield what is picked from, once if the place is known, else for each that may be meant."""
    if entry.is_local(service):
        hosts = sorted({each.host for each in endpoints if each.host})
        for node in [entry.node] if entry.node else hosts:
            yield f" at --node {node}", eligible(endpoints, is_local=True, node=node)
        return
    ready = [each for each in endpoints if each.is_ready]
    zone = question.zone or zone_of(entry.node, inventory)
    nodes = _hinted([each.nodes for each in ready])
    zones = _hinted([each.zones for each in ready])
    if not entry.node:
        for node in sorted(nodes):
            yield f" at --node {node}", eligible(endpoints, node=node)
    if zone or not zones or entry.node in nodes:
        yield "", eligible(endpoints, node=entry.node, zone=zone)
        return
    for each in sorted(zones):
        yield f" at --zone {each}", eligible(endpoints, node=entry.node, zone=each)


def _hinted(hints: list[frozenset[str]]) -> frozenset[str]:
    """Return the places that hints are for; none, unless every endpoint has some."""
    return _NOWHERE.union(*hints) if all(hints) else _NOWHERE


def _alike(
    service: KubeObject,
    views: Mapping[str, list[Endpoint]],
    inventory: Inventory,
    question: Question,
) -> list[Endpoint]:
    """Return all endpoints if every place sees the same split of them; else it must be named."""
    shares = {
        place: _shares(chosen, service, inventory, question) for place, chosen in views.items()
    }
    used = {each.identity: each for chosen in views.values() for each in chosen}
    whole = list(used.values())
    if all(share == _shares(whole, service, inventory, question) for share in shares.values()):
        return whole
    seen = "; ".join(
        f"{place or 'elsewhere'}: "
        + (", ".join(f"{label} {float(100 * part):.3g} %" for label, part in share) or "nothing")
        for place, share in shares.items()
    )
    raise ExpectationError(
        f"{service.place}: the split depends on where requests enter, for its traffic policies or "
        f"the hints of its endpoints, and the client is {question.place.client} ({seen})",
        hint="name the place: --node NAME or --zone NAME; in a pod, give it the name of its node "
        "(fieldRef spec.nodeName)",
    )


def _shares(
    chosen: Sequence[Endpoint], service: KubeObject, inventory: Inventory, question: Question
) -> tuple[tuple[str, Fraction], ...]:
    counts = Counter(
        _label(each, _pod(each, inventory), service, inventory, question) for each in chosen
    )
    return tuple((label, Fraction(count, len(chosen))) for label, count in sorted(counts.items()))


def ready_by_label(service: KubeObject, inventory: Inventory, question: Question) -> Counter[str]:
    """Count the ready endpoints of a Service by label, wherever the client stands.

    Raises
    ------
    ExpectationError
        If the version of an endpoint cannot be told.
    """
    return Counter(
        _label(each, _pod(each, inventory), service, inventory, question)
        for each in endpoints_of(service, inventory, question)
        if each.is_ready
    )


def _pod(endpoint: Endpoint, inventory: Inventory) -> KubeObject | None:
    # The API server allows pods of the namespace of the slice alone.
    return inventory.find("Pod", endpoint.pod, endpoint.node.owner.namespace)


def _label(
    endpoint: Endpoint,
    pod: KubeObject | None,
    service: KubeObject,
    inventory: Inventory,
    question: Question,
) -> str:
    if pod is not None:
        name = top_of(pod, inventory).name
        return label_of(pod.root, pod, question, also=service.name, owner_name=name)
    version = question.versions.of_name(service.name)
    if version is not None:
        return question.renames.get(version, version)
    target = endpoint.node["targetRef"]
    what = f"{target['kind'].text('')} {target['name'].text('')}".strip()
    raise (NotYetError if target["kind"].text("") == "Pod" else ExpectationError)(
        f"{endpoint.node.owner.place}: the endpoint {endpoint.node['addresses'].value} of "
        f"{service} is {what or 'made by hand'}, and no such pod was found",
        hint="wait until the pod is listed; for endpoints managed by hand, declare the split "
        "with --expect, or name the version that answers there: --version-from "
        f"{service.name}=v1",
    )
