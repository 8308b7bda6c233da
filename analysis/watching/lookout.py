"""The lookout: weighs one target without an end, and says what it comes to.

It judges the stretches of a watched expectation (`analysis.weighing.watched.Judging`) with
evidence that has no budget: its FAIL side is an e-detector, which raises an alarm, its PASS side is
that of a check. Each alarm is a stopping time, after which the evidence begins anew. So one
detector watches while another stretch proves that the split is right, or right again.

Batches go in by the fold, in send order; `look` is called now and then, whether any came or not.
How the samples are cut into batches changes no alarm and no count.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from analysis.data.batch import judged_rows
from analysis.data.live import MOST_CHANGES, Alarm, Change, State
from analysis.data.live_events import AlarmTold, ChangeTold, NoteTold
from analysis.data.report import ReasonCode, Verdict
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.verdict.decision import SETTLED
from analysis.watching.alarms import KINDS, alarm_of
from analysis.watching.counts import Counts
from analysis.watching.drift import Drift
from analysis.watching.neighbours import Neighbours
from analysis.watching.states import Course, Sign, verdict_in
from analysis.watching.totals import Drawn
from analysis.weighing.change import Phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.live_events import Event
    from analysis.data.split import Split
    from analysis.watching.asked import WatchPolicy
    from analysis.weighing.history import History
    from analysis.weighing.watched import Watched

    Codes = NDArray[np.int16]
    Floats = NDArray[np.float64]

_NS_PER_S = 1_000_000_000


class Lookout:
    """Weighs one target without an end.

    Parameters
    ----------
    target : str
        Its name.
    asked : WatchPolicy
    at : float
        When it begins [s since 1970].
    seed : int, default 0

    Attributes
    ----------
    course : Course
        The state.
    watched : Watched
        The expectation; `attach` gives it.
    counts : Counts
        All samples, by label and time.
    alarms, changes : Counter of str
        By kind.
    last_alarm : Alarm or None
    last_changes : deque of Change
    lags_s : deque of float
    drawn : Drawn
        What is drawn of the present stretch.
    why : str
        Why nothing is judged, or what a departure looks like.
    """

    watched: Watched

    def __init__(self, target: str, asked: WatchPolicy, at: float, seed: int = 0) -> None:
        self.target = target
        self.asked = asked
        self.course = Course(at)
        self.counts = Counts(target, at)
        self.alarms: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.last_alarm: Alarm | None = None
        self.last_changes: deque[Change] = deque(maxlen=MOST_CHANGES)
        self.lags_s: deque[float] = deque(maxlen=MOST_CHANGES)
        self.drawn = Drawn(at, asked.policy.beta)
        self.why = ""
        self.stretches = 0
        self._policy = asked.of_evidence
        self._seed = seed
        self._drift = Drift()
        self._resumed: Evidence | None = None
        self.is_followed = False
        self._first_draw = 0
        self._neighbours = Neighbours((), self._policy.alpha)
        self._doubt = ""
        self._before = 0
        self._last_judged_split: Split | None = None
        self._told = 0
        self._told_lags = 0
        self._events: list[Event] = []

    # The expectation, as the fold sees it

    @property
    def evidence(self) -> Evidence:
        """What the verdict is about: of an alarm in DRIFT, else of the present stretch."""
        evidence = self.watched.evidence
        if self.course.state is State.DRIFT and self._drift.evidence is not None:
            return self._drift.evidence
        if self.verdict is Verdict.PASS:
            return replace(evidence, settled=ReasonCode.WITHIN_TOLERANCE)
        return evidence

    def attach(self, watched: Watched, origin_s: float, *, is_followed: bool) -> None:
        """Go on in another run.

        Parameters
        ----------
        watched : Watched
            Made with this as its `judging`.
        origin_s : float
            When the run began [s since 1970].
        is_followed : bool
            Whether its expectation may change: alarms then wait for news that are under way.
        """
        self.watched, self.is_followed = watched, is_followed
        self.counts.attach(origin_s)
        self._told = self._told_lags = 0

    def resume(self) -> None:
        """Let the next `Watched` go on with the evidence of this one, as far as it can."""
        if self.watched.evidence.groups is None:  # cut connections cannot be judged as wholes
            self._resumed = self.watched.evidence

    def weigh(self, batch: Batch) -> None:
        """Count the next samples, and judge them, in send order."""
        self.counts.add(batch, is_judged=self.watched.phase is Phase.JUDGING)
        self.watched.weigh(batch)

    def begin(self, split: Split) -> Evidence:
        """Return the evidence of a stretch before its first sample."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and resumed.split == split:
            return resumed
        self.counts.expect(split.arms)
        evidence = self._fresh(split)
        self.stretches += 1
        self._restretch(self.counts.newest)
        return evidence

    def finish(self) -> History | None:
        """End a run; return what happened to its expectation."""
        history = self.watched.finish()
        return replace(history, is_endless=True) if self.is_followed else None

    def _fresh(self, split: Split) -> Evidence:
        evidence = Evidence.start(split, self._policy, self._seed, is_endless=True)
        self._first_draw = self.counts.draws.taken
        tested = [self.counts.names.index(split.arms[arm]) for arm in evidence.bets.arms]
        self._neighbours = Neighbours(tested, self._policy.alpha)
        return evidence

    def _restretch(self, at: float) -> None:
        """Begin what is drawn as one stretch."""
        self.drawn.begin(at)
        self._doubt = ""

    # Samples

    def judge(self, evidence: Evidence, part: Batch) -> Evidence:
        """Judge samples of the present stretch, alarm by alarm."""
        rows = judged_rows(part)
        codes, at = self.counts.codes(part)[rows], self.counts.at(part.sent_ns[rows])
        start, rest = 0, part
        while True:
            after = weigh(evidence, rest)
            end = len(rows)
            if after.groups is None:
                end = start + after.judged - evidence.judged
            self._remember(codes[start:end], at[start:end])
            if after.settled is None or self.is_followed:
                return after
            evidence = self._settle(after, float(at[end - 1]) if end else self.counts.newest)
            if end >= len(rows):
                self._leave_out_open(evidence)
                return evidence
            start, rest = end, part[int(rows[end]) :]

    def _leave_out_open(self, evidence: Evidence) -> None:
        """Judge no connection that is open: with several answers, it is judged as a whole."""
        if evidence.groups is not None:
            self.watched.leave_out(self.counts.next_connection)

    def _remember(self, codes: Codes, at: Floats) -> None:
        """Count judged connections by their first answers."""
        if not len(codes):
            return
        self.counts.judged(codes, at)
        if self._neighbours.see(codes):
            self._say_doubt("consecutive connections depend on each other")

    def _settle(self, evidence: Evidence, at: float) -> Evidence:
        """Act on evidence that came to an end; return what goes on."""
        code = evidence.settled
        # Where no label ever came nothing is measured, and no split departs.
        is_alarm = code in KINDS and self.has_measured
        if is_alarm:
            self._alarm(evidence, at)
        elif code is not None and code not in KINDS:
            self._say_doubt(SETTLED[code][1](evidence).message)
        self.drawn.carry(evidence)
        if is_alarm and self._turn(Sign.ALARM, at):
            self._restretch(at)
        return self._fresh(evidence.split)

    def _say_doubt(self, text: str) -> None:
        """Say, once a stretch, why it cannot pass."""
        if not self._doubt:
            self._doubt = text
            self._note(self.counts.newest, "warning", text)
        self._turn(Sign.DOUBTED, self.counts.newest)

    def _alarm(self, evidence: Evidence, at: float) -> None:
        """Note an alarm, unless it only confirms a drift."""
        self._drift.see(evidence, is_first=self.course.state in {State.OK, State.STARTING})
        times, codes = self.counts.draws.since(self._first_draw)
        arms = evidence.split.arms
        arm_of = [arms.index(name) if name in arms else len(arms) for name in self.counts.names]
        alarm = alarm_of(evidence, times, np.array([*arm_of, -1], dtype=np.int16)[codes], at)
        if self.course.state in {State.DRIFT, State.BLIND}:
            self._name_cause(alarm.cause)
            return
        self.last_alarm, self.why = alarm, alarm.cause
        self.alarms[alarm.kind] += 1
        self._events.append(AlarmTold(seq=0, at=at, target=self.target, alarm=alarm))

    def _name_cause(self, cause: str) -> None:
        """Say what a drift looks like, as soon as its connections tell."""
        if cause and cause != self.why and self.last_alarm is not None:
            if not self.last_alarm.cause:
                self.last_alarm = msgspec.structs.replace(self.last_alarm, cause=cause)
                self._note(self.counts.newest, "cause", cause)
            self.why = cause

    # Time

    def look(self, now: float, blindness: str = "") -> list[Event]:
        """Look at what has happened, and return the events since the last look.

        Parameters
        ----------
        now : float
            [s since 1970]
        blindness : str, default ""
            Why nothing can be judged, as far as the sampling knows.
        """
        watched = self.watched
        is_sure = watched.is_sure(round((now - self.counts.origin_s) * _NS_PER_S))
        if watched.evidence.settled is not None and is_sure:
            at = self.counts.newest if self.counts.last_judged is None else self.counts.last_judged
            evidence = self._settle(watched.evidence, at)
            watched.restart(evidence)
            self._leave_out_open(evidence)
        self._hear()
        self._look_for_sight(now, blindness)
        self._look_at_phase(now)
        self._look_at_proof(now, is_sure=is_sure or not self.is_followed)
        until = max(self.counts.newest, now - self.asked.patience_s)
        is_blind = self.course.state is State.BLIND
        evidence = self.watched.evidence
        drawn = self.drawn.shares(evidence), self.drawn.intervals(evidence)
        self._events += self.counts.buckets.close(min(until, now), *drawn, is_blind=is_blind)
        events, self._events = self._events, []
        return events

    def _hear(self) -> None:
        """Tell what the expectation has noted."""
        watched = self.watched
        for event in watched.events[self._told :]:
            lag_s = None
            if event.kind == "settled" and self._told_lags < len(watched.lags_s):
                lag_s = watched.lags_s[self._told_lags]
                self._told_lags += 1
                self.lags_s.append(lag_s)
            split = watched.evidence.split
            change = Change(
                at=self.counts.origin_s + event.at_s, kind=event.kind, text=event.text, lag_s=lag_s,
                expected={arm: split.share(arm) for arm in split.arms},
            )  # fmt: skip
            if event.kind != "settled":
                self.changes[event.kind] += 1
            self.last_changes.append(change)
            self._events.append(ChangeTold(seq=0, at=change.at, target=self.target, change=change))
        self._told = len(watched.events)

    def _look_for_sight(self, now: float, blindness: str) -> None:
        silent_s = now - self.counts.labelled_at
        why = blindness
        if not why and self.watched.is_unseen:
            why = self.watched.doubt
        if not why and silent_s > self.asked.blind_after_s:
            why = f"no answer with a label for {silent_s:.0f} s"
        if why:
            is_judged = self.course.state is not State.CHANGING
            if self._turn(Sign.LOST, now):
                self._note(now, "blind", why)
                if is_judged:
                    self._last_judged_split = self.watched.evidence.split
            self.why = why
        elif self.course.state is State.BLIND:
            is_same = self.watched.evidence.split == self._last_judged_split
            self._turn(Sign.SEEN if is_same else Sign.SETTLED, now)
            self.why = ""
            if self.course.has_forgotten:
                self._restart(now)

    def _look_at_phase(self, now: float) -> None:
        if self.course.state is State.BLIND:
            return
        if self.watched.phase is not Phase.JUDGING:
            if self._turn(Sign.MOVED, now):
                self._before = self.stretches
                self._last_judged_split = self.watched.evidence.split
            self.why = self.watched.doubt
        elif self.course.state is State.CHANGING:
            is_same = self.stretches == self._before
            self._turn(Sign.RESUMED if is_same else Sign.SETTLED, now)
            self.why = ""

    def _look_at_proof(self, now: float, *, is_sure: bool) -> None:
        evidence, state = self.watched.evidence, self.course.state
        is_over = state is State.DRIFT and self._drift.is_over(
            evidence, self.counts, self.last_alarm
        )
        if is_over and self._turn(Sign.INSIDE, now):
            self._restart(now if self.counts.last_judged is None else self.counts.last_judged)
            self.why = ""
            return
        if evidence.passed_after is None or self._doubt or not is_sure:
            return
        if self.course.state is State.RECOVERING:
            self._note(now, "recovered", "the split is proven to be inside its band again")
        if self._turn(Sign.PASSED, now):
            self.drawn.passed_after, self.why = evidence.passed_after, ""

    def _restart(self, at: float) -> None:
        """Begin anew what is judged and drawn, on the same split."""
        evidence = self._fresh(self.watched.evidence.split)
        self.watched.restart(evidence)
        self._leave_out_open(evidence)
        self._restretch(at)

    def _turn(self, sign: Sign, at: float) -> bool:
        before = self.course.state
        if not self.course.see(sign, at):
            return False
        self._note(at, "turn", f"{before} to {self.course.state}")
        return True

    def _note(self, at: float, kind: str, text: str) -> None:
        self._events.append(NoteTold(seq=0, at=at, target=self.target, kind=kind, text=text))

    # What is drawn

    @property
    def has_measured(self) -> bool:
        """Whether any judged connection had a label."""
        return self.counts.totals.total() > self.counts.totals[""]

    @property
    def verdict(self) -> Verdict:
        """PASS, FAIL or INCONCLUSIVE, at this moment."""
        return verdict_in(self.course.state, has_passed=not self._doubt)

    @property
    def log_evidence(self) -> float:
        """Logarithm of the detector's evidence [nats], at least that of one connection."""
        return max(self.watched.evidence.log_fail, 0.0)

    @property
    def threshold(self) -> float:
        """Logarithm of the evidence that raises an alarm [nats]."""
        return log(self.asked.connections)
