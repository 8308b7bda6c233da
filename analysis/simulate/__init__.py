"""Simulated runs: routers as they are met in practice, and the batches that they would give.

Nothing is sent and nothing is drawn behind your back: every function takes the random
generator that it uses. See ``docs/simulate.md``.
"""

from __future__ import annotations

from analysis.simulate.routers import (
    Affinity,
    Drifting,
    LeastRequest,
    MissingLabels,
    Outage,
    RandomPerConnection,
    RandomPerRequest,
    RoundRobin,
    Router,
    SmoothRoundRobin,
    Sticky,
)
from analysis.simulate.runs import by_completion, every_request_a_connection, simulate

__all__ = [
    "Affinity",
    "Drifting",
    "LeastRequest",
    "MissingLabels",
    "Outage",
    "RandomPerConnection",
    "RandomPerRequest",
    "RoundRobin",
    "Router",
    "SmoothRoundRobin",
    "Sticky",
    "by_completion",
    "every_request_a_connection",
    "simulate",
]
