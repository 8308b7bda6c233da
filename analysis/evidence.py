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
    certain_tolerance,
    clean_connections,
    clean_null,
    is_certain,
    log_lost,
    log_without,
)
from analysis.drift import Drift
from analysis.grouped import Grouped, weigh_connections
from analysis.quiet import Segments, weigh_quietly
from analysis.report import ReasonCode
from analysis.rules import Draws, Peak, Weighed, first_rule, raise_clean_peak, raise_peaks
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

__all__ = ["Evidence", "Peak", "finish", "weigh"]

LOSSES_ROOM = 5
"""Times a clean run's need that a run with shares of 0 or 1 may take, so that one missing label
or two cost connections and not the verdict."""

SLICE = 512
"""Connections that are weighed at once: so few that their arrays stay in the cache."""


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
    missing : int or float
        Those without a label; where connections have several answers, the sum of the parts
        of them that could have had any, because they have no label or did not come.
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
    groups : Grouped or None
        What there is besides, where connections have several answers; `counts` are then sums
        of the parts of connections that met each arm.
    """

    split: Split
    policy: Policy
    bands: tuple[Band, ...]
    budget: int
    clean_needed: int
    clean_tolerance: float
    clean: Null | None = field(repr=False)
    scales: Scales = field(repr=False, compare=False)
    counts: dict[str, float]
    judged: int
    missing: float
    peaks: tuple[Peak, ...]
    clean_peak: Peak
    carry: Carry = field(repr=False)
    fail_by_arm: tuple[float, ...]
    drift: Drift = field(repr=False)
    runs: Runs = field(repr=False)
    settled: ReasonCode | None = None
    groups: Grouped | None = field(default=None, repr=False, compare=False)

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
        clean = clean_null(tightest, policy.beta, policy.missing_ratio) if needed else None
        return cls(
            split=split,
            policy=policy,
            bands=bands,
            budget=budget,
            clean_needed=needed,
            clean_tolerance=tightest,
            clean=clean,
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
            groups=None
            if policy.per_connection == 1
            else Grouped.start(
                len(split.arms), uncertain, [bands[arm] for arm in uncertain], policy, budget, clean
            ),
        )

    @property
    def log_fail(self) -> float:
        """Log of the evidence that FAIL looks at [nats]; -inf where one label decides."""
        if not self.fail_by_arm:
            return -inf
        return log(sum(self.fail_by_arm) / len(self.fail_by_arm))

    @property
    def labelled(self) -> float:
        """Judged connections with a label, or the sum of the parts of them that have one."""
        return self.judged - self.missing

    @property
    def silent(self) -> float:
        """Judged connections without a label, or the sum of the parts of them without one."""
        return self.missing if self.groups is None else self.groups.silent

    @property
    def answers(self) -> dict[str, int]:
        """Answers by label that the judged connections gave: what is shown as counts."""
        if self.groups is None:
            return {label: int(count) for label, count in self.counts.items()}
        of_arms = dict(zip(self.split.arms, self.groups.answers, strict=True))
        return {label: of_arms.get(label, 1) for label in self.counts}

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
        arm = self.scales.arms[row]
        if self.groups is not None:
            firsts = self.groups.firsts
            return runs_z(self.runs.changes[row] + 1, sum(firsts), firsts[arm])
        counted = self.counts[self.split.arms[arm]]
        return runs_z(self.runs.changes[row] + 1, int(self.labelled), int(counted))

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

    The first sample of each connection is judged, or, if the policy says that connections have
    several answers, their mean as soon as a connection is complete (`analysis.groups`). Those
    without a draw (`NO_DRAW`) are skipped. All rules are looked at after every connection, and
    the first one that holds settles the run: nothing after it is consumed. Whether missing
    labels put both verdicts out of reach is looked at after every `LOOK_EVERY` connections. How
    the samples were cut into batches therefore changes nothing (beyond rounding in the evidence
    itself).

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
    if evidence.groups is not None:
        return weigh_connections(evidence, batch, SLICE, _guarded)
    positions = _judged_positions(batch)
    codes = _arm_codes(evidence.split.arms, batch)
    for first in range(0, len(positions), SLICE):
        room = evidence.budget - evidence.judged
        if evidence.settled is not None or room <= 0:
            break
        judged = positions[first : first + min(SLICE, room)]
        arms = codes[batch.label[judged]]
        quiet = _weigh_quietly(evidence, arms)
        evidence = _weigh_slice(evidence, batch, judged, arms) if quiet is None else quiet
    return evidence


def finish(evidence: Evidence) -> Evidence:
    """Judge what is left at the end of a run: connections that are not complete.

    What did not come of them counts as missing; nothing has to be known about why.
    """
    if evidence.groups is None:
        return evidence
    return weigh_connections(evidence, None, SLICE, _guarded)


def _weigh_slice(
    evidence: Evidence, batch: Batch, positions: NDArray[np.intp], arms: NDArray[np.intp]
) -> Evidence:
    """Judge some rows of a batch, given the arm of each."""
    draws = Draws.of(evidence, arms)
    weighed, restart = _weigh_draws(evidence, draws)
    stop, settled = first_rule(evidence, draws, weighed)
    counts = _count(evidence, arms[: stop + 1])
    if arms[stop] == draws.foreign:
        counts[batch.labels[batch.label[positions[stop]]]] = 1
    hit = _labelled_hits(evidence, draws, stop + 1)
    weighed_on = replace(
        evidence,
        counts=counts,
        judged=int(draws.n[stop]),
        missing=int(draws.missing[stop]),
        peaks=raise_peaks(evidence.peaks, weighed.passing[:, : stop + 1], draws),
        clean_peak=raise_clean_peak(evidence.clean_peak, weighed.clean[: stop + 1], draws),
        carry=restart.at(stop),
        fail_by_arm=tuple(weighed.failing[:, stop].tolist()),
        drift=evidence.drift.follow(hit),
        runs=evidence.runs.follow(hit),
        settled=settled,
    )
    return _guarded(weighed_on)


def _weigh_quietly(evidence: Evidence, arms: NDArray[np.intp]) -> Evidence | None:
    """Judge connections if it can be shown that nothing is decided among them."""
    foreign, scales = len(evidence.split.arms), evidence.scales
    if evidence.clean is not None or (arms == foreign).any():
        return None
    names = [evidence.split.arms[arm] for arm in scales.arms]
    before = (evidence.judged, *(evidence.counts[name] for name in names), evidence.missing)
    tested = np.array(scales.arms, dtype=np.intp).reshape(-1, 1)
    segments = Segments.of(arms, foreign + 1, tested, before)
    bands = [evidence.bands[arm] for arm in scales.arms]
    weighed = weigh_quietly(
        scales, evidence.policy, bands, segments, evidence.peaks, evidence.carry
    )
    if weighed is None:
        return None
    hit = (arms if not segments.has_missing else arms[arms <= foreign]) == tested
    return replace(
        evidence,
        counts=_count(evidence, arms),
        judged=evidence.judged + len(arms),
        missing=int(segments.counts[-1, -1]),
        peaks=weighed.peaks,
        carry=weighed.carry,
        fail_by_arm=weighed.fail_by_arm,
        drift=evidence.drift.follow(hit),
        runs=evidence.runs.follow(hit),
    )


def _labelled_hits(evidence: Evidence, draws: Draws, end: int) -> NDArray[np.bool_]:
    """Whether each labelled connection met each arm of the scales: (A, labelled)."""
    hit = draws.hit[: len(evidence.scales.arms), :end]
    if draws.missing[end - 1] == evidence.missing:
        return hit
    return hit[:, draws.arms[:end] != draws.foreign + 1]


def _guarded(evidence: Evidence) -> Evidence:
    """Let a PASS through, unless the draws are not what it takes them for."""
    if evidence.settled is not ReasonCode.WITHIN_TOLERANCE:
        return evidence
    if evidence.drift.peak >= 1 / evidence.policy.alpha:
        return replace(evidence, settled=ReasonCode.NOT_STATIONARY)
    rows = range(len(evidence.scales.arms))
    if min((evidence.runs_z_of(row) for row in rows), default=0.0) < -EXTREME:
        return replace(evidence, settled=ReasonCode.DEPENDENT_CONNECTIONS)
    return evidence


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


def _count(evidence: Evidence, arms: NDArray[np.intp]) -> dict[str, float]:
    new = np.bincount(arms, minlength=len(evidence.split.arms)).tolist()
    return {
        arm: evidence.counts[arm] + added
        for arm, added in zip(evidence.split.arms, new, strict=False)
    }


def _weigh_draws(evidence: Evidence, draws: Draws) -> tuple[Weighed, Restarts]:
    scales, lost = evidence.scales, draws.arms == draws.foreign + 1
    failing, restart = scales.fail_evidence(
        draws.n, draws.x, draws.hit, evidence.carry, draws.missing, lost
    )
    passing = scales.pass_evidence(draws.n, draws.x, draws.missing)
    return Weighed(passing, failing, _clean_evidence(evidence, draws)), restart


def _clean_evidence(evidence: Evidence, draws: Draws) -> NDArray[np.float64]:
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
