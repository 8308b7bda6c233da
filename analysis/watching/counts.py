"""What one target's samples come to by label and by time, within bounds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT, OTHER, judged_rows
from analysis.data.live import MOST_LABELS
from analysis.watching.buckets import Buckets
from analysis.watching.departure import RECENT, Draws
from analysis.watching.totals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch

    Codes = NDArray[np.int16]
    Floats = NDArray[np.float64]

_NS_PER_S = 1_000_000_000


class Counts:
    """Counts the samples of one target.

    Parameters
    ----------
    target : str
    at : float
        When the first run begins [s since 1970].

    Attributes
    ----------
    buckets : Buckets
    totals : Counter of str
        Judged connections by label; the empty label counts those without one.
    draws : Draws
        The last judged connections.
    names : list of str
        The labels by their codes.
    origin_s : float
        When the present run began [s since 1970].
    last_judged : float or None
        When the last judged connection was sent.
    newest, labelled_at : float
        When the last sample was sent, and when the last label came.
    next_connection : int
        Number of the first connection of the run of which there is no sample yet.
    """

    def __init__(self, target: str, at: float) -> None:
        self.buckets = Buckets(target, at)
        self.totals: Counter[str] = Counter()
        self.draws = Draws()
        self.names: list[str] = []
        self.origin_s = self.newest = self.labelled_at = at
        self.last_judged: float | None = None
        self.next_connection = 0

    def attach(self, origin_s: float) -> None:
        """Go on in another run, which began at this time [s since 1970]."""
        self.origin_s, self.next_connection = origin_s, 0

    def follow_clock(self, moved_s: float) -> None:
        """Follow a wall clock that was set by so much [s]: what lies back counts from it anew."""
        self.origin_s += moved_s
        self.labelled_at += moved_s
        self.newest += moved_s
        self.buckets.follow_clock(moved_s)
        if self.last_judged is not None:
            self.last_judged += moved_s

    def expect(self, arms: tuple[str, ...]) -> None:
        """Give labels their codes; where there are too many, those of the past are forgotten."""
        if len({*self.names, *arms}) > 3 * MOST_LABELS:
            kept = Counter(dict(self.totals.most_common(MOST_LABELS)))
            kept[""] = self.totals[""]
            kept[OTHER] += self.totals.total() - kept.total()
            self.totals, self.names, self.draws = kept, [], Draws()
        self.names += [arm for arm in arms if arm not in self.names]

    def add(self, batch: Batch, *, is_judged: bool) -> None:
        """Count a batch by time, whether it is judged or not."""
        if not len(batch):
            return
        sent_ns = np.maximum.accumulate(batch.sent_ns)
        self.newest = max(self.newest, float(self.at(sent_ns[-1:])[0]))
        labelled = np.flatnonzero(batch.label != ABSENT)
        if len(labelled):
            done_ns = int(batch.done_ns[labelled].max())
            at = float(self.at(np.array([max(done_ns, int(sent_ns[labelled[-1]]))]))[0])
            self.labelled_at = max(self.labelled_at, at)
        self.next_connection = max(self.next_connection, int(batch.connection.max()) + 1)
        rows = judged_rows(batch)
        codes = self.codes(batch)[rows]
        seconds = np.floor(self.at(sent_ns[rows])).astype(np.int64)
        for second in np.unique(seconds).tolist():
            counts = self._by_name(codes[seconds == second])
            self.buckets.add(second, counts, is_judged=is_judged)

    def judged(self, codes: Codes, at: Floats) -> None:
        """Count judged connections by their first answers."""
        self.draws.add(at, codes)
        self.last_judged = float(at[-1])
        self.totals.update(self._by_name(codes))

    def codes(self, batch: Batch) -> Codes:
        """Return the code of each row's label among the names; -1 without one."""
        for label in batch.labels:
            if label not in self.names and len(self.names) < MOST_LABELS:
                self.names.append(label)
        known = {name: code for code, name in enumerate(self.names)}
        if any(label not in known for label in batch.labels) and OTHER not in known:
            known[OTHER] = len(self.names)
            self.names.append(OTHER)
        table = [known.get(label, known.get(OTHER, -1)) for label in batch.labels]
        return np.array([*table, -1], dtype=np.int16)[batch.label]

    def at(self, sent_ns: NDArray[np.int64]) -> Floats:
        """Return times of the run [ns] as seconds since 1970."""
        at: Floats = self.origin_s + sent_ns / _NS_PER_S
        return at

    def recent(self) -> dict[str, tuple[float, tuple[float, float]]]:
        """Return share and Wilson's interval of each name among the last labelled draws."""
        codes = self.draws.since(self.draws.taken - 2 * RECENT)[1]
        codes = codes[codes >= 0][-RECENT:]
        n = len(codes)
        counts = np.bincount(codes, minlength=len(self.names)).tolist() if n else []
        return {name: (k / n, wilson(k, n)) for name, k in zip(self.names, counts, strict=False)}

    def _by_name(self, codes: Codes) -> dict[str, int]:
        by_code = np.bincount(codes + 1, minlength=len(self.names) + 1).tolist()
        return {name: n for name, n in zip(("", *self.names), by_code, strict=True) if n}
