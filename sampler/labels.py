"""Labels: which version answered, read from a response.

A `LabelRule` says where to look. A `LabelReader` applies one rule for the label and one for
the replica to each response and gives small integer codes. Responses of a canary repeat
themselves, so the answer for a body is remembered, within bounds; a body that is not
remembered is parsed properly, and the decoder builds nothing but what the pointer names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Any

from analysis import ABSENT
from sampler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

MAX_NAMES = 1_000
"""Distinct labels, and distinct replicas, that a run tells apart."""
OTHER = "(other)"
"""Stands for all names after the first `MAX_NAMES`: a target that answers with a new name
each time must not grow without bound."""
MAX_NAME_LENGTH = 200
"""Characters of a name that are kept."""

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

    def describe_missing(self, status: int, body: bytes) -> str:
        """Say of an unlabelled response what it was instead."""
        start = body[:80].decode("utf-8", "replace")
        return f"status {status}, nothing at {self.label}; the body starts {start!r}"

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
        return re.compile(expression.encode(), re.MULTILINE)
    except re.error as error:
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

        def search(body: bytes) -> str | None:
            match = pattern.search(body)
            if match is None:
                return None
            found = match[1] if pattern.groups else match[0]
            return None if found is None else found.decode("utf-8", "replace")

        return search
    return _pointer_extractor(_pointer_tokens(rule.argument))


def _pointer_extractor(tokens: tuple[str, ...]) -> Callable[[bytes], str | None]:
    """Make a reader of one JSON pointer that skips all other members while parsing."""
    import msgspec  # noqa: PLC0415 - needed only when a pointer is read

    decode = msgspec.json.Decoder(_shape(tokens, msgspec)).decode

    def point(body: bytes) -> str | None:
        try:
            value = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        for position, token in enumerate(tokens):
            if isinstance(value, msgspec.Struct):
                value = getattr(value, "at")  # noqa: B009 - the member that `_shape` defined
            elif isinstance(value, dict):
                value = value.get(token)
            elif isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", token):
                value = value[int(token)] if int(token) < len(value) else None
            else:
                return None
            if value is None and position < len(tokens):
                return None
        return _name_of(value)

    return point


def _shape(tokens: tuple[str, ...], msgspec: Any) -> Any:
    """Nest one structure with one member per token, as far as structures can express them.

    A digit may index an array, and msgspec takes no member name that JSON would escape.
    """
    if not tokens or tokens[0].isdigit() or re.search(r'["\\\x00-\x1f]', tokens[0]):
        return Any
    inner = _shape(tokens[1:], msgspec)
    return msgspec.defstruct("Level", [("at", inner, None)], rename={"at": tokens[0]})


def _name_of(value: object) -> str | None:
    """Accept scalars as names: versions are often numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None


def _head_extractor(rule: LabelRule) -> Callable[[int, Headers], str | None]:
    if rule.kind is RuleKind.STATUS:
        return lambda status, _headers: str(status)
    wanted = rule.argument.lower().encode("ascii")

    def find(_status: int, headers: Headers) -> str | None:
        for name, value in headers:
            if name.lower() == wanted:
                return value.decode("latin-1").strip()
        return None

    return find
