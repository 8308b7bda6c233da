"""Connections: the answers of each, brought together in the order of the openings.

A connection is judged as a whole, when it is complete: its planned number of answers is there,
or it is known that no more come. Connections that follow an incomplete one wait for it, as
samples wait for one that was sent before them; otherwise a version whose connections take
longer would be under-counted at every look.

Nothing waits for ever. A connection on which nothing was sent for `PATIENCE_NS`, or that more
than `MOST_WAITING` later ones wait for, counts as complete, and what comes on it afterwards is
left out. What was planned and did not come is a missing answer like any other; so the
verdict does not have to know why it did not come. All of this goes by the samples themselves,
so it does not depend on how they were cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from analysis.data.batch import ABSENT, Outcome, drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.data.batch import Batch

PATIENCE_NS = 2_000_000_000
"""Time without a request after which a connection is not waited for any more [ns]."""
MOST_WAITING = 4096
"""Connections that wait for an earlier one, at most."""

_SPARSE = 64
"""Spread of keys, for each of them, up to which a table of them is cheaper than sorting."""
_WORKER = 44
"""Bits of a connection's number, below those of its worker."""


@dataclass(frozen=True, slots=True, eq=False)
class Connections:
    """Connections in the order in which they were opened.

    Parameters
    ----------
    key : (c,) int64
        Worker and number.
    answers : (k + 2, c) int64
        Answers by arm; row k is for labels that are not expected, row k + 1 for requests
        without a label.
    planned : (c,) int64
        Answers that were planned, >= 1. One where no number is known: only the first answer
        counts then.
    first : (c,) int64
        Row of the first answer.
    foreign : (c,) int64
        Code of the first unexpected label, or `ABSENT`.
    last_ns : (c,) int64
        When it was used last [ns since the run began].
    ended : (c,) bool
        Whether it is known that no further answer comes.
    """

    key: NDArray[np.int64]
    answers: NDArray[np.int64]
    planned: NDArray[np.int64]
    first: NDArray[np.int64]
    foreign: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    ended: NDArray[np.bool_]

    @classmethod
    def none(cls, arms: int) -> Self:
        """Return no connection, for k arms."""
        empty = np.zeros(0, dtype=np.int64)
        answers = np.zeros((arms + 2, 0), dtype=np.int64)
        return cls(empty, answers, empty, empty, empty, empty, np.zeros(0, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, part: slice) -> Self:
        return type(self)(
            self.key[part],
            self.answers[:, part],
            self.planned[part],
            self.first[part],
            self.foreign[part],
            self.last_ns[part],
            self.ended[part],
        )

    @property
    def delivered(self) -> NDArray[np.int64]:
        """Answers (c,) that came, those without a label included."""
        counts: NDArray[np.int64] = self.answers.sum(axis=0)
        return counts

    @property
    def undelivered(self) -> NDArray[np.int64]:
        """Answers (c,) that were planned and did not come."""
        return self.planned - self.delivered

    @property
    def is_short(self) -> NDArray[np.bool_]:
        """Whether each (c,) gave fewer answers than planned, the first one not among the missing.

        One without even a first label is no shorter than it is unlabelled.
        """
        short: NDArray[np.bool_] = (self.undelivered > 0) & (self.first != len(self.answers) - 1)
        return short


@dataclass(frozen=True, slots=True, eq=False)
class Assembly:
    """Connections that are open, or wait for one that is.

    Parameters
    ----------
    open : Connections
        In the order of their opening.
    now_ns : int
        When the last sample was sent [ns since the run began].
    without_end : int
        What the length of a connection counts as where none was planned: 1 takes the first
        answer only.
    """

    open: Connections
    now_ns: int = 0
    without_end: int = 1

    @classmethod
    def start(cls, arms: int, without_end: int = 1) -> Assembly:
        """Begin a run: no connection yet, k arms."""
        return cls(Connections.none(arms), without_end=without_end)

    def take(self, batch: Batch, arms: NDArray[np.intp]) -> tuple[Connections, Assembly]:
        """Take the next samples, and return the connections that are complete with them.

        Parameters
        ----------
        batch : Batch
            In the order of sending.
        arms : (codes + 1,) int
            Row of `Connections.answers` for each label code, that of `ABSENT` at the end.

        Returns
        -------
        complete : Connections
            All up to the first one that is not, in the order of their opening.
        after : Assembly
            What is left.
        """
        rows = _Rows.of(batch, arms, self.without_end)
        if not len(rows.key):
            return Connections.none(len(self.open.answers) - 2), self
        grown = self._grow(rows)
        now_ns = max(self.now_ns, int(batch.sent_ns.max()))
        waiting = np.arange(len(grown), 0, -1) - 1  # later connections
        complete = grown.ended | (grown.delivered >= grown.planned)
        complete |= (now_ns - grown.last_ns > PATIENCE_NS) | (waiting > MOST_WAITING)
        end = len(grown) if complete.all() else int(complete.argmin())
        return grown[:end], Assembly(grown[end:], now_ns, self.without_end)

    def rest(self) -> tuple[Connections, Assembly]:
        """Return the connections that are left at the end of a run, and an empty assembly."""
        return self.open, Assembly(self.open[:0], self.now_ns, self.without_end)

    def _grow(self, rows: _Rows) -> Connections:
        """Add rows to the connections that they belong to, opening those that are new."""
        before = self.open
        # The open ones come first, each of them once.
        place, heads = in_order_of_appearance(np.concatenate([before.key, rows.key]))
        place, begin = place[len(before) :], heads[len(before) :] - len(before)
        # What comes on a connection that is not waited for any more opens none.
        begins = rows.ordinal[begin] == 0
        if not begins.all():
            kept = np.concatenate([np.ones(len(before), dtype=np.bool_), begins])
            place = np.where(kept, np.cumsum(kept) - 1, ABSENT)[place]
            rows, place = rows.only(place != ABSENT), place[place != ABSENT]
        if _may_be_late(before, rows, place):
            kept_rows = ~_late(before, rows, place)
            rows, place = rows.only(kept_rows), place[kept_rows]
        return _added(before, rows, place)


class _Rows(NamedTuple):
    """Samples that drew a pod."""

    key: NDArray[np.int64]
    ordinal: NDArray[np.int64]
    planned: NDArray[np.int64]
    row: NDArray[np.int64]
    label: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    used_ns: NDArray[np.int64]
    ends: NDArray[np.bool_]
    doubts: NDArray[np.bool_]

    @classmethod
    def of(cls, batch: Batch, arms: NDArray[np.intp], without_end: int) -> _Rows:
        planned = np.where(batch.planned == ABSENT, without_end, batch.planned.astype(np.int64))
        rows = cls(
            key=(batch.worker.astype(np.int64) << _WORKER) + batch.connection,
            ordinal=batch.ordinal.astype(np.int64),
            planned=planned,
            row=arms[batch.label].astype(np.int64),
            label=batch.label.astype(np.int64),
            sent_ns=batch.sent_ns,
            used_ns=np.where(batch.done_ns == ABSENT, batch.sent_ns, batch.done_ns),
            ends=batch.closed | (batch.outcome > Outcome.UNLABELLED),
            doubts=batch.outcome == Outcome.SURPLUS,
        )
        return rows.only(drawn(batch, planned))

    def only(self, kept: NDArray[np.bool_]) -> _Rows:
        if kept.all():
            return self
        return _Rows(
            self.key[kept],
            self.ordinal[kept],
            self.planned[kept],
            self.row[kept],
            self.label[kept],
            self.sent_ns[kept],
            self.used_ns[kept],
            self.ends[kept],
            self.doubts[kept],
        )


def _heads(before: Connections, place: NDArray[np.intp]) -> NDArray[np.intp]:
    """Find the rows that open a connection, in their order."""
    new = np.flatnonzero(place >= len(before))[::-1]
    heads = np.zeros(place.max(initial=len(before) - 1) + 1 - len(before), dtype=np.intp)
    heads[place[new] - len(before)] = new  # of several rows, the first one stays
    return heads


def _may_be_late(before: Connections, rows: _Rows, place: NDArray[np.intp]) -> bool:
    """Whether any row may follow a long pause, or many connections; rarely true."""
    if not len(place):
        return False
    earliest = min(int(before.last_ns.min(initial=rows.sent_ns[0])), int(rows.used_ns.min()))
    idle = int(rows.sent_ns.max()) - earliest > PATIENCE_NS
    return idle or max(len(before), int(place.max()) + 1) > MOST_WAITING


def _late(before: Connections, rows: _Rows, place: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Find the rows on connections that were given up before them."""
    if not len(place):
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(place, kind="stable")
    used = np.empty_like(rows.used_ns)
    used[order[1:]] = rows.used_ns[order[:-1]]
    # The first row of each connection here follows what was there before.
    heads = order[np.flatnonzero(np.diff(place[order], prepend=-1))]
    is_known = place[heads] < len(before)
    used[heads[is_known]] = before.last_ns[place[heads[is_known]]]
    used[heads[~is_known]] = rows.sent_ns[heads[~is_known]]
    opens = np.zeros(len(place), dtype=np.int64)
    opens[_heads(before, place)] = 1
    behind = np.cumsum(opens) + len(before) - 1 - place
    late = (rows.sent_ns - used > PATIENCE_NS) | (behind > MOST_WAITING)
    for row in np.flatnonzero(late).tolist():  # rare: all that follows is late too
        late[row:] |= place[row:] == place[row]
    return late


def _added(before: Connections, rows: _Rows, place: NDArray[np.intp]) -> Connections:
    """Count rows in their places; those from ``len(before)`` on are new connections."""
    heads = _heads(before, place)
    old, new = len(before), len(heads)
    total, kinds = old + new, len(before.answers)
    counts = np.bincount(rows.row * total + place, minlength=kinds * total)
    answers = counts.reshape(kinds, total).astype(np.int64)
    answers[:, :old] += before.answers
    last_ns = np.concatenate([before.last_ns, np.zeros(new, dtype=np.int64)])
    last_ns[place] = rows.used_ns  # of several rows, the last one stays
    ended = np.concatenate([before.ended, np.zeros(new, dtype=np.bool_)])
    ended[place[rows.ends]] = True
    foreign = np.concatenate([before.foreign, np.full(new, ABSENT, dtype=np.int64)])
    strange = np.flatnonzero(rows.row == kinds - 2)[::-1]  # backwards, so that the first one stays
    strange = strange[foreign[place[strange]] == ABSENT]
    foreign[place[strange]] = rows.label[strange]
    first = np.concatenate([before.first, rows.row[heads]])
    if rows.doubts.any():
        doubted = np.flatnonzero(np.bincount(place[rows.doubts], minlength=total))
        # Of such a connection only the first answer is its request's; the others were answers
        # without a label, also those that came before it was known.
        delivered = answers[:, doubted].sum(axis=0)
        answers[:, doubted] = 0
        answers[kinds - 1, doubted] = delivered - 1
        answers[first[doubted], doubted] += 1
        foreign[doubted[first[doubted] != kinds - 2]] = ABSENT
    return Connections(
        key=np.concatenate([before.key, rows.key[heads]]),
        answers=answers,
        planned=np.concatenate([before.planned, rows.planned[heads]]),
        first=first,
        foreign=foreign,
        last_ns=last_ns,
        ended=ended,
    )


def in_order_of_appearance(keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Assign numbers to keys by first appearance, without sorting if they lie close together.

    Returns
    -------
    place : (n,) int
        Number of each key.
    heads : (d,) int
        Where each number appears first, ascending.
    """
    n = len(keys)
    if not n:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    offset = keys - keys.min()
    span = int(offset.max()) + 1
    if span > _SPARSE * n:
        _, offset = np.unique(keys, return_inverse=True)
        span = n
    positions = np.arange(n)
    first = np.empty(span, dtype=np.intp)
    first[offset[::-1]] = positions[::-1]  # of several positions, the first one stays
    first = first[offset]
    is_head = first == positions
    return (np.cumsum(is_head) - 1)[first], np.flatnonzero(is_head)


def arms_of(labels: Sequence[str], arms: Sequence[str]) -> NDArray[np.intp]:
    """Return the row of each label code: k for foreign labels, k + 1 at the end for none."""
    index = {arm: position for position, arm in enumerate(arms)}
    return np.array([*(index.get(label, len(arms)) for label in labels), len(arms) + 1])
