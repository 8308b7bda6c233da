"""A guard on windows: whether consecutive connections depend on each other, without an end.

Each window of `WINDOW` connections gives evidence that is valid for it alone
(`analysis.guards.markov`), averaged over the tested arms. Windows are weighed as the detector
weighs connections, ``R <- (R + 1) * evidence``: false alarms are 1/alpha connections apart on
average, at least.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import numpy as np

from analysis.guards.markov import markov_log_evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WINDOW = 2_000
"""Labelled connections of a window."""
_MOST = 200.0


class Neighbours:
    """Watches neighbouring connections for dependence.

    Parameters
    ----------
    arms : sequence of int
        The tested ones.
    alpha : float
        One false alarm in 1/alpha connections, at most.
    """

    def __init__(self, arms: Sequence[int], alpha: float) -> None:
        self._arms = tuple(arms)
        self._threshold = 1 / (alpha * WINDOW)
        self._value = 0.0
        self._open: list[NDArray[np.int16]] = []
        self._n = 0

    def see(self, codes: NDArray[np.int16]) -> bool:
        """Take the codes of the next draws; return whether they are found to depend."""
        labelled = codes[codes >= 0]
        is_found = False
        while self._arms and len(labelled):
            part = labelled[: WINDOW - self._n]
            labelled = labelled[len(part) :]
            self._open.append(part)
            self._n += len(part)
            if self._n == WINDOW:
                is_found |= self._close(np.concatenate(self._open))
                self._open, self._n = [], 0
        return is_found

    def _close(self, codes: NDArray[np.int16]) -> bool:
        evidence = [
            exp(min(markov_log_evidence(_transitions(codes == arm)), _MOST)) for arm in self._arms
        ]
        self._value = (self._value + 1) * sum(evidence) / len(evidence)
        is_found = self._value >= max(self._threshold, 1.0)
        if is_found:
            self._value = 0.0
        return is_found


def _transitions(hit: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]]:
    pairs = np.bincount(2 * hit[:-1] + hit[1:], minlength=4).tolist()
    return (pairs[0], pairs[1]), (pairs[2], pairs[3])
