"""The clock of a run."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

Clock = Callable[[], int]
"""Monotonic time [ns] with a zero of its own; the recorder counts from the run's beginning.

The subtraction waits until a batch is sealed, so that reading the clock, which happens a few
times for each request, is one call of the C library and no frame of Python.
"""

run_clock: Clock = monotonic_ns
"""The real clock."""
