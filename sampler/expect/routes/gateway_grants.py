"""Gateway API: ReferenceGrants, with which routes refer to Services of other namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.rules.backends import unread
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import namespaces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import Inventory, KubeObject, Node


def _askers(grant: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield the namespace of a grant, with kind and namespace of each route that it is for."""
    for each in grant["spec"]["from"]:
        yield grant.namespace, each["kind"].text(""), each["namespace"].text("")


def _allowed(asker: tuple[str, str, str], inventory: Inventory) -> set[str]:
    """Return the Services that routes may refer to; an empty name is all of a namespace."""
    return {
        each["name"].text("")
        for grant in inventory.by(_askers, asker, "ReferenceGrant")
        for each in grant["spec"]["to"]
        if each["kind"].text("") == "Service"
    }


def not_granted(
    reference: Node, route: KubeObject, namespace: str, inventory: Inventory
) -> list[Finding]:
    """Find that no ReferenceGrant allows a route's reference to a Service of another namespace."""
    if namespace == route.namespace:
        return []
    name = reference["name"].text()
    asker = (namespace, route.kind.partition(".")[0], route.namespace)
    allowed = inventory.once(("granted", asker), None, lambda: _allowed(asker, inventory))
    if not allowed.isdisjoint({name, ""}):
        return []
    found = unread(name, namespace, reference["name"], inventory)
    if found and not inventory.by(namespaces_of, namespace, "ReferenceGrant"):
        return [found]
    return [
        Finding(
            FindingCode.REFERENCE_NOT_GRANTED,
            f"{route} refers to Service {namespace}/{name}, and no ReferenceGrant of {namespace} "
            "allows it: its share is answered with 500",
            f"add a ReferenceGrant in {namespace} from {route.kind}s of {route.namespace}",
            reference.where,
        )
    ]
