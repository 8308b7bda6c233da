"""Plain scalars as Kubernetes' YAML library reads them (sigs.k8s.io/yaml, which is go-yaml v2).

It is neither YAML 1.1 nor 1.2: ``y`` and ``on`` are true, ``010`` is 8, ``9.0`` is 9, ``08`` is 8,
and dates and base-60 numbers are text. The rules are those of ``resolve.go``, and of the
conversion to JSON after it, which writes a whole floating-point number as an integer.
"""

from __future__ import annotations

import re
from math import isfinite

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE"), True),
    **dict.fromkeys(("on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE"), False),
    **dict.fromkeys(("off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MOST_DIGITS = 70
"""Beyond them no text is a 64-bit integer, in whatever base, nor a finite number that matters."""

_SURE = re.compile(r"[A-Za-z](?:[A-Za-z0-9._/@-]|:(?=[A-Za-z0-9._/@-]))*|[0-9]+(?:\.[0-9]+){2,}")
"""Text that no reader of YAML takes for anything else, unless it is one of the words."""


def resolve(text: str) -> Scalar:
    """Return what a plain scalar is.

    Returns
    -------
    str, int, float, bool or None
        A floating-point number only if it is not a whole one.

    Examples
    --------
    >>> [resolve(text) for text in ("010", "9.0", "1.10", "on", "2024-05-01", "1:20", "v1")]
    [8, 9, 1.1, True, '2024-05-01', '1:20', 'v1']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "123456789" and len(text) < 18 and text.isascii() and text.isdigit():
        return int(text)  # nearly all numbers
    if text[0] not in "+-.0123456789" or len(text) > _MOST_DIGITS:
        return text
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        number = _integer(digits)
        if -(1 << 63) <= number < 1 << (63 if digits[0] in "+-" else 64):
            return number
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        if isfinite(real):
            return int(real) if real.is_integer() and abs(real) < 1e21 else real
    return text


def _integer(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    bare = digits.lstrip("+-").lower()
    if len(bare) > 1 and bare[0] == "0" and bare[1].isdigit():
        bare = f"0o{bare[1:]}"
    return sign * int(bare, 0)


def is_plain(text: str) -> bool:
    """Whether every reader, of YAML 1.1, 1.2 and Kubernetes, takes the bare text for this text.

    Examples
    --------
    >>> [is_plain(text) for text in ("v1.2", "1.2.3", "y", "1.10", "12e3", "registry:5000/app:on")]
    [True, True, False, False, False, True]
    """
    return _SURE.fullmatch(text) is not None and text not in _WORDS
