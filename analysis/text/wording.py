"""Shares, bands, odds and labels as sentences write them."""

from __future__ import annotations

from math import exp, floor, log
from typing import TYPE_CHECKING

from analysis.data.split import floor_of, half_pod
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.data.split import Band

LABEL_LENGTH = 60
"""Characters of a label that a sentence shows, at most."""
_SLACK = 1e-6  # so that the logarithm of 100 is 100:1, although its float lies below it


def quoted(label: str) -> str:
    """Return an undeclared label: quoted, escaped and cut."""
    text = repr(label[: LABEL_LENGTH + 1])
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 3]}..."


def decimals(band: Band) -> int:
    """Return the decimals of a percentage that tell shares within the band apart, >= 1."""
    return rounding.band_decimals(band.expected, band.clipped)


def interval(share: float, low: float, high: float, places: int) -> str:
    """Return ``47.1 % [38.0, 56.3]``; the ends are rounded outwards."""
    return f"{rounding.percent(share, places)} % {rounding.bracketed((low, high), places)}"


def accepted(band: Band) -> str:
    """Return an expected share with its band: ``10 % [5.0, 14.1]``."""
    ends = rounding.bracketed(band.clipped, decimals(band))
    return f"{rounding.exact_percent(band.expected)} % {ends}"


def automatic(weights: Mapping[str, int]) -> str:
    """Return what the automatic tolerance takes weights for; empty where it has no choice.

    Replica counts and weights can state one split, 1:1 and 50:50, and get different bands.

    Examples
    --------
    >>> automatic({"v1": 1, "v2": 1})
    'auto tolerance: half a pod of 2, the weights taken as pods'
    >>> automatic({"v1": 50, "v2": 50})
    'auto tolerance: percentage points, as half a pod of 100 would be less'
    """
    total = sum(weights.values())
    uncertain = [weight for weight in weights.values() if 0 < weight < total]
    if not uncertain:
        return ""
    if any(max(half_pod(weight, total)) > floor_of(weight / total) for weight in uncertain):
        return f"auto tolerance: half a pod of {rounding.amount(total)}, the weights taken as pods"
    return (
        f"auto tolerance: percentage points, as half a pod of {rounding.amount(total)} would be "
        "less"
    )


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: ``v1, v2 and v3``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def odds(nats: float) -> str:
    """Return log evidence as odds: ``137:1``; beyond 10 000:1 in words and powers of ten.

    Rounded down: evidence claims no more than it is. Below zero it is evidence against:
    ``1:3.1``.

    Examples
    --------
    >>> odds(4.93), odds(12.0), odds(90.0)
    ('138:1', 'more than 100 000:1', 'more than a million to one')
    """
    if nats < 0:
        return _against(odds(-nats))
    if nats < log(10):
        return f"{floor(exp(nats) * 10 + _SLACK) / 10:.1f}:1"
    if nats < log(1e4):
        return f"{floor(exp(nats) + _SLACK)}:1"
    if nats < log(1e6) - _SLACK:
        return f"more than {rounding.amount(10 ** floor(nats / log(10) + _SLACK))}:1"
    return "more than a million to one"


def _against(told: str) -> str:
    number, _, one = told.rpartition(":")
    if not one or not number:
        return "less than one to a million"
    rounded = number.removeprefix("more than ")
    return f"1:{number}" if rounded == number else f"less than 1:{rounded}"
