"""When a departure began: the connection from which on another share explains the draws best.

For each bet of the FAIL side, the log likelihood of its share against the edge falls while the
split is inside its band and rises after a change; where it was lowest, the change was (Page,
Biometrika 41, 1954). Of all bets, the one with the highest rise locates it. Connections with
several answers are located by their first ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import Side, fail_nulls, log_with, log_without
from analysis.bets.losses import lost_rates
from analysis.data.report import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.evidence.state import Evidence

KEPT = 1 << 15
"""Draws that are remembered: a change is looked for among them."""
RECENT = 1000
"""Labelled draws that the sliding share is made of."""
NEARLY = 2.0
"""Places whose log likelihood is lower by no more than this are nearly as likely [nats]."""
LOST = -1
"""Arm of what has no label."""
_NEVER = -50.0
"""Log factor of a contradiction of "all" or "none" where a change is looked for [nats]."""


@dataclass(slots=True)
class Draws:
    """The last draws: when each was sent, and its code of a label.

    Attributes
    ----------
    taken : int
        Draws so far, forgotten ones included.
    """

    taken: int = 0
    _at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2 * KEPT))
    _code: NDArray[np.int16] = field(default_factory=lambda: np.zeros(2 * KEPT, dtype=np.int16))
    _end: int = 0

    def add(self, at: NDArray[np.float64], code: NDArray[np.int16]) -> None:
        """Remember further draws."""
        self.taken += len(at)
        at, code = at[-KEPT:], code[-KEPT:]
        if self._end + len(at) > 2 * KEPT:
            for column in (self._at, self._code):
                column[:KEPT] = column[self._end - KEPT : self._end]
            self._end = KEPT
        span = slice(self._end, self._end + len(at))
        self._at[span], self._code[span] = at, code
        self._end += len(at)

    def since(self, first: int) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
        """Return the draws from the one with this number on, as far as they are remembered."""
        n = min(max(self.taken - first, 0), self._end, KEPT)
        span = slice(self._end - n, self._end)
        return self._at[span], self._code[span]


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a change is located among some draws.

    Parameters
    ----------
    arm : int
        Which share departed; `LOST` for that of missing labels.
    first : int
        The first draw after the change, at best.
    range : (int, int)
        The first and the last place that is nearly as likely.
    """

    arm: int
    first: int
    range: tuple[int, int]


def locate(evidence: Evidence, codes: NDArray[np.int16]) -> Departure | None:
    """Locate the change that an alarm found.

    Parameters
    ----------
    evidence : Evidence
        Says what was bet on.
    codes : (m,) int
        Arms of the draws since its beginning, in the order of sending; negative without a label.

    Returns
    -------
    Departure or None
        None if there is nothing to locate: no draw, or no share between 0 and 1.
    """
    best, highest = None, 0.0
    for arm, hits, q, edge in _bets(evidence, codes):
        gain, loss = (max(each, _NEVER) for each in (log_with(q, edge), log_without(q, edge)))
        path = np.concatenate([[0.0], np.cumsum(np.where(hits, gain, loss))])
        rise = float(path[-1] - path.min())
        if rise > highest:
            near = np.flatnonzero(path <= path.min() + NEARLY)
            first = int(path.argmin())
            best = Departure(arm, first, (int(near[0]), int(near[-1])))
            highest = rise
    return best


def _bets(
    evidence: Evidence, codes: NDArray[np.int16]
) -> Iterator[tuple[int, NDArray[np.bool_], float, float]]:
    """Yield each bet that may have won: whose share, which draws count for it, q and the edge."""
    policy, lost = evidence.policy, codes < 0
    if evidence.settled is ReasonCode.TOO_MANY_UNLABELLED:
        for q in lost_rates(policy.max_unlabelled, policy.alpha):
            yield LOST, lost, q, policy.max_unlabelled
        return
    for arm in evidence.bets.arms:
        for null in fail_nulls(evidence.bands[arm], policy.inner):
            hits = (codes == arm) | lost if null.side is Side.AT_LEAST else codes == arm
            for q in null.alternatives:
                yield arm, hits, q, null.edge
