"""A batch: consecutive samples of one run, in the order in which they were sent.

The columns are those of ``samples.parquet``. Times are nanoseconds since the run began,
``ABSENT`` where the instant never came; ``label`` and ``replica`` are codes into the
batch's own dictionaries, ``ABSENT`` where the response carried none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ABSENT = -1
"""Code of a label, replica or instant that does not exist."""
OTHER = "(other)"
"""Stands for all names beyond those that are told apart; no label is called so."""


@unique
class Outcome(IntEnum):
    """How an exchange ended; each launched request ends in exactly one.

    The numbers are stored in files and never change their meaning; the lower-case names
    are the keys of ``samples.outcomes`` in a report.
    """

    OK = 0
    """Answered, and the label was read."""
    UNLABELLED = 1
    """Answered in full, but no label could be read from the response."""
    CONNECT_FAILED = 2
    """No connection: refused, unreachable, or the TLS handshake failed."""
    CONNECT_TIMEOUT = 3
    """No connection within the connect timeout."""
    TIMEOUT = 4
    """The exchange was not complete when its deadline passed."""
    RESET = 5
    """The peer reset the connection during the exchange."""
    CLOSED = 6
    """The peer closed the connection before the response was complete."""
    STALE = 7
    """A kept-alive connection was closed by the peer before the first byte of the answer."""
    PROTOCOL = 8
    """What came back was not HTTP/1."""
    TOO_LARGE = 9
    """The response exceeded the limit for its header or body."""
    CLIENT_LIMIT = 10
    """A limit of this machine (ports, file descriptors): nothing was sent to the target."""
    ABORTED = 11
    """Given up by us in flight, because the operator forced the stop."""
    SURPLUS = 12
    """More came on the connection than was asked for: no telling which request was answered."""
    LOST = 13
    """May have been sent by a vantage that was lost before it could tell how it ended."""

    @property
    def key(self) -> str:
        """Name in documents."""
        return self.name.lower()


NO_DRAW = (Outcome.CLIENT_LIMIT,)
"""Outcomes in which no pod was drawn, because nothing left this machine.

With several addresses, one was drawn all the same: `analysis.weighing.report` claims nothing then.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive samples in send order, as columns of one length n.

    Parameters
    ----------
    first : int
        Launch number of the first row, >= 0; row i has launch number ``first + i``.
    scheduled_ns, sent_ns, first_byte_ns, done_ns : (n,) int64
        The four instants of an exchange [ns since the run began], `ABSENT` if never.
        ``sent`` is the launch: in a fresh connection, the moment before the connect.
    connection : (n,) int64
        Number of the connection, >= 0, in the order of their opening: within the worker that
        sampled it, and within the run where several vantages were merged.
    ordinal : (n,) int32
        Position of the exchange within its connection, from 0.
    label, replica : (n,) int32
        Codes into `labels` and `replicas`, or `ABSENT`.
    status : (n,) int16
        HTTP status, 0 where no status line was read.
    outcome : (n,) uint8
        Values of `Outcome`.
    worker : (n,) uint16
        Which worker sampled.
    labels, replicas : tuple of str
        The dictionaries; a code's meaning never changes within a run.
    remote : (n,) int32
        Code into `remotes` of the address that the connection went to, or `ABSENT`; all
        absent if it is left out.
    remotes : tuple of str
        IP addresses.
    planned : (n,) int32
        Requests that the connection was opened for, >= 1, drawn before its first one; or
        `ABSENT`, if there was no such number, or it is not known. All absent if left out.
    closed : (n,) bool
        Whether the connection is known to have ended with this exchange, although more were
        planned. All False if left out.

    Raises
    ------
    ValueError
        If the columns differ in length, or a code lies outside its dictionary.
    """

    first: int
    scheduled_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    first_byte_ns: NDArray[np.int64]
    done_ns: NDArray[np.int64]
    connection: NDArray[np.int64]
    ordinal: NDArray[np.int32]
    label: NDArray[np.int32]
    replica: NDArray[np.int32]
    status: NDArray[np.int16]
    outcome: NDArray[np.uint8]
    worker: NDArray[np.uint16]
    labels: tuple[str, ...] = field(default=())
    replicas: tuple[str, ...] = field(default=())
    remote: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    remotes: tuple[str, ...] = field(default=())
    planned: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    closed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        # Runs of earlier versions do not have these columns.
        for name, absent, kind in (
            ("remote", ABSENT, np.int32),
            ("planned", ABSENT, np.int32),
            ("closed", False, np.bool_),
        ):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.outcome), absent, dtype=kind))
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a batch must have one length, got {lengths}")
        for codes, known, name in (
            (self.label, self.labels, "label"),
            (self.replica, self.replicas, "replica"),
            (self.remote, self.remotes, "remote"),
        ):
            if len(codes) and not (codes.min() >= ABSENT and codes.max() < len(known)):
                raise ValueError(
                    f"{name} codes must lie in [{ABSENT}, {len(known)}), "
                    f"got {codes.min()} to {codes.max()}"
                )

    def __len__(self) -> int:
        return len(self.outcome)

    def __repr__(self) -> str:
        counts = np.bincount(self.label[self.label >= 0], minlength=len(self.labels))
        shown = ", ".join(f"{name} {n}" for name, n in zip(self.labels, counts, strict=True))
        return f"<Batch of {len(self)} samples: {shown or 'none labelled'}>"

    def __getitem__(self, rows: slice) -> Batch:
        """Return consecutive rows as a batch of their own: ``batch[:100]``.

        Raises
        ------
        TypeError, ValueError
            If `rows` is not a slice, or leaves rows out: in a batch they are consecutive.
        """
        if not isinstance(rows, slice):
            raise TypeError(f"expected a slice such as batch[:100], got {rows!r}")
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"a batch holds consecutive samples: expected a step of 1, got {step}")
        columns = {name: getattr(self, name)[start:stop] for name in COLUMNS}
        return replace(self, first=self.first + start, **columns)

    def chosen(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Batch:
        """Return some rows, in the order in which they are named; `first` stays."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Join consecutive batches of one run, at least one: the last one knows all codes."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS
        }
        return replace(parts[-1], first=parts[0].first, **columns)

    @classmethod
    def of_labels(cls, labels: Sequence[str | None], *, first: int = 0) -> Batch:
        """Make a batch of one fresh connection for each label; None is an unlabelled answer.

        Times are the launch numbers [ns]: order is all they mean here.
        """
        names = tuple(dict.fromkeys(label for label in labels if label is not None))
        code_of = {name: code for code, name in enumerate(names)}
        codes = [ABSENT if label is None else code_of[label] for label in labels]
        n = len(labels)
        times = np.arange(first, first + n, dtype=np.int64)
        code = np.array(codes, dtype=np.int32).reshape(n)
        return cls(
            first=first,
            scheduled_ns=times,
            sent_ns=times,
            first_byte_ns=times,
            done_ns=times,
            connection=times,
            ordinal=np.zeros(n, dtype=np.int32),
            label=code,
            replica=np.full(n, ABSENT, dtype=np.int32),
            status=np.full(n, 200, dtype=np.int16),
            outcome=np.where(code == ABSENT, Outcome.UNLABELLED, Outcome.OK).astype(np.uint8),
            worker=np.zeros(n, dtype=np.uint16),
            labels=names,
        )


def shifted(instants: NDArray[np.int64], by_ns: int) -> NDArray[np.int64]:
    """Move instants (n,) [ns], and leave alone those that are `ABSENT`."""
    return np.where(instants == ABSENT, ABSENT, instants + by_ns)


def drawn(batch: Batch, most: int | NDArray[np.int64] = 1) -> NDArray[np.bool_]:
    """Return whether each row (n,) drew a pod, among the first `most` of its connection.

    Parameters
    ----------
    batch : Batch
        Samples in the order of sending.
    most : int or (n,) int, default 1
        Answers of a connection that count: 1 takes the first one, which is the draw where each
        connection is one.
    """
    rows: NDArray[np.bool_] = batch.ordinal < most
    for outcome in NO_DRAW:
        rows &= batch.outcome != int(outcome)  # which takes a fifth of what a member takes
    return rows


def judged_rows(batch: Batch) -> NDArray[np.intp]:
    """Return the rows that are independent draws: the first of each connection."""
    return np.flatnonzero(drawn(batch))


COLUMNS = tuple(
    spec.name
    for spec in fields(Batch)
    if spec.name not in {"first", "labels", "replicas", "remotes"}
)
"""Names of the columns, in the order in which they are stored."""
