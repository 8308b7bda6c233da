"""The tally: what is shown. Counts by label, replica, outcome and time window.

A commutative monoid: tallies of windows, processes and machines add up with ``+``. What is
decided on is the evidence, which depends on the order of sending; see `analysis.evidence.fold`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from operator import iadd
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.data.batch import ABSENT, Batch, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

WINDOW_NS = 100_000_000
"""Width of a window of `Tally.windows` [ns]."""

_DENSE = 16
"""Room for each sample up to which a table of all pairs is faster than sorting."""

UNCONNECTED = (Outcome.CONNECT_FAILED, Outcome.CONNECT_TIMEOUT, Outcome.CLIENT_LIMIT)
"""Outcomes without a connection."""


@dataclass(slots=True)
class Tally:
    """Counts of samples; adds. ``+`` makes a new tally, ``+=`` adds in place.

    Parameters
    ----------
    labels : Counter of str
        Labelled samples by label.
    replicas : Counter of (str, str)
        Labelled samples by label and replica, where the replica is known.
    outcomes : Counter of Outcome
        Samples by outcome; their sum is the number launched.
    connections : int
        Connections opened.
    windows : Counter of (int, str)
        Labelled samples by window of sending (number of `WINDOW_NS` since the run began)
        and label; the empty label counts the samples without one.
    addresses : Counter of (str, str)
        Samples by the address that they went to and label; the empty label as above.
    """

    labels: Counter[str] = field(default_factory=Counter)
    replicas: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    connections: int = 0
    windows: Counter[tuple[int, str]] = field(default_factory=Counter)
    addresses: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, batch: Batch, *, has_windows: bool = True) -> Tally:
        """Count one batch; `windows` stays empty if they are not asked for."""
        has_label = batch.label != ABSENT
        counts = np.bincount(batch.label[has_label], minlength=len(batch.labels))
        outcomes = np.bincount(batch.outcome, minlength=len(Outcome))
        opened = batch.ordinal == 0
        for outcome in UNCONNECTED:
            opened &= batch.outcome != int(outcome)  # as in `drawn`
        return cls(
            labels=Counter(
                {name: int(n) for name, n in zip(batch.labels, counts, strict=True) if n}
            ),
            replicas=_count_replicas(batch),
            outcomes=Counter({Outcome(code): int(n) for code, n in enumerate(outcomes) if n}),
            connections=int(np.count_nonzero(opened)),
            windows=_count_windows(batch) if has_windows else Counter(),
            addresses=_count_addresses(batch),
        )

    @classmethod
    def total(cls, batches: Iterable[Batch]) -> Tally:
        """Count several batches."""
        return reduce(iadd, map(cls.of, batches), cls())

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            labels=self.labels + other.labels,
            replicas=self.replicas + other.replicas,
            outcomes=self.outcomes + other.outcomes,
            connections=self.connections + other.connections,
            windows=self.windows + other.windows,
            addresses=self.addresses + other.addresses,
        )

    def __iadd__(self, other: Tally) -> Self:
        # In place: the windows of a long run are not copied for each of its batches.
        self.labels.update(other.labels)
        self.replicas.update(other.replicas)
        self.outcomes.update(other.outcomes)
        self.connections += other.connections
        self.windows.update(other.windows)
        self.addresses.update(other.addresses)
        return self

    @property
    def launched(self) -> int:
        """Requests launched."""
        return self.outcomes.total()

    @property
    def labelled(self) -> int:
        """Samples that gave a label."""
        return self.labels.total()


def replicas_of(tally: Tally) -> dict[str, dict[str, int]]:
    """Return samples by label and replica, both in alphabetical order."""
    return _nested(tally.replicas)


def addresses_of(tally: Tally) -> dict[str, dict[str, int]]:
    """Return samples by address and label, or nothing where there was one address."""
    table = _nested(tally.addresses)
    return table if len(table) > 1 else {}


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for (outer, inner), n in sorted(counts.items()):
        table.setdefault(outer, {})[inner] = n
    return table


def _count_replicas(batch: Batch) -> Counter[tuple[str, str]]:
    known = (batch.label != ABSENT) & (batch.replica != ABSENT)
    pairs = count_pairs(batch.label[known], batch.replica[known], len(batch.replicas))
    return Counter({(batch.labels[label], batch.replicas[code]): n for label, code, n in pairs})


def _count_addresses(batch: Batch) -> Counter[tuple[str, str]]:
    known = batch.remote != ABSENT
    names = ("", *batch.labels)  # as for windows
    pairs = count_pairs(batch.remote[known], batch.label[known] - ABSENT, len(names))
    return Counter({(batch.remotes[remote], names[label]): n for remote, label, n in pairs})


def _count_windows(batch: Batch) -> Counter[tuple[int, str]]:
    # The empty label comes first, so that an absent one needs no case of its own.
    names = ("", *batch.labels)
    pairs = count_pairs(batch.sent_ns // WINDOW_NS, batch.label - ABSENT, len(names))
    return Counter({(window, names[label]): n for window, label, n in pairs})


def count_pairs(
    outer: NDArray[np.integer], inner: NDArray[np.integer], width: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the pairs that occur and how often, in ascending order; `inner` is in [0, width)."""
    if not len(outer):
        return
    # One number for each pair: counting is then one pass.
    keys = outer.astype(np.int64) * width + inner
    first = int(keys.min())
    if int(keys.max()) - first < _DENSE * len(keys):
        counts = np.bincount(keys - first)
        found = np.flatnonzero(counts)
        often, found = counts[found], found + first
    else:
        # Times and names come from files and servers: one that is far from all others must not
        # take memory for everything between them.
        found, often = np.unique(keys, return_counts=True)
    for pair, n in zip(found.tolist(), often.tolist(), strict=True):
        yield pair // width, pair % width, n
