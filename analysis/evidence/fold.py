"""Weigh: the fold that makes evidence of batches, one slice of connections after the other.

Here each connection has one answer; where it has several, `analysis.evidence.fold_means` does it.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import log_lost, log_without
from analysis.data.batch import judged_rows
from analysis.data.connections import arms_of
from analysis.evidence.fold_means import weigh_connections
from analysis.evidence.quiet import Segments, weigh_quietly
from analysis.evidence.rules import (
    Draws,
    Weighed,
    first_rule,
    guarded,
    raise_clean_peak,
    raise_peaks,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.bets.scales import Restarts
    from analysis.data.batch import Batch
    from analysis.evidence.state import Evidence

SLICE = 512
"""Connections that are weighed at once: so few that their arrays stay in the cache."""


def weigh(evidence: Evidence, batch: Batch) -> Evidence:
    """Judge a batch: one fold step, exact at every connection.

    The first sample of each connection is judged, or, if the policy says that connections have
    several answers, their mean as soon as a connection is complete
    (`analysis.data.connections`). Those without a draw (`judged_rows`) are skipped. All rules are
    looked at after every connection, and the first one that holds settles the run: nothing after
    it is consumed. Whether missing labels put both verdicts out of reach is looked at after every
    `LOOK_EVERY` connections. How the samples were cut into batches therefore changes nothing
    (beyond rounding in the evidence itself).

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
        return weigh_connections(evidence, batch, SLICE)
    positions = judged_rows(batch)
    codes = arms_of(batch.labels, evidence.split.arms)
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
    return weigh_connections(evidence, None, SLICE)


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
    return guarded(weighed_on)


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
