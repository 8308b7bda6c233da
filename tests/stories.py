"""What a watch of ten minutes tells: events made from a seed, for what is drawn from them.

A canary of 10 % at 20 connections/s; after 300 s every pod gets an equal share, the alarm comes 3 s
later, the weights are mended at 420 s and proven at 470 s; at 545 s the weights change on purpose.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from math import sqrt

from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.data.live import (
    Alarm,
    Change,
    ChangePoint,
    Cost,
    Detector,
    LiveLabel,
    LiveState,
    Part,
    State,
    Stretch,
)
from analysis.data.live_events import AlarmTold, BucketTold, ChangeTold, NoteTold, StateTold
from analysis.data.report import Verdict

BEGIN = 1_796_050_000.0
DRIFT, ALARM, MENDED, PROVEN, CHANGE, SETTLED = 300, 303, 420, 470, 545, 553
_TURNS = {
    30: State.OK, ALARM: State.DRIFT, MENDED + 4: State.RECOVERING, PROVEN: State.OK,
    CHANGE: State.CHANGING, SETTLED: State.STARTING, SETTLED + 30: State.OK,
}  # fmt: skip
_VERDICTS = {State.OK: Verdict.PASS, State.DRIFT: Verdict.FAIL}
_AFRESH = (ALARM, MENDED + 4, SETTLED)
_CAUSE = "The answers look like 1:1, the ratio of the pods, as if the weights were not applied."


def wilson(count, n, z=3.2):
    """Return an interval of a share, wide enough to pass for one that holds at every look."""
    if not n:
        return 0.0, 1.0
    share, wide = count / n, 1 + z * z / n
    middle = (share + z * z / 2 / n) / wide
    half = z * sqrt(share * (1 - share) / n + z * z / 4 / n / n) / wide
    return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclass
class Story:
    """A watch of one target; `events` yields what it tells, second by second."""

    labels: tuple[str, ...] = ("v1", "v2")
    weights: tuple[int, ...] = (9, 1)
    seconds: int = 640
    rate: int = 20
    target: str = "shop"
    seed: int = 1
    state: State = State.STARTING
    since: float = BEGIN
    began: float = BEGIN
    seq: int = 0
    stretch: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    alarm: Alarm | None = None
    changes: list[Change] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def events(self):
        draw, ten = random.Random(self.seed), Counter[str]()
        yield self._told(NoteTold, BEGIN, kind="start", text="Weighs at 20 connections/s.")
        for second in range(self.seconds):
            at = BEGIN + second + 1
            is_off = DRIFT <= second < MENDED
            weights = (1,) * len(self.labels) if is_off else self.weights
            counts = Counter(draw.choices(self.labels, weights, k=self.rate))
            is_judged = not CHANGE <= second < SETTLED
            yield from self._happens(second, at)
            if is_judged:
                self.stretch += counts
                self.total += counts
            ten += counts
            yield self._bucket(at, 1.0, counts, is_judged)
            if second % 10 == 9:
                yield self._bucket(at, 10.0, ten, is_judged)
                ten = Counter[str]()
            yield self._told(StateTold, at, state=self._state(at))

    def _told(self, form, at, **fields):
        self.seq += 1
        return form(seq=self.seq, at=at, target=self.target, **fields)

    def _happens(self, second, at):
        if second in _AFRESH:
            self.stretch, self.began = Counter[str](), at
        if second == ALARM:
            text = f"{self.labels[-1]} received 48.3 % [31.0, 65.8]; 10 % [5.0, 14.1] is accepted."
            point = ChangePoint(
                at=BEGIN + DRIFT, range=(BEGIN + DRIFT - 1, BEGIN + DRIFT + 0.5),
                label=self.labels[-1], before=0.1, after=0.483, connections=62,
            )  # fmt: skip
            self.alarm = Alarm(
                at=at, kind="outside_tolerance", text=text, cause=_CAUSE, change=point, delay_s=3.0
            )
            yield self._told(AlarmTold, at, alarm=self.alarm)
        if second in {DRIFT, CHANGE}:
            yield self._change(at, "weight", "HTTPRoute shop: the weights have changed.")
        if second == SETTLED:
            self.lags.append(0.81)
            yield self._change(at, "settled", "The answers follow.", lag_s=0.81)
        if second == PROVEN:
            yield self._told(NoteTold, at, kind="recovered", text="Proven inside the band again.")
        if second in _TURNS:
            self.state, self.since = _TURNS[second], at

    def _change(self, at, kind, text, **fields):
        self.changes.append(Change(at=at, kind=kind, text=text, **fields))
        return self._told(ChangeTold, at, change=self.changes[-1])

    def _bucket(self, at, width_s, counts, is_judged):
        n = self.stretch.total()
        names = self.labels if n and is_judged else ()
        return self._told(
            BucketTold, at, since=at - width_s, width_s=width_s, counts=dict(counts),
            share={name: self.stretch[name] / n for name in names},
            interval={name: wilson(self.stretch[name], n) for name in names}, is_judged=is_judged,
        )  # fmt: skip

    def _label(self, name, weight):
        n, share = self.stretch.total(), weight / sum(self.weights)
        recent = self.total[name] / max(self.total.total(), 1)
        return LiveLabel(
            label=name, declared=share, configured=share, expected=share,
            band=(max(share - 0.05, 0.0), min(share + 0.041, 1.0)),
            share=self.stretch[name] / n if n else 0.0, interval=wilson(self.stretch[name], n),
            recent=recent, recent_interval=wilson(1000 * recent, 1000, 2.58),
            connections=self.stretch[name], total=self.total[name],
        )  # fmt: skip

    def _state(self, at):
        n, total = self.stretch.total(), self.total.total()
        labels = [self._label(*each) for each in zip(self.labels, self.weights, strict=True)]
        shown = f"{labels[-1].label} receives {100 * labels[-1].share:.1f} % of {n} connections."
        first, last = self.labels[0], self.labels[-1]
        canary, stable = (
            HealthArm(name, self.total[name], self.total[name] // 300, {"p50": time, "p95": 0.06})
            for name, time in ((last, 0.0123), (first, 0.0113))
        )
        is_ok = self.state is State.OK
        return LiveState(
            target=self.target, url="GET http://shop.default.svc.cluster.local/", run="made-watch",
            at=at, started=BEGIN, state=self.state, since=self.since,
            verdict=_VERDICTS.get(self.state, Verdict.INCONCLUSIVE), line=shown,
            why=_CAUSE if self.state is State.DRIFT else "", labels=labels,
            stretch=Stretch(since=self.began, connections=n, passed_after=412 if is_ok else None),
            detector=Detector(
                evidence=17.7 if self.state is State.DRIFT else 3.1, threshold=17.77,
                false_alarm_s=2.6e6, connections=5.2e7,
                words="A right split raises a false alarm once in 30 days on average.",
            ),
            connections=total, requests=total + 2, unlabelled=0,
            outcomes={"ok": total, "reset": 2},
            alarms={} if self.alarm is None else {self.alarm.kind: 1},
            changes=dict(Counter(each.kind for each in self.changes)), last_alarm=self.alarm,
            last_changes=list(self.changes), lags_s=list(self.lags), last_judged=at - 0.05,
            health=Health(
                canary, stable, HealthErrors(500, 1.2, 0.1),
                HealthTimes(640, 340, 1.3, {"p50": (-0.001, 0.002)}, 0.95),
            ),
            replicas=[
                Part(name=f"shop-{name}-6d4f9c7b5-{pod}", label=name,
                     connections=self.stretch[name] // weight)
                for name, weight in zip(self.labels, self.weights, strict=True)
                for pod in "abcdefghij"[:weight]
            ],
            cost=Cost(rate_per_s=19.8, asked_per_s=20.0, cpu_share=0.021,
                      memory_bytes=92 * 2**20, disk_bytes=3 * 2**20),
            last_event=self.seq,
        )  # fmt: skip
