"""Intervals of the shares, for people to read; they never disagree with the verdict.

A PASS shows the interval that it was decided on: the edges that are not refuted by the bets of
the PASS side, each at level beta. Everything else shows the Krichevsky-Trofimov confidence
sequence, which suits any share: at level alpha for a FAIL, and at level beta, as a PASS, where
there is neither. Such an interval goes beyond each edge of the band that the PASS side has not
refuted, if it would lie inside otherwise: so all intervals lie inside their bands exactly when
the split passes. All hold at every look, for each label on its own. A connection without a
label could have had any: it widens each interval on both sides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from math import inf, log, nextafter, pi
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.bisection import turning_point
from analysis.bets.hypotheses import (
    certain_tolerance,
    is_certain,
    lower_null,
    pass_grids,
    upper_null,
)
from analysis.bets.kt import kt_interval
from analysis.data.report import ReasonCode
from analysis.data.split import tested_arms
from analysis.evidence.state import Peak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.split import Band
    from analysis.evidence.several_answers import Came, SeveralAnswers
    from analysis.evidence.state import Evidence

    MeanEvidence = Callable[[float], float]

__all__ = ["decision_bounds", "kt_interval", "lower_bound", "shares_with_intervals", "upper_bound"]

_NODES = 512
"""Alternatives of the mixture for parts."""
_COARSE_HALVINGS = 40
_FAILED = {
    ReasonCode.OUTSIDE_TOLERANCE,
    ReasonCode.UNEXPECTED_LABEL,
    ReasonCode.TOO_MANY_UNLABELLED,
}
_GUARDS = {ReasonCode.NOT_STATIONARY, ReasonCode.DEPENDENT_CONNECTIONS}


@lru_cache(maxsize=256)
def upper_bound(
    n: int,
    x: float,
    distance: float,
    beta: float,
    *,
    missing: float = 0,
    missing_ratio: float = inf,
) -> float:
    """Smallest share r such that "p >= r" is refuted at level beta; a report tells it many times.

    Parameters
    ----------
    n, x : int
        Connections, and those that have the label.
    distance : float
        Tolerance above the expected share, which the bets are scaled by.
    beta : float
        Level, in (0, 1).
    missing : int, default 0
        Connections without any label.
    missing_ratio : float, default inf
        Bound on the ratio of the versions' missing rates.

    Returns
    -------
    float
        In [x/n, 1]; 1 where nothing is refuted.
    """
    if x + (missing if missing_ratio == inf else 0) == n:
        return 1.0

    def is_refuted(edge: float) -> bool:
        null = upper_null(edge, distance, missing_ratio)
        return null.log_evidence(n, x, missing) >= -log(beta)

    return turning_point(x / n, 1.0, is_refuted)


@lru_cache(maxsize=256)
def lower_bound(
    n: int,
    x: float,
    distance: float,
    beta: float,
    *,
    missing: float = 0,
    missing_ratio: float = inf,
) -> float:
    """Largest share r such that "p <= r" is refuted at level beta; mirror of `upper_bound`."""
    if x == 0:
        return 0.0

    def is_refuted(edge: float) -> bool:
        null = lower_null(edge, distance, missing_ratio)
        return null.log_evidence(n, x, missing) >= -log(beta)

    return turning_point((x + missing) / n, 0.0, is_refuted)


def decision_bounds(evidence: Evidence, arm: str) -> tuple[float, float]:
    """Interval of one share that the PASS side is decided on.

    The bounds at the connections where the evidence was highest count, as they do in the
    decision; so for each tested arm "inside its band" means that its part of a PASS holds.

    Parameters
    ----------
    evidence : Evidence
        Of a run.
    arm : str
        One of the expected labels. The untested one of two mirrors the other.

    Returns
    -------
    low, high : float
        In [0, 1], around the counts; each one-sided at level beta.
    """
    if evidence.judged == 0:
        return 0.0, 1.0
    tested = [evidence.split.arms[position] for position in tested_arms(evidence.split)]
    if arm not in tested:
        low, high = decision_bounds(evidence, tested[0])
        return 1 - high, 1 - low
    band = evidence.bands[evidence.split.arms.index(arm)]
    return _certain_bounds(evidence, band) if is_certain(band) else _bounds(evidence, band)


def _bounds(evidence: Evidence, band: Band) -> tuple[float, float]:
    if evidence.groups is not None:
        return _bounds_of_means(evidence, evidence.groups, band)
    beta, ratio = evidence.policy.beta, evidence.policy.missing_ratio
    now = Peak(0.0, evidence.judged, evidence.counts[band.arm], evidence.missing)
    below, above = evidence.peaks_of(band.arm)
    low = max(
        lower_bound(at.n, at.x, band.below, beta, missing=at.missing, missing_ratio=ratio)
        for at in (now, below)
        if at.n
    )
    high = min(
        upper_bound(at.n, at.x, band.above, beta, missing=at.missing, missing_ratio=ratio)
        for at in (now, above)
        if at.n
    )
    if evidence.policy.calibrated:
        # What refutes an edge of the band sooner says nothing about shares further inside.
        enough = -log(beta)
        low = max(low, band.low) if below.log_evidence >= enough else low
        high = min(high, band.high) if above.log_evidence >= enough else high
    # A PASS also asks that the share itself is inside when it falls.
    least, most = evidence.least_and_most(band.arm)
    return min(low, least), max(high, most)


def _bounds_of_means(evidence: Evidence, groups: SeveralAnswers, band: Band) -> tuple[float, float]:
    """Interval of one share that connections with several answers are decided on."""
    arm = evidence.split.arms.index(band.arm)
    row = evidence.bets.arms.index(arm)
    half = len(evidence.bets.arms)
    grids = pass_grids(band, evidence.policy.per_connection)
    ratio = evidence.policy.missing_ratio

    def too_low(edge: float) -> Null:
        return lower_null(edge, band.below, ratio, grids[0])

    def too_high(edge: float) -> Null:
        return upper_null(edge, band.above, ratio, grids[1])

    def refuted(null_at: Callable[[float], Null], results: Came) -> Callable[[float], bool]:
        return lambda edge: evidence_of_means(null_at(edge), results) >= threshold

    threshold = -log(evidence.policy.beta)
    low, high = 0.0, 1.0
    for results in (groups.results[arm], groups.at_peaks[row]):
        if results:
            low = max(low, turning_point(1.0, 0.0, refuted(too_low, results)))
    for results in (groups.results[arm], groups.at_peaks[row + half]):
        if results:
            high = min(high, turning_point(0.0, 1.0, refuted(too_high, results)))
    least, most = evidence.least_and_most(band.arm)
    return min(low, least), max(high, most)


def evidence_of_means(null: Null, results: Mapping[tuple[int, int, int], int]) -> float:
    """Return the log evidence against a hypothesis, by what connections came to [nats]."""
    met, lost, length = np.array(list(results), dtype=np.float64).T
    counts = np.array(list(results.values()), dtype=np.float64)
    y = (met + null.lost * lost) / length
    without, with_label = null.factors()
    with np.errstate(divide="ignore"):
        logs = np.log(np.outer(without, 1 - y) + np.outer(with_label, y)) @ counts
        logs += np.log(null.weights)
    return float(np.logaddexp.reduce(logs))


def mean_interval(results: Mapping[tuple[int, int, int], int], alpha: float) -> tuple[float, float]:
    """Shares that are not refuted at level alpha by connections with several answers.

    The Krichevsky-Trofimov confidence sequence for parts: the same mixture of alternatives
    (uniform in the arc sine, here at `_NODES` points), with the factor that is linear in the
    part of a connection that has the label. It is as narrow as the parts allow, however
    the answers of a connection depend on each other.

    Parameters
    ----------
    results : mapping of (met, lost, length) to int
        What connections came to (`analysis.evidence.several_answers.Came`).
    alpha : float
        Chance that the sequence of intervals ever misses the true share, in (0, 1).
    """
    if not results:
        return 0.0, 1.0

    def end(inside: float, outside: float, log_evidence: MeanEvidence) -> float:
        return turning_point(
            inside, outside, lambda share: log_evidence(share) >= -log(alpha), _COARSE_HALVINGS
        )

    (least, against_low), (most, against_high) = mean_evidence(results)
    return end(least, 0.0, against_low), end(most, 1.0, against_high)


def mean_evidence(
    results: Mapping[tuple[int, int, int], int],
) -> tuple[tuple[float, MeanEvidence], tuple[float, MeanEvidence]]:
    """Return the mean part, and the log evidence [nats] against any share in [0, 1].

    Twice: with missing answers as none of the label, for the low end of an interval, and as all
    of it, for the high one. The evidence is convex in the share, least near the mean part.

    Parameters
    ----------
    results : mapping of (met, lost, length) to int
        As for `mean_interval`; not empty.
    """
    q = np.sin((np.arange(_NODES) + 0.5) * (pi / 2 / _NODES)) ** 2
    met, lost, length = np.array(list(results), dtype=np.float64).T
    counts = np.array(list(results.values()), dtype=np.float64)

    def against(y: NDArray[np.float64]) -> tuple[float, MeanEvidence]:
        def log_evidence(share: float) -> float:
            if share in {0.0, 1.0}:
                return 0.0
            logs = np.log(np.outer(q / share, y) + np.outer((1 - q) / (1 - share), 1 - y)) @ counts
            return float(np.logaddexp.reduce(logs)) - log(_NODES)

        return float(y @ counts / counts.sum()), log_evidence

    return against(met / length), against((met + lost) / length)


def _certain_bounds(evidence: Evidence, band: Band) -> tuple[float, float]:
    """Bounds of a share of 0 or 1: how rare a contradiction must be not to have come."""
    n = evidence.judged
    departures = evidence.counts[band.arm]
    if band.expected == 1:
        departures = sum(count for arm, count in evidence.counts.items() if arm != band.arm)
    now, groups = Peak(0.0, n, 0, evidence.missing), evidence.groups
    came: tuple[Came, Came] = (Counter(), Counter())
    if groups is not None:
        came = groups.results[0], groups.at_peaks[-1]
    # Of the tightest such share, which all of them are decided on.
    rarest = 1.0
    if not departures:
        peaks = (now, evidence.clean_peak)
        rarest = min(_rarest(evidence, at, by) for at, by in zip(peaks, came, strict=True))
    most = max(rarest, departures / n + evidence.departed)
    least = departures / n
    return (least, most) if band.expected == 0 else (1 - most, 1 - least)


def _rarest(evidence: Evidence, at: Peak, came: Came) -> float:
    """Smallest share of contradictions that a run without a contradicting label refutes.

    Where connections have several answers, `came` is what they came to by then, for any arm.
    """
    beta = evidence.policy.beta
    if at.missing == 0:
        return 1 - beta ** (1 / at.n) if at.n else 1.0
    clean = evidence.clean
    if clean is None:
        return 1.0
    lost: Came = Counter()
    for (_, missing, length), count in came.items():
        lost[0, missing, length] += count

    def is_refuted(edge: float) -> bool:
        # The same bets as in the decision, as far from the edge as they are there.
        moved = replace(
            clean,
            edge=edge,
            alternatives=(0.0, *(max(edge - clean.edge + q, 0.0) for q in clean.alternatives[1:])),
        )
        won = evidence_of_means(moved, lost) if lost else moved.log_evidence(at.n, 0, at.missing)
        return won >= -log(beta)

    return turning_point(0.0, 1.0, is_refuted)


def shares_with_intervals(evidence: Evidence) -> dict[str, tuple[float, float, float]]:
    """Share, lower and upper end for every label that was expected or seen.

    Returns
    -------
    dict of str to (share, low, high)
        The share is that among the labelled connections, 0 if there are none; the
        interval allows for those without a label, and contains it.
    """
    shares = {}
    for label, count in evidence.counts.items():
        # Sums of parts are rounded.
        share = min(count / evidence.labelled, 1.0) if evidence.labelled else 0.0
        shares[label] = (share, *_shown(evidence, label, count))
    return shares


def _shown(evidence: Evidence, label: str, count: float) -> tuple[float, float]:
    if label not in evidence.split.arms:
        return _confidence(evidence, label, count)
    if evidence.settled is ReasonCode.WITHIN_TOLERANCE:
        return decision_bounds(evidence, label)
    tested = [evidence.split.arms[position] for position in tested_arms(evidence.split)]
    if label not in tested:
        if len(evidence.counts) > len(evidence.split.arms):  # others came: it is no mirror
            return _confidence(evidence, label, count)
        low, high = _shown(evidence, tested[0], evidence.counts[tested[0]])
        return 1 - high, 1 - low
    return _held_back(evidence, label, *_confidence(evidence, label, count))


def _held_back(evidence: Evidence, arm: str, low: float, high: float) -> tuple[float, float]:
    """Widen an interval inside its band beyond each edge that the PASS side has not refuted."""
    band = evidence.bands[evidence.split.arms.index(arm)]
    if not evidence.judged or low < band.low or high > band.high:
        return low, high
    is_low_open, is_high_open = _open_edges(evidence, band)
    least, most = decision_bounds(evidence, arm)
    if is_low_open:
        low = max(min(low, least, nextafter(band.low, -inf)), 0.0)
    if is_high_open:
        high = min(max(high, most, nextafter(band.high, inf)), 1.0)
    return low, high


def _open_edges(evidence: Evidence, band: Band) -> tuple[bool, bool]:
    """Return whether "too low" and "too high" still keep a tested arm from PASS.

    What a guard stopped keeps both: the draws are not what the evidence takes them for.
    """
    is_stopped, enough = evidence.settled in _GUARDS, -log(evidence.policy.beta)
    if is_certain(band):
        is_open = certain_tolerance(band) <= evidence.clean_tolerance and (
            is_stopped
            or evidence.clean_peak.log_evidence < enough
            or evidence.departed >= evidence.clean_tolerance
        )
        return is_open and band.expected == 1, is_open and band.expected == 0
    (below, above), (least, most) = evidence.peaks_of(band.arm), evidence.least_and_most(band.arm)
    return (
        is_stopped or below.log_evidence < enough or least <= band.low,
        is_stopped or above.log_evidence < enough or most >= band.high,
    )


def _confidence(evidence: Evidence, label: str, count: float) -> tuple[float, float]:
    arms, policy = evidence.split.arms, evidence.policy
    level = policy.alpha if evidence.settled in _FAILED else policy.beta
    if evidence.groups is not None and label in arms:
        return mean_interval(evidence.groups.results[arms.index(label)], level)
    n = evidence.judged
    low, high = kt_interval(n, count, level)
    if evidence.missing:
        _, high = kt_interval(n, min(count + evidence.missing, n), level)
    return low, high
