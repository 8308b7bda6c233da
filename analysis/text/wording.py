"""How shares, bands and labels are written in sentences."""

from __future__ import annotations

from math import exp, floor, log
from typing import TYPE_CHECKING

from analysis.text import rounding

if TYPE_CHECKING:
    from analysis.data.split import Band

LABEL_LENGTH = 60
"""Characters of a label that a sentence shows, at most."""
_HAIR = 1e-6  # so that the logarithm of 100 is 100:1, although its float lies below it


def quoted(label: str) -> str:
    """Write a label that nobody declared: quoted, escaped and cut."""
    text = repr(label[: LABEL_LENGTH + 1])
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 3]}..."


def decimals(band: Band) -> int:
    """Decimals of a percentage that tell shares within the band apart, >= 1."""
    return rounding.band_decimals(band.expected, band.clipped)


def interval(share: float, low: float, high: float, places: int) -> str:
    """Write ``47.1 % [38.0, 56.3]``; the ends are rounded outwards."""
    return f"{rounding.percent(share, places)} % {rounding.bracketed((low, high), places)}"


def accepted(band: Band) -> str:
    """Write an expected share with its band: ``10 % [5.0, 14.1]``."""
    ends = rounding.bracketed(band.clipped, decimals(band))
    return f"{rounding.exact_percent(band.expected)} % {ends}"


def odds(nats: float) -> str:
    """Write log evidence as odds: ``137:1``, and ``10^6:1`` where digits mean nothing.

    Rounded down: evidence claims no more than it is. Below zero it is evidence against:
    ``1:3.1``.
    """
    if nats < 0:
        against, _, _ = odds(-nats).partition(":")
        return f"1:{against}"
    if nats < log(10):
        return f"{floor(exp(nats) * 10 + _HAIR) / 10:.1f}:1"
    if nats < log(1e4):
        return f"{floor(exp(nats) + _HAIR)}:1"
    return f"10^{floor(nats / log(10) + _HAIR)}:1"
