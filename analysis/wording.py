"""How shares, bands and labels are written in sentences."""

from __future__ import annotations

from math import ceil, exp, floor, log, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.split import Band

LABEL_LENGTH = 60
"""Characters of a label that a sentence shows, at most."""


def quoted(label: str) -> str:
    """Write a label that nobody declared: quoted, escaped and cut."""
    text = repr(label[: LABEL_LENGTH + 1])
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 3]}..."


def decimals(band: Band) -> int:
    """Decimals of a percentage that tell shares within the band apart, >= 1."""
    return max(1, 1 - floor(log10(min(band.below, band.above) * 100 + 1e-12)))


def interval(share: float, low: float, high: float, places: int) -> str:
    """Write ``47.1 % [38.0, 56.3]``."""
    return f"{share * 100:.{places}f} % {ends(low, high, places)}"


def accepted(band: Band) -> str:
    """Write an expected share with its band: ``10 % [5.0, 14.1]``."""
    return f"{band.expected * 100:.4g} % {ends(band.low, band.high, decimals(band))}"


def ends(low: float, high: float, places: int) -> str:
    """Write ``[38.0, 56.3]`` from shares, clipped to [0, 1].

    Both ends are rounded outwards: an interval claims no more than it may, and one that
    lies inside another still does so in print.
    """
    scale = 10**places
    # A hair is forgiven first: 0.12 is 12.0 %, although its float lies above it.
    least = floor(max(low, 0.0) * 100 * scale + 1e-6) / scale
    most = ceil(min(high, 1.0) * 100 * scale - 1e-6) / scale
    return f"[{least:.{places}f}, {most:.{places}f}]"


def odds(nats: float) -> str:
    """Write log evidence >= 0 as odds: ``137:1``, and ``10^6:1`` where digits mean nothing.

    Rounded down: evidence claims no more than it is.
    """
    if nats < log(10):
        return f"{floor(exp(nats) * 10) / 10:.1f}:1"
    if nats < log(1e4):
        return f"{floor(exp(nats))}:1"
    return f"10^{floor(nats / log(10))}:1"


def counted(n: float, noun: str) -> str:
    """Write a number with its noun in singular or plural."""
    return f"{amount(n)} {noun}" if n == 1 else f"{amount(n)} {noun}s"


def amount(n: float) -> str:
    """Write a number of connections; sums of parts of them to a tenth."""
    tenths = round(n, 1)
    return str(int(tenths)) if tenths == int(tenths) else str(tenths)
