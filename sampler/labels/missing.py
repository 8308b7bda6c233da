"""An answer in which no label was found: what it holds instead, and where its version may be."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from sampler.base.redaction import without_secrets
from sampler.labels.parts import (
    MARK,
    SET_COOKIE,
    NotJsonError,
    cookies,
    decoded,
    fields,
    name_of,
    strictly_decoded,
)
from sampler.labels.pointer import MISSING, follow, parse_pointer, to_pointer
from sampler.labels.rule import LabelRule, RuleKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sampler.labels.parts import Headers

UNPACKED = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"})
"""Content codings that are undone here."""
_QUOTED = 1000  # bytes of a text that are looked at to quote it
_SHOWN = 80  # of a body without a label, and of where a redirect leads
_MOST_POINTERS, _LONGEST_POINTER, _DEEPEST = 4, 40, 4
_MOST_SEARCHED = 200  # places in a body, and bytes of a body in kB
_VERSION = re.compile(r"(?i)version|label|revision|release|build|commit|track|variant|deploy")
_OTHER_VERSIONS = re.compile(r"(?i)asp|api|http|tls|websocket|mime|protocol|runtime|powered")


def coding_of(headers: Headers) -> str:
    """Return the content coding that was not undone; empty if there is none."""
    coding = ", ".join(fields(headers, "content-encoding")).lower()
    return "" if coding in UNPACKED else coding


def describe_missing(rule: LabelRule, status: int, headers: Headers, body: bytes) -> str:
    """Describe an unlabelled response: what it was instead, in one sentence."""
    told = [f"status {status}"]
    location = fields(headers, "location")
    if location and 300 <= status < 400:
        told.append(f"a redirect to {without_secrets(location[0][:_QUOTED])[:_SHOWN]}")
    told.append(_why_missing(rule, headers, body))
    # Error pages quote what was asked; a secret that is cut is still one.
    start = without_secrets(body[:_QUOTED].decode("utf-8", "replace"))[:_SHOWN]
    body_told = f"the body starts {start!r}" if body else "the body is empty"
    return f"{', '.join(told)}; {body_told}"


def _why_missing(rule: LabelRule, headers: Headers, body: bytes) -> str:
    nothing = f"nothing at {rule}"
    if rule.kind is RuleKind.HEADER:
        several = dict.fromkeys(fields(headers, rule.name.lower()))
        if len(several) > 1 and rule.expression is None:
            return f"{len(several)} fields {rule.name} with different values"
        return nothing
    coding = coding_of(headers)
    if coding and rule.reads_body:
        return f"{nothing} because of 'Content-Encoding: {coding[:_SHOWN]}', which is not unpacked"
    if rule.kind is not RuleKind.POINTER or not body:
        return nothing
    try:
        document = strictly_decoded(body.removeprefix(MARK))
    except NotJsonError as error:
        return f"{nothing} because {error}"
    value = follow(document, parse_pointer(rule.argument))
    if value is not MISSING:
        return f"no name at {rule} but {_kind_of(value)}"
    there = ", ".join(islice(_pointers(document), _MOST_POINTERS))
    return nothing + (f" but something at {there}" if there else "")


def _pointers(value: object, tokens: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the pointers of what would be names, in the order of the document."""
    if isinstance(value, dict) and len(tokens) < _DEEPEST:
        for name, member in value.items():
            yield from _pointers(member, (*tokens, name))
    elif isinstance(value, list) and value and len(tokens) < _DEEPEST:
        yield from _pointers(value[0], (*tokens, "0"))
    elif tokens and name_of(value) and len(pointer := to_pointer(tokens)) <= _LONGEST_POINTER:
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


def place_of(
    status: int, headers: Headers, body: bytes, wanted: Collection[str]
) -> tuple[str, str] | None:
    """Find where else in an answer its version may be.

    Parameters
    ----------
    status, headers, body
        The answer.
    wanted : collection of str
        Labels that are expected; a place that has one of them is the best.

    Returns
    -------
    (str, str) or None
        A label rule, and what it reads; a place of another value only if its name is one of a
        version.
    """
    places = list(_places(status, headers, body, wanted))
    exact = next((place for place in places if place[1] in wanted), None)
    return exact or next((place for place in places if _is_version(place[0])), None)


def _is_version(place: str) -> bool:
    last = re.split("[/:]", place)[-1]
    return _VERSION.search(last) is not None and _OTHER_VERSIONS.search(last) is None


def _places(
    status: int, headers: Headers, body: bytes, wanted: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield rules and what they read: body first, as far as it can be read, then the head."""
    body = body[: _MOST_SEARCHED << 10]
    document = MISSING if coding_of(headers) else decoded(body.removeprefix(MARK))
    for pointer in islice(_pointers(document), _MOST_SEARCHED):
        yield pointer, name_of(follow(document, parse_pointer(pointer))) or ""
    for key, _ in headers:
        name = key.decode("latin-1")
        values = set(fields(headers, name.lower()))
        if name.lower() != SET_COOKIE and len(values) == 1:
            yield f"header:{name}", values.pop()
    for name, value in cookies(headers).items():
        if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            yield f"cookie:{name}", value
    if str(status) in wanted:
        yield "status", str(status)
    if document is MISSING and not coding_of(headers):
        yield from _in_text(body, wanted)


def _in_text(body: bytes, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield a regular expression for a version in a text: in a broken document, or as a word."""
    member = re.search(rb'(?i)"((?:app_?)?version|label)"\s*:\s*"([^"\\]{1,80})"', body)
    if member is not None:
        name, value = (part.decode("utf-8", "replace") for part in member.groups())
        yield f'regex:"{name}"\\s*:\\s*"([^"]+)"', value
    words = [word for word in wanted if re.search(r"[^\W\d_]", word)]
    expression = r"\b(?:{})\b".format("|".join(map(re.escape, words)))
    found = re.search(expression, body.decode("utf-8", "replace")) if words else None
    if found is not None:
        yield f"regex:{expression}", found[0]
