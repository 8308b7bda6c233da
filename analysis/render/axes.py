"""The axes of charts on a live page: moments, shares, and the ticks on both.

Places are in thousandths of the panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800)
_MOST_TICKS = 6
_DAY_S = 86_400
_SHARE_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    text: str


def clock(at: float, *, seconds: bool = True) -> str:
    """Return a moment of the day, UTC: ``12:03:10``."""
    second = int(at) % _DAY_S
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return f"{text}:{second % 60:02d}" if seconds else text


def day(at: float) -> str:
    """Return a date, UTC: ``2026-01-02``."""
    return str(np.datetime64(int(at), "s"))[:10]


@dataclass(frozen=True, slots=True)
class Scale:
    """A time axis, from one moment to another [s since 1970]."""

    since: float
    until: float

    def __call__(self, at: float) -> float:
        """Return the place of a moment, in thousandths."""
        part = (at - self.since) / (self.until - self.since)
        return round(1000 * min(max(part, 0.0), 1.0), 1)

    def shows(self, at: float) -> bool:
        """Whether a moment lies on it."""
        return self.since <= at <= self.until


def times(scale: Scale) -> Iterator[Tick]:
    """Yield the ticks of a time axis, UTC."""
    since, until = scale.since, scale.until
    span = until - since
    step = next((each for each in _STEPS_S if span / each <= _MOST_TICKS), _STEPS_S[-1])
    for number in range(int(-(-since // step)), int(until // step) + 1):
        at = number * step
        if not 0.03 * span <= at - since <= 0.97 * span:
            continue  # no room for its text
        text = clock(at, seconds=step < 60) if step < _DAY_S else day(at)[5:]
        yield Tick(scale(at), text)


def shares(low: float, high: float, height: Callable[[float], float]) -> Iterator[Tick]:
    """Yield the ticks of an axis of shares, given the height of each."""
    step = next((each for each in _SHARE_STEPS if (high - low) / each <= 4.5), _SHARE_STEPS[-1])
    for number in range(int(-(-low // step)), int(high // step) + 1):
        yield Tick(height(number * step), f"{100 * number * step:.4g} %")
