"""The label reader: which version answered, and which replica, read from a response.

A `LabelReader` applies one rule for the label and one for the replica to each response and
returns small integer codes. Responses of a canary repeat themselves, so the answer for a body
is remembered, within bounds; a body that is not remembered is parsed properly, and the decoder
builds nothing but what the pointer names.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from analysis import ABSENT
from sampler.base.redaction import without_secrets
from sampler.labels.names import NameCodes
from sampler.labels.pointer import MISSING, follow, parse_pointer, to_pointer
from sampler.labels.regex_timeout import with_timeout
from sampler.labels.rule import RuleKind, compile_expression

if TYPE_CHECKING:
    import json
    from collections.abc import Callable, Iterator, Sequence

    from sampler.labels.rule import LabelRule

    Headers = Sequence[tuple[bytes, bytes]]

_QUOTED = 1000  # that are looked at for it
_SHOWN = 80  # of a body without a label, and of where a redirect leads
_MOST_POINTERS, _LONGEST_POINTER, _DEEPEST = 4, 40, 4
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARK = b"\xef\xbb\xbf"  # of the order of bytes; a reader of JSON may pass it over (RFC 8259)
LARGEST_DOCUMENT = 262_144
"""Bytes that are turned into objects, at most: a larger document would hold up the event loop.

That is needed below the index of an array, for what only Python's decoder takes, and to say what
there is instead of a label; other members are skipped unseen.
"""
_MEMO_ENTRIES = 1_024
_MEMO_BODY_BYTES = 4_096


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
        self.labels = NameCodes()
        self.replicas = NameCodes()
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
        """Return the codes of label and replica, each `ABSENT` if it is not there."""
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
        """Describe an unlabelled response: what it was instead, in one sentence."""
        told = [f"status {status}"]
        location = _field(headers, b"location")
        if location and 300 <= status < 400:
            told.append(f"a redirect to {without_secrets(location[:_QUOTED])[:_SHOWN]}")
        told.append(self._why_missing(body))
        # Error pages quote what was asked; a secret that is cut is still one.
        start = without_secrets(body[:_QUOTED].decode("utf-8", "replace"))[:_SHOWN]
        body_told = f"the body starts {start!r}" if body else "the body is empty"
        return f"{', '.join(told)}; {body_told}"

    def _why_missing(self, body: bytes) -> str:
        if self.label.kind is not RuleKind.POINTER or not body:
            return f"nothing at {self.label}"
        document = _decoded(body.removeprefix(_MARK))
        if document is MISSING and len(body) > LARGEST_DOCUMENT:
            return f"nothing at {self.label} in {len(body)} bytes"
        if document is MISSING:
            return f"nothing at {self.label} because it is not JSON"
        value = follow(document, parse_pointer(self.label.argument))
        if value is not MISSING:
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


def _body_extractor(rule: LabelRule) -> Callable[[bytes], str | None]:
    if rule.kind is RuleKind.REGEX:
        pattern = compile_expression(rule.argument)
        find = with_timeout(pattern.search, rule.argument)

        def search(body: bytes) -> str | None:
            match = find(body)
            if match is None:
                return None
            found = match[1] if pattern.groups else match[0]
            return None if found is None else found.decode("utf-8", "replace")

        return search
    return _pointer_extractor(parse_pointer(rule.argument))


def _pointer_extractor(tokens: tuple[str, ...]) -> Callable[[bytes], str | None]:
    """Make a reader of one JSON pointer that skips all other members while parsing."""
    import msgspec  # noqa: PLC0415 - needed only when a pointer is read

    shape, levels = _shape(tokens, msgspec)
    decode = msgspec.json.Decoder(shape).decode
    decode_text = msgspec.json.Decoder(str).decode
    rest = tokens[levels:]

    def part(body: bytes) -> Any:
        """Return what the structures lead to, not decoded yet; None if it is not there."""
        value = decode(body)
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
        body = body.removeprefix(_MARK)
        try:
            if not body.isascii():
                body.decode()  # what is skipped must be UTF-8, too
            raw = part(body)
        except (msgspec.ValidationError, UnicodeDecodeError, RecursionError):
            return None
        except msgspec.DecodeError:
            # RFC 8259 allows a lone surrogate (section 8.2), and msgspec does not.
            has_surrogate = b"\\u" in body
            return _name_of(follow(_decoded(body), tokens)) if has_surrogate else None
        if raw is None:
            return None
        name = None if rest else text(raw)
        return _name_of(follow(_decoded(raw), rest)) if name is None else name

    return point


def _shape(tokens: tuple[str, ...], msgspec: Any) -> tuple[Any, int]:
    """Nest one structure with one member per token, as far as structures can express them.

    A digit may index an array, and msgspec takes no member name that JSON would escape.
    Returns the type, and the number of tokens that are in it.
    """
    if not tokens or tokens[0].isdigit() or re.search(r'["\\\x00-\x1f]', tokens[0]):
        return msgspec.Raw, 0
    inner, levels = _shape(tokens[1:], msgspec)
    level = msgspec.defstruct("Level", [("at", inner, None)], rename={"at": tokens[0]})
    return level, levels + 1


def _decoded(raw: Any) -> object:
    """Decode a part of a document, or return `MISSING` if it is not JSON.

    Numbers keep their spelling, in which 1.1 is not 1.10.
    """
    if len(raw) > LARGEST_DOCUMENT:
        return MISSING
    try:
        return _spelling_decoder().decode(bytes(raw).decode())
    except (ValueError, RecursionError):
        return MISSING


@cache
def _spelling_decoder() -> json.JSONDecoder:
    import json  # noqa: PLC0415 - for what is no string alone

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refuse)


def _pointers(value: object, tokens: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the pointers of what would be names, in the order of the document."""
    if isinstance(value, dict) and len(tokens) < _DEEPEST:
        for name, member in value.items():
            yield from _pointers(member, (*tokens, name))
    elif isinstance(value, list) and value and len(tokens) < _DEEPEST:
        yield from _pointers(value[0], (*tokens, "0"))
    elif tokens and _name_of(value) and len(pointer := to_pointer(tokens)) <= _LONGEST_POINTER:
        yield pointer


def _kind_of(value: object) -> str:
    """Return JSON's word for a value that is not a name."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return "half of a surrogate pair" if value else "an empty string"


def _name_of(value: object) -> str | None:
    """Accept scalars as names: versions are often numbers."""
    if isinstance(value, str):
        return None if _SURROGATE.search(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return None


def _head_extractor(rule: LabelRule) -> Callable[[int, Headers], str | None]:
    if rule.kind is RuleKind.STATUS:
        return lambda status, _headers: str(status)
    wanted = rule.argument.lower().encode("ascii")

    return lambda _status, headers: _field(headers, wanted)


def _field(headers: Headers, wanted: bytes) -> str | None:
    """Return the first field of a lower-case name."""
    for name, value in headers:
        if name.lower() == wanted:
            return value.decode("latin-1").strip()
    return None
