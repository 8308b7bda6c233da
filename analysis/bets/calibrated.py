"""Thresholds that spend the error rates whole, where the budget is fixed beforehand.

Ville's inequality bounds the chance that evidence ever reaches 1/level, in any number of
connections. Within a finite budget, and because evidence steps over its threshold, that chance is
less than the level. Evidence against one edge only grows with labels of one kind, so that its
threshold is a count for each number of connections, and the chance that independent draws of the
edge's share ever reach it is computed exactly, path by path. The evidence is multiplied by a
factor with which this chance is the level: the same bets decide sooner.

What that rests on. A share beyond the edge, or one that changes with the past and stays beyond,
reaches the threshold no more often: its draws can be coupled with those of the edge so that each
gives no more evidence, and so can draws without a label. The PASS side therefore holds given the
past, as without the factor. The two directions of FAIL are not halved: the chance that either is
reached is computed for one share, anywhere in the inner band. A router that goes from one of its
edges to the other, as the counts tell it to, reaches one of them up to 1.5 times as often. And what
is read off evidence at other edges, or off the average of shares that change, is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import (
    Side,
    fail_nulls,
    is_certain,
    log_with,
    log_without,
    pass_nulls,
)
from analysis.bets.mixture import RESTART_WEIGHT, Factors
from analysis.bets.sizing import required_samples
from analysis.data.errors import InputError
from analysis.data.split import tested_arms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

LONGEST_CALIBRATED = 50_000
"""Connections of a budget that thresholds are computed for, at most: some ten seconds."""
_REACH = 8
"""Standard deviations of the counts that are followed."""
_LOST = -1e300
"""Log factor of a lost bet on "all" or "none": finite, so that none of them is no loss."""
_SELDOM = 1e-12
_PARTS = np.linspace(0, 1, 8)[1:]
_ROUNDS = 3
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class _Walk:
    """Draws of one share, and evidence that grows with each one that is a hit."""

    null: Null
    share: float

    @property
    def hit(self) -> float:
        """Chance of a hit: of the label against "at most", of another one against "at least"."""
        return self.share if self.null.side is Side.AT_MOST else 1 - self.share

    def bets(self) -> list[tuple[float, float, float]]:
        """Return the log stake of each bet, and its log factors by a hit and by a miss."""
        rows: list[tuple[float, float, float]] = []
        for q, weight in zip(self.null.alternatives, self.null.weights, strict=True):
            hit, miss = log_with(q, self.null.edge), log_without(q, self.null.edge)
            if self.null.side is Side.AT_LEAST:
                hit, miss = miss, hit
            rows.append((log(weight), max(hit, _LOST), max(miss, _LOST)))
        return rows


def require_calibratable(split: Split, policy: Policy) -> None:
    """Refuse `Policy.calibrated` where no thresholds can be computed.

    Raises
    ------
    InputError
        If more than two versions are expected, or the budget is too large.
    """
    if not policy.calibrated:
        return
    if len(split.arms) > 2:
        raise InputError(
            f"thresholds can be calibrated for two versions, and {len(split.arms)} are expected"
        )
    budget = policy.max_samples or required_samples(split, policy).q99
    if budget > LONGEST_CALIBRATED:
        raise InputError(
            f"thresholds can be calibrated for budgets up to {LONGEST_CALIBRATED} connections, "
            f"and this one is {budget}"
        )


def factors_of(split: Split, policy: Policy, budget: int) -> Factors | None:
    """Calibrate the thresholds of a decision; None where there is nothing to calibrate.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Error rates and `inner`.
    budget : int
        Connections after which the run ends undecided, fixed beforehand.

    Raises
    ------
    InputError
        As for `require_calibratable`, or if the tolerance does not fit the split.
    """
    require_calibratable(split, policy)
    if not policy.calibrated:
        return None
    band = policy.tolerance.bands(split)[tested_arms(split)[0]]
    # One contradiction decides about shares of 0 and 1: that is exact as it is.
    return (
        None if is_certain(band) else factors(band, policy.alpha, policy.beta, policy.inner, budget)
    )


@lru_cache(_REMEMBERED)
def factors(band: Band, alpha: float, beta: float, inner: float, budget: int) -> Factors:
    """Calibrate the evidence about one share strictly between 0 and 1.

    Parameters
    ----------
    band : Band
    alpha, beta, inner : float
        As in `analysis.data.policy.Policy`.
    budget : int
        Connections, >= 1.
    """
    too_low, too_high = pass_nulls(band)
    up, down = fail_nulls(band, inner)
    passing = [_Walk(null, null.edge) for null in (too_low, too_high)]
    failing = [_Walk(null, null.edge) for null in (up, down)]
    level = (1 - RESTART_WEIGHT) * alpha  # the rest is left to the restarted part
    levels = np.array([beta, beta, level, level])
    found = _calibrated([*passing, *failing], levels, levels, budget)
    # At its edge, each direction leaves room for what the other one does there.
    others = [_Walk(down, up.edge), _Walk(up, down.edge)]
    there = _crossing(others, -np.log(level) - found[:1:-1], budget)
    room = np.maximum(level - there, level / 2)
    found[2:] = _calibrated(failing, room, np.array([level, level]), budget)
    low, high, upwards, downwards = np.exp(found).tolist()
    return Factors((low, high), (upwards, downwards))


def _calibrated(
    walks: Sequence[_Walk], wanted: NDArray[np.float64], levels: NDArray[np.float64], budget: int
) -> NDArray[np.float64]:
    """Return the log factors (r,) with which the chances of 1/level stay within `wanted`."""
    nats = -np.log(levels)
    # Ville: this much always holds. The chance grows by steps, about in proportion to the factor.
    low = np.log(wanted / levels)
    chances = np.maximum(_crossing(walks, nats - low, budget), _SELDOM)
    high = np.minimum(low + 1.2 * np.log(wanted / chances), nats / 2)
    for _ in range(_ROUNDS):
        tried = low[:, None] + (high - low)[:, None] * _PARTS
        several = [walk for walk in walks for _ in _PARTS]
        reached = _crossing(several, (nats[:, None] - tried).ravel(), budget)
        within = (reached.reshape(tried.shape) <= wanted[:, None]).sum(axis=1)
        ends = np.concatenate([low[:, None], tried, tried[:, -1:]], axis=1)
        rows = np.arange(len(walks))
        low, high = ends[rows, within], ends[rows, within + 1]
    return low


def _crossing(
    walks: Sequence[_Walk], nats: NDArray[np.float64], budget: int
) -> NDArray[np.float64]:
    """Return the chances (r,) that evidence ever reaches so many nats (r,) within the budget.

    What is followed is how many hits each walk lacks. The count that suffices grows by 0 or 1 with
    each connection: by 1, no walk arrives; by 0, those arrive that lacked one and hit.
    """
    bets = [walk.bets() for walk in walks]
    longest = max(map(len, bets))
    table = np.array([rows + [(_LOST, 0.0, 0.0)] * (longest - len(rows)) for rows in bets])
    stake, gain, loss = np.moveaxis(table, 2, 0)
    hit = np.array([walk.hit for walk in walks])
    enough = np.ones(len(walks))
    counts = np.empty((budget, len(walks)))
    for n in range(1, budget + 1):
        logs = stake + enough[:, None] * gain + (n - enough)[:, None] * loss
        enough = enough + (np.logaddexp.reduce(logs, axis=1) < nats)
        counts[n - 1] = enough
    grows = np.diff(counts, axis=0, prepend=1.0) > 0
    drawn = np.arange(1, budget + 1)[:, None]
    spread = _REACH * np.sqrt(drawn * hit * (1 - hit))
    width = ceil((counts - drawn * hit + spread).max()) + 2
    lacking = np.zeros((len(walks), width + 1))  # the last column stays empty
    lacking[:, 0] = 1.0
    arrived = np.zeros(len(walks))
    chance, other = hit[:, None], 1 - hit[:, None]
    for grown in grows:
        hits, misses = chance * lacking, other * lacking
        arrived += np.where(grown, 0.0, hits[:, 0])
        stay = np.where(grown[:, None], hits, misses)
        stay[:, 1:-1] += np.where(grown[:, None], misses[:, :-2], 0.0)
        stay[:, :-2] += np.where(grown[:, None], 0.0, hits[:, 1:-1])
        stay[:, -1] = 0.0
        lacking = stay
    return arrived
