"""Manifests as text whose values know where they stand.

An edit replaces the characters of one value and nothing else: comments, order, quotes,
indentation and line ends stay as their author wrote them. ruamel.yaml composes the nodes;
their marks say where each value begins and ends. After the edits the text is read again, and
must say what was meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ruamel.yaml.nodes import Node

    from sampler.expect.rules.objects import Path as KeyPath


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is to become another.

    Parameters
    ----------
    line : int
        Where the object begins that holds it, from 1.
    path : tuple of str or int
        From the object's root.
    value : str or int
        What it is to be.
    """

    line: int
    path: KeyPath
    value: str | int


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file before and after its changes.

    Parameters
    ----------
    path : Path
    before, after : str
        Its text, with its own line ends.
    """

    path: Path
    before: str
    after: str = field(repr=False)


def change(path: Path, changes: Sequence[Change]) -> ManifestFile:
    """Return a file with some of its values changed; nothing is written.

    Raises
    ------
    UsageError
        If it cannot be read, or a value cannot be changed without touching another one.
    """
    try:
        before = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    roots = _roots(path, before)
    shared = _shared(roots)
    edits = []
    for each in changes:
        root = _object_at(path, roots, each.line)
        edits.append(_edit(path, before, root, each, shared))
    after = before
    for start, end, text in sorted(edits, reverse=True):
        after = after[:start] + text + after[end:]
    _verify(path, roots, after, changes)
    return ManifestFile(path, before, after)


def _roots(path: Path, text: str) -> list[Node]:
    try:
        return [node for node in YAML(typ="rt").compose_all(text) if node is not None]
    except (YAMLError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML that can be edited: {error}") from error


def _objects(roots: Sequence[Node]) -> Iterator[MappingNode]:
    """Yield the objects, those inside of lists too, in their order."""
    for root in roots:
        items = _child(root, "items")
        if isinstance(items, SequenceNode) and _child(root, "spec") is None:
            yield from (item for item in items.value if isinstance(item, MappingNode))
        elif isinstance(root, MappingNode):
            yield root


def _object_at(path: Path, roots: Sequence[Node], line: int) -> MappingNode:
    for each in _objects(roots):
        if each.start_mark.line + 1 == line:
            return each
    raise UsageError(
        f"{path}:{line}: the object that was read there is gone",
        hint="the file has changed since: run the command again",
    )


def _child(node: Any, key: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if isinstance(name, ScalarNode) and name.value == key:
                found: Node = value
                return found
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        item: Node = node.value[key]
        return item
    return None


def _shared(roots: Sequence[Node]) -> set[int]:
    """Name the nodes that stand behind an alias: a change there would be seen elsewhere."""
    seen: set[int] = set()
    shared: set[int] = set()
    pending: list[Node] = list(roots)
    while pending:
        node = pending.pop()
        if id(node) in seen:
            shared.add(id(node))
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            pending += [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            pending += node.value
    return shared


def _edit(
    path: Path, text: str, root: MappingNode, wanted: Change, shared: set[int]
) -> tuple[int, int, str]:
    node: Node = root
    for depth, key in enumerate(wanted.path):
        below = _child(node, key)
        if below is None and depth == len(wanted.path) - 1 and isinstance(node, MappingNode):
            return _insertion(path, text, node, str(key), wanted.value)
        place = f"{path}:{node.start_mark.line + 1}"
        if below is None:
            raise UsageError(f"{place}: there is no {_dotted(wanted.path)} to change")
        if id(below) in shared:
            raise UsageError(
                f"{place}: {_dotted(wanted.path)} is an anchor that is also used elsewhere",
                hint="write the value out in both places, then run the command again",
            )
        node = below
    if not isinstance(node, ScalarNode) or node.style in {"|", ">"}:
        raise UsageError(
            f"{path}:{node.start_mark.line + 1}: expected one plain value at "
            f"{_dotted(wanted.path)}",
            hint="write it on one line, then run the command again",
        )
    return node.start_mark.index, node.end_mark.index, _written(wanted.value, node.style)


def _insertion(
    path: Path, text: str, parent: MappingNode, key: str, value: str | int
) -> tuple[int, int, str]:
    """Put a key that is missing in front of the first one of its mapping."""
    if not parent.value:
        raise UsageError(f"{path}:{parent.start_mark.line + 1}: expected a mapping with keys")
    first = parent.value[0][0].start_mark
    entry = f"{key}: {_written(value, None)}"
    if parent.flow_style:
        return first.index, first.index, f"{entry}, "
    newline = "\r\n" if "\r\n" in text else "\n"
    return first.index, first.index, f"{entry}{newline}{' ' * first.column}"


def _written(value: str | int, style: str | None) -> str:
    """Write a value as its place is quoted; plain text that would be read otherwise is quoted."""
    if isinstance(value, int):
        return str(value)
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False) if style == '"' or not _is_plain(value) else value


def _is_plain(value: str) -> bool:
    """Whether YAML reads the bare text as this text, and not as a number or a mapping."""
    try:
        return bool(YAML(typ="safe").load(f"[{value}]") == [value])
    except YAMLError:
        return False


def _verify(path: Path, roots: Sequence[Node], after: str, changes: Sequence[Change]) -> None:
    """See that the new text says what was meant.

    Raises
    ------
    UsageError
        If it does not: the YAML is of a kind that this module does not edit rightly.
    """
    order = [each.start_mark.line + 1 for each in _objects(roots)]
    objects = list(_objects(_roots(path, after)))
    for each in changes:
        node: Node | None = objects[order.index(each.line)] if len(objects) == len(order) else None
        for key in each.path:
            node = _child(node, key)
        if not isinstance(node, ScalarNode) or node.value != str(each.value):
            raise UsageError(
                f"{path}:{each.line}: {_dotted(each.path)} cannot be edited in place",
                hint="edit it by hand and commit",
            )


def _dotted(path: KeyPath) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(parts).removeprefix(".")
