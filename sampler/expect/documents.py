"""Text as documents whose values know where they stand, read as kubectl reads it.

libyaml, from which Kubernetes' YAML library was ported, finds the scalars (it takes tabs where
kubectl does); `scalars` says what they are. JSON is YAML here, too, so that its values have
places; several JSON values that follow each other are several documents.

A document is plain mappings, lists and scalars. Its `Marks` say by the identity of a container
where its values stand: containers behind an alias are the same, as in the text.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from sampler.base.errors import ExpectationError
from sampler.expect.rules.placeholders import rendered_by
from sampler.expect.scalars import Scalar, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import Path as KeyPath

MOST_NODES = 1_000_000
"""Values, keys and containers of all manifests together, with aliases written out."""
MOST_DEPTH = 200
"""Containers inside of each other; the schemas of CustomResourceDefinitions have 60."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_MARKED = re.compile(r"^---[^\n]*\n(?=\ufeff)", re.MULTILINE)
"""Before a byte order mark in the middle: of files that were written one after the other."""
_SPACE = re.compile(r"[\ufeff \t\r\n]*")


class Spot(NamedTuple):
    """Where a value of a container stands.

    Parameters
    ----------
    line : int
        Of its key, or of an item, from 0.
    start, end : int
        Its characters, with a tag or an anchor in front of them.
    style : str
        Empty for a plain scalar; else a quote, ``|``, ``>``, ``*`` for an alias, ``<`` for
        a value that a merge key brought, or ``{`` for a container.
    """

    line: int
    start: int
    end: int
    style: str


@dataclass(slots=True)
class Marks:
    """Where a container stands, and what is in it.

    Parameters
    ----------
    line : int
        From 0.
    is_flow : bool
        Whether it is in brackets.
    spots : dict
        By key or position.
    first : tuple of int, int and str, or None
        Character, column and quote of a mapping's first key.
    is_shared : bool
        Whether an alias or a merge key brings it elsewhere, too.
    """

    line: int
    is_flow: bool
    spots: dict[str | int, Spot] = field(default_factory=dict)
    first: tuple[int, int, str] | None = None
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Parameters
    ----------
    value : Any
        Mappings, lists and scalars; None for an empty one.
    marks : dict of int to Marks
        By the identity of a container.
    aliased : set of int
        Where scalars begin that an alias brings elsewhere, too.
    size : int
        Values, keys and containers, with aliases written out.
    """

    value: Any
    marks: dict[int, Marks]
    aliased: set[int]
    size: int

    def line(self, path: KeyPath) -> int:
        """Return the line of a path, from 1, exact as far as the path exists."""
        here = self.value
        marks = self.marks.get(id(here))
        line = 0 if marks is None else marks.line
        for key in path:
            if marks is None or key not in marks.spots:
                break
            line = marks.spots[key].line
            here = here[key]
            marks = self.marks.get(id(here))
        return line + 1


def decode(data: bytes) -> tuple[str, str]:
    """Return a file's text, with its byte order mark, and the name of its encoding.

    Raises
    ------
    UnicodeDecodeError
        If it is neither UTF-8 nor UTF-16 with a mark.
    """
    encoding = _MARKS.get(data[:2], "utf-8")
    return data.decode(encoding), encoding


def is_json(text: str) -> bool:
    """Whether a text is one JSON value or several."""
    return _json_ends(text)[1]


def documents(name: str, text: str) -> Iterator[Document]:
    """Yield the documents of a text.

    Parameters
    ----------
    name : str
        Of the file, for errors.
    text : str
        YAML or JSON.

    Raises
    ------
    ExpectationError
        If kubectl would not read it, or it goes beyond `MOST_NODES` or `MOST_DEPTH`; with its line.
    """
    start = line = 0
    marked = [found.end() for found in _MARKED.finditer(text)] if "\ufeff" in text[1:] else []
    for end in _json_ends(text)[0] or [*marked, len(text)]:
        part = text[start:end]
        if part.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
            # libyaml reads no pair of \\u: what they say is never a name, but must keep its length.
            part = _SURROGATES.sub(r"\1\\uFFFD\\uFFFD", part)
        yield from _Reader(name, line, start).read(part)
        line += text.count("\n", start, end)
        start = end


def _json_ends(text: str) -> tuple[list[int], bool]:
    """Return where the parts of a text end: its JSON values, and then the rest if there is one."""
    decoder = json.JSONDecoder(strict=False)
    ends: list[int] = []
    at = _after_space(text, 0)
    while at < len(text):
        try:
            at = decoder.raw_decode(text, at)[1] if text[at] in "{[" else -1
        except (ValueError, RecursionError):
            at = -1
        if at < 0:
            return ([*ends, len(text)] if ends else []), False
        ends.append(at)
        at = _after_space(text, at)
    return ends, bool(ends)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


_NO_KEY, _MERGE = object(), object()
_TAG = "tag:yaml.org,2002:"
_MERGE_TAG = f"{_TAG}merge"
_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "float": (int, float),
    "int": (int,),
    "null": (type(None),),
    "timestamp": (str,),
}


@dataclass(slots=True)
class _Frame:
    """A container that is being read; `key` is that of the next value of a mapping."""

    begin: Any
    value: dict[str, Any] | list[Any]
    marks: Marks
    size: int = 1
    key: Any = _NO_KEY
    line: int = 0  # of the key


class _Reader:
    """Reads the events of one part of a text, which begins at a line and a character."""

    def __init__(self, name: str, line: int, start: int) -> None:
        self.name, self.line, self.start = name, line, start

    def read(self, text: str) -> Iterator[Document]:
        if text.startswith("\ufeff"):
            text = text[1:]
            self.start += 1
        try:
            yield from self._documents(text)
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            line = "" if mark is None else "".join(text.splitlines()[mark.line : mark.line + 1])
            raise ExpectationError(
                f"{self.name if mark is None else self._at(mark)}: this is not YAML: {problem}",
                hint=rendered_by("{{" if "{{" in text else line)
                or "see that line and the one before it",
            ) from error

    def _documents(self, text: str) -> Iterator[Document]:
        self._begin()
        loader = _LOADER(text)
        kind: type = yaml.StreamStartEvent
        while kind is not yaml.StreamEndEvent:
            event = loader.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self._begin()
            elif kind is yaml.DocumentEndEvent:
                yield Document(self.root, self.marks, self.aliased, self.size)

    def _begin(self) -> None:
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int, int] | None] = {}  # None while it is read
        self.marks: dict[int, Marks] = {}
        self.aliased: set[int] = set()
        self.root: Any = None
        self.size = 0

    def _at(self, mark: Any) -> str:
        return f"{self.name}:{self.line + mark.line + 1}"

    def _refused(self, event: Any, what: str, hint: str) -> ExpectationError:
        return ExpectationError(f"{self._at(event.start_mark)}: {what}", hint=hint)

    def _scalar(self, event: Any) -> None:
        value, style = event.value, event.style or ""
        if event.tag is not None:
            value = self._tagged(event, event.tag)
        elif not style:
            value = resolve(value)
        if type(value) is float and not isfinite(value):
            raise self._refused(event, f"JSON has no {event.value}", "quote it, if it is a text")
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1, event.start_mark.index + self.start)
        self._put(event, value, 1, style)

    def _tagged(self, event: Any, tag: str) -> Scalar:
        if tag == f"{_TAG}binary":
            return b64decode(event.value).decode("utf-8", "replace")
        wanted = _TYPES.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
        if wanted is None:
            return str(event.value)
        value = resolve(event.value)
        if type(value) not in wanted:
            raise self._refused(
                event, f"{event.value!r} is no {tag}", "leave the tag out, or correct the value"
            )
        return value

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        if len(self.stack) >= MOST_DEPTH:
            raise self._refused(
                event, f"more than {MOST_DEPTH} levels of nesting", "give Kubernetes objects only"
            )
        marks = Marks(event.start_mark.line + self.line, event.flow_style)
        self.marks[id(value)] = marks
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(event, value, marks))

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.begin.anchor is not None:
            self.anchors[frame.begin.anchor] = (frame.value, frame.size, -1)
        self._put(frame.begin, frame.value, frame.size, "{")

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise self._refused(event, f"*{event.anchor} names no anchor", "see what is above it")
        known = self.anchors[event.anchor]
        if known is None:
            raise self._refused(event, "an alias stands inside of what it names", "write it out")
        value, size, start = known
        self.aliased.add(start)
        if id(value) in self.marks:
            self.marks[id(value)].is_shared = True
        self._put(event, value, size, "*")

    def _put(self, event: Any, value: Any, size: int, style: str) -> None:
        """Put a value, or a key, where it belongs."""
        if not self.stack:
            self.root, self.size = value, size
            return
        frame = self.stack[-1]
        frame.size += size
        if frame.size > MOST_NODES:
            raise too_much(self.name, MOST_NODES)
        begin = event.start_mark
        if isinstance(frame.value, list):
            frame.marks.spots[len(frame.value)] = self._spot(event, begin.line, style)
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            is_merge = value == "<<" and style == "" and event.tag in {None, _MERGE_TAG}
            frame.key = _MERGE if is_merge else self._key(event, value)
            frame.line = begin.line
            if not frame.marks.spots and frame.marks.first is None:
                frame.marks.first = (begin.index + self.start, begin.column, style)
            return
        else:
            key, frame.key = frame.key, _NO_KEY
            if key is _MERGE:
                self._merge(event, frame.value, frame.marks.spots, value)
                return
            spot = frame.marks.spots.get(key)
            if spot is not None and spot.style != "<":
                raise self._refused(event, f"the key {key!r} stands twice", "keep one of them")
            frame.value[key] = value
            frame.marks.spots[key] = self._spot(event, frame.line, style)

    def _spot(self, event: Any, line: int, style: str) -> Spot:
        start, end = event.start_mark.index, event.end_mark.index
        return Spot(line + self.line, start + self.start, end + self.start, style)

    def _key(self, event: Any, value: Any) -> str:
        """Return a key as JSON has it."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return repr(value)
        raise self._refused(
            event,
            f"expected text as a key, got {'nothing' if value is None else 'a mapping or a list'}",
            rendered_by("{{") or "" if isinstance(value, dict) else "quote it",
        )

    def _merge(
        self, event: Any, into: dict[str, Any], spots: dict[str | int, Spot], value: Any
    ) -> None:
        """Take over the keys of other mappings, as go-yaml does: also over keys in front of it."""
        for each in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(each, dict):
                raise self._refused(event, "expected mappings to merge with <<", "name an anchor")
            into.update(each)
            brought = self.marks[id(each)].spots
            spots.update((key, spot._replace(style="<")) for key, spot in brought.items())


def too_much(name: str, most: int) -> ExpectationError:
    """Return the error for text with too many values."""
    return ExpectationError(
        f"{name} holds more than {most} values, its aliases written out",
        hint="give the folder of one application",
    )
