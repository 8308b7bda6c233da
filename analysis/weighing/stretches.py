"""The samples of a run that are judged, stretch by stretch, and what can still be taken back.

A stretch is the part of a run with one expected split; its evidence begins anew, with half of the
error rates that were left.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.evidence.fold import weigh
from analysis.weighing.history import (
    Part,
    Stretch,
    alike,
    begin,
    opened_since,
    policy_of_stretch,
    rank_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.policy import Policy
    from analysis.data.report import ReasonCode, Source
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence
    from analysis.weighing.change import Judging

GUARD_S = 0.25
"""What was sent this long before a change was noticed is not judged either [s]: news take time,
and this process may have been busy. A verdict stands after so long without news."""
KEPT_S = 2.0
"""So long what was judged can be taken back [s]: a watch may be lost for a second unnoticed."""

_NS_PER_S = 1_000_000_000


def _counts(part: Batch) -> Counter[str]:
    """Count samples by label; the empty label counts those without one."""
    by_label = np.bincount(part.label[part.label >= 0], minlength=len(part.labels)).tolist()
    found = Counter({label: n for label, n in zip(part.labels, by_label, strict=False) if n})
    unlabelled = len(part) - sum(by_label)
    return found if not unlabelled else found + Counter({"": unlabelled})


class _Known(NamedTuple):
    """What was known after the sample before `end_row`, which was sent at `sent_ns`."""

    sent_ns: int
    end_row: int
    evidence: Evidence
    counts: Counter[str]
    """Of the samples of the stretch until then, by label."""


class Stretches:
    """The stretches of one run.

    Parameters
    ----------
    split : Split
        The first one.
    policy : Policy
        Of the whole run.
    seed : int
        Of the run.
    source : Source
        Where the first split was read.
    judging : Judging or None
        How stretches are judged; None shares the error rates of the policy among them.
    is_elsewhere : bool
        Whether the endpoints are another split than the first one.

    Attributes
    ----------
    evidence : Evidence
        Of the present stretch.
    source : Source
        Where its split was read.
    previous : Split or None
        The split before it, if it was another one.
    skipped : int
        Samples that were not judged.
    aside : Counter of str
        The same by label; the empty label counts those without one.
    ended_ns : int or None
        When `note_end` first saw what is proven now [ns since the run began]; None if nothing is.

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
        judging: Judging | None,
        *,
        is_elsewhere: bool,
    ) -> None:
        self._judging, self._policy, self._seed = judging, policy, seed
        self._is_elsewhere = is_elsewhere
        self.source = source
        self.previous: Split | None = None
        self.skipped = 0
        self.aside = Counter[str]()
        self._first_connection = 0
        self._closed: list[Stretch] = []
        self._parts: list[Part] = []
        self.evidence = self._begin(split, 0)
        self._past = deque([_Known(-1, 0, self.evidence, Counter())])
        self.ended_ns: int | None = None
        self._end: tuple[ReasonCode | None, int | None] = (None, None)

    def _begin(self, split: Split, rank: int) -> Evidence:
        """Return the evidence of a stretch, after `rank` others of which something was judged."""
        if self._judging is not None:
            return self._judging.begin(split)
        policy = policy_of_stretch(self._policy, rank)
        return begin(split, policy, self._seed, is_elsewhere=self._is_elsewhere)

    @property
    def rank(self) -> int:
        """How many stretches have spent error rates, the present one included."""
        return rank_of(self._closed) + bool(self._parts)

    def begin_anew(self, split: Split, source: Source, at_ns: int, *, is_elsewhere: bool) -> None:
        """Close the present stretch, and begin another one.

        Raises
        ------
        ValueError
            If the tolerance does not fit the split.
        """
        closed = self._stretch(self._parts)
        was_elsewhere, self._is_elsewhere = self._is_elsewhere, is_elsewhere
        try:
            evidence = self._begin(split, self.rank)
        except ValueError:
            self._is_elsewhere = was_elsewhere
            raise
        if not alike(closed.split, split):
            self.previous = self.evidence.split
        if self._parts or not alike(closed.split, split):
            self._closed.append(closed)
        self._parts = []
        self.evidence, self.source = evidence, source
        self._forget_end()
        self._past = deque([_Known(at_ns, 0, evidence, Counter())])

    def restart(self, evidence: Evidence, at_ns: int) -> None:
        """Go on with other evidence on the same split."""
        self.evidence = evidence
        self._forget_end()
        self._past = deque([self._past[-1]._replace(sent_ns=at_ns, evidence=evidence)])

    def note_end(self, now_ns: int) -> int | None:
        """Return when what is proven now was first seen by this; None if nothing is."""
        end = self.evidence.settled, self.evidence.passed_after
        if end != self._end:
            self._end, self.ended_ns = end, None if end == (None, None) else now_ns
        return self.ended_ns

    def _forget_end(self) -> None:
        self._end, self.ended_ns = (None, None), None

    def leave_out(self, first_connection: int) -> None:
        """Judge no connection that was opened before this one."""
        self._first_connection = max(first_connection, self._first_connection)

    def begin_with(self, part: Batch) -> None:
        """Judge no connection that was opened before the first one of these samples."""
        self._first_connection = int(part.connection.max(initial=-1)) + 1
        fresh = part.connection[part.ordinal == 0]
        if len(fresh):
            self._first_connection = int(fresh.min())

    def set_aside(self, part: Batch) -> None:
        """Count samples that are not judged."""
        self.skipped += len(part)
        self.aside += _counts(part)

    def judge(self, part: Batch, sent_ns: NDArray[np.int64]) -> None:
        """Weigh samples, and remember for a moment what was known before them."""
        if not len(part):
            return
        fresh = opened_since(part, self._first_connection)
        judge = weigh if self._judging is None else self._judging.judge
        self.evidence = judge(self.evidence, fresh)
        last_ns, end_row = int(sent_ns[-1]), part.first + len(part)
        self._note(part.first, end_row, int(sent_ns[0]), last_ns)
        counts = self._past[-1].counts + _counts(part)
        self._past.append(_Known(last_ns, end_row, self.evidence, counts))
        while len(self._past) > 1 and self._past[1].sent_ns <= last_ns - KEPT_S * _NS_PER_S:
            self._past.popleft()

    def _note(self, first_row: int, end_row: int, first_ns: int, last_ns: int) -> None:
        """Note which samples were judged."""
        until_s = last_ns / _NS_PER_S
        last = self._parts[-1] if self._parts else None
        if (
            last is not None
            and last.end_row == first_row
            and last.first_connection == self._first_connection
        ):
            self._parts[-1] = replace(last, end_row=end_row, until_s=until_s)
        else:
            self._parts.append(
                Part(first_row, end_row, first_ns / _NS_PER_S, until_s, self._first_connection)
            )

    def take_back(self, at_ns: int) -> None:
        """Forget what was judged of the last moment before a change, and since then."""
        before, counts = self._rows(), self._past[-1].counts
        since_ns = at_ns - GUARD_S * _NS_PER_S
        while self._past and self._past[-1].sent_ns > since_ns:
            self._past.pop()
        if not self._past:  # what was known then is kept no more
            self._past.append(self._nothing())
        known = self._past[-1]
        self.aside += counts - known.counts
        self.evidence = known.evidence
        self._forget_end()
        self._parts = [
            part
            if part.end_row is None or part.end_row <= known.end_row
            else replace(part, end_row=known.end_row, until_s=known.sent_ns / _NS_PER_S)
            for part in self._parts
            if part.first_row < known.end_row
        ]
        self.skipped += before - self._rows()

    def _nothing(self) -> _Known:
        """Return what is known of the present stretch before its first sample."""
        evidence = self._begin(self.evidence.split, rank_of(self._closed))
        return _Known(-1, 0, evidence, Counter())

    def _rows(self) -> int:
        """Count the samples of the present stretch that were judged."""
        return sum((part.end_row or 0) - part.first_row for part in self._parts)

    def _stretch(self, parts: list[Part]) -> Stretch:
        """Return the present stretch with what is judged of it."""
        return Stretch.of(
            self.evidence.split, self.source, tuple(parts), is_elsewhere=self._is_elsewhere
        )

    def all(self, *, is_open: bool) -> tuple[Stretch, ...]:
        """Return all stretches; what is judged now has no end if `is_open`."""
        parts = list(self._parts)
        if is_open:
            last = parts.pop() if parts else Part(first_connection=self._first_connection)
            parts.append(replace(last, end_row=None, until_s=None))
        return (*self._closed, self._stretch(parts))
