"""Rows of a log that wait for their place, and how long their requests took."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TIME, LABEL, STATUS, OUTCOME, LINE, TOOK = range(6)
"""Columns of held rows: times and durations [ns], the label's code, and as they say."""
# Of how long requests took: four to each doubling, up to the longest that a row may say.
_BUCKETS, _TO_DOUBLE = 256, 4
_ALMOST_ALL = 0.99


class Held:
    """Rows that wait for their place, and the names of their connections."""

    def __init__(
        self, columns: NDArray[np.int64] | None = None, keys: Sequence[str | None] = ()
    ) -> None:
        self.columns = np.zeros((0, 6), dtype=np.int64) if columns is None else columns
        self.keys = list(keys)

    def __len__(self) -> int:
        return len(self.columns)

    def append(self, columns: NDArray[np.int64], keys: Sequence[str | None]) -> None:
        """Add rows."""
        self.columns = np.concatenate((self.columns, columns)) if len(self) else columns
        self.keys += keys

    def earliest(self) -> int:
        """Return the earliest time; a late one if there is none."""
        return int(self.columns[:, TIME].min()) if len(self) else 1 << 62

    def sorted(self, draw: np.random.Generator | None = None) -> Held:
        """Return the rows by time; those of one time as they stand, or as they are drawn."""
        time = self.columns[:, TIME]
        if draw is not None:
            order = np.lexsort((draw.random(len(time)), time))
        elif (time[1:] >= time[:-1]).all():
            return self
        else:
            order = np.argsort(time, kind="stable")
        return Held(self.columns[order], [self.keys[at] for at in order.tolist()])

    def divided(self, count: int) -> tuple[Held, Held]:
        """Return the first rows, and the others."""
        return (
            Held(self.columns[:count], self.keys[:count]),
            Held(self.columns[count:], self.keys[count:]),
        )


class Durations:
    """How long the requests of each label took, in constant memory."""

    def __init__(self) -> None:
        self._counts = np.zeros((1, _BUCKETS), dtype=np.int64)
        self.latest = 0
        """When the last one ended [ns since the first row of the log]."""

    def observe(self, columns: NDArray[np.int64]) -> None:
        """Take the next rows."""
        known = columns[columns[:, TOOK] >= 0]
        if not len(known):
            return
        self.latest = max(self.latest, int((known[:, TIME] + known[:, TOOK]).max()))
        label = known[:, LABEL] + 1
        more = int(label.max()) + 1 - len(self._counts)
        if more > 0:
            self._counts = np.pad(self._counts, ((0, more), (0, 0)))
        bucket = np.ceil(_TO_DOUBLE * np.log2(known[:, TOOK] + 1.0)).astype(np.int64)
        np.add.at(self._counts, (label, np.minimum(bucket, _BUCKETS - 1)), 1)

    def longest(self) -> int:
        """Return what almost all requests of the slowest label took at most [ns]."""
        longest = 0
        for counts in self._counts[self._counts.any(axis=1)]:
            bucket = int(np.searchsorted(counts.cumsum(), _ALMOST_ALL * counts.sum()))
            longest = max(longest, ceil(2 ** (bucket / _TO_DOUBLE)))
        return longest
