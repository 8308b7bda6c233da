"""JSON pointers (RFC 6901): one way to read, write and follow them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

MISSING = object()
"""What a pointer finds where there is nothing; null is a value."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """Split a pointer into its reference tokens (sections 3 and 4).

    Parameters
    ----------
    pointer : str
        Of a member: the pointer to the whole document, which is empty, is refused.

    Raises
    ------
    UsageError
        If it does not begin with a slash, or holds a tilde that is no escape.
    """
    if not pointer.startswith("/") or _BAD_ESCAPE.search(pointer):
        raise UsageError(
            f"expected a JSON pointer (RFC 6901) such as /label or /pod/version, got {pointer!r}",
            hint="inside a name, write / as ~1 and ~ as ~0",
        )
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def to_pointer(tokens: Iterable[str]) -> str:
    """Return the pointer with these reference tokens: the reverse of `parse_pointer`."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def follow(document: object, tokens: Iterable[str]) -> object:
    """Return what reference tokens lead to in a decoded document (section 4), or `MISSING`."""
    value = document
    for token in tokens:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING
    return value
