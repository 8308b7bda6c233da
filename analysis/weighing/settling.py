"""The time to settle: after a change, nothing is judged until the data plane follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.data.report import ReasonCode
from analysis.weighing.history import alike

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence

LONGEST_S = 10.0
"""``--settle auto`` waits no longer than this after a change [s]."""
SHORTEST_S = 1.0
"""... and no shorter."""

_NS_PER_S = 1_000_000_000
_FOLLOWED = log(1e6)
"""Log likelihood ratio at which the answers are taken to follow the new split [nats]."""
_RAREST = 1e-3
"""A label's share is taken to be at least this, so that one answer proves nothing."""
_LOST = -log(10)
"""An answer that never came speaks for the old endpoints: some of them are no more [nats]."""


@dataclass
class Settling:
    """The time after a change in which nothing is judged.

    Parameters
    ----------
    since_ns : int
        When the change was noticed [ns since the start of the run].
    until_ns : float
        When judging begins at the latest [ns].
    begun_ns : int
        When the first change of a series was noticed, whose time to settle was never over [ns].
    old, new : Split or None
        What the data plane turns from and to; `new` is None if there is nothing to tell apart.
    is_patient : bool
        Whether the whole time is waited for, whatever the answers say.
    left : tuple of Split
        Those between `old` and the present one that were turned from.

    Attributes
    ----------
    followed_ns : int or None
        When the answers began to follow the new split, if that was seen [ns].
    """

    since_ns: int
    until_ns: float
    begun_ns: int = 0
    old: Split | None = None
    new: Split | None = None
    is_patient: bool = False
    left: tuple[Split, ...] = ()
    followed_ns: int | None = None
    _sum: float = field(default=0.0, repr=False)
    _least: float = field(default=0.0, repr=False)
    _turned_ns: int = field(default=-1, repr=False)

    @classmethod
    def after(
        cls,
        at_ns: int,
        since_ns: int,
        splits: tuple[Split, Split],
        before: Settling | None,
        settle_s: float | None,
    ) -> Self:
        """Return the time to settle after a change, which may be one of a series.

        Parameters
        ----------
        at_ns, since_ns : int
            When it was noticed, and since when nothing is judged [ns since the run began].
        splits : (Split, Split)
            Of the endpoints, before and after it.
        before : Settling or None
            That of an earlier change, if it was not over.
        settle_s : float or None
            As it was asked for [s]; None finds out.
        """
        begun_ns = since_ns if before is None else before.begun_ns
        old, new = splits
        if before is not None and before.old is not None:
            old = before.old  # what the data plane was last seen to follow
        left = () if before is None else before.left
        # One that the series has left before may be followed now for the first time: answers
        # that follow it do not tell that nothing else is to come.
        is_back = any(alike(each, new) for each in left)
        is_told = not alike(old, new) and not is_back
        if splits[0] != old and not alike(splits[0], new):
            left = (*left, splits[0])
        if settle_s is not None:
            wait_s = settle_s
        elif is_told or is_back:
            wait_s = LONGEST_S
        else:  # back where it was: as long as it was away
            wait_s = min(LONGEST_S, SHORTEST_S + (at_ns - begun_ns) / _NS_PER_S)
        return cls(
            at_ns,
            at_ns + wait_s * _NS_PER_S,
            begun_ns,
            old,
            new if is_told else None,
            is_patient=settle_s is not None,
            left=left,
        )

    def see(self, batch: Batch, sent_ns: NDArray[np.int64]) -> int:
        """Return the position of the first sample that is judged, or their number."""
        if self.followed_ns is None and self.old is not None and self.new is not None:
            self._look_for_turn(batch, sent_ns, self.old, self.new)
        return int(np.searchsorted(sent_ns, ceil(min(self.until_ns, 2**62))))

    def _look_for_turn(
        self, batch: Batch, sent_ns: NDArray[np.int64], old: Split, new: Split
    ) -> None:
        """Find where the answers turn from the old split to the new one.

        The sum of log likelihood ratios falls as long as the old split holds and rises
        afterwards; where it was lowest, the data plane followed (Page, Biometrika 41, 1954).
        A random rise this high is seen less than once in a million connections.
        """
        gains = np.array([*(_gain(label, old, new) for label in batch.labels), _LOST])
        judged = np.where(batch.ordinal == 0, gains[batch.label], 0.0)
        sums = self._sum + np.cumsum(judged)
        if not len(sums):
            return
        lows = np.minimum(np.minimum.accumulate(np.concatenate([[0.0], sums[:-1]])), self._least)
        has_turned = sums - lows >= _FOLLOWED
        end = int(has_turned.argmax()) if has_turned.any() else len(sums) - 1
        before = np.concatenate([[self._sum], sums[:end]])
        lowest = int(before.argmin())
        if self._turned_ns < 0 or before[lowest] < self._least:
            self._least = min(self._least, float(before[lowest]))
            self._turned_ns = int(sent_ns[lowest])
        self._sum = float(sums[-1])
        if has_turned.any():
            self.followed_ns = max(self._turned_ns, self.since_ns)
            if self.is_patient:
                return
            lag_ns = self.followed_ns - self.since_ns
            # As long again as it took: other nodes may follow later than the first ones.
            wait_ns = max(2 * lag_ns, round(SHORTEST_S * _NS_PER_S))
            self.until_ns = min(self.until_ns, max(int(sent_ns[end]), self.since_ns + wait_ns))


def may_lag(evidence: Evidence, observed: Split) -> bool:
    """Whether evidence speaks against its split, as a data plane does that has not followed yet.

    Where the endpoints are outside of the tolerance themselves, that explains the answers.

    Parameters
    ----------
    evidence : Evidence
        Of a stretch.
    observed : Split
        That of the endpoints.
    """
    if evidence.settled in {None, ReasonCode.WITHIN_TOLERANCE}:
        return False
    return all(band.low <= observed.share(band.arm) <= band.high for band in evidence.bands)


def _gain(label: str, old: Split, new: Split) -> float:
    """Log likelihood ratio of one answer, new against old [nats]."""
    shares = [
        max(split.share(label), _RAREST) if label in split.arms else _RAREST for split in (new, old)
    ]
    return log(shares[0] / shares[1])
