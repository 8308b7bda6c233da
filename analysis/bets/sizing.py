"""How many connections a decision takes, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erfc, log, log1p, prod, sqrt
from typing import TYPE_CHECKING, Self

from analysis.bets.bisection import turning_point
from analysis.bets.hypotheses import (
    Side,
    certain_tolerance,
    clean_connections,
    imputed,
    is_certain,
)
from analysis.data.split import tested_arms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

SPREADING = 1.11
"""What it costs to bet on connections with several answers, if these are all the same: half of
each stake is placed as if they were not. Measured for 2 to 50 answers."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Connections until a right split passes.

    Parameters
    ----------
    mean, q95, q99 : int
        Average, and the numbers that 95 % and 99 % of such runs stay within.
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
        For one share strictly between 0 and 1 (that is for two arms), a closed form fitted to
        exact computations for beta in [0.001, 0.1]: within 3 % (mean), 4 % (q95) and 7 % (q99);
        exact for shares of 0 and 1. Of several arms all have to be decided: the longest of
        their needs, within 15 % of simulations of 3 to 20 arms. If connections have several
        answers, the need where all of a connection come from the same version; it is less by
        up to the number of answers where each is picked anew.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    bands = policy.tolerance.bands(split)
    tested = [bands[arm] for arm in tested_arms(split)]
    sizes = [band_sizing(band, policy.beta, policy.per_connection) for band in tested]
    needs = [
        _Need.of(band, policy.beta, policy.per_connection)
        for band in tested
        if not is_certain(band)
    ]
    if len(needs) > 1:
        sizes.append(_of_all(needs))
    return Sizing(
        mean=max(size.mean for size in sizes),
        q95=max(size.q95 for size in sizes),
        q99=max(size.q99 for size in sizes),
    )


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


def band_sizing(band: Band, beta: float, per_connection: int = 1) -> Sizing:
    """Plan the connections of one arm; parameters are those of its `Policy`."""
    if is_certain(band):
        exact = clean_connections(certain_tolerance(band), beta)
        return Sizing(exact, exact, exact)
    need = _Need.of(band, beta, per_connection)
    return Sizing(ceil(need.mean), ceil(need.within(_Z95)), ceil(need.within(_Z99)))


_MEAN = (0.27, 0.82)
_Z95, _Z99 = 1.6448536269514722, 2.3263478740408408
# What is fitted are the quantiles: 2.18 and 1.19 at 95 %, 3.68 and 1.54 at 99 %. In between and
# beyond, the base is a parabola through them and nothing at the median, the slope a line.
_CURVE = (3.68 / _Z99 - 2.18 / _Z95) / (_Z99 - _Z95)
_RISE = 2.18 / _Z95 - _CURVE * _Z95
_TILT = (1.54 - 1.19) / (_Z99 - _Z95)
_LEVEL = 1.19 - _TILT * _Z95

_HALVINGS = 40
_POINTS = 64
_SELDOM = 1e-4


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
    """

    bound: float
    balance: float
    root: float

    @classmethod
    def of(cls, band: Band, beta: float, per_connection: int) -> Self:
        low, high = divergence(band.expected, band.low), divergence(band.expected, band.high)
        nats = -log(beta)
        bound = nats / min(low, high)
        if per_connection > 1:
            bound *= SPREADING
        return cls(bound, (min(low, high) / max(low, high)) ** 2, sqrt(nats))

    @property
    def mean(self) -> float:
        base, slope = _MEAN
        return self.bound * (1 + (base + slope * self.balance) / self.root)

    def within(self, z: float) -> float:
        """Return the connections that so many runs stay within: a normal quantile."""
        excess = z * (_RISE + _CURVE * z) + (_LEVEL + _TILT * z) * self.balance
        return self.bound * (1 + excess / self.root)

    def beyond(self, n: float) -> float:
        """Return the chance that more than n connections are needed: the inverse of `within`."""
        excess = (n / self.bound - 1) * self.root
        rise = _RISE + _TILT * self.balance
        root = rise**2 - 4 * _CURVE * (_LEVEL * self.balance - excess)
        if root < 0:
            return 1.0
        return 0.5 * erfc((sqrt(root) - rise) / (2 * _CURVE) / sqrt(2))


def _of_all(needs: Sequence[_Need]) -> Sizing:
    """Plan several arms: the union bound for the tails, as if independent for the average."""

    def stays(level: float) -> int:
        def is_enough(n: float) -> bool:
            return sum(need.beyond(n) for need in needs) <= level

        most = 2 * sum(need.within(_Z99) for need in needs)
        return ceil(turning_point(0.0, most, is_enough, _HALVINGS))

    step = stays(_SELDOM) / _POINTS
    undecided = [1 - prod(1 - need.beyond(i * step) for need in needs) for i in range(_POINTS + 1)]
    mean = step * (sum(undecided) - (undecided[0] + undecided[-1]) / 2)
    return Sizing(ceil(mean), stays(0.05), stays(0.01))
