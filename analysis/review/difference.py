"""The difference of two shares: an interval from the evidence of both runs together.

Each run has an e-process against every share: its evidence against the true one has mean at
most 1 at every stopping time. The product of both is one against every *pair* of shares,
because what one run draws says nothing about what the other one will. So the pairs whose
product stays below 1/level hold the true pair, whenever either run ended, except with chance
`level` (Ville 1939); and the differences of these pairs hold the true difference.

Two intervals at half of the level, one for each run, would say the same of a box around that
region, whose corners are far from anything likely: they are wider by a sixth where both runs are
about equally long (`tests/calibration/differences.py` measures it).
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.bisection import turning_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

Side = tuple[float, Callable[[float], float]]
"""A share that hardly anything speaks against, and the log evidence [nats] against any share in
[0, 1], which grows from there outwards."""

KEPT = 0.3
"""Part of each run's stake that is not bet. It bounds how far below 1 its evidence can fall, so
that a long run gives a short one little room."""

_STEPS = 128
"""Ways to share the evidence out between the runs; each is taken at its worst."""
_POINTS = 200
"""Shares on each side of a run whose evidence is computed; the next one outwards is its end."""
_HALVINGS = 40


def difference_interval(
    first: tuple[Side, Side], second: tuple[Side, Side], level: float
) -> tuple[float, float]:
    """Differences of shares, second minus first, that two independent runs do not refute.

    Parameters
    ----------
    first, second : (Side, Side)
        Evidence of each run against lower shares, and against higher ones. The two differ by
        what is unknown of a run: a missing label counts as none with the label in the former,
        as one with it in the latter.
    level : float
        Chance that the interval ever misses the true difference, in (0, 1).

    Returns
    -------
    low, high : float
        In [-1, 1].

    Notes
    -----
    With E one run's evidence, ``E' = KEPT + (1 - KEPT) E`` is the evidence of somebody who keeps
    a part of the stake. A pair is refuted by ``E'_1 E'_2 >= 1/level``. For each c, the true pair
    has ``log E'_1 <= c`` or ``log E'_2 <= -log level - c``; between two neighbouring values of c
    the wider ends of both are taken, so the number of steps touches the width alone.
    """
    least, total = log(KEPT), -log(level)
    kept = np.linspace(least, total - least, _STEPS + 1)
    nats = np.array([_bet(each) for each in kept.tolist()])
    lows, highs = zip(*(_ends(run, nats) for run in (first, second)), strict=True)
    # One run's evidence up to the next value of c, the other's down to this one.
    others = slice(None, 0, -1)
    low = (lows[1][others] - highs[0][1:]).min()
    high = (highs[1][others] - lows[0][1:]).max()
    return max(float(low), -1.0), min(float(high), 1.0)


def _bet(kept: float) -> float:
    """Log evidence of what is bet, where that of the whole stake is so high [nats]."""
    won = (exp(kept) - KEPT) / (1 - KEPT)
    return log(won) if won > 1e-300 else -700.0


def _ends(
    run: tuple[Side, Side], nats: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the low and high ends (s,) that at most so much evidence (s,), ascending, refutes."""
    low, high = (_end(*side, outside, nats) for side, outside in zip(run, (0.0, 1.0), strict=True))
    return low, high


def _end(
    inside: float,
    log_evidence: Callable[[float], float],
    outside: float,
    nats: NDArray[np.float64],
) -> NDArray[np.float64]:
    most = float(nats[-1])
    far = turning_point(inside, outside, lambda share: log_evidence(share) >= most, _HALVINGS)
    shares = np.linspace(inside, far, _POINTS + 1)
    outwards = [log_evidence(share) for share in shares.tolist()]
    heights = np.minimum.accumulate(outwards[::-1])[::-1]  # refuted from there on outwards
    ends: NDArray[np.float64] = shares[np.minimum(np.searchsorted(heights, nats), _POINTS)]
    return ends
