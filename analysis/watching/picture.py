"""The live state of a lookout, as its document shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analysis.data.batch import OTHER
from analysis.data.live import (
    MOST_LABELS,
    MOST_REPLICAS,
    Cost,
    Detector,
    LiveLabel,
    LiveState,
    Part,
    Stretch,
)
from analysis.text.rounding import amount, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.data.health import Health
    from analysis.versions.replicas import ReplicaCounts
    from analysis.watching.lookout import Lookout
    from analysis.watching.totals import Totals


@dataclass(frozen=True, slots=True)
class Around:
    """What a state shows beside its lookout.

    Parameters
    ----------
    url, run : str
    started : float
        [s since 1970]
    views : mapping of str to mapping
        Shares by label of the views ``declared``, ``configured`` and ``endpoints``.
    outcomes : mapping of str to int
        Requests by outcome.
    health : Health or None
    replicas : ReplicaCounts or None
    cost : Cost
    last_event : int
    """

    url: str
    run: str
    started: float
    cost: Cost
    views: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    health: Health | None = None
    replicas: ReplicaCounts | None = None
    last_event: int = 0


def picture(lookout: Lookout, around: Around, now: float) -> LiveState:
    """Return the state of one target."""
    evidence, asked = lookout.watched.evidence, lookout.asked
    drawn = lookout.drawn.totals(evidence)
    labels = _labels(lookout, around, drawn)
    state, totals = lookout.course.state, lookout.counts.totals
    return LiveState(
        target=lookout.target,
        url=around.url,
        run=around.run,
        at=now,
        started=around.started,
        state=state,
        since=lookout.course.since,
        verdict=lookout.verdict,
        line=_line(lookout, labels, drawn),
        why=lookout.why,
        labels=labels,
        stretch=Stretch(
            since=lookout.drawn.since,
            connections=drawn.judged,
            unlabelled=float(drawn.missing),
            passed_after=lookout.drawn.passed_after,
            confidence=1 - evidence.policy.beta,
        ),
        detector=Detector(
            evidence=lookout.log_evidence,
            threshold=lookout.threshold,
            false_alarm_s=asked.false_alarm_s,
            connections=asked.connections,
            words=asked.words,
        ),
        connections=totals.total(),
        requests=sum(around.outcomes.values()),
        unlabelled=totals[""],
        outcomes=dict(around.outcomes),
        alarms=dict(lookout.alarms),
        changes=dict(lookout.changes),
        last_alarm=lookout.last_alarm,
        last_changes=list(lookout.last_changes),
        lags_s=list(lookout.lags_s),
        last_judged=lookout.counts.last_judged,
        health=around.health,
        replicas=_replicas(around.replicas),
        cost=around.cost,
        last_event=around.last_event,
    )


def _labels(lookout: Lookout, around: Around, drawn: Totals) -> list[LiveLabel]:
    """Return the expected labels, then the others that came most often."""
    evidence = lookout.watched.evidence
    bands = {band.arm: band for band in evidence.bands}
    recent, intervals = lookout.counts.recent(), lookout.drawn.intervals(evidence)
    arms = evidence.split.arms
    others = [
        name
        for name, _ in lookout.counts.totals.most_common()
        if name and name not in arms and name != OTHER
    ]
    observed = lookout.watched.observed
    endpoints = {arm: observed.share(arm) for arm in observed.arms}
    views = {**around.views, "endpoints": endpoints if lookout.is_followed else {}}
    found = []
    for name in (*arms, *others[: max(MOST_LABELS - len(arms), 0)]):
        share, wilson = recent.get(name, (None, None))
        band = bands.get(name)
        found.append(
            LiveLabel(
                label=name,
                declared=views.get("declared", {}).get(name),
                configured=views.get("configured", {}).get(name),
                endpoints=views["endpoints"].get(name),
                expected=None if band is None else band.expected,
                band=None if band is None else band.clipped,
                share=drawn.share(name),
                interval=intervals.get(name, (0.0, 1.0)),
                recent=share,
                recent_interval=wilson,
                connections=round(drawn.counts[name]),
                total=lookout.counts.totals[name],
            )
        )
    left = [OTHER, *others[max(MOST_LABELS - len(arms), 0) :]]
    total = sum(lookout.counts.totals[name] for name in left)
    if total:
        found.append(LiveLabel(label=OTHER, total=total))
    return found


def _line(lookout: Lookout, labels: list[LiveLabel], drawn: Totals) -> str:
    """Say the state in one line."""
    told = [f"{lookout.course.state} {lookout.verdict}"]
    shown = sorted((each for each in labels if each.band is not None), key=lambda each: each.share)
    for each in shown[:3]:
        low, high = each.band or (0.0, 1.0)
        told.append(
            f"{each.label} {100 * each.share:.1f} % ({100 * low:.3g} to {100 * high:.3g} %)"
            if drawn.judged > drawn.missing
            else f"{each.label} unknown"
        )
    told.append(counted(drawn.judged, "connection"))
    told.append(f"evidence {lookout.log_evidence:.1f} of {lookout.threshold:.1f} nats")
    if lookout.why:
        told.append(lookout.why)
    alarms = lookout.alarms.total()
    if alarms:
        told.append(f"{amount(alarms)} alarm{'s' if alarms > 1 else ''} so far")
    return " · ".join(told)


def _replicas(counts: ReplicaCounts | None) -> list[Part]:
    if counts is None:
        return []
    found = [
        Part(name=name, label=label, connections=n)
        for label, by_replica in counts.by_label.items()
        for name, n in by_replica.items()
    ]
    return sorted(found, key=lambda part: -part.connections)[:MOST_REPLICAS]
