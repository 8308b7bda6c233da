"""The recorder: samples as they complete in, batches in send order out.

How it works. A transport calls `Recorder.record` once for each launched request, in the
order of completion, with ten integers that are appended to one flat list: the cheapest way
to keep a sample in Python. (`Recorder.take` is that list's own ``extend``.) A few dozen times
a second what came in since becomes an array, and everything after that is done to arrays.
`Recorder.seal` returns the longest run of consecutive launch numbers without a gap. What came
back before its turn waits in whole arrays, which are looked at again only when the sample that
everybody waits for has arrived; one hanging request therefore costs nothing meanwhile.

HTTP/1.1 tells by order alone which request an answer belongs to. So the answers of a kept
connection, from its second one on, are held until it has ended without having sent more than
was asked for, or for `HOLD_NS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analysis import ABSENT, Batch, Outcome
from analysis.data.batch import shifted
from sampler.exchange.failure import UNASKED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sampler.exchange.failure import Failure
    from sampler.labels.names import NameCodes

HOLD_NS = 250_000_000
"""For how long samples of a kept connection are held, at most [ns]: much less than the second
that a killed run may lose."""

_STRIDE = 10
_INDEX, _DONE_NS, _CONNECTION, _ORDINAL, _STATUS_OUTCOME = 0, 4, 5, 6, 9
_LABELS = slice(7, 9)
# In arrays, each of the ten is a row: all that is done to one of them is done side by side.
_FOR_NOW = np.iinfo(np.int64).min
_AT_ONCE = np.iinfo(np.int64).max
_OK = int(Outcome.OK)  # an int is combined with the status faster than a member is


class Remotes(Protocol):
    """Knows where connections went."""

    failed_lookups: int
    """Look-ups during the run that gave no address."""

    @property
    def names(self) -> tuple[str, ...]:
        """Addresses so far."""

    def codes(self, connections: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the address of each connection as a code into `names`."""


class Rows(Protocol):
    """Takes samples as rows of ten integers, one after the other."""

    def extend(self, row: tuple[int, ...], /) -> None:
        """Append the integers of one sample."""

    def drain(self) -> bytes | NDArray[np.int64]:
        """Return all integers as int64 in a buffer, and forget them."""

    def __len__(self) -> int:
        """Count the integers."""
        ...


class ListOfRows(list[int]):
    """The rows of `Rows` in Python's own list."""

    __slots__ = ()

    def drain(self) -> NDArray[np.int64]:
        """Return all integers in an array, and forget them."""
        rows = np.fromiter(self, np.int64, len(self))
        self.clear()
        return rows


class PlannedLengths(Protocol):
    """Knows for how many requests connections were opened."""

    def codes(self, connections: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the planned requests of each connection; `ABSENT` without such a number."""


MAX_FAILURES = 3
"""Failures kept of each outcome, as examples."""


class Recorder:
    """Collects the samples of one worker.

    Parameters
    ----------
    labels, replicas : NameCodes
        Meaning of the codes that will be recorded.
    origin_ns : int, default 0
        When the run began, by the clock that gives the recorded instants [ns].
    worker : int, default 0
        Number of the worker.

    Attributes
    ----------
    take : callable
        Takes the ten integers of one sample at once: launch number, scheduled, sent, first
        byte, done, connection, ordinal, label, replica, and ``status << 8 | outcome``.
    remotes : Remotes or None
        Addresses of connections; the transport sets it.
    planned : PlannedLengths or None
        Planned lengths of connections; the transport sets it.
    failures : dict of Outcome to list of Failure
        The first few of each outcome.
    statuses : (n,) int64
        Of the samples that came in before the last `seal`, and after the one before it, in the
        order of completion.
    surplus : int
        Connections that sent more than was asked for.
    throttled : sequence of (bytes, bytes) or None
        Header of the last answer with one of `sampler.exchange.overload.THROTTLED`; who looks at it
        sets it back to None.
    """

    __slots__ = (
        "_cut",
        "_doubted",
        "_early",
        "_held",
        "_may_go_on",
        "_next",
        "_released",
        "_rows",
        "_statuses",
        "_taken",
        "failures",
        "labels",
        "origin_ns",
        "planned",
        "remotes",
        "replicas",
        "statuses",
        "surplus",
        "take",
        "throttled",
        "worker",
    )

    def __init__(
        self, labels: NameCodes, replicas: NameCodes, *, origin_ns: int = 0, worker: int = 0
    ) -> None:
        self.labels = labels
        self.replicas = replicas
        self.worker = worker
        self.failures: dict[Outcome, list[Failure]] = {}
        self._held: list[NDArray[np.int64]] = []
        self._released: list[int] = []
        self._doubted: list[int] = []
        self.surplus = 0
        self.remotes: Remotes | None = None
        self.planned: PlannedLengths | None = None
        self._cut: dict[int, int] = {}
        self.collect_in(ListOfRows())
        self._taken = 0
        self.origin_ns = origin_ns
        self.statuses: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._statuses: list[NDArray[np.int64]] = []
        self.throttled: Sequence[tuple[bytes, bytes]] | None = None
        self._early: list[NDArray[np.int64]] = []
        self._may_go_on = False
        self._next = 0

    def record(
        self,
        index: int,
        scheduled_ns: int,
        sent_ns: int,
        first_byte_ns: int,
        done_ns: int,
        connection: int,
        ordinal: int,
        label: int,
        replica: int,
        status: int,
        failure: Failure | None = None,
    ) -> None:
        """Keep the sample with launch number `index`; each number comes exactly once.

        Parameters are the columns of `Batch`; `failure` is what the exchange came to if its
        outcome is not OK, and the first few are kept. Samples after the first one of a connection
        are held.
        """
        outcome = _OK if failure is None else failure.outcome
        self.take(
            (
                index,
                scheduled_ns,
                sent_ns,
                first_byte_ns,
                done_ns,
                connection,
                ordinal,
                label,
                replica,
                status << 8 | outcome,
            )
        )
        if failure is not None:
            self._keep(failure)

    def collect_in(self, rows: Rows) -> None:
        """Take samples in `rows`; before the first one."""
        self._rows = rows
        self.take = rows.extend

    def _keep(self, failure: Failure) -> None:
        kept = self.failures.setdefault(failure.outcome, [])
        if len(kept) < MAX_FAILURES and failure not in kept:
            kept.append(failure)

    def release(self, connection: int) -> None:
        """Let the held samples of a connection go that has ended as it should."""
        self._released.append(connection)

    def doubt(self, connection: int) -> None:
        """Let the held samples of a connection go that sent more than was asked for.

        Only its first answer is known to belong to its request. Of the others, any may be what
        nobody asked for, and each after it the answer to an earlier request.
        """
        self.surplus += 1
        self._doubted.append(connection)

    def let_go(self, done_ns: int | None = None) -> None:
        """Let the held samples go that were done by then, None being all: they waited enough."""
        self._look_through(_AT_ONCE if done_ns is None else done_ns)

    def cut(self, connection: int, ordinal: int) -> None:
        """Note that a connection ended with this exchange, although more were planned.

        Only where the outcome does not say so: after a whole answer. Before the sample is
        sealed.
        """
        self._cut[connection] = ordinal

    def seal(self) -> Batch | None:
        """Return the samples that are complete up to the first gap, or None if there are none."""
        self._look_through()
        self.statuses = _joined(self._statuses) if self._statuses else self.statuses[:0]
        self._statuses.clear()
        if not self._may_go_on:
            return None
        self._may_go_on = False
        early = _joined(self._early)
        # Each number comes once: where it belongs is known without sorting.
        ahead = early[_INDEX] - self._next
        where = np.full(early.shape[1], ABSENT)
        near = np.flatnonzero(ahead < len(where))
        where[ahead[near]] = near
        gaps = np.flatnonzero(where == ABSENT)
        complete = int(gaps[0]) if len(gaps) else len(where)
        late = np.flatnonzero(ahead >= complete)
        self._early = [early.take(late, axis=1)] if len(late) else []
        first, self._next = self._next, self._next + complete
        return self._batch(first, early.take(where[:complete], axis=1))

    def _look_through(self, done_ns: int = _FOR_NOW) -> None:
        """Take what came in since, and of what is held what need not be any longer."""
        if self._rows:
            rows = np.frombuffer(self._rows.drain(), np.int64).reshape(-1, _STRIDE)
            fresh = rows.T.copy()
            self._statuses.append(fresh[_STATUS_OUTCOME] >> 8)
            self._take_some(fresh, fresh[_ORDINAL] == 0)
        ended = self._released + self._doubted
        if not ended and done_ns == _FOR_NOW:
            return  # what is held stays so: this is asked several times a tick
        if ended and self._held:  # they may be anywhere in what is held
            self._held = [_joined(self._held)]
        waiting, self._held = self._held, []
        for held in waiting:
            if not ended and held[_DONE_NS, 0] > done_ns:  # they are in the order of completion
                self._held.append(held)
                continue
            free = held[_DONE_NS] <= done_ns
            if ended:
                held = self._in_doubt(held)  # noqa: PLW2901
                free |= np.isin(held[_CONNECTION], ended)
                self._take_some(held, free)
                continue
            end = len(free) if free.all() else int(free.argmin())
            self._take(held[:, :end])
            if end < len(free):
                self._held.append(held[:, end:])
        self._released.clear()
        self._doubted.clear()

    def _take_some(self, samples: NDArray[np.int64], free: NDArray[np.bool_]) -> None:
        """Take the samples that are free, and hold the others."""
        if not free.all():
            is_any = free.any()
            self._held.append(samples.compress(~free, axis=1) if is_any else samples)
            samples = samples.compress(free, axis=1) if is_any else samples[:, :0]
        self._take(samples)

    def _take(self, samples: NDArray[np.int64]) -> None:
        if samples.shape[1]:
            self._taken += samples.shape[1]
            self._early.append(samples)
            self._may_go_on |= bool((samples[_INDEX] == self._next).any())

    def _in_doubt(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the labels away that connections in doubt gave."""
        if not self._doubted:
            return samples
        doubted = np.isin(samples[_CONNECTION], self._doubted)
        outcome = samples[_STATUS_OUTCOME] & 0xFF
        answered = doubted & (outcome <= Outcome.UNLABELLED)
        if answered.any():
            self._keep(UNASKED)
        samples = samples.copy()
        samples[_LABELS, doubted] = ABSENT
        samples[_STATUS_OUTCOME, answered] += Outcome.SURPLUS - outcome[answered]
        return samples

    @property
    def recorded(self) -> int:
        """Samples recorded so far, without those that are held."""
        self._look_through()
        return self._taken

    @property
    def handed_out(self) -> int:
        """Samples that were sealed so far."""
        return self._next

    @property
    def waiting(self) -> int:
        """Samples that completed before their turn and are not sealed yet."""
        return self.recorded - self._next

    def _batch(self, first: int, columns: NDArray[np.int64]) -> Batch:
        where: dict[str, Any] = {}
        if self.remotes is not None:
            where = {"remote": self.remotes.codes(columns[5]), "remotes": self.remotes.names}
        if self.planned is not None:
            where["planned"] = self.planned.codes(columns[5])
        if self._cut:
            where["closed"] = self._closed(columns[5], columns[6])
        return Batch(
            first=first,
            scheduled_ns=columns[1] - self.origin_ns,
            sent_ns=columns[2] - self.origin_ns,
            first_byte_ns=shifted(columns[3], -self.origin_ns),
            done_ns=shifted(columns[4], -self.origin_ns),
            connection=columns[5].copy(),
            ordinal=columns[6].astype(np.int32),
            label=columns[7].astype(np.int32),
            replica=columns[8].astype(np.int32),
            status=(columns[9] >> 8).astype(np.int16),
            outcome=(columns[9] & 0xFF).astype(np.uint8),
            worker=np.full(columns.shape[1], self.worker, dtype=np.uint16),
            labels=self.labels.names,
            replicas=self.replicas.names,
            **where,
        )

    def _closed(
        self, connections: NDArray[np.int64], ordinals: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Find the last exchanges of connections that were cut; what is found is forgotten."""
        closed = np.isin(connections, list(self._cut))
        for place in np.flatnonzero(closed).tolist():
            number = int(connections[place])
            closed[place] = self._cut.get(number) == ordinals[place]
            if closed[place]:
                del self._cut[number]
        return closed


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
