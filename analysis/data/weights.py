"""Weights by label as people write them: whole numbers, percentages, decimals, or JSON."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

from analysis.data.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

ARM = re.compile(r"(?P<label>.+)=(?P<weight>[^=]+)", re.DOTALL)
"""A label and what is said of it; the label may hold signs of equality itself."""
WRITE_SPLIT = 'write it as "v1=9,v2=1" or {"v1": 9, "v2": 1}'

_FORGOTTEN_COMMA = re.compile(r"=\s*[0-9.]+%?[\s;]")
_BETWEEN_SHARES = re.compile(r"(?<=%)\s*/\s*")
_ENDS_WHOLE = re.compile(r"=\s*[0-9]+\s*$")
_WHOLE = re.compile(r"[0-9]{1,15}")
_NUMBER = r"[0-9]{0,15}\.?[0-9]{0,9}\s*%?"
_BARE = re.compile(rf"(?=.*[0-9])\s*{_NUMBER}(?:\s*[/:,;]\s*{_NUMBER})*\s*")
_SHARE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*(?P<percent>%?)")


def parse_weights(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read ``v1=9,v2=1``, ``v1=90%,v2=10%``, ``v1=0.9,v2=0.1``, or an object of JSON.

    Returns
    -------
    (tuple of str, tuple of int)
        Labels and weights. Shares become percentages, or whole parts of them: who writes 90 % does
        not say that there are ten pods.

    Raises
    ------
    InputError
        If the text has another form, or shares do not add up to one; the message says which part.
    """
    if _BARE.fullmatch(text):
        raise _lacks_labels(text)
    # A label may begin with a brace, or hold a slash: whole weights are read as they are written.
    is_json = text.lstrip().startswith("{") and not _ENDS_WHOLE.search(text)
    pairs = _members(text) if is_json else _parts(text)
    if not all(_WHOLE.fullmatch(weight) for _, weight in pairs):
        if not is_json:
            pairs = _parts(_BETWEEN_SHARES.sub(",", text))
        return tuple(label for label, _ in pairs), _weights_of(pairs)
    return tuple(label for label, _ in pairs), tuple(int(weight) for _, weight in pairs)


def _parts(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        match = ARM.fullmatch(part.strip())
        if match is None:
            raise InputError(f"expected LABEL=WEIGHT, got {part.strip()!r}")
        label, weight = match["label"].strip(), match["weight"].strip()
        if _FORGOTTEN_COMMA.search(label):
            raise InputError(f"expected a comma between two labels, got {part.strip()!r}")
        pairs.append((label, weight))
    return pairs


def _lacks_labels(text: str) -> InputError:
    """Refuse numbers alone: a guess at whose they are would let a swapped split pass."""
    numbers = re.split(r"\s*[/:,;]\s*", text.strip())
    named = ",".join(f"v{at}={number}" for at, number in enumerate(numbers, 1))
    return InputError(
        f"expected LABEL=WEIGHT, got {text.strip()!r}: say whose share each one is, by the labels "
        f"that the responses have, such as {named}"
    )


def _members(text: str) -> list[tuple[str, str]]:
    """Return the members of an object; numbers keep their spelling."""
    try:
        pairs = json.loads(
            text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected weights by label as JSON, got {text!r}: {error}") from error
    for label, weight in pairs:
        if not isinstance(weight, str):
            raise InputError(f"the weight of {label} must be a number, got {json.dumps(weight)}")
    return [(label, weight.strip()) for label, weight in pairs]


def _weights_of(pairs: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """Return whole weights for shares: percentages, or decimals."""
    shares = [(label, weight, _SHARE.fullmatch(weight)) for label, weight in pairs]
    is_percent = any(weight.endswith("%") for _, weight in pairs)
    numbers = []
    for label, weight, match in shares:
        if match is None or not (_WHOLE.fullmatch(weight) or match["percent"] or "." in weight):
            raise InputError(
                f"the weight of {label} must be a whole number of at most 15 digits, or a share "
                f"such as 90% or 0.9, got {weight!r}"
            )
        if is_percent and not match["percent"]:
            raise InputError(f"expected percentages throughout, got {weight!r} for {label}")
        numbers.append(Fraction(match["number"]))
    total, whole = sum(numbers), 100 if is_percent else 1
    if total != whole:
        unit = "%" if is_percent else ""
        raise InputError(
            f"expected shares that add up to {whole}{unit}, got {float(total):g}{unit} "
            "(or write weights as whole numbers, such as 9 and 1)"
        )
    percentages = [number * 100 / whole for number in numbers]
    scale = lcm(*(percentage.denominator for percentage in percentages))
    return tuple(int(percentage * scale) for percentage in percentages)
