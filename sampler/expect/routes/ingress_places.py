"""The paths of Ingresses, and how those that share a host, a path or an upstream are found."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.expect.routes.ingress_annotations import is_canary, is_same_class

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from sampler.expect.rules.objects import Inventory, Keys, KubeObject, Node


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One path of one host in an Ingress, or what gets everything else (without a path).

    Parameters
    ----------
    host, path, kind : str
        What a main Ingress and its canary must share; `kind` is the ``pathType``.
    node : Node
        Where it stands.
    backend : Node
    """

    host: str
    path: str
    kind: str
    node: Node
    backend: Node

    @property
    def key(self) -> tuple[str, str, str]:
        """What a main Ingress and its canary must share."""
        return self.host, self.path, self.kind

    @property
    def service(self) -> Node:
        """The name of the Service; up to v1beta1 it stands beside the port."""
        plain = self.backend["serviceName"]
        return plain if plain.exists else self.backend["service"]["name"]

    @property
    def upstream(self) -> tuple[str, str, str]:
        """What ingress-nginx makes one upstream of: namespace, Service and port."""
        port, plain = self.backend["service"]["port"], self.backend["servicePort"]
        number = next((each.value for each in (plain, port["number"], port["name"])
                       if each.exists), "")  # fmt: skip
        return self.node.owner.namespace, self.service.text(""), str(number)

    def __str__(self) -> str:
        return f"{self.host or '*'}{self.path}"


def places_of(ingress: KubeObject) -> list[Place]:
    """Return the paths of an Ingress, and what gets everything else."""
    spec = ingress["spec"]
    places = [
        Place(
            rule["host"].text(""),
            path["path"].text("") or "/",
            path["pathType"].text("ImplementationSpecific"),
            path,
            path["backend"],
        )
        for rule in spec["rules"]
        for path in rule["http"]["paths"]
    ]
    rest = [spec[key] for key in ("defaultBackend", "backend") if spec[key].exists]
    return [*places, *(Place("", "", "", each, each) for each in rest)]


def places_under(keys: Keys, key: Hashable, inventory: Inventory, of: KubeObject) -> list[Place]:
    """Return the paths under a key, of Ingresses that the controller of one has too."""
    return [
        place
        for each in inventory.by(keys, key, "Ingress")
        if is_same_class(each, of)
        for place in places_of(each)
        if key in {place.key, place.upstream, place.host}
    ]


def main_keys(ingress: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield host, path and path type of a main Ingress."""
    return iter(()) if is_canary(ingress) else (place.key for place in places_of(ingress))


def main_upstreams(ingress: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield the upstreams of a main Ingress."""
    return iter(()) if is_canary(ingress) else (place.upstream for place in places_of(ingress))


def main_hosts(ingress: KubeObject) -> Iterator[str]:
    """Yield the hosts of a main Ingress."""
    return iter(()) if is_canary(ingress) else (place.host for place in places_of(ingress))


def canary_keys(ingress: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield host, path and path type of a canary."""
    return (place.key for place in places_of(ingress)) if is_canary(ingress) else iter(())
