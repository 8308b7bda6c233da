"""Evidence: what is decided on. A fold over the samples in the order of their sending.

The counts alone decide almost everything; the order matters for the running maxima of the
PASS side, for the restarted part of the FAIL side, and for the connection at which the
verdict falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.batch import NO_DRAW
from analysis.boundaries import (
    Side,
    certain_tolerance,
    clean_connections,
    clean_null,
    imputed,
    is_certain,
    log_lost,
    log_without,
)
from analysis.drift import Drift
from analysis.kt import excludes_at_least, excludes_at_most
from analysis.report import ReasonCode
from analysis.runs import EXTREME, Runs, runs_z
from analysis.scales import Scales
from analysis.sizing import required_samples
from analysis.split import tested_arms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.batch import Batch
    from analysis.boundaries import Null
    from analysis.policy import Policy
    from analysis.scales import Carry, Restarts
    from analysis.split import Band, Split

LOSSES_ROOM = 5
"""Times a clean run's need that a run with shares of 0 or 1 may take, so that one missing label
or two cost connections and not the verdict."""

LOOK_EVERY = 32
"""Connections between two looks at whether missing labels put both verdicts out of reach, and
before the first one at whether they are too many."""

SLICE = 512
"""Connections that are weighed at once: so few that their arrays stay in the cache."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the evidence against one hypothesis has been highest.

    Parameters
    ----------
    log_evidence : float
        Its logarithm [nats]; 0 before the first connection.
    n, x, missing : int
        Connections then, those with the label, and those without any.
    """

    log_evidence: float = 0.0
    n: int = 0
    x: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Evidence:
    """Everything that the decision knows about a run. A value: `weigh` makes the next one.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance and error rates.
    bands : tuple of Band
        Accepted bands, in the order of ``split.arms``.
    budget : int
        Connections after which the run ends undecided.
    clean_needed : int
        Connections without one contradiction that shares of 0 and 1 take to PASS; 0 where
        no tested arm has such a share.
    clean_tolerance : float
        The smallest tolerance of such a share; inf where there is none.
    clean : Null or None
        The hypothesis that such a share is contradicted that often.
    scales : Scales
        The compiled hypotheses about the other tested arms.
    counts : dict of str to int
        Judged connections by label: each expected one, then an unexpected one if it came.
    judged : int
        Connections judged, those without a label included.
    missing : int
        Those without a label.
    peaks : tuple of Peak
        By hypothesis, in the order of the rows of `scales`.
    clean_peak : Peak
        Against `clean`.
    carry : Carry
        State of the restarted part.
    fail_by_arm : tuple of float
        FAIL evidence of each arm of `scales`; the decision looks at their average.
    drift : Drift
        Whether the shares of the arms of `scales` changed: a guard of PASS.
    runs : Runs
        Whether neighbours knew of each other: the other guard.
    settled : ReasonCode or None
        Why the fold came to its end, or None. Nothing is judged after that.
    """

    split: Split
    policy: Policy
    bands: tuple[Band, ...]
    budget: int
    clean_needed: int
    clean_tolerance: float
    clean: Null | None = field(repr=False)
    scales: Scales = field(repr=False, compare=False)
    counts: dict[str, int]
    judged: int
    missing: int
    peaks: tuple[Peak, ...]
    clean_peak: Peak
    carry: Carry = field(repr=False)
    fail_by_arm: tuple[float, ...]
    drift: Drift = field(repr=False)
    runs: Runs = field(repr=False)
    settled: ReasonCode | None = None

    @classmethod
    def start(cls, split: Split, policy: Policy, seed: int = 0) -> Evidence:
        """Begin a run: nothing judged yet.

        Parameters
        ----------
        split, policy
            The expectation, and what is asked of it.
        seed : int, default 0
            Breaks ties in the drift guard; it touches nothing else.

        Raises
        ------
        ValueError
            If the tolerance does not fit the split.
        """
        bands = policy.tolerance.bands(split)
        tested = tested_arms(split)
        tightest = min(
            (certain_tolerance(bands[arm]) for arm in tested if is_certain(bands[arm])),
            default=inf,
        )
        needed = clean_connections(tightest, policy.beta) if tightest < inf else 0
        planned = max(required_samples(split, policy).q99, LOSSES_ROOM * needed)
        budget = policy.max_samples or planned
        uncertain = [arm for arm in tested if not is_certain(bands[arm])]
        scales = Scales.of(
            uncertain,
            [bands[arm] for arm in uncertain],
            policy.inner,
            budget,
            policy.missing_ratio,
        )
        return cls(
            split=split,
            policy=policy,
            bands=bands,
            budget=budget,
            clean_needed=needed,
            clean_tolerance=tightest,
            clean=clean_null(tightest, policy.beta, policy.missing_ratio) if needed else None,
            scales=scales,
            counts=dict.fromkeys(split.arms, 0),
            judged=0,
            missing=0,
            peaks=(Peak(),) * (2 * len(uncertain)),
            clean_peak=Peak(),
            carry=scales.start,
            fail_by_arm=(1.0,) * len(uncertain),
            drift=Drift.start([bands[arm].expected for arm in uncertain], budget, seed),
            runs=Runs.start(len(uncertain)),
        )

    @property
    def log_fail(self) -> float:
        """Log of the evidence that FAIL looks at [nats]; -inf where one label decides."""
        if not self.fail_by_arm:
            return -inf
        return log(sum(self.fail_by_arm) / len(self.fail_by_arm))

    @property
    def labelled(self) -> int:
        """Judged connections with a label."""
        return self.judged - self.missing

    def least_and_most(self, arm: str) -> tuple[float, float]:
        """Share of the judged connections, missing labels counted as the PASS side counts them.

        Of an arm whose share is neither 0 nor 1; at least one connection must be judged.
        """
        row = self.scales.arms.index(self.split.arms.index(arm))
        x, lost = self.counts[arm], self.scales.lost
        return (
            (x + lost[row] * self.missing) / self.judged,
            (x + lost[row + len(self.scales.arms)] * self.missing) / self.judged,
        )

    @property
    def departed(self) -> float:
        """Share of the judged connections that count as contradicting a share of 0 or 1."""
        return self.clean.lost * self.missing / self.judged if self.clean is not None else 0.0

    def runs_z_of(self, row: int) -> float:
        """Standardised number of runs of an arm, by its row of the scales (`runs_z`)."""
        x = self.counts[self.split.arms[self.scales.arms[row]]]
        return runs_z(self.runs.changes[row] + 1, self.labelled, x)

    def peaks_of(self, arm: str) -> tuple[Peak, Peak]:
        """Peaks of the evidence against "too low" and "too high".

        Raises
        ------
        ValueError
            If the arm is not tested by counting, because its share is 0 or 1 or follows
            from the other arm's.
        """
        row = self.scales.arms.index(self.split.arms.index(arm))
        return self.peaks[row], self.peaks[row + len(self.scales.arms)]


def weigh(evidence: Evidence, batch: Batch) -> Evidence:
    """Judge a batch: one fold step, exact at every connection.

    The first sample of each connection is judged; those without a draw (`NO_DRAW`) are
    skipped. All rules are looked at after every connection, and the first one that holds
    settles the run: nothing after it is consumed. Whether missing labels put both verdicts
    out of reach is looked at after every `LOOK_EVERY` connections. How the samples were cut
    into batches therefore changes nothing (beyond rounding in the evidence itself).

    Parameters
    ----------
    evidence : Evidence
        Of the samples before these.
    batch : Batch
        The next samples, in the order of sending.

    Returns
    -------
    Evidence
        The given one, if it is settled or its budget is spent.
    """
    positions = _judged_positions(batch)
    codes = _arm_codes(evidence.split.arms, batch)
    for first in range(0, len(positions), SLICE):
        room = evidence.budget - evidence.judged
        if evidence.settled is not None or room <= 0:
            break
        judged = positions[first : first + min(SLICE, room)]
        evidence = _weigh_slice(evidence, batch, judged, codes[batch.label[judged]])
    return evidence


def _weigh_slice(
    evidence: Evidence, batch: Batch, positions: NDArray[np.intp], arms: NDArray[np.intp]
) -> Evidence:
    """Judge some rows of a batch, given the arm of each."""
    draws = _Draws.of(evidence, arms)
    weighed = _weigh_draws(evidence, draws)
    stop, settled = _first_rule(evidence, draws, weighed)
    counts = _count(evidence, arms[: stop + 1])
    if arms[stop] == draws.foreign:
        counts[batch.labels[batch.label[positions[stop]]]] = 1
    hit = _labelled_hits(evidence, draws, stop + 1)
    weighed_on = replace(
        evidence,
        counts=counts,
        judged=int(draws.n[stop]),
        missing=int(draws.missing[stop]),
        peaks=_raise_peaks(evidence.peaks, weighed.passing[:, : stop + 1], draws),
        clean_peak=_raise_clean_peak(evidence.clean_peak, weighed.clean[: stop + 1], draws),
        carry=weighed.restart.at(stop),
        fail_by_arm=tuple(weighed.failing[:, stop].tolist()),
        drift=evidence.drift.follow(hit),
        runs=evidence.runs.follow(hit),
        settled=settled,
    )
    if settled is ReasonCode.WITHIN_TOLERANCE:
        return replace(weighed_on, settled=_guarded(weighed_on))
    return weighed_on


def _labelled_hits(evidence: Evidence, draws: _Draws, end: int) -> NDArray[np.bool_]:
    """Whether each labelled connection met each arm of the scales: (A, labelled)."""
    hit = draws.hit[: len(evidence.scales.arms), :end]
    if draws.missing[end - 1] == evidence.missing:
        return hit
    return hit[:, draws.arms[:end] != draws.foreign + 1]


def _guarded(evidence: Evidence) -> ReasonCode:
    """Let a PASS through, unless the draws are not what it takes them for."""
    if evidence.drift.peak >= 1 / evidence.policy.alpha:
        return ReasonCode.NOT_STATIONARY
    rows = range(len(evidence.scales.arms))
    if min((evidence.runs_z_of(row) for row in rows), default=0.0) < -EXTREME:
        return ReasonCode.DEPENDENT_CONNECTIONS
    return ReasonCode.WITHIN_TOLERANCE


def _judged_positions(batch: Batch) -> NDArray[np.intp]:
    """Rows that are independent draws: the first of each connection, if anything was sent."""
    judged = batch.ordinal == 0
    for outcome in NO_DRAW:
        judged &= batch.outcome != outcome
    return np.flatnonzero(judged)


def _arm_codes(arms: tuple[str, ...], batch: Batch) -> NDArray[np.intp]:
    """Arm of each label code of a batch: k for foreign labels, k + 1 at the end for none."""
    index = {arm: position for position, arm in enumerate(arms)}
    codes = [index.get(label, len(arms)) for label in batch.labels]
    return np.array([*codes, len(arms) + 1], dtype=np.intp)


def _count(evidence: Evidence, arms: NDArray[np.intp]) -> dict[str, int]:
    new = np.bincount(arms, minlength=len(evidence.split.arms)).tolist()
    return {
        arm: evidence.counts[arm] + added
        for arm, added in zip(evidence.split.arms, new, strict=False)
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Judged connections of one batch, and the counts after each of them.

    Parameters
    ----------
    arms : (m,) int
        Arm of each; `foreign` for an unexpected label, `foreign` + 1 for none.
    foreign : int
        Number of arms.
    n, missing : (m,) int
        Connections so far, and those without a label.
    hit : (2A, m) bool
        Whether each counts as one with the label, by row of the scales.
    x : (2A, m) int
        Those with the label so far, by row of the scales.
    """

    arms: NDArray[np.intp]
    foreign: int
    n: NDArray[np.int64]
    missing: NDArray[np.int64]
    hit: NDArray[np.bool_]
    x: NDArray[np.int64]

    @classmethod
    def of(cls, evidence: Evidence, arms: NDArray[np.intp]) -> _Draws:
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
        )

    @property
    def unlabelled(self) -> NDArray[np.intp]:
        """Positions of those without a label."""
        return np.flatnonzero(self.arms == self.foreign + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """Evidence after each connection of a batch: PASS side (2A, m), FAIL side (A, m).

    `clean` (m,) is the log evidence that shares of 0 and 1 are not contradicted too often;
    empty where there are none.
    """

    passing: NDArray[np.float64]
    failing: NDArray[np.float64]
    clean: NDArray[np.float64]
    restart: Restarts


def _weigh_draws(evidence: Evidence, draws: _Draws) -> _Weighed:
    scales, lost = evidence.scales, draws.arms == draws.foreign + 1
    failing, restart = scales.fail_evidence(
        draws.n, draws.x, draws.hit, evidence.carry, draws.missing, lost
    )
    passing = scales.pass_evidence(draws.n, draws.x, draws.missing)
    return _Weighed(passing, failing, _clean_evidence(evidence, draws), restart)


def _clean_evidence(evidence: Evidence, draws: _Draws) -> NDArray[np.float64]:
    """Log evidence against `Evidence.clean`; a clean run of the needed length suffices."""
    null = evidence.clean
    if null is None:
        return np.empty(0)
    labelled = draws.n - draws.missing
    total = np.full(len(labelled), -inf)
    for q, weight in zip(null.alternatives, null.weights, strict=True):
        lost = log_lost(q, null.edge, null.lost)
        # No bet is lost by labels that are not missing: 0 times -inf is 0 here.
        ratio = log_without(q, null.edge) * labelled + log(weight)
        ratio += np.where(draws.missing > 0, lost, 0.0) * np.maximum(draws.missing, 1)
        total = np.logaddexp(total, ratio)
    suffices = (draws.missing == 0) & (draws.n >= evidence.clean_needed)
    return np.where(suffices, np.maximum(total, -log(evidence.policy.beta)), total)


def _first_rule(
    evidence: Evidence, draws: _Draws, weighed: _Weighed
) -> tuple[int, ReasonCode | None]:
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


def _first_forbidden(evidence: Evidence, draws: _Draws) -> int:
    """Find the first label whose expected share is 0."""
    weights = evidence.split.weights
    forbidden = np.array([*(weight == 0 for weight in weights), True, False])
    return _first(forbidden[draws.arms])


def _first_failing(evidence: Evidence, weighed: _Weighed) -> int:
    if not len(weighed.failing):
        return int(weighed.failing.shape[1])
    return _first(weighed.failing.mean(axis=0) >= 1 / evidence.policy.alpha)


def _first_passing(evidence: Evidence, draws: _Draws, weighed: _Weighed) -> int:
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


def _first_too_many(evidence: Evidence, draws: _Draws, end: int) -> int:
    """Find the first connection at which the rate of missing labels is proven too high.

    Failures come in bursts: a stutter in the first connections is not taken for a rate.
    """
    policy = evidence.policy
    for position in map(int, draws.unlabelled):
        if position >= end:
            break
        n, missing = int(draws.n[position]), int(draws.missing[position])
        if n >= LOOK_EVERY and excludes_at_most(n, missing, policy.max_unlabelled, policy.alpha):
            return position
    return end


def _first_unreachable(evidence: Evidence, draws: _Draws, end: int) -> int:
    """Find the first look at which missing labels put both verdicts out of reach."""
    first_look = (-int(draws.n[0])) % LOOK_EVERY
    for position in range(first_look, end, LOOK_EVERY):
        if draws.missing[position] and _out_of_reach(evidence, draws, position):
            return position
    return end


def _out_of_reach(evidence: Evidence, draws: _Draws, position: int) -> bool:
    """Whether, at these rates, neither PASS nor FAIL of a share can fall any more."""
    policy, n, missing = evidence.policy, int(draws.n[position]), int(draws.missing[position])
    can_pass = evidence.clean is None or not excludes_at_most(
        n, evidence.clean.lost * missing, evidence.clean_tolerance, policy.alpha
    )
    can_fail = False
    for row, arm in enumerate(evidence.scales.arms):
        band, x = evidence.bands[arm], int(draws.x[row, position])

        def reaches(edge: float, x: int = x) -> bool:
            most = x + missing * imputed(edge, Side.AT_LEAST, policy.missing_ratio)
            return excludes_at_most(n, most, edge, policy.alpha)

        def stays_below(edge: float, x: int = x) -> bool:
            least = x + missing * imputed(edge, Side.AT_MOST, policy.missing_ratio)
            return excludes_at_least(n, least, edge, policy.alpha)

        can_pass &= not (reaches(band.high) or stays_below(band.low))
        inner_low = max(band.expected - policy.inner * band.below, 0.0)
        inner_high = min(band.expected + policy.inner * band.above, 1.0)
        can_fail |= not (stays_below(inner_high) and reaches(inner_low))
    return not can_pass and not can_fail


def _raise_peaks(
    peaks: tuple[Peak, ...], passing: NDArray[np.float64], draws: _Draws
) -> tuple[Peak, ...]:
    """Replace the peaks that these connections exceed."""
    highest = passing.argmax(axis=1).tolist() if len(peaks) else []
    raised = []
    for row, (peak, position) in enumerate(zip(peaks, highest, strict=True)):
        value = float(passing[row, position])
        if value > 1 and (height := log(value)) > peak.log_evidence:
            x = int(draws.x[row % (len(peaks) // 2), position])
            raised.append(Peak(height, int(draws.n[position]), x, int(draws.missing[position])))
        else:
            raised.append(peak)
    return tuple(raised)


def _raise_clean_peak(peak: Peak, clean: NDArray[np.float64], draws: _Draws) -> Peak:
    """Replace the peak of the evidence for a clean run, if these connections exceed it."""
    if not len(clean):
        return peak
    position = int(clean.argmax())
    if clean[position] <= peak.log_evidence:
        return peak
    n, missing = int(draws.n[position]), int(draws.missing[position])
    return Peak(float(clean[position]), n, 0, missing)
