"""The restarted part of the FAIL evidence: a stake that is placed anew at each connection.

It follows Shiryaev and Roberts: stakes of 1/horizon
are placed anew at each connection, so that a departure in the middle of a run is not
outweighed by what came before it. The horizon is the budget, however long that is: what has
been staked may not add up to more than 1, or a false FAIL would not be as rare as its level.

Without a budget (`Bets.is_endless`) there is nothing but the restarted part, and each connection
places a stake of 1: ``R <- (R + 1) * factor``. That is an e-detector (Shin, Ramdas and Rinaldo,
arXiv 2203.03532): R less the number of connections is a supermartingale while the share is
inside the band, so that R reaches c after c connections on average, at the earliest.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_EXPONENT = 300.0
"""Sum of log factors that keeps products and their inverses inside the range of floats."""
CEILING = 1e150
"""Evidence is not followed beyond this; any verdict has fallen long before."""


def followed(
    logs: Floats,
    before: Floats,
    restarts: Floats,
    horizon: int,
    stakes: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Follow bets, and ``R <- (R + 1/horizon) * factor`` for each of them.

    Parameters
    ----------
    logs : (..., m) float
        Log of each bet after each connection, or each run of them [nats].
    before : (...) float
        The same before the first of them.
    restarts : (...) float
        R before the first of them.
    horizon : int
        Number of stakes.
    stakes : (..., m) float or None
        Of runs: what the stakes placed within each are worth before it, in stakes; None for
        single connections.

    Returns
    -------
    plain, restarts : (..., m) float
        Value of each bet, and R, after each connection; R is not followed beyond 1e150.

    Notes
    -----
    Unrolled, with P the product of the factors since the beginning,
    ``R_i = P_i * (R_0 + sum over s <= i of 1/P_(s-1) / horizon)``: sums of positive
    numbers, so nothing cancels. Bets of which P or its inverse would leave the range of floats
    are followed one connection after the other.
    """
    growth = logs - before[..., None]
    is_wide = wide = None
    if max(growth.max(initial=0.0), -growth.min(initial=0.0)) > MAX_EXPONENT:
        is_wide = np.abs(growth).max(axis=-1) > MAX_EXPONENT
        wide = growth[is_wide]
        growth[is_wide] = 0.0
    np.exp(growth, out=growth)
    again = np.empty_like(growth)
    again[..., :1] = 1 / horizon
    np.divide(1 / horizon, growth[..., :-1], out=again[..., 1:])
    if stakes is not None:
        again *= stakes
    np.cumsum(again, axis=-1, out=again)
    again += restarts[..., None]
    again *= growth
    np.minimum(again, CEILING, out=again)
    growth *= np.exp(np.minimum(before, MAX_EXPONENT))[..., None]
    if wide is not None:
        growth[is_wide] = np.exp(np.minimum(logs[is_wide], MAX_EXPONENT))
        factors = np.exp(np.minimum(np.diff(wide, prepend=0.0), MAX_EXPONENT))
        staked = (np.ones_like(wide) if stakes is None else stakes[is_wide]) / horizon
        paths = zip(restarts[is_wide].tolist(), factors.tolist(), staked.tolist(), strict=True)
        again[is_wide] = [_path(*path) for path in paths]
    return growth, again


def followed_one_by_one(factors: Floats, start: Floats, stake: float) -> Floats:
    """Follow restarted bets (rows, 1, m) as `followed` does, where a factor of 0 empties them.

    One connection after the other: there is no dividing by 0.
    """
    again = np.empty_like(factors)
    for row, (value, steps) in enumerate(
        zip(start[:, 0].tolist(), factors[:, 0].tolist(), strict=True)
    ):
        again[row] = _path(value, steps, repeat(stake))
    return again


def _path(value: float, factors: Sequence[float], stakes: Iterable[float]) -> list[float]:
    values = []
    for factor, stake in zip(factors, stakes, strict=False):
        value = (value + stake) * factor
        if value > CEILING:  # noqa: PLR1730 - min takes twice as long
            value = CEILING
        values.append(value)
    return values
