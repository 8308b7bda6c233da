"""Pacing: when requests are due. Pure; the engine keeps the time."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from sampler.base.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1_024
_SHORTEST_BURST_S = 0.01


class RateCap:
    """A hard cap on launches per second: a token bucket, kept as one instant.

    The bucket is the generic cell rate algorithm (ITU-T I.371, annex A): a launch is free if
    the time at which an evenly paced sender would make it is at most a burst ahead of now.
    In any stretch of T seconds there are at most ``burst + rate_per_s * T`` launches.

    Parameters
    ----------
    rate_per_s : float
        Launches per second, > 0; infinity caps nothing.
    most_at_once : int
        Exchanges that may be in flight, >= 1: no burst needs to be larger. A burst is also
        no longer than 10 ms of the rate, but has two launches at least, so that a timer that
        is late by less than the gap between two launches costs nothing.
    """

    __slots__ = ("_ahead_ns", "_free_ns", "_gap_ns", "burst")

    def __init__(self, rate_per_s: float, most_at_once: int) -> None:
        if not rate_per_s > 0:
            raise ValueError(f"rate must be > 0 launches per second, got {rate_per_s!r}")
        self.burst = max(2, ceil(min(most_at_once, rate_per_s * _SHORTEST_BURST_S)))
        self._gap_ns = NS_PER_S / rate_per_s
        self._ahead_ns = (self.burst - 1) * self._gap_ns
        self._free_ns = float("-inf")

    def take(self, now_ns: int) -> bool:
        """Whether a launch is free now; if it is, it counts as made."""
        free_ns = max(self._free_ns, float(now_ns))
        if free_ns - now_ns > self._ahead_ns:
            return False
        self._free_ns = free_ns + self._gap_ns
        return True

    def wait_ns(self, now_ns: int) -> int:
        """Time until the next launch is free [ns], >= 0."""
        return ceil(max(self._free_ns - self._ahead_ns - now_ns, 0.0))


def poisson_arrivals(rate_per_s: float, rng: np.random.Generator) -> Iterator[int]:
    """Yield the due times of a Poisson process, without end.

    Independent exponential gaps never march in step with a round-robin balancer, and the
    arrivals do not wait for answers (an open workload, Schroeder et al., NSDI 2006).

    Parameters
    ----------
    rate_per_s : float
        Mean arrivals per second, > 0.
    rng : numpy.random.Generator
        Source of the gaps.

    Yields
    ------
    int
        Offset from the start of the run [ns], ascending.
    """
    if not rate_per_s > 0:
        raise ValueError(f"rate must be > 0 requests per second, got {rate_per_s!r}")
    elapsed_ns = 0.0
    while True:
        gaps = rng.exponential(NS_PER_S / rate_per_s, _BLOCK)
        due = elapsed_ns + np.cumsum(gaps)
        elapsed_ns = float(due[-1])
        yield from due.astype(np.int64).tolist()
