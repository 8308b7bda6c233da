"""Manifests as text whose values know where they stand.

An edit replaces the characters of one value and nothing else: comments, order, quotes,
indentation and line ends stay as their author wrote them. Values are found in the documents
that `sampler.expect.documents` reads. After the edits the text is read again, and must say
what was meant; JSON must still be JSON.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sampler.base.errors import UsageError
from sampler.expect.documents import decode, documents, is_json
from sampler.expect.scalars import is_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sampler.expect.documents import Document, Marks
    from sampler.expect.rules.objects import Path as KeyPath

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")
"""A tag and an anchor in front of a value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is to become another.

    Parameters
    ----------
    document : int
        Which one of the file, from 0.
    path : tuple of str or int
        From the document's root.
    value : str or int
        What it is to be.
    """

    document: int
    path: KeyPath
    value: str | int


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file before and after its changes.

    Parameters
    ----------
    path : Path
    before, after : str
        Its text, with its own line ends, and its byte order mark if it has one.
    encoding : str
        Of the file.
    """

    path: Path
    before: str
    after: str = field(repr=False)
    encoding: str = "utf-8"


def change(path: Path, changes: Sequence[Change], text: str | None = None) -> ManifestFile:
    """Return a file with some of its values changed; nothing is written.

    Parameters
    ----------
    path : Path
    changes : sequence of Change
    text : str or None
        What is changed, if that is not what the file holds now.

    Raises
    ------
    UsageError
        If it cannot be read, or a value cannot be changed without touching another one.
    ExpectationError
        If it is not YAML.
    """
    try:
        before, encoding = decode(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    before = before if text is None else text
    read = list(documents(str(path), before))
    edits = [_edit(path, before, read, each) for each in changes]
    after = before
    for start, end, written in sorted(edits, reverse=True):
        after = after[:start] + written + after[end:]
    _verify(path, read, before, after, changes)
    return ManifestFile(path, before, after, encoding)


def _edit(path: Path, text: str, read: Sequence[Document], wanted: Change) -> tuple[int, int, str]:
    """Return which characters are replaced by which."""
    if wanted.document >= len(read):
        raise UsageError(
            f"{path}: the object that was read there is gone",
            hint="the file has changed since: run the command again",
        )
    document = read[wanted.document]
    place, dotted = f"{path}:{document.line(wanted.path)}", _dotted(wanted.path)
    *way, last = wanted.path
    here, marks = document.value, document.marks.get(id(document.value))
    for key in way:
        marks = _unshared(marks, document, key, f"{place}: {dotted}")
        if marks is None or key not in marks.spots:
            raise UsageError(f"{place}: there is no {dotted} to change")
        here = here[key]
        marks = document.marks.get(id(here))
    marks = _unshared(marks, document, last, f"{place}: {dotted}")
    if marks is None or (last not in marks.spots and not isinstance(here, dict)):
        raise UsageError(f"{place}: there is no {dotted} to change")
    if last not in marks.spots:
        return _insertion(place, text, marks, str(last), wanted.value)
    spot = marks.spots[last]
    if spot.style in {"{", "|", ">"}:
        raise UsageError(
            f"{place}: expected one plain value at {dotted}",
            hint="write it on one line, then run the command again",
        )
    properties = _PROPERTIES.match(text, spot.start, spot.end)
    start = spot.start if properties is None else properties.end()
    written = _written(wanted.value, spot.style)
    if start == spot.end and start == spot.start:  # nothing is written there yet
        written = f" {written}" if text[start - 1] == ":" else f": {written}"
    return start, spot.end, written


def _unshared(marks: Marks | None, document: Document, key: str | int, what: str) -> Marks | None:
    """Refuse a value that an alias or a merge key brings elsewhere: it would change there, too."""
    if marks is None:
        return None
    spot = marks.spots.get(key)
    if marks.is_shared or (
        spot is not None and (spot.style in {"*", "<"} or spot.start in document.aliased)
    ):
        raise UsageError(
            f"{what} is an anchor that is also used elsewhere",
            hint="write the value out in both places, then run the command again",
        )
    return marks


def _insertion(
    place: str, text: str, parent: Marks, key: str, value: str | int
) -> tuple[int, int, str]:
    """Put a key that is missing in front of the first one of its mapping, quoted like that."""
    if parent.first is None:
        raise UsageError(f"{place}: expected a mapping with keys, where {key} is to be written")
    start, column, quote = parent.first
    entry = f"{quote}{key}{quote}: {_written(value, quote)}"
    before = text[text.rfind("\n", 0, start) + 1 : start]
    newline = "\r\n" if "\r\n" in text else "\n"
    if not parent.is_flow:
        return start, start, f"{entry}{newline}{' ' * column}"
    return start, start, f"{entry}, " if before.strip() else f"{entry},{newline}{before}"


def _written(value: str | int, style: str) -> str:
    """Write a value as its place is quoted; plain text that a reader could mistake is quoted."""
    if isinstance(value, int):
        return str(value)
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False) if style == '"' or not is_plain(value) else value


def _verify(
    path: Path, read: Sequence[Document], before: str, after: str, changes: Sequence[Change]
) -> None:
    """See that the new text says what was meant, and nothing else.

    Raises
    ------
    UsageError
        If it does not: the YAML is of a kind that this module does not edit rightly.
    """
    meant = [copy.deepcopy(each.value) for each in read]
    for each in changes:
        *way, last = each.path
        here: Any = meant[each.document]
        for key in way:
            here = here[key]
        here[last] = each.value
    said = [each.value for each in documents(str(path), after)]
    if json.dumps(said, sort_keys=True) != json.dumps(meant, sort_keys=True) or (
        is_json(before) and not is_json(after)
    ):
        places = ", ".join(_dotted(each.path) for each in changes)
        raise UsageError(
            f"{path}: {places} cannot be edited in place", hint="edit it by hand and commit"
        )


def _dotted(path: KeyPath) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(parts).removeprefix(".")
