"""The label reader: which version answered, and which replica, read from a response.

A `LabelReader` applies one rule for the label and one for the replica to each response and
returns small integer codes. Responses of a canary repeat themselves, so the answer for a body
is remembered, within bounds; a body that is not remembered is parsed properly, and the decoder
builds nothing but what the pointer names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analysis import ABSENT
from sampler.labels.names import NameCodes
from sampler.labels.parts import MARK, cookies, decoded, fields, name_of
from sampler.labels.pointer import follow, parse_pointer
from sampler.labels.regex_timeout import with_timeout
from sampler.labels.rule import RuleKind, compile_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sampler.labels.parts import Headers
    from sampler.labels.rule import LabelRule

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
    expected : collection of str
        Labels that are expected: of several fields of one name, the one that has one is read.

    Attributes
    ----------
    example : (int, sequence of (bytes, bytes), bytes) or None
        Status, header and body of the first response that was read, for a remedy.
    """

    __slots__ = (
        "_body_extractors",
        "_head_extractors",
        "_memo",
        "example",
        "label",
        "labels",
        "reads_head",
        "replica",
        "replicas",
    )

    def __init__(
        self,
        label: LabelRule,
        replica: LabelRule | None = None,
        *,
        expected: Collection[str] = (),
    ) -> None:
        self.example: tuple[int, Headers, bytes] | None = None
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
            _head_extractor(rule, names) if rule is not None and not rule.reads_body else None
            for rule, names in zip(rules, (expected, ()), strict=True)
        )
        self.reads_head = any(self._head_extractors)
        self._memo: dict[bytes, tuple[int, int]] = {}

    def codes(self, status: int, headers: Headers, body: bytes) -> tuple[int, int]:
        """Return the codes of label and replica, each `ABSENT` if it is not there."""
        found = self._memo.get(body)
        if self.example is None:
            self.example = status, headers, body
        if found is None:
            found = self._read_body(body)
        if self.reads_head:
            label, replica = self._head_extractors
            return (
                found[0] if label is None else self.labels.code(label(status, headers)),
                found[1] if replica is None else self.replicas.code(replica(status, headers)),
            )
        return found

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
        return _search(rule.argument)
    return _pointer_extractor(parse_pointer(rule.argument))


def _search(expression: str) -> Callable[[bytes], str | None]:
    """Make a reader of the first group of the first match, or of the whole match."""
    pattern = compile_expression(expression)
    find = with_timeout(pattern.search, expression)

    def search(text: bytes) -> str | None:
        match = find(text)
        if match is None:
            return None
        found = match[1] if pattern.groups else match[0]
        return None if found is None else found.decode("utf-8", "replace")

    return search


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
        body = body.removeprefix(MARK)
        try:
            if not body.isascii():
                body.decode()  # what is skipped must be UTF-8, too
            raw = part(body)
        except (msgspec.ValidationError, UnicodeDecodeError, RecursionError):
            return None
        except msgspec.DecodeError:
            # RFC 8259 allows a lone surrogate (section 8.2), and msgspec does not.
            has_surrogate = b"\\u" in body
            return name_of(follow(decoded(body), tokens)) if has_surrogate else None
        if raw is None:
            return None
        name = None if rest else text(raw)
        return name_of(follow(decoded(raw), rest)) if name is None else name

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


def _head_extractor(
    rule: LabelRule, expected: Collection[str]
) -> Callable[[int, Headers], str | None]:
    if rule.kind is RuleKind.STATUS:
        return lambda status, _headers: str(status)
    if rule.kind is RuleKind.COOKIE:
        return lambda _status, headers: cookies(headers).get(rule.argument)
    wanted = rule.name.lower()
    if rule.expression is None:

        def field(_status: int, headers: Headers) -> str | None:
            values = list(dict.fromkeys(fields(headers, wanted)))
            if len(values) > 1:
                values = [value for value in values if value in expected] or values[:1]
            return values[0] if len(values) == 1 else None  # none, or two versions

        return field
    search = _search(rule.expression)
    return lambda _status, headers: next(
        filter(None, (search(value.encode("latin-1")) for value in fields(headers, wanted))), None
    )
