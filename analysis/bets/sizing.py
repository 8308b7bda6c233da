"""How many connections a decision takes, before anything is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, erfc, log, log1p, prod, sqrt
from typing import TYPE_CHECKING, Self

from analysis.bets.bisection import turning_point
from analysis.bets.hypotheses import (
    Side,
    certain_tolerance,
    clean_connections,
    imputed,
    is_certain,
    pass_nulls,
)
from analysis.bets.need import Edge
from analysis.data.split import tested_arms

if TYPE_CHECKING:
    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

UNDECIDED = 0.008
"""Part of right splits that the budget ends undecided; 0.2 % more are left to the guards."""

SPREADING = 1.11
"""What it costs to bet on connections with several answers, if these are all the same: half of
each stake is placed as if they were not. Measured for 2 to 50 answers."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Connections until a right split passes.

    Parameters
    ----------
    mean, q95, q99 : int
        Average, and the numbers that 95 % and 99 % of such runs pass within. The last one leaves
        room for what the guards stop (`UNDECIDED`).
    """

    mean: int
    q95: int
    q99: int


def required_samples(split: Split, policy: Policy) -> Sizing:
    """Plan a run: connections that a split which is exactly right takes to PASS.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance and error rates.

    Returns
    -------
    Sizing
        For one share strictly between 0 and 1 (that is for two arms), the mean is a closed form
        fitted to exact computations for beta in [0.001, 0.1], within 3 %; q95 and q99 come from
        `analysis.bets.need`, mostly within 2 %, and q99 nearly always errs upward. Exact for
        shares of 0 and 1. Of several arms all have to be decided: the tails are added up, and
        the mean is within
        15 % of simulations of 3 to 20 arms. If connections have several
        answers, the need where all of a connection come from the same version; it is less by
        up to the number of answers where each is picked anew.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    bands = policy.tolerance.bands(split)
    tested = [bands[arm] for arm in tested_arms(split)]
    clean = max((_clean(band, policy.beta) for band in tested if is_certain(band)), default=0)
    needs = Counter(
        _Need.of(band, policy.beta, policy.per_connection)
        for band in tested
        if not is_certain(band)
    )
    sizing = _of_all(tuple(needs.items())) if needs else Sizing(0, 0, 0)
    return Sizing(max(clean, sizing.mean), max(clean, sizing.q95), max(clean, sizing.q99))


def tolerable_missing(split: Split, policy: Policy) -> float:
    """Return the rate of missing labels from which on not even a right split can pass.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance, and the bound on the ratio of the versions' missing rates.

    Returns
    -------
    float
        In (0, 1]; for equal missing rates of all versions. What a missing label counts as
        then moves a right share just out of its band.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    bands, ratio = policy.tolerance.bands(split), policy.missing_ratio
    limits = [1.0]
    for arm in tested_arms(split):
        band, share = bands[arm], bands[arm].expected
        if is_certain(band):
            tolerance = certain_tolerance(band)
            limits.append(tolerance / imputed(tolerance, Side.AT_LEAST, ratio))
            continue
        limits.extend(
            (
                band.above / (imputed(band.high, Side.AT_LEAST, ratio) - share),
                band.below / (share - imputed(band.low, Side.AT_MOST, ratio)),
            )
        )
    return min(limits)


def divergence(share: float, other: float) -> float:
    """Kullback-Leibler divergence D(share || other) of two Bernoulli laws [nats]."""
    total = 0.0
    if share > 0:
        total -= share * log(other / share)
    if share < 1:
        total -= (1 - share) * log1p((share - other) / (1 - share))
    return total


def band_mean(band: Band, beta: float, per_connection: int = 1) -> int:
    """Return the average need of one arm alone; parameters are those of its `Policy`."""
    if is_certain(band):
        return _clean(band, beta)
    return ceil(_Need.of(band, beta, per_connection).mean)


def _clean(band: Band, beta: float) -> int:
    return clean_connections(certain_tolerance(band), beta)


_MEAN = (0.27, 0.82)
_Z95, _Z99 = 1.6448536269514722, 2.3263478740408408
# For the average of several arms, fitted quantiles are enough: 2.18 and 1.19 at 95 %, 3.68 and
# 1.54 at 99 %. Between and beyond, a parabola through them and nothing at the median, and a line.
_CURVE = (3.68 / _Z99 - 2.18 / _Z95) / (_Z99 - _Z95)
_RISE = 2.18 / _Z95 - _CURVE * _Z95
_TILT = (1.54 - 1.19) / (_Z99 - _Z95)
_LEVEL = 1.19 - _TILT * _Z95

_HALVINGS = 9
_POINTS = 64
_SELDOM = 1e-4
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class _Need:
    """Connections until the share of one arm is decided, if it is right.

    Parameters
    ----------
    bound : float
        What refuting the nearer edge takes at least.
    balance : float
        How equally far the edges are, in (0, 1]. Both are crossed by one path: the nearer they
        are to equally far, the longer the slower of the two takes.
    root : float
        Square root of the evidence that is asked for [nats].
    edges : tuple of Edge
        Those that a PASS refutes.
    spreading : float
        Times the need of connections with one answer each.
    """

    bound: float
    balance: float
    root: float
    edges: tuple[Edge, ...]
    spreading: float

    @classmethod
    def of(cls, band: Band, beta: float, per_connection: int) -> Self:
        low, high = divergence(band.expected, band.low), divergence(band.expected, band.high)
        nats = -log(beta)
        return cls(
            bound=nats / min(low, high),
            balance=(min(low, high) / max(low, high)) ** 2,
            root=sqrt(nats),
            edges=tuple(Edge.of(null, band.expected, nats) for null in pass_nulls(band)),
            spreading=SPREADING if per_connection > 1 else 1.0,
        )

    @property
    def mean(self) -> float:
        base, slope = _MEAN
        return self.spreading * self.bound * (1 + (base + slope * self.balance) / self.root)

    def beyond(self, n: float) -> float:
        """Bound the chance that more than n connections are needed: by the sum of both edges."""
        return sum(edge.beyond(n / self.spreading) for edge in self.edges)

    def roughly_beyond(self, n: float) -> float:
        """Return that chance by the fitted quantiles: for averages of several arms."""
        excess = (n / (self.spreading * self.bound) - 1) * self.root
        rise = _RISE + _TILT * self.balance
        root = rise**2 - 4 * _CURVE * (_LEVEL * self.balance - excess)
        if root < 0:
            return 1.0
        return 0.5 * erfc((sqrt(root) - rise) / (2 * _CURVE) / sqrt(2))


@lru_cache(_REMEMBERED)
def _of_all(needs: tuple[tuple[_Need, int], ...]) -> Sizing:
    """Plan several arms, each kind of need with the number of arms that have it."""
    q95, q99 = (ceil(_within(needs, level)) for level in (0.05, UNDECIDED))
    return Sizing(ceil(_mean(needs)), q95, q99)


def _within(needs: tuple[tuple[_Need, int], ...], level: float) -> float:
    """Return the connections that all but this part of the runs stay within: a union bound."""

    def is_enough(n: float) -> bool:
        return sum(count * need.beyond(n) for need, count in needs) <= level

    most = max(need.bound for need, _ in needs)
    while not is_enough(most):
        most *= 2
    return turning_point(most / 2, most, is_enough, _HALVINGS)


def _mean(needs: tuple[tuple[_Need, int], ...]) -> float:
    """Return the average until the slowest of several arms is decided, as if independent."""
    if len(needs) == 1 and needs[0][1] == 1:
        return needs[0][0].mean

    def undecided(n: float) -> float:
        return 1 - prod((1 - need.roughly_beyond(n)) ** count for need, count in needs)

    most = max(need.bound for need, _ in needs)
    while undecided(most) > _SELDOM:
        most *= 2
    step = most / _POINTS
    return step * (0.5 + sum(undecided(i * step) for i in range(1, _POINTS)))
