"""Where a client stands, by which door its requests enter, and which traffic policy holds there.

kube-proxy on the node where a connection enters picks its endpoint. `externalTrafficPolicy` holds
for node ports, external addresses and those of load balancers, but not for what comes from the
node itself or from its pods: they reach all endpoints. `internalTrafficPolicy` holds for the
cluster IP.

References: Kubernetes, pkg/proxy/iptables/proxier.go (the chains KUBE-EXT-…) and topology.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError
from sampler.expect.rules.model import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampler.expect.rules.model import Place, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

ZONE = "topology.kubernetes.io/zone"
INTERNAL, EXTERNAL = "internalTrafficPolicy", "externalTrafficPolicy"


@unique
class Door(StrEnum):
    """By which kind of address requests enter."""

    CLUSTER_IP = "the cluster IP"
    NODE_PORT = "the node port"
    OUTER = "an external address"
    """Of a load balancer, or one of ``externalIPs``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One way that requests may take.

    Parameters
    ----------
    door : Door
    policy : str
        The field that holds; empty where kube-proxy takes the client for one of its own, which
        reaches all endpoints.
    node : str
        Whose kube-proxy picks; empty if it is not known.
    """

    door: Door
    policy: str
    node: str

    def is_local(self, service: KubeObject) -> bool:
        """Whether only endpoints of the node are picked."""
        return bool(self.policy) and service["spec"][self.policy].text("Cluster") == "Local"

    def in_words(self, service: KubeObject) -> str:
        """Describe the way: ``the node port of node2, externalTrafficPolicy Local``."""
        value = service["spec"][self.policy].text("Cluster") if self.policy else ""
        rule = f"{self.policy} {value}" if self.policy else "no traffic policy"
        return f"{self.door}{f' of {self.node}' if self.node else ''}, {rule}"


def entries_of(service: KubeObject, inventory: Inventory, question: Question) -> list[Entry]:
    """Return the ways that requests may take; several where it is not known which one it is.

    Raises
    ------
    ExpectationError
        If the address is that of another node than ``--node`` names.
    """
    place = question.place
    found = [
        entry
        for door in _doors(service, inventory, place)
        for entry in _RULES[door](service, inventory, question)
    ]
    return list(dict.fromkeys(found))


def _doors(service: KubeObject, inventory: Inventory, place: Place) -> list[Door]:
    asked = door_of(service, inventory, place)
    if asked is not None:
        return [asked]
    has = {
        Door.CLUSTER_IP: True,
        Door.NODE_PORT: _node_ports(service),
        Door.OUTER: _outer(service, "ip", "hostname"),
    }
    return [door for door, is_there in has.items() if is_there]


def door_of(service: KubeObject, inventory: Inventory, place: Place) -> Door | None:
    """Return the door of a Service that is asked; None if it is none by what is known."""
    if place.addresses & {*_cluster_ips(service), *_names(service)}:
        return Door.CLUSTER_IP
    if place.addresses & _outer(service, "ip", "hostname"):
        return Door.OUTER
    ports = {each["port"].value for each in service["spec"]["ports"]}
    is_free = place.port not in ports or bool(_entered(inventory, place))
    return Door.NODE_PORT if place.port in _node_ports(service) and is_free else None


def _node_ports(service: KubeObject) -> set[Any]:
    return {each["nodePort"].value for each in service["spec"]["ports"]} - {None, 0}


def asked_ports(service: KubeObject, question: Question) -> list[Node]:
    """Return the ports of a Service that are asked; all, if that is not known."""
    ports, number = list(service["spec"]["ports"]), question.place.port
    if number is None or question.route:
        return ports
    return [
        each for each in ports if number in {each["port"].value, each["nodePort"].value}
    ] or ports


def _cluster_ips(service: KubeObject) -> frozenset[str]:
    spec = service["spec"]
    found = {spec["clusterIP"].text(""), *(each.text() for each in spec["clusterIPs"])}
    return frozenset(found - {"", "None"})


def _names(service: KubeObject) -> frozenset[str]:
    """Names of a Service in the cluster's DNS; the shortest holds in its own namespace alone."""
    full = f"{service.name}.{service.namespace}"
    return frozenset({full, f"{full}.svc", f"{full}.svc.cluster.local"})


def _outer(service: KubeObject, *keys: str, but: str = "") -> frozenset[str]:
    """Return a Service's external addresses and, under some keys, those of its load balancer."""
    found = {
        each[key].text("")
        for each in service["status"]["loadBalancer"]["ingress"]
        for key in keys
        if each["ipMode"].text("VIP") != but
    }
    return frozenset({*found, *(each.text() for each in service["spec"]["externalIPs"])} - {""})


def _by_cluster_ip(_: KubeObject, __: Inventory, question: Question) -> Iterator[Entry]:
    yield Entry(Door.CLUSTER_IP, INTERNAL, question.node or question.place.node)


def _by_outer_address(service: KubeObject, _: Inventory, question: Question) -> Iterator[Entry]:
    place = question.place
    # Inside the cluster, kube-proxy catches what goes there, unless the load balancer is to see it.
    is_caught = bool(place.addresses & _outer(service, "ip", but="Proxy"))
    if is_caught and place.client is not Client.OUTSIDE:
        yield Entry(Door.OUTER, "", question.node or place.node)
    if not is_caught or place.client in {Client.OUTSIDE, Client.UNKNOWN}:
        yield Entry(Door.OUTER, EXTERNAL, question.node)


def _by_node_port(_: KubeObject, inventory: Inventory, question: Question) -> Iterator[Entry]:
    place = question.place
    entered = _entered(inventory, place)
    if question.node and entered and question.node not in entered:
        raise ExpectationError(
            f"--node {question.node}: the requests enter at {', '.join(sorted(entered))}, whose "
            f"address is among {', '.join(sorted(place.addresses))}",
            hint="leave --node out, or give the URL of that node",
        )
    for node in sorted(entered & {question.node} or entered or {question.node}):
        is_here = bool(node) and node == place.node
        # A pod of another node: whether that counts as inside depends on the network plugin.
        may_be_inside = is_here or place.client is Client.UNKNOWN or place.client is Client.POD
        if may_be_inside:
            yield Entry(Door.NODE_PORT, "", node)
        if not is_here:
            yield Entry(Door.NODE_PORT, EXTERNAL, node)


_RULES = {
    Door.CLUSTER_IP: _by_cluster_ip,
    Door.NODE_PORT: _by_node_port,
    Door.OUTER: _by_outer_address,
}


def nodes_by_address(inventory: Inventory) -> dict[str, str]:
    """Return the nodes by their addresses, as far as pods tell on which node they run."""
    return {
        address: node
        for pod in inventory.of("Pod")
        if (node := pod["spec"]["nodeName"].text(""))
        for address in _host_addresses(pod)
    }


def _host_addresses(pod: KubeObject) -> Iterable[str]:
    every = (each["ip"].text("") for each in pod["status"]["hostIPs"])
    return filter(None, (pod["status"]["hostIP"].text(""), *every))


def _entered(inventory: Inventory, place: Place) -> set[str]:
    """Names of the nodes whose address is asked."""
    nodes = nodes_by_address(inventory)
    return {nodes.get(each, each) for each in place.addresses if each in {*nodes, *nodes.values()}}


def zone_of(node: str, inventory: Inventory) -> str:
    """Return the zone of a node, as slices and pods tell it; empty if none does."""
    if not node:
        return ""
    for each in inventory.of("EndpointSlice"):
        for endpoint in each["endpoints"]:
            if endpoint["nodeName"].text("") == node and endpoint["zone"].text(""):
                return endpoint["zone"].text()
    for pod in inventory.of("Pod"):
        if pod["spec"]["nodeName"].text("") == node and pod.labels.get(ZONE):
            return pod.labels[ZONE]
    return ""
