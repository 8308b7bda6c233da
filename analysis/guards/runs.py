"""The runs guard: whether consecutive connections know of each other.

A run is a stretch of connections that all met a version, or all did not. Independent draws
make a number of runs that is known from the counts alone (Wald & Wolfowitz 1940). Far fewer
mean that connections stick together, as under session affinity or a pool of connections;
then evidence that multiplies one factor for each connection claims too much. Far more mean
that versions take turns, as under round robin, which makes the decision safer than it claims.
The exact distribution tells how far is far: the normal one would stop 5 % of right runs at 999:1,
where runs are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONE_IN = 2000
"""Runs of independent draws of which at most one, on each side, counts as extreme."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Changes between consecutive labelled connections, for each of A arms.

    Parameters
    ----------
    changes : (A,) tuple of int
        Times that one of two neighbours met the arm and the other did not.
    last : (A,) tuple of bool or None
        Whether the last connection met each arm; None before the first one.
    """

    changes: tuple[int, ...]
    last: tuple[bool, ...] | None = None

    @classmethod
    def start(cls, arms: int) -> Runs:
        """Begin: nothing seen of any of the arms."""
        return cls((0,) * arms)

    def follow(self, hit: NDArray[np.bool_]) -> Runs:
        """Take the next connections; hit (A, m) says which of them met each arm."""
        if hit.shape[1] == 0:
            return self
        new = np.count_nonzero(hit[:, 1:] != hit[:, :-1], axis=1).tolist()
        first = hit[:, 0].tolist() if self.last is None else self.last
        return Runs(
            tuple(
                before + within + (edge is not start)
                for before, within, edge, start in zip(
                    self.changes, new, first, hit[:, 0].tolist(), strict=True
                )
            ),
            tuple(hit[:, -1].tolist()),
        )


def log_level(arms: int) -> float:
    """Return the log chance up to which a number of runs is extreme, for each tested arm."""
    return -log(ONE_IN * max(arms, 1))


def log_tails(runs: int, n: int, x: int) -> tuple[float, float]:
    """Return the log chances of at most, and of at least, so many runs in independent draws.

    Exact given the counts, whatever the share is. One evaluation takes time and memory in
    proportion to the rarer of the two, a few ms for 100 000 connections.

    Parameters
    ----------
    runs : int
        Runs among n connections, >= 1.
    n, x : int
        Connections, and those that met the arm.

    Returns
    -------
    fewer, more : float
        At most 0; both 0 where the counts leave the number of runs no room.

    References
    ----------
    A. Wald and J. Wolfowitz, On a test whether two samples are from the same population,
    Ann. Math. Stat. 11 (1940), section 3: the distribution given the counts.
    """
    rarer = min(x, n - x)
    if not rarer:
        return 0.0, 0.0
    # Chances of 2, 3, 4, ... runs, up to the factor that makes their sum 1. With k runs of each,
    # 2k of them come in 2 C(x-1, k-1) C(n-x-1, k-1) ways and 2k+1 in (n-2k) / 2k times as many.
    k = np.arange(1, rarer + 1)
    steps = np.log((x - k[:-1]) / k[:-1]) + np.log((n - x - k[:-1]) / k[:-1])
    even = np.concatenate([[0.0], np.cumsum(steps)])
    with np.errstate(divide="ignore"):
        odd = even + np.log((n - 2 * k) / (2 * k))
    logs = np.column_stack([even, odd]).ravel()
    whole = _log_sum(logs)
    return (
        min(_log_sum(logs[: max(runs - 1, 0)]) - whole, 0.0),
        min(_log_sum(logs[max(runs - 2, 0) :]) - whole, 0.0),
    )


def _log_sum(logs: NDArray[np.float64]) -> float:
    highest = float(logs.max(initial=-inf))
    return highest if highest == -inf else highest + log(float(np.exp(logs - highest).sum()))


def runs_z(runs: int, n: int, x: int) -> float:
    """Standardise a number of runs: below 0 for sticking together, above 0 for taking turns.

    It describes; `log_tails` decides, because the normal approximation fails where runs are few.

    Parameters
    ----------
    runs : int
        Runs among n connections, >= 1.
    n, x : int
        Connections, and those that met the arm.

    Returns
    -------
    float
        Mean 0 and variance 1 for independent draws; 0 where the counts leave the number of
        runs no room.

    References
    ----------
    A. Wald and J. Wolfowitz, On a test whether two samples are from the same population,
    Ann. Math. Stat. 11 (1940), section 3: mean and variance given the counts.
    """
    others = n - x
    if n < 2 or not x or not others:
        return 0.0
    excess = 2 * x * others / n
    variance = excess * (excess - 1) / (n - 1)
    return (runs - 1 - excess) / sqrt(variance) if variance > 0 else 0.0
