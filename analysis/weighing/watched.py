"""An expectation that may change while it is weighed: the run is judged stretch by stretch.

Endpoints and weights of a cluster may change during a run. Each change closes a stretch. What is
sent in the first seconds after it is kept and shown, and not judged: the data plane follows the
API with a delay, which is measured here. If the splits after the change, the expected one and that
of the endpoints, are those before it, the evidence goes on; otherwise it begins anew, with half of
the error rates that were left, so that all stretches together keep those that were asked for.

While the watcher holds the judging back (a roll-out, a version without endpoints, a cluster that is
not as declared), nothing is judged. A version that went out of service under an unchanged
configuration is an outage: the run cannot pass any more.

Nothing here is done for a single request: batches are cut where something changed.
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.events import ENDPOINTS, SETTLED, WEIGHT, Event
from analysis.weighing.change import Phase
from analysis.weighing.history import History, alike
from analysis.weighing.holding import Holding, Noticed
from analysis.weighing.outages import Outages, Span
from analysis.weighing.settling import LONGEST_S, SHORTEST_S, Settling, may_lag
from analysis.weighing.stretches import GUARD_S, Stretches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.policy import Policy
    from analysis.data.report import Source
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence
    from analysis.weighing.change import Change, Judging

MOST_STRETCHES = 8
"""So often a run begins anew; then the split is said to move too much."""

_NS_PER_S = 1_000_000_000


class Watched:
    """An expectation that is watched: samples are judged stretch by stretch.

    Parameters
    ----------
    split : Split
        The first one.
    policy : Policy
        Of the whole run.
    seed : int, default 0
        Of the run.
    source : Source
        Where the first split was read.
    settle_s : float or None
        How long nothing is judged after a change [s]; None waits until the answers follow.
    age_s : float or None
        How long before the run the last change was made [s]; None if that is not known.
    remarks : tuple of str
        What was read before the run, in sentences for the report.
    start : Change or None
        What was known when the run began; it may hold the judging back.
    judging : Judging or None
        How stretches are judged; None shares the error rates of the policy among them, and ends
        after `MOST_STRETCHES`.

    Attributes
    ----------
    events : list of Event
        What happened.
    lags_s : list of float
        By how much the data plane was behind the API, where that was seen [s].

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(
        self,
        split: Split,
        policy: Policy,
        seed: int,
        source: Source,
        *,
        settle_s: float | None = None,
        age_s: float | None = None,
        remarks: tuple[str, ...] = (),
        start: Change | None = None,
        judging: Judging | None = None,
    ) -> None:
        self._shares_rates = judging is None
        self._split = self._begun = split
        self._observed = (None if start is None else start.observed) or split
        self._observed_before = self._observed
        self._stretches = Stretches(
            split, policy, seed, source, judging, is_elsewhere=self._is_elsewhere
        )
        self.events: list[Event] = []
        self.lags_s: list[float] = []
        self._settle_s = settle_s
        self._remarks = remarks
        self._pending: deque[Noticed] = deque()
        self._next_source = source
        self._held = Holding()
        self._unjudged, self._unseen = Span(), Span()
        self._outages = Outages()
        self._trouble = self._last_text = ""
        self._last_ns = 0
        self._settling: Settling | None = None
        self._calm_ns = 0.0
        self._is_early = False
        self._longest_s = LONGEST_S if settle_s is None else settle_s
        if age_s is not None and age_s < self._longest_s:
            self._settling = Settling(0, (self._longest_s - age_s) * _NS_PER_S)
            self.events.append(
                Event(-age_s, ENDPOINTS, f"last change, {age_s:.1f} s before the start")
            )
            self._unjudged.begin(0)
        if start is not None:
            self._trouble = start.trouble
            if start.expectation is None:
                self._turn(Noticed(0, start, 0))

    @property
    def evidence(self) -> Evidence:
        """Evidence of the present stretch."""
        return self._stretches.evidence

    @property
    def source(self) -> Source:
        """Where its split was read."""
        return self._stretches.source

    @property
    def previous(self) -> Split | None:
        """The split before it, if it was another one."""
        return self._stretches.previous

    def restart(self, evidence: Evidence) -> None:
        """Go on with other evidence on the same split."""
        self._stretches.restart(evidence, self._last_ns)

    def leave_out(self, first_connection: int) -> None:
        """Judge no connection that was opened before this one."""
        self._stretches.leave_out(first_connection)

    @property
    def is_unseen(self) -> bool:
        """Whether nothing is known of the cluster now."""
        return self._unseen.since_ns is not None

    @property
    def observed(self) -> Split:
        """The split of the endpoints, as far as is known."""
        return self._observed

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the endpoints are another split than the expected one."""
        return not alike(self._split, self._observed)

    @property
    def phase(self) -> Phase:
        """What is done with samples sent now."""
        changes = [each.change for each in self._pending if not each.change.is_remark]
        if changes:
            is_known = changes[-1].expectation is not None
            return Phase.SETTLING if is_known else Phase.WAITING
        if self._held.why:
            return Phase.WAITING
        return Phase.JUDGING if self._settling is None else Phase.SETTLING

    def waits_until_ns(self, wait_s: float) -> float:
        """Return until when a run waits for something to judge [ns since the run began].

        Parameters
        ----------
        wait_s : float
            For how long it waits for what may still come [s]. A version that the configuration
            itself sets to 0 is not waited for, and one that it leaves out only `REPLACED_S`.

        Returns
        -------
        float
            Infinite while something can be judged.
        """
        return self._held.waits_until_ns(wait_s, self._pending, self._split)

    @property
    def doubt(self) -> str:
        """Why samples sent now are not judged; empty if they are."""
        if self._held.why:
            return self._held.why
        if self._settling is not None:
            return f"the data plane has not settled since the last change{self._last_text}"
        return ""

    def is_sure(self, now_ns: int) -> bool:
        """Whether no news can be under way that would take back what was proven last."""
        ended_ns = self._stretches.note_end(now_ns)
        if ended_ns is None:
            return True
        if any(not each.change.is_remark for each in self._pending):
            return False
        return now_ns - ended_ns >= GUARD_S * _NS_PER_S

    @property
    def ended_ns(self) -> int | None:
        """When `is_sure` first saw what is proven now [ns since the run began]; None if nothing."""
        return self._stretches.ended_ns

    def notice(self, changes: Iterable[Change], origin_ns: int) -> None:
        """Take changes, in the order of time; the run began at `origin_ns` on their clock."""
        for each in changes:
            at_ns = max(each.at_ns - origin_ns, 0)
            self._pending.append(Noticed(at_ns, each, max(at_ns, self._last_ns)))

    def weigh(self, batch: Batch) -> None:
        """Judge a batch, as far as it belongs to a time in which that can be done."""
        # What was never sent has no time of its own: it belongs to what came before it.
        sent_ns = np.maximum.accumulate(batch.sent_ns)
        self._last_ns = max(self._last_ns, int(sent_ns[-1]) if len(sent_ns) else 0)
        if not self._pending and self._settling is None and not self._held.why:
            self._judge(batch, sent_ns)
            return
        start = 0
        while start < len(batch):
            until_ns = self._pending[0].at_ns if self._pending else inf
            end = int(np.searchsorted(sent_ns, ceil(min(until_ns, 2**62))))
            self._weigh_part(batch[start : max(end, start)], sent_ns[start : max(end, start)])
            start = max(end, start)
            if start < len(batch):
                self._turn(self._pending.popleft())

    def finish(self) -> History:
        """Take the changes after the last sample, and return what happened."""
        while self._pending:
            self._turn(self._pending.popleft())
        return self.history(is_over=True)

    def _weigh_part(self, part: Batch, sent_ns: NDArray[np.int64]) -> None:
        if not len(part):
            return
        first = 0
        if self._held.why:
            first = len(part)
        elif self._settling is not None:
            first = self._settling.see(part, sent_ns)
            if first < len(part):
                self._settle(self._settling, int(sent_ns[first]))
                self._stretches.begin_with(part[first:])
        self._stretches.set_aside(part[:first])
        if first < len(part) and not self._held.why:
            self._judge(part[first:], sent_ns[first:])

    def _judge(self, part: Batch, sent_ns: NDArray[np.int64]) -> None:
        """Weigh samples, and doubt what speaks against the split soon after a change."""
        self._stretches.judge(part, sent_ns)
        if not self._is_early or not may_lag(self.evidence, self._observed):
            return
        at_ns = int(sent_ns[-1])
        if self._begin_anew(self.evidence.split, self.source, at_ns):
            until_ns = max(self._calm_ns, at_ns + 1)
            self._settling = Settling(at_ns, until_ns, at_ns, is_patient=True)
            self._unjudged.begin(at_ns)
            text = (
                "what was judged spoke against the split, and some of it was sent less than "
                f"{LONGEST_S:g} s after a change: it is judged anew from what is sent "
                f"{until_ns / _NS_PER_S:.1f} s after the start"
            )
            self.events.append(Event(at_ns / _NS_PER_S, SETTLED, text))

    def _turn(self, noticed: Noticed) -> None:
        """Close the stretch, and wait until the data plane follows."""
        at_ns, change, _ = noticed
        at_s = at_ns / _NS_PER_S
        kind = ENDPOINTS if change.is_of_endpoints else WEIGHT
        if not change.is_unseen:
            self._trouble = change.trouble
        if change.is_reconfigured:
            self._outages.reconfigure()
        is_back = change.expectation is not None
        since_ns = self._unseen.since_ns if is_back else None
        since_s = at_s if since_ns is None else since_ns / _NS_PER_S
        self._outages.note(since_s, at_s, change.outage, change.lost, is_over=is_back)
        if change.is_unseen:
            self._unseen.begin(at_ns)
        else:
            self._unseen.end(at_ns)
        is_known = self._held.why and not is_back and change.code is self._held.code
        if not is_known or at_s - self.events[-1].at_s >= SHORTEST_S:
            self.events.append(Event(at_s, kind, change.text))
        held_ns, self._held.since_ns = self._held.since_ns, noticed.held_since(self._held.since_ns)
        if change.is_remark:
            return
        if self._settling is None and not self._held.why:
            self._stretches.take_back(at_ns)
        since_ns = self._unjudged.begin(at_ns)
        if change.expectation is None:
            self._held.take(change)
            self._settling = None
            return
        self._split, self._next_source = change.expectation.split, change.expectation.source
        before, self._observed = self._observed, change.observed or self._split
        if self._shares_rates and self._held.hold_without(
            self._begun, change.expectation, change.remedy, at_ns, held_ns
        ):
            self._settling = None
            return
        self._held.release()
        self._last_text = f" ({change.text})" if change.text else ""
        splits = before, self._observed
        self._settling = Settling.after(at_ns, since_ns, splits, self._settling, self._settle_s)
        self._calm_ns = at_ns + self._longest_s * _NS_PER_S

    def _settle(self, settling: Settling, at_ns: int) -> None:
        """Judge again: go on, or begin anew for another split."""
        self._settling = None
        self._unjudged.end(at_ns)
        text = "what is sent from here on is judged"
        if settling.followed_ns is not None:
            lag_s = (settling.followed_ns - settling.since_ns) / _NS_PER_S
            self.lags_s.append(lag_s)
            text += f"; the data plane followed {lag_s:.2f} s after the change"
        self.events.append(Event(at_ns / _NS_PER_S, SETTLED, text))
        before, split, is_begun = self.evidence.split, self._split, True
        is_same = alike(before, split) and alike(self._observed_before, self._observed)
        # Connections that were cut in the middle cannot be judged as wholes.
        if not is_same or self.evidence.groups is not None:
            is_begun = self._begin_anew(split, self._next_source, at_ns)
        self._is_early |= self._shares_rates and at_ns < self._calm_ns
        if is_begun and not alike(before, split):
            self._outages.forgive(before, split)

    def _begin_anew(self, split: Split, source: Source, at_ns: int) -> bool:
        """Begin a stretch, and return whether that is possible."""
        if self._stretches.rank >= MOST_STRETCHES and self._shares_rates:
            self._hold(
                at_ns,
                f"the evidence began anew {MOST_STRETCHES} times, because the expected split or "
                f"that of the endpoints changed; now {split} is expected, and the endpoints are "
                f"{self._observed}",
            )
            return False
        try:
            self._stretches.begin_anew(split, source, at_ns, is_elsewhere=self._is_elsewhere)
        except ValueError as error:
            self._hold(at_ns, f"{split} cannot be judged: {error}")
            return False
        self._observed_before, self._is_early = self._observed, False
        return True

    def _hold(self, at_ns: int, why: str, remedy: str = "") -> None:
        """Judge nothing from here on."""
        self._held.hold(at_ns, why, remedy)
        self._settling = None
        self._unjudged.begin(at_ns)

    def history(self, *, is_over: bool = False) -> History:
        """Return what happened so far, as it is kept.

        Parameters
        ----------
        is_over : bool
            Whether nothing more is judged; else what is judged now has no end.
        """
        since_ns, unjudged_ns = self._unseen.since_ns, self._unjudged.since_ns
        return History(
            stretches=self._stretches.all(is_open=not is_over and not self.doubt),
            events=tuple(self.events),
            not_judged=self._stretches.skipped,
            lags_s=tuple(self.lags_s),
            doubt=self.doubt,
            remarks=self._remarks,
            aside=dict(self._stretches.aside),
            aside_s=self._unjudged.until(self._last_ns) / _NS_PER_S,
            outages=tuple(self._outages.all),
            trouble=self._trouble,
            code=self._held.code,
            remedy=self._held.remedy,
            unseen_s=self._unseen.until(self._last_ns) / _NS_PER_S,
            unseen_since_s=None if since_ns is None else since_ns / _NS_PER_S,
            doubt_since_s=None if unjudged_ns is None else unjudged_ns / _NS_PER_S,
            doubt_s=0.0 if unjudged_ns is None else max(self._last_ns - unjudged_ns, 0) / _NS_PER_S,
        )
