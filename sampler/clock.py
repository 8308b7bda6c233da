"""The clock of a run: nanoseconds since the run began."""

from __future__ import annotations

from time import monotonic_ns
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Gives the time since the run began [ns]; never goes back."""

    def __call__(self) -> int:
        """Return the time since the run began [ns]."""
        ...


class RunClock:
    """The real clock: monotonic, zero at its construction."""

    __slots__ = ("_origin",)

    def __init__(self) -> None:
        self._origin = monotonic_ns()

    def __call__(self) -> int:
        """Return the time since the construction [ns]."""
        return monotonic_ns() - self._origin
