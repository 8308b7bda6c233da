"""What a server counts, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from sampler.serve.sessions import Session, Sessions

CONTENT_TYPE = "text/plain; version=0.0.4"
_SECONDS = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._checks = Counter(
            "weighbridge_checks",
            "Checks that are over, by gate and verdict.",
            ("gate", "verdict"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "weighbridge_check_seconds",
            "How long checks sent.",
            ("gate",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, sessions: Sessions) -> None:
        """Show how many sessions there are."""
        self._registry.register(_States(sessions))

    def count(self, session: Session) -> None:
        """Count a session that is over."""
        outcome = session.outcome
        if outcome is not None:
            self._checks.labels(session.gate.name, outcome.verdict).inc()
            self._seconds.labels(session.gate.name).observe(outcome.elapsed_s)

    def text(self) -> bytes:
        """Return them in the text format."""
        return generate_latest(self._registry)


class _States(Collector):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily(
            "weighbridge_sessions", "Sessions that are remembered, by state.", labels=("state",)
        )
        for state, n in self._sessions.counts.items():
            gauge.add_metric((state.value,), n)
        yield gauge
