"""How many connections a decision takes: before the run, and while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np

from analysis.boundaries import (
    Side,
    certain_tolerance,
    clean_connections,
    imputed,
    is_certain,
    pass_nulls,
)
from analysis.split import tested_arms

if TYPE_CHECKING:
    from analysis.boundaries import Null
    from analysis.evidence import Evidence
    from analysis.grouped import Grouped
    from analysis.policy import Policy
    from analysis.split import Band, Split

IN_SIGHT = 20
"""Times the planned mean beyond which a PASS is not in sight."""

STEADYING = 0.05
"""Part of the planned mean that the expected share counts for in a forecast."""

SPREADING = 1.11
"""What it costs to bet on connections with several answers, if these are all the same: half of
each stake is placed as if they were not. Measured for 2 to 50 answers."""

EARLY = 20
"""Connections below which the growth of evidence is no forecast yet."""

_DOUBLINGS = 30


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
        Of the arm that takes longest. For shares strictly between 0 and 1 a closed form
        fitted to exact computations for beta in [0.001, 0.1]: within 3 % (mean), 4 % (q95)
        and 7 % (q99); exact for shares of 0 and 1. If connections have several answers, the
        need where all of a connection come from the same version; it is less by up to the
        number of answers where each is picked anew.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    bands = policy.tolerance.bands(split)
    sizes = [
        _band_sizing(bands[arm], policy.beta, policy.per_connection) for arm in tested_arms(split)
    ]
    return Sizing(
        mean=max(size.mean for size in sizes),
        q95=max(size.q95 for size in sizes),
        q99=max(size.q99 for size in sizes),
    )


def tolerable_missing(split: Split, policy: Policy) -> float:
    """Give the rate of missing labels from which on not even a right split can pass.

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


def _band_sizing(band: Band, beta: float, per_connection: int = 1) -> Sizing:
    if is_certain(band):
        exact = clean_connections(certain_tolerance(band), beta)
        return Sizing(exact, exact, exact)
    low, high = divergence(band.expected, band.low), divergence(band.expected, band.high)
    nats = -log(beta)
    bound = nats / min(low, high)
    if per_connection > 1:
        bound *= SPREADING
    # Two boundaries are crossed by one path: the nearer they are to equally far, the
    # longer the slower of the two takes.
    balance = (min(low, high) / max(low, high)) ** 2

    def connections(base: float, slope: float) -> int:
        return ceil(bound * (1 + (base + slope * balance) / sqrt(nats)))

    return Sizing(connections(0.27, 0.82), connections(2.18, 1.19), connections(3.68, 1.54))


def remaining(evidence: Evidence) -> int | None:
    """Forecast how many further connections a PASS takes, for a live progress line.

    Counts are continued at the observed rates, until the last hypothesis is refuted. In the
    first connections the observed share is steadied by the expected one. Chance makes the
    slower of two boundaries slower: the average need is up to a third above the forecast.

    Returns
    -------
    int or None
        None if the run is settled, or is not heading for PASS.
    """
    if evidence.settled is not None:
        return None
    total = _clean_forecast(evidence)
    if total is None:
        return None
    if evidence.groups is not None:
        reached = _forecast_of_means(evidence, evidence.groups)
        return None if reached is None else max(reached, total - evidence.judged, 1)
    for arm in tested_arms(evidence.split):
        band = evidence.bands[arm]
        if is_certain(band):
            continue
        reached = _forecast(evidence, band)
        if reached is None:
            return None
        total = max(total, reached)
    return max(total - evidence.judged, 1)


def _clean_forecast(evidence: Evidence) -> int | None:
    """Count the connections, from the first, that show shares of 0 and 1 to be clean enough."""
    n, missing, null = evidence.judged, evidence.missing, evidence.clean
    if null is None or evidence.clean_peak.log_evidence >= -log(evidence.policy.beta):
        return 0
    if not missing:
        return evidence.clean_needed
    return _crossing(null, (n, 0, missing), (0.0, missing / n), -log(evidence.policy.beta))


def _forecast(evidence: Evidence, band: Band) -> int | None:
    """Count the connections, from the first, that refute both PASS hypotheses of an arm."""
    n, x, missing = evidence.judged, evidence.counts[band.arm], evidence.missing
    planned = _band_sizing(band, evidence.policy.beta).mean
    steady = STEADYING * planned
    rate = (x + steady * band.expected) / (n + steady)
    missing_rate = missing / (n + steady)
    too_low, too_high = pass_nulls(band, evidence.policy.missing_ratio)
    threshold = -log(evidence.policy.beta)
    peak_low, peak_high = evidence.peaks_of(band.arm)
    reached = n
    for null, peak in ((too_low, peak_low), (too_high, peak_high)):
        if peak.log_evidence >= threshold:
            continue
        crossing = _crossing(null, (n, x, missing), (rate, missing_rate), threshold)
        if crossing is None or crossing - n > IN_SIGHT * planned:
            return None
        reached = max(reached, crossing)
    return reached


def _forecast_of_means(evidence: Evidence, groups: Grouped) -> int | None:
    """Count the further connections until all PASS hypotheses are refuted, if bets grow on."""
    n, threshold = evidence.judged, -log(evidence.policy.beta)
    planned = required_samples(evidence.split, evidence.policy).mean
    if n < EARLY:
        return planned - n
    bets, more = groups.scales.passing, 0
    logs = groups.stakes.passing
    for row, peak in enumerate(evidence.peaks):
        if peak.log_evidence >= threshold:
            continue
        mine = bets.row == row
        # Each bet alone, at its own rate: the first one to get there decides.
        rates = np.maximum(logs[mine] / n, 1e-12)
        needs = (threshold - np.log(bets.weight[mine]) - logs[mine]) / rates
        more = max(more, ceil(min(float(needs.min()), IN_SIGHT * planned + 1)))
    return None if more > IN_SIGHT * planned else more


def _crossing(
    null: Null, counts: tuple[int, float, float], rates: tuple[float, float], threshold: float
) -> int | None:
    """Smallest number of connections at which the continued counts refute a hypothesis.

    Counts are connections, those with the label and those without any; rates are those of
    the latter two.
    """
    n, x, missing = counts
    rate, missing_rate = rates

    def refuted(total: int) -> bool:
        more = total - n
        reached = null.log_evidence(total, x + more * rate, missing + more * missing_rate)
        return reached >= threshold

    if (rate + null.lost * missing_rate - null.edge) * null.side >= 0:
        return None
    low, high = n, max(2 * n, 64)
    for _ in range(_DOUBLINGS):
        if refuted(high):
            break
        low, high = high, 2 * high
    else:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high
