"""Who controls an object: a pod belongs to a ReplicaSet, and that to a Deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sampler.expect.rules.objects import Inventory, KubeObject

_MOST_OWNERS = 8


class Top(NamedTuple):
    """The controller at the top of an object: what it is called, and itself if it was read."""

    kind: str
    name: str
    owner: KubeObject | None


def controller_of(owned: KubeObject) -> tuple[str, str] | None:
    """Return kind and name of what controls an object; None if nothing does."""
    for each in owned["metadata"]["ownerReferences"]:
        if each["controller"].value is True:
            return each["kind"].text(), each["name"].text()
    return None


def top_of(owned: KubeObject, inventory: Inventory) -> Top:
    """Follow the controllers of an object to the top; without one, it is its own.

    Pod → ReplicaSet → Deployment is the usual way.
    """
    kind, name, found = owned.kind, owned.name, owned
    for _ in range(_MOST_OWNERS):
        controller = found.once(controller_of)
        if controller is None:
            break
        kind, name = controller
        owner = inventory.find(kind, name, owned.namespace)
        if owner is None:
            return Top(kind, name, None)
        found = owner
    return Top(kind, name, None if found is owned else found)
