"""Bets on missing labels without an end: an e-detector on the rate of what gave none.

The bets of `analysis.bets.mixture` count a missing label as whatever is worst, so they see no loss.
Here the hypothesis is that a connection gives no label with chance `max_unlabelled` at most,
given the past, and each connection places a stake of 1 on two higher rates. A loss that begins
after a week is found as soon as one that was there from the beginning.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.restarted import followed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_LOST = 32
"""Losses in a row that an alarm takes, about: they come in bursts, and a stutter is no rate."""


def lost_rates(limit: float, alpha: float) -> tuple[float, ...]:
    """Return the rates that are bet on; none where everything may be lost.

    Parameters
    ----------
    limit : float
        Rate of missing labels that is accepted, in (0, 1].
    alpha : float
        One false alarm in 1/alpha connections, at most.
    """
    if limit >= 1:
        return ()
    most = min(limit * exp(log(1 / alpha) / LEAST_LOST), (1 + limit) / 2)
    return (limit + (most - limit) / 3, most)


def follow_losses(silent: Floats, before: tuple[float, ...], limit: float, alpha: float) -> Floats:
    """Return R of each bet (g, m) after each connection: ``R <- (R + 1) * factor``.

    Parameters
    ----------
    silent : (m,) float
        Part of each connection's answers that gave no label.
    before : tuple of float
        R before the first of them; empty at the beginning.
    limit, alpha : float
        As in `lost_rates`.
    """
    rates = np.array(lost_rates(limit, alpha)).reshape(-1, 1)
    factors = silent * (rates / limit) + (1 - silent) * ((1 - rates) / (1 - limit or 1))
    start = np.array(before) if before else np.zeros(len(rates))
    logs = np.cumsum(np.log(factors), axis=1)
    return followed(logs, np.zeros(len(rates)), start, 1)[1]
