"""The rules that settle a run: which one holds first, and at which connection.

They look at what `analysis.evidence.fold` has weighed, after each of some connections. Counts are
whole numbers where each connection has one answer, and sums of parts where it has several.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import Side, imputed
from analysis.bets.kt import excludes_at_least, excludes_at_most
from analysis.data.report import ReasonCode
from analysis.evidence.state import Peak
from analysis.guards.runs import log_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.bets.mixture import Weighed
    from analysis.evidence.draws import Draws
    from analysis.evidence.state import Evidence

LOOK_EVERY = 32
"""Connections between two looks at whether missing labels put both verdicts out of reach, and
before the first one at whether they are too many."""


def first_rule(
    evidence: Evidence, draws: Draws, weighed: Weighed, losses: NDArray[np.float64]
) -> tuple[int, ReasonCode | None]:
    """Find the connection that settles the run, or the last one; earlier rules win ties.

    Without an end, `losses` (g, m) is the evidence of missing labels after each connection.
    """
    rules = [
        (ReasonCode.UNEXPECTED_LABEL, _first_forbidden(evidence, draws)),
        (ReasonCode.OUTSIDE_TOLERANCE, _first_failing(evidence, weighed)),
    ]
    if evidence.passed_after is None:
        rules.append((ReasonCode.WITHIN_TOLERANCE, _first_passing(evidence, draws, weighed)))
    end = len(draws.n)
    code, stop = min(rules, key=lambda rule: rule[1])
    # The rules about missing labels cost more for each look: only up to the stop so far.
    unlabelled = _first_unlabelled(evidence, draws, losses, stop)
    if unlabelled < stop:
        code, stop = ReasonCode.TOO_MANY_UNLABELLED, unlabelled
    unreachable = _first_unreachable(evidence, draws, stop)
    if unreachable < stop:
        code, stop = ReasonCode.MISSING_LABELS, unreachable
    return (stop, code) if stop < end else (end - 1, None)


def may_settle(
    evidence: Evidence, draws: Draws, weighed: Weighed, losses: NDArray[np.float64]
) -> bool:
    """Whether a rule may hold at some connection, where `weighed` says what the ends of runs are.

    Within a run each bet only grows or only shrinks, those against one hypothesis of the PASS side
    all alike. So the evidence for PASS is highest at an end, and that for FAIL is nowhere more
    than at both ends together.
    """
    end, ends, fail = len(draws.n), weighed.against_inner.shape[1], exp(evidence.log_fail)
    if len(weighed.against_inner):
        fail = max(fail, float(weighed.against_inner.mean(axis=0).max()))
    return (
        2 * fail >= 1 / evidence.policy.alpha
        or (evidence.passed_after is None and _first_refuted(evidence, weighed) < ends)
        or _first_forbidden(evidence, draws) < end
        or _first_unlabelled(evidence, draws, losses, end) < end
        or _first_unreachable(evidence, draws, end) < end
    )


def _first(holds: NDArray[np.bool_]) -> int:
    """Position of the first True; the length if there is none."""
    position = int(holds.argmax()) if len(holds) else 0
    return position if len(holds) and holds[position] else len(holds)


def _first_forbidden(evidence: Evidence, draws: Draws) -> int:
    """Find the first label whose expected share is 0."""
    weights = evidence.split.weights
    forbidden = np.array([*(weight == 0 for weight in weights), True, False])
    return _first(forbidden[draws.worst])


def _first_failing(evidence: Evidence, weighed: Weighed) -> int:
    if not len(weighed.against_inner):
        return int(weighed.against_inner.shape[1])
    return _first(weighed.against_inner.mean(axis=0) >= 1 / evidence.policy.alpha)


def _first_passing(evidence: Evidence, draws: Draws, weighed: Weighed) -> int:
    """Find the first connection with all hypotheses refuted by then and all shares inside."""
    end, start = len(draws.n), _first_refuted(evidence, weighed)
    if start >= end:
        return end
    n, missing = draws.n[start:], draws.missing[start:]
    inside = np.ones(end - start, dtype=bool)
    half = len(evidence.bets.arms)
    for row, arm in enumerate(evidence.bets.arms):
        band, x = evidence.bands[arm], draws.x[row, start:]
        inside &= (x + evidence.bets.lost[row] * missing) / n > band.low
        inside &= (x + evidence.bets.lost[row + half] * missing) / n < band.high
    if evidence.clean is not None:
        inside &= evidence.clean.lost * missing / n < evidence.clean_tolerance
    return start + _first(inside)


def _first_refuted(evidence: Evidence, weighed: Weighed) -> int:
    """Find the first connection by which all hypotheses of the PASS side are refuted."""
    threshold = 1 / evidence.policy.beta
    start = 0
    if evidence.clean is not None and evidence.clean_peak.log_evidence < log(threshold):
        start = _first(weighed.against_dirty >= log(threshold))
    for peak, row in zip(evidence.peaks, weighed.against_band, strict=True):
        if peak.log_evidence < log(threshold):
            start = max(start, _first(row >= threshold))
    return start


def _first_unlabelled(
    evidence: Evidence, draws: Draws, losses: NDArray[np.float64], end: int
) -> int:
    """Find the first connection at which the rate of missing labels is proven too high.

    Failures come in bursts: a stutter in the first connections is not taken for a rate.
    """
    policy = evidence.policy
    if len(losses):
        return min(_first(losses.mean(axis=0) >= 1 / policy.alpha), end)
    for position in np.flatnonzero(draws.is_silent[:end]).tolist():
        n, silent = int(draws.n[position]), draws.silent[position].item()
        if n >= LOOK_EVERY and excludes_at_most(n, silent, policy.max_unlabelled, policy.alpha):
            return int(position)
    return end


def _first_unreachable(evidence: Evidence, draws: Draws, end: int) -> int:
    """Find the first look at which missing labels put both verdicts out of reach."""
    if not end or not draws.missing[end - 1]:
        return end
    looks = (draws.n[:end] % LOOK_EVERY == 0) & (draws.missing[:end] > 0)
    for position in np.flatnonzero(looks).tolist():
        if _out_of_reach(evidence, draws, position):
            return int(position)
    return end


def _out_of_reach(evidence: Evidence, draws: Draws, position: int) -> bool:
    """Whether, at these rates, neither PASS nor FAIL of a share can fall any more."""
    policy, n, missing = evidence.policy, int(draws.n[position]), draws.missing[position].item()
    can_pass = evidence.clean is None or not excludes_at_most(
        n, evidence.clean.lost * missing, evidence.clean_tolerance, policy.alpha
    )
    can_fail = False
    for row, arm in enumerate(evidence.bets.arms):
        band, x = evidence.bands[arm], draws.x[row, position].item()

        def reaches(edge: float, x: float = x) -> bool:
            most = x + missing * imputed(edge, Side.AT_LEAST, policy.missing_ratio)
            return excludes_at_most(n, most, edge, policy.alpha)

        def stays_below(edge: float, x: float = x) -> bool:
            least = x + missing * imputed(edge, Side.AT_MOST, policy.missing_ratio)
            return excludes_at_least(n, least, edge, policy.alpha)

        can_pass &= not (reaches(band.high) or stays_below(band.low))
        inner_low = max(band.expected - policy.inner * band.below, 0.0)
        inner_high = min(band.expected + policy.inner * band.above, 1.0)
        can_fail |= not (stays_below(inner_high) and reaches(inner_low))
    return not can_pass and not can_fail


def guarded(evidence: Evidence) -> Evidence:
    """Let a PASS through, unless the draws are not what it takes them for."""
    if evidence.settled is not ReasonCode.WITHIN_TOLERANCE:
        return evidence
    if evidence.drift.peak >= 1 / evidence.policy.alpha:
        return replace(evidence, settled=ReasonCode.NOT_STATIONARY)
    rows = range(len(evidence.bets.arms))
    fewest = min((evidence.runs_tails_of(row)[0] for row in rows), default=0.0)
    if fewest <= log_level(len(rows)):
        return replace(evidence, settled=ReasonCode.DEPENDENT_CONNECTIONS)
    return evidence


def new_peaks(peaks: tuple[Peak, ...], against_band: NDArray[np.float64]) -> dict[int, int]:
    """Return where the evidence (2A, m) was highest, by row, where that is higher than ever."""
    highest = against_band.argmax(axis=1).tolist() if len(peaks) else []
    return {
        row: position
        for row, (peak, position) in enumerate(zip(peaks, highest, strict=True))
        if (value := against_band[row, position]) > 1 and log(value) > peak.log_evidence
    }


def raise_peaks(
    peaks: tuple[Peak, ...],
    new: Mapping[int, int],
    against_band: NDArray[np.float64],
    draws: Draws,
) -> tuple[Peak, ...]:
    """Replace the peaks that these connections exceed."""
    raised = list(peaks)
    for row, position in new.items():
        x = draws.x[row % (len(peaks) // 2), position].item()
        missing = draws.missing[position].item()
        raised[row] = Peak(log(against_band[row, position]), int(draws.n[position]), x, missing)
    return tuple(raised)


def raise_clean_peak(peak: Peak, against_dirty: NDArray[np.float64], draws: Draws) -> Peak:
    """Replace the peak of the evidence for a clean run, if these connections exceed it."""
    if not len(against_dirty):
        return peak
    position = int(against_dirty.argmax())
    if against_dirty[position] <= peak.log_evidence:
        return peak
    n, missing = int(draws.n[position]), draws.missing[position].item()
    return Peak(float(against_dirty[position]), n, 0, missing)
