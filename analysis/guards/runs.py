"""The runs guard: whether consecutive connections know of each other.

A run is a stretch of connections that all met a version, or all did not. Independent draws
make a number of runs that is known from the counts alone (Wald & Wolfowitz 1940). Far fewer
mean that connections stick together, as under session affinity or a pool of connections;
then evidence that multiplies one factor for each connection claims too much. Far more mean
that versions take turns, as under round robin, which makes the decision safer than it claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTREME = 3.29
"""Standard deviations that chance exceeds on one side once in 2000 times."""


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


def runs_z(runs: int, n: int, x: int) -> float:
    """Standardise a number of runs: below 0 for sticking together, above 0 for taking turns.

    Parameters
    ----------
    runs : int
        Runs among n connections, >= 1.
    n, x : int
        Connections, and those that met the arm.

    Returns
    -------
    float
        Approximately standard normal for independent draws; 0 where the counts leave the
        number of runs no room.

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
