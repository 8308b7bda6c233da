"""The recorder: samples as they complete in, batches in send order out.

How it works. A transport calls `Recorder.record` once for each launched request, in the
order of completion, with ten integers that are appended to one flat list: the cheapest way
to keep a sample in Python. (`Recorder.take` is that list's own ``extend``.) `Recorder.seal`
turns what came in since into an array and returns the longest run of consecutive launch
numbers without a gap. What came back before its turn waits in whole arrays, which are
looked at again only when the sample that everybody waits for has arrived; one hanging
request therefore costs nothing meanwhile.

HTTP/1.1 tells by order alone which request an answer belongs to. So the answers of a kept
connection, from its second one on, are held until it has ended without having sent more than
was asked for, or for `HOLD_NS`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analysis import ABSENT, Batch, Outcome
from sampler.exchange.failure import UNASKED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sampler.exchange.failure import Failure
    from sampler.labels.names import NameCodes

Row = tuple[int, int, int, int, int, int, int, int, int, int]
"""One sample, as `Recorder.take` takes it."""

HOLD_NS = 250_000_000
"""For how long samples of a kept connection are held, at most [ns]: much less than the second
that a killed run may lose."""

_STRIDE = 10
_done_ns = itemgetter(4)
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
        Of the samples that the last `seal` took, in the order of completion.
    held : dict of int to list of rows
        Samples of kept connections, by connection, that wait for `release` or `doubt`: their
        answers may still turn out to belong to other requests.
    surplus : int
        Connections that sent more than was asked for.
    throttled : sequence of (bytes, bytes) or None
        Header of the last answer with one of `sampler.exchange.overload.THROTTLED`; who looks at it
        sets it back to None.
    """

    __slots__ = (
        "_cut",
        "_early",
        "_next",
        "_rows",
        "_taken",
        "failures",
        "held",
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
        self._rows: list[int] = []
        self.held: defaultdict[int, list[Row]] = defaultdict(list)
        self.surplus = 0
        self.remotes: Remotes | None = None
        self.planned: PlannedLengths | None = None
        self._cut: dict[int, int] = {}
        self.take = self._rows.extend
        self._taken = 0
        self.origin_ns = origin_ns
        self.statuses: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.throttled: Sequence[tuple[bytes, bytes]] | None = None
        self._early: list[NDArray[np.int64]] = []
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
        row = (
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
        if ordinal:
            self.held[connection].append(row)
        else:
            self.take(row)
        if failure is not None:
            self._keep(failure)

    def _keep(self, failure: Failure) -> None:
        kept = self.failures.setdefault(failure.outcome, [])
        if len(kept) < MAX_FAILURES and failure not in kept:
            kept.append(failure)

    def release(self, connection: int) -> None:
        """Take the held samples of a connection that has ended as it should."""
        for row in self.held.pop(connection, ()):
            self.take(row)

    def doubt(self, connection: int) -> None:
        """Take the held samples of a connection that sent more than was asked for.

        Only its first answer is known to belong to its request. Of the others, any may be what
        nobody asked for, and each after it the answer to an earlier request.
        """
        self.surplus += 1
        for row in self.held.pop(connection, ()):
            status, outcome = row[9] >> 8, row[9] & 0xFF
            if outcome <= Outcome.UNLABELLED:
                outcome = Outcome.SURPLUS
                self._keep(UNASKED)
            self.take((*row[:7], ABSENT, ABSENT, status << 8 | outcome))

    def let_go(self, done_ns: int | None = None) -> None:
        """Take the held samples that were done by then, None being all: they waited enough."""
        for connection in list(self.held):
            if done_ns is None:
                self.release(connection)
                continue
            rows = self.held[connection]
            ready = bisect_right(rows, done_ns, key=_done_ns)
            for row in rows[:ready]:
                self.take(row)
            del rows[:ready]

    def cut(self, connection: int, ordinal: int) -> None:
        """Note that a connection ended with this exchange, although more were planned.

        Only where the outcome does not say so: after a whole answer. Before the sample is
        sealed.
        """
        self._cut[connection] = ordinal

    def seal(self) -> Batch | None:
        """Return the samples that are complete up to the first gap, or None if there are none."""
        if not self._rows:
            self.statuses = self.statuses[:0]
            return None
        fresh = np.frombuffer(array("q", self._rows), dtype=np.int64).reshape(-1, _STRIDE)
        self._taken += len(fresh)
        self._rows.clear()
        self._early.append(fresh)
        self.statuses = fresh[:, 9] >> 8
        if not np.any(fresh[:, 0] == self._next):
            return None
        rows = np.concatenate(self._early) if len(self._early) > 1 else fresh
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        expected = np.arange(self._next, self._next + len(rows))
        gaps = np.flatnonzero(rows[:, 0] != expected)
        complete = int(gaps[0]) if len(gaps) else len(rows)
        self._early = [rows[complete:]] if complete < len(rows) else []
        first, self._next = self._next, self._next + complete
        return self._batch(first, rows[:complete])

    @property
    def recorded(self) -> int:
        """Samples recorded so far."""
        return self._taken + len(self._rows) // _STRIDE

    @property
    def handed_out(self) -> int:
        """Samples that were sealed so far."""
        return self._next

    @property
    def waiting(self) -> int:
        """Samples that completed before their turn and are not sealed yet."""
        return self.recorded - self._next

    def _since_origin(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(instants == ABSENT, ABSENT, instants - self.origin_ns)

    def _batch(self, first: int, rows: NDArray[np.int64]) -> Batch:
        columns = rows.T
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
            first_byte_ns=self._since_origin(columns[3]),
            done_ns=self._since_origin(columns[4]),
            connection=columns[5].copy(),
            ordinal=columns[6].astype(np.int32),
            label=columns[7].astype(np.int32),
            replica=columns[8].astype(np.int32),
            status=(columns[9] >> 8).astype(np.int16),
            outcome=(columns[9] & 0xFF).astype(np.uint8),
            worker=np.full(len(rows), self.worker, dtype=np.uint16),
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
