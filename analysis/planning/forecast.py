"""How many connections a decision still takes, while a run goes on."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import is_certain, pass_nulls
from analysis.bets.sizing import band_mean, required_samples
from analysis.data.report import Verdict
from analysis.data.split import tested_arms

if TYPE_CHECKING:
    from analysis.bets.hypotheses import Null
    from analysis.data.split import Band
    from analysis.evidence.state import Evidence

IN_SIGHT = 20
"""Times the planned mean beyond which a PASS is not in sight."""

STEADYING = 0.05
"""Part of the planned mean that the expected share counts for in a forecast."""

EARLY = 20
"""Connections below which the growth of evidence is no forecast yet."""

_BEYOND = 2**30
"""Times the connections so far beyond which no end is looked for."""


def nearer_boundary(evidence: Evidence) -> tuple[Verdict, float]:
    """Tell which verdict the evidence has come closer to, and how close.

    Parameters
    ----------
    evidence : Evidence
        Of a run that is not settled.

    Returns
    -------
    verdict : Verdict
        PASS or FAIL.
    part : float
        Part of the way to the boundary of that verdict that its evidence has come, in [0, 1],
        on the scale of logarithms; for PASS, of the hypothesis that is refuted the least.
    """
    peaks = [peak.log_evidence for peak in evidence.peaks]
    if evidence.clean is not None:
        peaks.append(evidence.clean_peak.log_evidence)
    # No boundary is passed by a run that goes on: guards and other checks may hold it up.
    passing = min(min(peaks, default=0.0) / -log(evidence.policy.beta), 1.0)
    failing = min(evidence.log_fail / -log(evidence.policy.alpha), 1.0)
    return (Verdict.PASS, passing) if passing >= failing else (Verdict.FAIL, failing)


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
        reached = _forecast_of_means(evidence)
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
    planned = band_mean(band, evidence.policy.beta)
    steady = STEADYING * planned
    rate = (x + steady * band.expected) / (n + steady)
    missing_rate = missing / (n + steady)
    too_low, too_high = pass_nulls(band, evidence.policy.missing_ratio)
    threshold = -log(evidence.policy.beta)
    peak_low, peak_high = evidence.peaks_of(band.arm)
    factors = evidence.bets.factors
    low, high = factors.passing if factors is not None else (1.0, 1.0)
    reached = n
    for null, peak, factor in ((too_low, peak_low, low), (too_high, peak_high, high)):
        if peak.log_evidence >= threshold:
            continue
        needed = threshold - log(factor)
        crossing = _crossing(null, (n, x, missing), (rate, missing_rate), needed)
        if crossing is None or crossing - n > IN_SIGHT * planned:
            return None
        reached = max(reached, crossing)
    return reached


def _forecast_of_means(evidence: Evidence) -> int | None:
    """Count the further connections until all PASS hypotheses are refuted, if bets grow on."""
    n, threshold = evidence.judged, -log(evidence.policy.beta)
    planned = required_samples(evidence.split, evidence.policy).mean
    if n < EARLY:
        return planned - n
    weights, logs, more = evidence.bets.passing.weight, evidence.carry.passing, 0
    for row, peak in enumerate(evidence.peaks):
        if peak.log_evidence >= threshold:
            continue
        mine = weights[row] > 0
        # Each bet alone, at its own rate: the first one to get there decides.
        rates = np.maximum(logs[row][mine] / n, 1e-12)
        needs = (threshold - np.log(weights[row][mine]) - logs[row][mine]) / rates
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
    ahead = range(n + 1, max(n, 32) * _BEYOND + 1)
    # The log evidence is convex along the way, so that what is refuted stays refuted.
    found = bisect_left(ahead, True, key=refuted)
    return ahead[found] if found < len(ahead) else None
