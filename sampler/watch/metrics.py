"""What a watch exports to Prometheus: its live states as metric families.

What is kept between two scrapes only ever grows: histograms, and connections by label. All other
series are made of the states as they are, so a target or a label that is gone has no series any
more. Labels of the series are bounded: the versions that were expected, then ``other`` and
``none``; what a stranger calls itself is never one of these, and no two names are the same.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from analysis.data.batch import OTHER as ANY_OTHER
from analysis.data.batch import Outcome
from analysis.data.live import MOST_LABELS, State
from analysis.data.live_events import ChangeTold
from analysis.data.report import Verdict
from analysis.render.printable import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from prometheus_client import Metric

    from analysis.data.batch import Batch
    from analysis.data.live import LiveLabel, LiveState
    from analysis.data.live_events import Event

OTHER, NONE = "other", "none"
"""Labels of what was not expected, and of answers without a label."""
_MARKED = re.compile("~[0-9a-f]{16}$")
"""A name that stands for another one: it could not be said, was too long, or is one of the two."""
LAGS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
DURATIONS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_LONGEST = 100
_MOST_TIMED = 100
"""Labels whose times are counted apart until the next scrape [1]."""
_NS_PER_S = 1e9

_RATIOS: tuple[tuple[str, str, Callable[[LiveLabel], float | None]], ...] = (
    ("share", "Share of a label in the current stretch.", lambda each: each.share),
    ("share_low", "Lower end of its interval.", lambda each: each.interval[0]),
    ("share_high", "Upper end of its interval.", lambda each: each.interval[1]),
    ("expected", "Share that is expected.", lambda each: each.expected),
    ("band_low", "Least share that is accepted.", lambda each: each.band[0] if each.band else None),
    (
        "band_high",
        "Largest share that is accepted.",
        lambda each: each.band[1] if each.band else None,
    ),
    ("declared", "Share by the manifests.", lambda each: each.declared),
    ("configured", "Share by the routes and workloads.", lambda each: each.configured),
)
"""Gauges by target and label: name, help, and value, None where there is none."""
_OBSERVED = {"share", "share_low", "share_high"}

_GAUGES: tuple[tuple[str, str, Callable[[LiveState], float | None]], ...] = (
    ("evidence_nats", "Evidence of a departure.", lambda state: state.detector.evidence),
    (
        "evidence_threshold_nats",
        "Evidence that raises an alarm.",
        lambda state: state.detector.threshold,
    ),
    (
        "last_judged_timestamp_seconds",
        "When the last judged connection was sent.",
        lambda state: state.last_judged,
    ),
    (
        "last_change_timestamp_seconds",
        "When the expectation or the endpoints last changed.",
        lambda state: state.last_changes[-1].at if state.last_changes else None,
    ),
)
"""Gauges by target."""

_COUNTERS: tuple[tuple[str, str, str, Callable[[LiveState], dict[str, int]]], ...] = (
    ("requests", "Requests by how they ended.", "outcome", lambda state: state.outcomes),
    ("alarms", "Departures that were found.", "kind", lambda state: state.alarms),
    ("changes", "Changes that were noticed.", "kind", lambda state: state.changes),
)
"""Counters by target and one more label."""


class _Histogram:
    """Observations by bucket; the last one has no upper end."""

    def __init__(self, ends: tuple[float, ...]) -> None:
        self.ends = ends
        self.counts = np.zeros(len(ends) + 1, np.int64)
        self.sum = 0.0
        self.newest: dict[int, float] = {}

    def observe(self, values: NDArray[np.float64]) -> None:
        places = np.searchsorted(self.ends, values)
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum += float(values.sum())
        self.newest.update(zip(places.tolist(), values.tolist(), strict=True))

    def add(self, other: _Histogram) -> None:
        """Count what another one has counted, too."""
        self.counts += other.counts
        self.sum += other.sum
        self.newest |= other.newest

    def buckets(self, run: str) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Return the cumulative buckets, each with its newest value, by the run's id."""
        totals = map(int, np.cumsum(self.counts))
        names = [*map(str, self.ends), "+Inf"]
        return [
            (name, total, Exemplar({"run": run}, self.newest[place]))
            if run and place in self.newest
            else (name, total)
            for place, (name, total) in enumerate(zip(names, totals, strict=True))
        ]


class _Target:
    """One target: its state, and what only ever grows."""

    def __init__(self) -> None:
        self.state: LiveState | None = None
        self.lags = _Histogram(LAGS_S)
        self.timed: dict[str, _Histogram] = {}
        self.durations: dict[str, _Histogram] = {}
        self.connections: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._expected: set[str] = set()

    def show(self, state: LiveState) -> None:
        """Count on: what was counted under one name stays there, whatever is expected later."""
        for each in state.labels:
            if each.expected is not None and len(self._expected) < MOST_LABELS:
                self._expected.add(each.label)
        if self.state is None or self.state.started != state.started:
            self._totals.clear()
        totals = Counter({each.label: each.total for each in state.labels})
        left = state.connections - self._totals.total()
        for label in sorted(self._expected):
            # It may have lain within the rest before, and may again.
            grown = min(max(totals[label] - self._totals[label], 0), left)
            self.connections[_name(label)] += grown
            left -= grown
        lost = min(max(state.unlabelled - self._totals[""], 0), left)
        self.connections[NONE] += lost
        self.connections[OTHER] += left - lost
        totals[""] = state.unlabelled
        self.state, self._totals = state, totals
        for label, timed in self.timed.items():
            name = _name(label) if label in self._expected else OTHER if label else NONE
            self.durations.setdefault(name, _Histogram(DURATIONS_S)).add(timed)
        self.timed = {}


class Metrics(Collector):
    """Collects the families of all targets of a watch.

    Parameters
    ----------
    version : str
        Of weighbridge.
    python : str
        Of the interpreter.
    """

    def __init__(self, version: str, python: str) -> None:
        self._build = {"version": version, "python": python}
        self._targets: dict[str, _Target] = {}

    def tell(self, event: Event) -> None:
        """Take a change whose lag is known."""
        if isinstance(event, ChangeTold) and event.change.lag_s is not None:
            self._target(event.target).lags.observe(np.array([event.change.lag_s]))

    def show(self, states: Iterable[LiveState]) -> None:
        """Export these states from now on; targets that are not among them have no series."""
        shown = {state.target: state for state in states}
        for gone in set(self._targets) - set(shown):
            del self._targets[gone]
        for name, state in shown.items():
            self._target(name).show(state)

    def take(self, target: str, batch: Batch) -> None:
        """Count how long the answers of a batch took."""
        done = (batch.outcome <= Outcome.UNLABELLED) & (batch.done_ns >= 0)
        took_s = (batch.done_ns[done] - batch.sent_ns[done]) / _NS_PER_S
        codes = batch.label[done]
        by_label = self._target(target).timed
        for code in np.unique(codes).tolist():
            label = batch.labels[code] if code >= 0 else ""
            if label not in by_label and len(by_label) >= _MOST_TIMED:
                label = ANY_OTHER
            by_label.setdefault(label, _Histogram(DURATIONS_S)).observe(took_s[codes == code])

    def _target(self, name: str) -> _Target:
        return self._targets.setdefault(name, _Target())

    def collect(self) -> Iterator[Metric]:
        """Yield every family; those without a series too, so that their names are known."""
        build = GaugeMetricFamily(
            "weighbridge_build_info", "1, with the versions.", labels=list(self._build)
        )
        build.add_metric(list(self._build.values()), 1)
        yield build
        shown = {_name(name): target for name, target in self._targets.items() if target.state}
        targets = {name: target.state for name, target in shown.items() if target.state}
        yield from _sets(targets)
        yield from _values(targets)
        yield from _of_labels(targets)
        connections = CounterMetricFamily(
            "weighbridge_connections", "Judged connections.", labels=["target", "label"]
        )
        lags = HistogramMetricFamily(
            "weighbridge_convergence_seconds",
            "From a change to the answers that follow it.",
            labels=["target"],
        )
        durations = HistogramMetricFamily(
            "weighbridge_request_duration_seconds",
            "From sending a request to the end of its answer.",
            labels=["target", "label"],
        )
        for name, target in shown.items():
            for label, total in target.connections.items():
                connections.add_metric([name, label], total)
            lags.add_metric([name], target.lags.buckets(""), target.lags.sum)
            for label, times in target.durations.items():
                durations.add_metric([name, label], times.buckets(targets[name].run), times.sum)
        yield from (connections, lags, durations)


def _name(text: str) -> str:
    """Return a name as a series has it: another one for each text."""
    name = visible(text[:_LONGEST])
    if name == text and name not in {OTHER, NONE} and not _MARKED.search(name):
        return name
    return f"{name}~{sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _sets(targets: Mapping[str, LiveState]) -> Iterator[Metric]:
    """Yield the state sets: one gauge for each state, 1 for the one that holds."""
    for name, text, members, holds in (
        ("weighbridge_verdict_state", "1 for the present verdict.", Verdict, "verdict"),
        ("weighbridge_state", "1 for the present state.", State, "state"),
    ):
        family = GaugeMetricFamily(name, text, labels=["target", "state"])
        for target, state in targets.items():
            for each in members:
                family.add_metric([target, each.value], float(getattr(state, holds) is each))
        yield family


def _values(targets: Mapping[str, LiveState]) -> Iterator[Metric]:
    for name, text, value_of in _GAUGES:
        family = GaugeMetricFamily(f"weighbridge_{name}", text, labels=["target"])
        for target, state in targets.items():
            if (value := value_of(state)) is not None:
                family.add_metric([target], value)
        yield family
    for name, text, key, counts_of in _COUNTERS:
        counter = CounterMetricFamily(f"weighbridge_{name}", text, labels=["target", key])
        for target, state in targets.items():
            for each, count in counts_of(state).items():
                counter.add_metric([target, each], count)
        yield counter


def _shown(labels: Iterable[LiveLabel]) -> list[tuple[str, LiveLabel]]:
    """Return the labels that have gauges: at most `MOST_LABELS`, each name once."""
    named: dict[str, LiveLabel] = {}
    for each in labels:
        if len(named) < MOST_LABELS:
            named.setdefault(_name(each.label), each)
    return list(named.items())


def _of_labels(targets: Mapping[str, LiveState]) -> Iterator[Metric]:
    for name, text, value_of in _RATIOS:
        family = GaugeMetricFamily(f"weighbridge_{name}_ratio", text, labels=["target", "label"])
        for target, state in targets.items():
            if name in _OBSERVED and state.stretch.connections <= state.stretch.unlabelled:
                continue  # no share was seen: 0 would be a wrong one
            for label, each in _shown(state.labels):
                if (value := value_of(each)) is not None:
                    family.add_metric([target, label], value)
        yield family
    zones = GaugeMetricFamily(
        "weighbridge_zone_share_ratio",
        "Share of a label as one zone receives it.",
        labels=["target", "zone", "label"],
    )
    for target, state in targets.items():
        for zone in state.zones:
            for label, _ in _shown(state.labels):
                if label in zone.shares:
                    zones.add_metric([target, _name(zone.name), label], zone.shares[label])
    yield zones


def exposition(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that a scraper prefers, and its content type.

    Parameters
    ----------
    metrics : Metrics
    accept : str
        The header: OpenMetrics where it is asked for, else Prometheus' text.
    """
    registry = CollectorRegistry(auto_describe=False)
    for each in (metrics, PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(each)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
