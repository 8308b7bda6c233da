"""The rules that settle a run: which one holds first, and at which connection.

They look at what `analysis.evidence.fold` and `analysis.evidence.fold_means` have weighed, after
each of some connections. Counts are whole numbers where each connection has one answer, and sums
of parts where it has several.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.bets.hypotheses import Side, imputed
from analysis.bets.kt import excludes_at_least, excludes_at_most
from analysis.data.report import ReasonCode
from analysis.evidence.state import Peak
from analysis.guards.runs import EXTREME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.evidence.state import Evidence

LOOK_EVERY = 32
"""Connections between two looks at whether missing labels put both verdicts out of reach, and
before the first one at whether they are too many."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Judged connections of one batch, and the counts after each of them.

    Parameters
    ----------
    arms : (m,) int
        Arm of each; `foreign` for an unexpected label, `foreign` + 1 for none. Of several
        answers, the one that may not be, or else the first.
    foreign : int
        Number of arms.
    n : (m,) int
        Connections so far.
    missing : (m,) int or float
        Those that could have had any label.
    hit : (2A, m) bool
        Whether each counts as one with the label, by row of the scales.
    x : (2A or A, m) int or float
        Those with the label so far, by row of the scales.
    silent : (m,) int or float
        Those without a label among what was sent so far; of several answers, what did not come
        is missing and not silent.
    is_silent : (m,) bool
        Whether each has an answer without a label.
    """

    arms: NDArray[np.intp]
    foreign: int
    n: NDArray[np.int64]
    missing: NDArray[Any]
    hit: NDArray[np.bool_]
    x: NDArray[Any]
    silent: NDArray[Any]
    is_silent: NDArray[np.bool_]

    @classmethod
    def of(cls, evidence: Evidence, arms: NDArray[np.intp]) -> Draws:
        """Count connections with one answer, given the arm of each."""
        foreign = len(evidence.split.arms)
        unlabelled = arms == foreign + 1
        tested = np.array(evidence.scales.arms, dtype=np.intp).reshape(-1, 1)
        hit = arms == tested
        before = [evidence.counts[evidence.split.arms[arm]] for arm in evidence.scales.arms]
        x = np.cumsum(hit, axis=1) + np.array(before, dtype=np.int64).reshape(-1, 1)
        missing = np.cumsum(unlabelled) + evidence.missing
        return cls(
            arms=arms,
            foreign=foreign,
            n=np.arange(1, len(arms) + 1, dtype=np.int64) + evidence.judged,
            missing=missing,
            hit=np.concatenate([hit, hit | unlabelled]),
            x=np.concatenate([x, x + missing]),
            silent=missing,
            is_silent=unlabelled,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Evidence after each connection of a batch: PASS side (2A, m), FAIL side (A, m).

    `clean` (m,) is the log evidence that shares of 0 and 1 are not contradicted too often;
    empty where there are none.
    """

    passing: NDArray[np.float64]
    failing: NDArray[np.float64]
    clean: NDArray[np.float64]


def first_rule(evidence: Evidence, draws: Draws, weighed: Weighed) -> tuple[int, ReasonCode | None]:
    """Find the connection that settles the run, or the last one; earlier rules win ties."""
    rules = (
        (ReasonCode.UNEXPECTED_LABEL, _first_forbidden(evidence, draws)),
        (ReasonCode.OUTSIDE_TOLERANCE, _first_failing(evidence, weighed)),
        (ReasonCode.WITHIN_TOLERANCE, _first_passing(evidence, draws, weighed)),
    )
    end = len(draws.n)
    code, stop = min(rules, key=lambda rule: rule[1])
    # The rules about missing labels cost more for each look: only up to the stop so far.
    unlabelled = _first_too_many(evidence, draws, stop)
    if unlabelled < stop:
        code, stop = ReasonCode.TOO_MANY_UNLABELLED, unlabelled
    unreachable = _first_unreachable(evidence, draws, stop)
    if unreachable < stop:
        code, stop = ReasonCode.MISSING_LABELS, unreachable
    return (stop, code) if stop < end else (end - 1, None)


def _first(holds: NDArray[np.bool_]) -> int:
    """Position of the first True; the length if there is none."""
    position = int(holds.argmax()) if len(holds) else 0
    return position if len(holds) and holds[position] else len(holds)


def _first_forbidden(evidence: Evidence, draws: Draws) -> int:
    """Find the first label whose expected share is 0."""
    weights = evidence.split.weights
    forbidden = np.array([*(weight == 0 for weight in weights), True, False])
    return _first(forbidden[draws.arms])


def _first_failing(evidence: Evidence, weighed: Weighed) -> int:
    if not len(weighed.failing):
        return int(weighed.failing.shape[1])
    return _first(weighed.failing.mean(axis=0) >= 1 / evidence.policy.alpha)


def _first_passing(evidence: Evidence, draws: Draws, weighed: Weighed) -> int:
    """Find the first connection with all hypotheses refuted by then and all shares inside."""
    threshold = 1 / evidence.policy.beta
    end = len(draws.n)
    start = 0
    if evidence.clean is not None and evidence.clean_peak.log_evidence < log(threshold):
        start = _first(weighed.clean >= log(threshold))
    for peak, row in zip(evidence.peaks, weighed.passing, strict=True):
        if peak.log_evidence < log(threshold):
            start = max(start, _first(row >= threshold))
    if start >= end:
        return end
    n, missing = draws.n[start:], draws.missing[start:]
    inside = np.ones(end - start, dtype=bool)
    half = len(evidence.scales.arms)
    for row, arm in enumerate(evidence.scales.arms):
        band, x = evidence.bands[arm], draws.x[row, start:]
        inside &= (x + evidence.scales.lost[row] * missing) / n > band.low
        inside &= (x + evidence.scales.lost[row + half] * missing) / n < band.high
    if evidence.clean is not None:
        inside &= evidence.clean.lost * missing / n < evidence.clean_tolerance
    return start + _first(inside)


def _first_too_many(evidence: Evidence, draws: Draws, end: int) -> int:
    """Find the first connection at which the rate of missing labels is proven too high.

    Failures come in bursts: a stutter in the first connections is not taken for a rate.
    """
    policy = evidence.policy
    for position in np.flatnonzero(draws.is_silent[:end]).tolist():
        n, silent = int(draws.n[position]), draws.silent[position].item()
        if n >= LOOK_EVERY and excludes_at_most(n, silent, policy.max_unlabelled, policy.alpha):
            return int(position)
    return end


def _first_unreachable(evidence: Evidence, draws: Draws, end: int) -> int:
    """Find the first look at which missing labels put both verdicts out of reach."""
    first_look = (-int(draws.n[0])) % LOOK_EVERY
    for position in range(first_look, end, LOOK_EVERY):
        if draws.missing[position] and _out_of_reach(evidence, draws, position):
            return position
    return end


def _out_of_reach(evidence: Evidence, draws: Draws, position: int) -> bool:
    """Whether, at these rates, neither PASS nor FAIL of a share can fall any more."""
    policy, n, missing = evidence.policy, int(draws.n[position]), draws.missing[position].item()
    can_pass = evidence.clean is None or not excludes_at_most(
        n, evidence.clean.lost * missing, evidence.clean_tolerance, policy.alpha
    )
    can_fail = False
    for row, arm in enumerate(evidence.scales.arms):
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
    rows = range(len(evidence.scales.arms))
    if min((evidence.runs_z_of(row) for row in rows), default=0.0) < -EXTREME:
        return replace(evidence, settled=ReasonCode.DEPENDENT_CONNECTIONS)
    return evidence


def raise_peaks(
    peaks: tuple[Peak, ...], passing: NDArray[np.float64], draws: Draws
) -> tuple[Peak, ...]:
    """Replace the peaks that these connections exceed."""
    highest = passing.argmax(axis=1).tolist() if len(peaks) else []
    raised = []
    for row, (peak, position) in enumerate(zip(peaks, highest, strict=True)):
        value = float(passing[row, position])
        if value > 1 and (height := log(value)) > peak.log_evidence:
            x = draws.x[row % (len(peaks) // 2), position].item()
            missing = draws.missing[position].item()
            raised.append(Peak(height, int(draws.n[position]), x, missing))
        else:
            raised.append(peak)
    return tuple(raised)


def raise_clean_peak(peak: Peak, clean: NDArray[np.float64], draws: Draws) -> Peak:
    """Replace the peak of the evidence for a clean run, if these connections exceed it."""
    if not len(clean):
        return peak
    position = int(clean.argmax())
    if clean[position] <= peak.log_evidence:
        return peak
    n, missing = int(draws.n[position]), draws.missing[position].item()
    return Peak(float(clean[position]), n, 0, missing)
