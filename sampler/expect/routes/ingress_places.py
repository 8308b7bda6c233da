"""The paths of Ingresses, and how those that share a host, a path or an upstream are found."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sampler.expect.routes.ingress_annotations import class_of, is_canary, is_same_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampler.expect.rules.objects import Inventory, KubeObject, Node


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


_Index = dict[Any, list[Place]]


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """The paths of all Ingresses, by what they share.

    Parameters
    ----------
    by_key, by_upstream, by_host, by_server : dict
        Those of main Ingresses; a server is a host and an upstream.
    canaries_by_key : dict
    alike : dict
        By upstream, one path of main Ingresses for each key and class.
    """

    by_key: _Index
    by_upstream: _Index
    by_host: _Index
    by_server: _Index
    canaries_by_key: _Index
    alike: dict[Any, dict[Any, Place]]


@lru_cache(maxsize=1)
def all_places(inventory: Inventory) -> Places:
    """Return the paths of all Ingresses that were read."""
    found = Places({}, {}, {}, {}, {}, {})
    for ingress in inventory.of("Ingress"):
        is_main = not is_canary(ingress)
        for each in places_of(ingress):
            if not is_main:
                found.canaries_by_key.setdefault(each.key, []).append(each)
                continue
            found.by_key.setdefault(each.key, []).append(each)
            found.by_upstream.setdefault(each.upstream, []).append(each)
            found.by_host.setdefault(each.host, []).append(each)
            found.by_server.setdefault((each.host, each.upstream), []).append(each)
            alike = found.alike.setdefault(each.upstream, {})
            alike.setdefault((each.key, class_of(ingress)), each)
    return found


def of_one_class(places: Iterable[Place], ingress: KubeObject) -> Iterator[Place]:
    """Yield the paths of Ingresses that the controller of one has too."""
    return (each for each in places if is_same_class(each.node.owner, ingress))
