"""Labels: which version answered, read from a response.

A `LabelRule` says where to look. A `LabelReader` applies one rule for the label and one for
the replica to each response and gives small integer codes. Responses of a canary repeat
themselves, so the answer for a body is remembered, within bounds; a body that is not
remembered is parsed properly, and the decoder builds nothing but what the pointer names.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import Enum, unique
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from analysis import ABSENT
from sampler.base.errors import UsageError
from sampler.base.redaction import without_secrets
from sampler.labels.regex_timeout import within_patience

if TYPE_CHECKING:
    import json
    from collections.abc import Callable, Iterator, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

MAX_NAMES = 1_000
"""Distinct labels, and distinct replicas, that a run tells apart."""
OTHER = "(other)"
"""Stands for all names after the first `MAX_NAMES`: a target that answers with a new name
each time must not grow without bound."""
MAX_NAME_LENGTH = 200
"""Characters of a name that are kept."""

_SHOWN = 80  # of a body that is no label, and of where a redirect leads
_MOST_POINTERS, _LONGEST_POINTER, _DEEPEST = 4, 40, 4
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_NOTHING = object()
_MARK = b"\xef\xbb\xbf"  # of the order of bytes; a reader of JSON may pass it over (RFC 8259)
_MEMO_ENTRIES = 1_024
_MEMO_BODY_BYTES = 4_096


@unique
class RuleKind(Enum):
    """Part of the response that holds the name."""

    POINTER = "pointer"
    HEADER = "header"
    REGEX = "regex"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Where in a response a name is read.

    Parameters
    ----------
    kind : RuleKind
        Part of the response.
    argument : str
        JSON pointer (RFC 6901), header name, or regular expression; empty for the status.

    Raises
    ------
    UsageError
        If the argument is not a valid one of its kind.
    """

    kind: RuleKind
    argument: str = ""

    def __post_init__(self) -> None:
        match self.kind:
            case RuleKind.POINTER:
                _pointer_tokens(self.argument)
            case RuleKind.HEADER:
                if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", self.argument):
                    raise UsageError(f"expected header:NAME, got header:{self.argument}")
            case RuleKind.REGEX:
                _compile(self.argument)
            case RuleKind.STATUS:
                pass

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Read ``/pointer``, ``header:NAME``, ``regex:EXPR`` or ``status``.

        Raises
        ------
        UsageError
            If the text has another form.
        """
        if text == "status":
            return cls(RuleKind.STATUS)
        if text.startswith("/"):
            return cls(RuleKind.POINTER, text)
        kind, colon, argument = text.partition(":")
        if colon and kind in {"header", "regex"}:
            return cls(RuleKind(kind), argument)
        raise UsageError(
            f"expected a JSON pointer such as /label, header:NAME, regex:EXPR or status, "
            f"got {text!r}"
        )

    @property
    def reads_body(self) -> bool:
        """Whether the name depends on the body, and not on the head alone."""
        return self.kind in {RuleKind.POINTER, RuleKind.REGEX}

    def __str__(self) -> str:
        match self.kind:
            case RuleKind.POINTER:
                return self.argument
            case RuleKind.STATUS:
                return "status"
            case RuleKind.HEADER | RuleKind.REGEX:
                return f"{self.kind.value}:{self.argument}"


class Dictionary:
    """Names and their codes, in the order of their first appearance; bounded."""

    __slots__ = ("_codes", "names")

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.names: tuple[str, ...] = ()

    def code(self, name: str | None) -> int:
        """Give the code of a name, a new one if need be; `ABSENT` for None and ""."""
        if not name:
            return ABSENT
        if len(name) > MAX_NAME_LENGTH:
            name = name[:MAX_NAME_LENGTH] + "…"
        found = self._codes.get(name)
        if found is None:
            if len(self.names) >= MAX_NAMES:
                name = OTHER
            found = self._codes.setdefault(name, len(self.names))
            if found == len(self.names):
                self.names += (name,)
        return found


class LabelReader:
    """Reads the codes of label and replica from responses.

    Parameters
    ----------
    label : LabelRule
        Where the version's name is.
    replica : LabelRule or None
        Where the name of the pod is.
    """

    __slots__ = (
        "_body_extractors",
        "_head_extractors",
        "_memo",
        "label",
        "labels",
        "reads_head",
        "replica",
        "replicas",
    )

    def __init__(self, label: LabelRule, replica: LabelRule | None = None) -> None:
        self.label = label
        self.replica = replica
        self.labels = Dictionary()
        self.replicas = Dictionary()
        rules = (label, replica)
        self._body_extractors = tuple(
            _body_extractor(rule) if rule is not None and rule.reads_body else None
            for rule in rules
        )
        self._head_extractors = tuple(
            _head_extractor(rule) if rule is not None and not rule.reads_body else None
            for rule in rules
        )
        self.reads_head = any(self._head_extractors)
        self._memo: dict[bytes, tuple[int, int]] = {}

    def codes(self, status: int, headers: Headers, body: bytes) -> tuple[int, int]:
        """Give the codes of label and replica, each `ABSENT` if it is not there."""
        found = self._memo.get(body)
        if found is None:
            found = self._read_body(body)
        if self.reads_head:
            label, replica = self._head_extractors
            return (
                found[0] if label is None else self.labels.code(label(status, headers)),
                found[1] if replica is None else self.replicas.code(replica(status, headers)),
            )
        return found

    def describe_missing(self, status: int, headers: Headers, body: bytes) -> str:
        """Say of an unlabelled response what it was instead."""
        told = [f"status {status}"]
        location = _field(headers, b"location")
        if location and 300 <= status < 400:
            told.append(f"a redirect to {without_secrets(location)[:_SHOWN]}")
        told.append(self._why_missing(body))
        start = body[:_SHOWN].decode("utf-8", "replace")
        body_told = f"the body starts {start!r}" if body else "the body is empty"
        return f"{', '.join(told)}; {body_told}"

    def _why_missing(self, body: bytes) -> str:
        if self.label.kind is not RuleKind.POINTER or not body:
            return f"nothing at {self.label}"
        document = _decoded(body.removeprefix(_MARK))
        if document is _NOTHING:
            return f"nothing at {self.label} because it is no JSON"
        value = _walk(document, _pointer_tokens(self.label.argument))
        if value is not _NOTHING:
            return f"no name at {self.label} but {_kind_of(value)}"
        there = ", ".join(islice(_pointers(document), _MOST_POINTERS))
        return f"nothing at {self.label}" + (f" but something at {there}" if there else "")

    def _read_body(self, body: bytes) -> tuple[int, int]:
        label, replica = self._body_extractors
        codes = (
            ABSENT if label is None else self.labels.code(label(body)),
            ABSENT if replica is None else self.replicas.code(replica(body)),
        )
        self._remember(body, codes)
        return codes

    def _remember(self, body: bytes, codes: tuple[int, int]) -> None:
        if len(body) > _MEMO_BODY_BYTES:
            return
        if len(self._memo) >= _MEMO_ENTRIES:
            self._memo.clear()
        self._memo[body] = codes


def _compile(expression: str) -> re.Pattern[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # what will mean something else
            return re.compile(expression.encode(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise UsageError(
            f"expected a regular expression, got {expression!r}: {error}",
            hint="the first group, if there is one, is the label",
        ) from error


def _pointer_tokens(pointer: str) -> tuple[str, ...]:
    """Split a JSON pointer into its reference tokens (RFC 6901 sections 3 and 4)."""
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise UsageError(
            f"expected a JSON pointer (RFC 6901) such as /label or /pod/version, got {pointer!r}",
            hint="inside a name, write / as ~1 and ~ as ~0",
        )
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def _body_extractor(rule: LabelRule) -> Callable[[bytes], str | None]:
    if rule.kind is RuleKind.REGEX:
        pattern = _compile(rule.argument)
        find = within_patience(pattern.search, rule.argument)

        def search(body: bytes) -> str | None:
            match = find(body)
            if match is None:
                return None
            found = match[1] if pattern.groups else match[0]
            return None if found is None else found.decode("utf-8", "replace")

        return search
    return _pointer_extractor(_pointer_tokens(rule.argument))


def _pointer_extractor(tokens: tuple[str, ...]) -> Callable[[bytes], str | None]:
    """Make a reader of one JSON pointer that skips all other members while parsing."""
    import msgspec  # noqa: PLC0415 - needed only when a pointer is read

    shape, levels = _shape(tokens, msgspec)
    decode = msgspec.json.Decoder(shape).decode
    decode_text = msgspec.json.Decoder(str).decode
    rest = tokens[levels:]

    def part(body: bytes) -> Any:
        """Find what structures lead to, still as it is spelled; None if it is not there."""
        try:
            value = decode(body.removeprefix(_MARK))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        while isinstance(value, msgspec.Struct):
            value = getattr(value, "at")  # noqa: B009 - the member that `_shape` defined
        return value

    def text(raw: Any) -> str | None:
        try:
            name: str = decode_text(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return name

    def point(body: bytes) -> str | None:
        raw = part(body)
        if raw is None:
            return None
        name = None if rest else text(raw)
        return _name_of(_walk(_decoded(raw), rest)) if name is None else name

    return point


def _shape(tokens: tuple[str, ...], msgspec: Any) -> tuple[Any, int]:
    """Nest one structure with one member per token, as far as structures can express them.

    A digit may index an array, and msgspec takes no member name that JSON would escape.
    Gives the type, and the number of tokens that are in it.
    """
    if not tokens or tokens[0].isdigit() or re.search(r'["\\\x00-\x1f]', tokens[0]):
        return msgspec.Raw, 0
    inner, levels = _shape(tokens[1:], msgspec)
    level = msgspec.defstruct("Level", [("at", inner, None)], rename={"at": tokens[0]})
    return level, levels + 1


def _decoded(raw: Any) -> object:
    """Read a part of a document; numbers keep their spelling, in which 1.1 is not 1.10."""
    try:
        return _spelling_decoder().decode(bytes(raw).decode())
    except (ValueError, RecursionError):
        return _NOTHING


@cache
def _spelling_decoder() -> json.JSONDecoder:
    import json  # noqa: PLC0415 - for what is no string alone

    return json.JSONDecoder(parse_int=str, parse_float=str)


def _walk(value: object, tokens: Sequence[str]) -> object:
    """Follow a JSON pointer's tokens from a value (RFC 6901 section 4)."""
    for token in tokens:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return _NOTHING
    return value


def _pointers(value: object, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Give the pointers of what would be names, in the order of the document."""
    if isinstance(value, dict) and depth < _DEEPEST:
        for name, member in value.items():
            token = str(name).replace("~", "~0").replace("/", "~1")
            yield from _pointers(member, f"{prefix}/{token}", depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        yield from _pointers(value[0], f"{prefix}/0", depth + 1)
    elif prefix and len(prefix) <= _LONGEST_POINTER and _name_of(value):
        yield prefix


def _kind_of(value: object) -> str:
    """Say in JSON's words what is no name."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else "an empty string"


def _name_of(value: object) -> str | None:
    """Accept scalars as names: versions are often numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return None


def _head_extractor(rule: LabelRule) -> Callable[[int, Headers], str | None]:
    if rule.kind is RuleKind.STATUS:
        return lambda status, _headers: str(status)
    wanted = rule.argument.lower().encode("ascii")

    return lambda _status, headers: _field(headers, wanted)


def _field(headers: Headers, wanted: bytes) -> str | None:
    """Give the first field of a lower-case name."""
    for name, value in headers:
        if name.lower() == wanted:
            return value.decode("latin-1").strip()
    return None
