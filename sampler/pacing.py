"""Pacing: when requests are due. Pure; the engine keeps the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sampler.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1_024


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
