"""Do zones differ from each other? Evidence for any look, that needs no expectation.

The first answers of connections are cut into blocks of `BLOCK` in the order of the merged stream.
In each block the answers of a zone are bet against those of all others: with p and q the shares of
labels that earlier blocks let expect in the zone and in the others, and s their mean, weighted with
the n and m answers that the block has of each, the stake is multiplied by p/s for each answer of
the zone and by q/s for each of the others. If the labels of a block have one law, whichever it is,
the means P of p/s and Q of q/s satisfy ``(n P + m Q) / (n + m) = 1``; so ``P^n Q^m`` is at most 1,
and the game is fair at best (Turner, Ly & Grunwald 2021, theorem 1, for any labels). The law may be
another one in each block: a roll-out that all zones see alike is no difference between them.

The average of the zones' evidence is evidence against "all are alike". An answer without a label
belongs to no version, and does not count.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT
from analysis.data.report import ZonesDiffer
from analysis.text.rounding import counted, percent
from analysis.text.wording import LABEL_LENGTH
from analysis.versions.twosample import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.data.batch import Batch

_MOST = 700.0  # exp of more is no float


class Apart:
    """Compares the zones that a run was sent from.

    Parameters
    ----------
    zone_of : sequence of str
        Zone of each vantage, by the number in the column ``worker``; at least two differ.

    Attributes
    ----------
    log_evidence : (Z,) float
        Against "this zone is like the others", after the last whole block [nats].
    peak : float
        Log of the average of the zones' evidence at its highest [nats].
    """

    def __init__(self, zone_of: Sequence[str]) -> None:
        self._names = list(dict.fromkeys(zone_of))
        self._zone_of = np.array([self._names.index(each) for each in zone_of], dtype=np.intp)
        self._labels: dict[str, int] = {}
        self._counts = np.zeros((len(self._names), 0), dtype=np.int64)  # of the whole blocks
        self._zone = self._label = np.zeros(0, dtype=np.intp)  # of the block that has begun
        self.log_evidence = np.zeros(len(self._names))
        self.peak = 0.0

    def observe(self, batch: Batch) -> None:
        """Take the next samples of the merged stream."""
        rows = np.flatnonzero((batch.ordinal == 0) & (batch.label != ABSENT))
        known = [self._labels.setdefault(each, len(self._labels)) for each in batch.labels]
        codes = np.array(known, dtype=np.intp)[batch.label[rows]]
        self._zone = np.concatenate([self._zone, self._zone_of[batch.worker[rows]]])
        self._label = np.concatenate([self._label, codes])
        while len(self._zone) >= BLOCK:
            self._bet(self._tabled(BLOCK))
            self._zone, self._label = self._zone[BLOCK:], self._label[BLOCK:]

    def found(self, alpha: float) -> ZonesDiffer:
        """Return whether zones are proven to differ, at any look with chance alpha at most."""
        counts = self._widened() + self._tabled(len(self._zone))
        is_proven = self.peak >= -log(alpha)
        return ZonesDiffer(
            is_proven,
            self._told(counts) if is_proven else "No difference between the zones is proven.",
            {
                name: {label: int(row[code]) for label, code in self._labels.items() if row[code]}
                for name, row in zip(self._names, counts, strict=True)
            },
        )

    def _tabled(self, n: int) -> NDArray[np.int64]:
        """Count the first answers of the open block by zone and label."""
        shape = len(self._names), len(self._labels)
        flat = self._zone[:n] * shape[1] + self._label[:n]
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)

    def _widened(self) -> NDArray[np.int64]:
        """Return the counts of the whole blocks, with a column for each label that is known."""
        return np.pad(self._counts, [(0, 0), (0, len(self._labels) - self._counts.shape[1])])

    def _bet(self, block: NDArray[np.int64]) -> None:
        """Weigh a block that has filled up: bets are placed on what came before it."""
        before = self._widened()
        self._counts = before + block
        # Which labels will come, no bet may know: one that had not come before wins and loses none.
        seen = before.sum(axis=0) > 0
        ours, now = before[:, seen], block[:, seen]
        if not now.any():
            return
        others, rest = ours.sum(axis=0) - ours, now.sum(axis=0) - now
        expected, elsewhere = _smoothed(ours), _smoothed(others)
        n, m = now.sum(axis=1, keepdims=True), rest.sum(axis=1, keepdims=True)
        mean = (n * expected + m * elsewhere) / (n + m)
        gains = now * np.log(expected / mean) + rest * np.log(elsewhere / mean)
        self.log_evidence += gains.sum(axis=1)
        capped = [exp(min(each, _MOST)) for each in self.log_evidence.tolist()]
        self.peak = max(self.peak, log(max(sum(capped) / len(capped), 1.0)))

    def _told(self, counts: NDArray[np.int64]) -> str:
        """Name the zone that is least like the others, and the label in which it differs most."""
        zone = int(self.log_evidence.argmax())
        ours, others = counts[zone], counts.sum(axis=0) - counts[zone]
        n, m = int(ours.sum()), int(others.sum())
        label = int(np.abs(ours / n - others / m).argmax())
        name = list(self._labels)[label][:LABEL_LENGTH]
        return (
            f"Zones differ from each other: {name} gave {percent(ours[label] / n, 1)} % of "
            f"{counted(n, 'answer')} in zone {self._names[zone]}, and "
            f"{percent(others[label] / m, 1)} % of {m} in the others."
        )


def _smoothed(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares (Z, K) to bet on after these counts, each in (0, 1)."""
    smoothed: NDArray[np.float64] = (counts + 0.5) / (
        counts.sum(axis=1, keepdims=True) + counts.shape[1] / 2
    )
    return smoothed
