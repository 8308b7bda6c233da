"""Chances of a verdict by closed form: the evidence as a random walk that has to climb.

The log evidence of one bet changes with each connection by an amount of known mean and
variance. As a Brownian motion with that drift it reaches a level within t connections with a
chance in closed form (the inverse Gaussian law: Schroedinger 1915, Wald 1947, appendix A.5). The
best of the bets stands for their mixture, so FAIL comes a little later here than it does; and no
run that would pass is taken for one that would fail later. See `analysis.planning.exact` for exact
figures.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, erfc, exp, log, sqrt
from typing import TYPE_CHECKING

from analysis.bets.hypotheses import (
    Side,
    certain_tolerance,
    clean_connections,
    fail_nulls,
    is_certain,
    log_with,
    log_without,
    pass_nulls,
)
from analysis.bets.mixture import RESTART_WEIGHT
from analysis.data.split import tested_arms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.bets.hypotheses import Null
    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

_POINTS = 240
"""Numbers of connections between which the mean need is interpolated."""
_MAX_EXPONENT = 700.0


class Passage:
    """Chances of PASS and FAIL of one decision, for any true shares.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance and error rates.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(self, split: Split, policy: Policy) -> None:
        bands = policy.tolerance.bands(split)
        tested = tested_arms(split)
        self._certain = [(arm, bands[arm]) for arm in tested if is_certain(bands[arm])]
        uncertain = [arm for arm in tested if not is_certain(bands[arm])]
        tightest = min((certain_tolerance(band) for _, band in self._certain), default=0.0)
        self._clean = clean_connections(tightest, policy.beta) if tightest else 0
        self._passing = [(arm, *pass_nulls(bands[arm])) for arm in uncertain]
        self._failing = [(arm, fail_nulls(bands[arm], policy.inner)) for arm in uncertain]
        self._refuted = -log(policy.beta)
        # All arms and both directions share the FAIL evidence.
        sharing = 2 * max(len(uncertain), 1)
        self._failed = log(sharing) - log(policy.alpha) - log(1 - RESTART_WEIGHT)

    def chances(self, shares: Sequence[float], n: int) -> tuple[float, float]:
        """Give the chances that PASS and that FAIL has fallen within n connections.

        Parameters
        ----------
        shares : (k,) sequence of float
            True share of each arm, in [0, 1].
        n : int
            Connections, >= 0.

        Returns
        -------
        passed, failed : float
            In [0, 1], adding up to at most 1.
        """
        if n <= 0:
            return 0.0, 0.0
        passed, failed = self._alone(shares, n)
        if passed + failed > 1:
            # No run does both: all have ended when these add up to 1, and nothing comes after.
            most = bisect_left(range(n), 1.0, key=lambda at: sum(self._alone(shares, at + 1))) + 1
            passed, failed = self._alone(shares, most)
        whole = max(passed + failed, 1.0)
        return passed / whole, failed / whole

    def _alone(self, shares: Sequence[float], n: int) -> tuple[float, float]:
        """Give the chances of PASS without a rule for FAIL, and of FAIL without one for PASS."""
        passing, failing = [], [0.0]
        for arm, band in self._certain:
            contradicted = _contradicting(band, shares[arm])
            passing.append((1 - contradicted) ** self._clean if n >= self._clean else 0.0)
            # Where nothing else is left to prove, the run ends with its clean connections.
            looked_at = n if self._passing else min(n, self._clean)
            failing.append(1 - (1 - contradicted) ** looked_at)
        for arm, too_low, too_high in self._passing:
            passing += [
                reaches(null, shares[arm], self._refuted, n) for null in (too_low, too_high)
            ]
        for arm, directions in self._failing:
            failing += [reaches(null, shares[arm], self._failed, n) for null in directions]
        # Where one edge is refuted late the others are refuted early: at most one is missing.
        return max(0.0, 1 - sum(1 - chance for chance in passing)), max(failing)

    def mean(self, shares: Sequence[float], budget: int) -> float:
        """Average number of connections until a verdict, `budget` where none falls."""
        at = sorted({0, budget, *(round(budget ** (i / _POINTS)) for i in range(_POINTS))})
        going_on = [max(1 - sum(self._alone(shares, n)), 0.0) if n else 1.0 for n in at]
        # The sum over all n of the chance to go on after n, by trapezia between the points.
        total = 0.0
        for (n, here), (after, there) in zip(
            zip(at, going_on, strict=True), zip(at[1:], going_on[1:], strict=True), strict=False
        ):
            total += here + (after - n - 1) * (here + there) / 2
        return total


def reaches(null: Null, share: float, level: float, n: int) -> float:
    """Give the chance that the evidence against a hypothesis reaches a level within n.

    Parameters
    ----------
    null : Null
        The hypothesis and the bets against it.
    share : float
        True share, in [0, 1].
    level : float
        Log evidence that refutes it, > 0 [nats].
    n : int
        Connections, >= 1.
    """
    if share in {0.0, 1.0}:
        # All connections are alike: nothing is left to chance, and all bets count.
        return float(null.log_evidence(n, share * n) >= level)
    return max(
        _bet_reaches(alternative, null, share, level - log(weight), n)
        for alternative, weight in zip(null.alternatives, null.weights, strict=True)
    )


def _bet_reaches(alternative: float, null: Null, share: float, level: float, n: int) -> float:
    edge = null.edge
    if alternative in {0.0, 1.0}:
        # Lost by the first contradiction: it wins by a clean run from the start.
        upwards = null.side is Side.AT_MOST
        step = log_with(1.0, edge) if upwards else log_without(0.0, edge)
        needed = ceil(level / step)
        return float((share if upwards else 1 - share) ** needed) if needed <= n else 0.0
    gain, loss = log_with(alternative, edge), log_without(alternative, edge)
    drift = share * gain + (1 - share) * loss
    return climbs(level, drift, share * (1 - share) * (gain - loss) ** 2, n)


def climbs(level: float, drift: float, variance: float, n: int) -> float:
    """Give the chance that log evidence has climbed to a level within n connections.

    Parameters
    ----------
    level : float
        > 0 [nats].
    drift, variance : float
        Of what one connection adds to it [nats, nats squared]; the variance > 0.
    n : int
        Connections, >= 1.
    """
    spread = sqrt(variance * n)
    exponent = min(2 * drift * level / variance, _MAX_EXPONENT)
    chance = _normal((drift * n - level) / spread)
    chance += exp(exponent) * _normal((-level - drift * n) / spread)
    return min(chance, 1.0)


def _contradicting(band: Band, share: float) -> float:
    return share if band.expected == 0 else 1 - share


def _normal(z: float) -> float:
    """Distribution function of the standard normal law."""
    return 0.5 * erfc(-z / sqrt(2))
