"""Parts of a response in which a name may be: JSON values, header fields, cookies."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from sampler.labels.pointer import MISSING

if TYPE_CHECKING:
    import json
    from collections.abc import Sequence
    from typing import TypeAlias

    Headers: TypeAlias = "Sequence[tuple[bytes, bytes]]"

MARK = b"\xef\xbb\xbf"
"""Mark of the order of bytes; a reader of JSON may pass it over (RFC 8259)."""
LARGEST_DOCUMENT = 262_144
"""Bytes that are turned into objects, at most: a larger document would hold up the event loop.

That is needed below the index of an array, for what only Python's decoder takes, and to say what
there is instead of a label; other members are skipped unseen.
"""
_SURROGATE = re.compile("[\ud800-\udfff]")
SET_COOKIE = "set-cookie"


class NotJsonError(ValueError):
    """A text that is not JSON, or is not read as JSON; says why."""


def decoded(raw: Any) -> object:
    """Decode a part of a document, or return `MISSING` if it is not JSON, or is too large.

    Numbers keep their spelling, in which 1.1 is not 1.10.
    """
    try:
        return strictly_decoded(raw)
    except NotJsonError:
        return MISSING


def strictly_decoded(raw: Any) -> object:
    """Decode a part of a document; parameters are those of `decoded`.

    Raises
    ------
    NotJsonError
        If it is not JSON, or is larger than `LARGEST_DOCUMENT`.
    """
    if len(raw) > LARGEST_DOCUMENT:
        raise NotJsonError(f"its {len(raw)} bytes are not looked through")
    try:
        return _spelling_decoder().decode(bytes(raw).decode())
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJsonError("it is not JSON") from error


@cache
def _spelling_decoder() -> json.JSONDecoder:
    import json  # noqa: PLC0415 - for what is no string alone

    return json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def _refuse(constant: str) -> object:
    raise NotJsonError(f"{constant} is not JSON (RFC 8259), although some libraries write it")


def name_of(value: object) -> str | None:
    """Accept scalars as names: versions are often numbers."""
    if isinstance(value, str):
        return None if _SURROGATE.search(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return None


def fields(headers: Headers, wanted: str) -> list[str]:
    """Return the values of all fields of a lower-case name, in their order."""
    name = wanted.encode("ascii")
    return [value.decode("latin-1").strip() for key, value in headers if key.lower() == name]


def cookies(headers: Headers) -> dict[str, str]:
    """Return what the answer sets, by name; of one name the last counts (RFC 6265 section 5.3)."""
    pairs = (field.partition(";")[0].partition("=") for field in fields(headers, SET_COOKIE))
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}
