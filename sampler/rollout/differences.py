"""In what two pod templates differ, item by item: containers and variables are told by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sampler.expect.rules.objects import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINERS = frozenset({"containers", "initContainers"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two templates do not share.

    Parameters
    ----------
    place : Node
        The value in the one that may be changed; its own value is None if it has none.
    wanted : Any
        What the other one says there; None if it says nothing.
    """

    place: Node
    wanted: Any

    @property
    def key(self) -> str:
        """Last part of its path."""
        return str(self.place.path[-1])

    @property
    def is_label(self) -> bool:
        """Whether it is a label of the pods."""
        return self.place.path[-3:-1] == ("metadata", "labels")

    @property
    def is_image(self) -> bool:
        """Whether it is the image of a container."""
        path = self.place.path
        return path[-1] == "image" and len(path) > 2 and path[-3] in _CONTAINERS

    @property
    def can_be_set(self) -> bool:
        """Whether both say one text there, so that one can be written over the other."""
        return isinstance(self.place.value, str) and isinstance(self.wanted, str)

    def __str__(self) -> str:
        return f"{self.place.dotted} at {self.place.where}"


def differences(one: Node, other: Node) -> Iterator[Difference]:
    """Yield what `one` says otherwise than `other`, at the places of `other`.

    Items of a list that have names are compared by name, those of other lists of one length by
    their position. The only
    container that has no counterpart is compared with the only one of the other side.
    """
    if isinstance(one.value, Mapping) and isinstance(other.value, Mapping):
        for key in dict.fromkeys((*other.value, *one.value)):
            yield from differences(one[key], other[key])
    elif _is_named(one.value) and _is_named(other.value):
        named = {each["name"].value: each for each in one}
        items = {each["name"].value: each for each in other}
        alone = [*(set(named) - set(items)), *(set(items) - set(named))]
        if other.path[-1] in _CONTAINERS and [each in named for each in alone] == [True, False]:
            named[alone[1]] = named.pop(alone[0])  # one container of two names
        for name, each in items.items():
            yield from _with(named.pop(name, None), each)
        for each in named.values():
            yield Difference(Node(other.owner, other.path, None), each.value)
    elif _is_list(one.value) and _is_list(other.value) and len(one.value) == len(other.value):
        for each, its in zip(one, other, strict=True):
            yield from differences(each, its)
    elif one.value != other.value:
        yield Difference(other, one.value)


def _with(one: Node | None, other: Node) -> Iterator[Difference]:
    if one is None:
        yield Difference(other, None)
    else:
        yield from differences(one, other)


def unmatched_containers(one: Node, other: Node) -> list[str]:
    """Return the names of the containers that `one` has, and `other` not, where that has others."""
    found = []
    for key in sorted(_CONTAINERS):
        names, others = (
            [each["name"].value for each in side["spec"][key]] for side in (one, other)
        )
        mine = [name for name in names if name not in others]
        theirs = [name for name in others if name not in names]
        if mine and theirs and (len(mine), len(theirs)) != (1, 1):
            found += mine
    return found


def leaves(node: Node) -> Iterator[Node]:
    """Yield every text, number and other single value below a node, names left out."""
    if isinstance(node.value, Mapping):
        for key in node.value:
            if key != "name":
                yield from leaves(node[key])
    elif _is_list(node.value):
        for each in node:
            yield from leaves(each)
    elif node.exists:
        yield node


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_named(value: Any) -> bool:
    return _is_list(value) and all(
        isinstance(each, Mapping) and isinstance(each.get("name"), str) for each in value
    )
