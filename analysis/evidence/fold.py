"""Weigh: the fold that makes evidence of batches, one slice of connections after the other."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.bets.losses import follow_losses
from analysis.data.batch import judged_rows
from analysis.data.connections import arms_of
from analysis.data.report import ReasonCode
from analysis.evidence.draws import Draws, summed
from analysis.evidence.rules import (
    first_rule,
    guarded,
    may_settle,
    new_peaks,
    raise_clean_peak,
    raise_peaks,
)
from analysis.evidence.several_answers import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.bets.mixture import Weighed
    from analysis.data.batch import Batch
    from analysis.data.connections import Connections
    from analysis.evidence.several_answers import SeveralAnswers
    from analysis.evidence.state import Evidence

SLICE = 2048
"""Connections that are weighed at once, at most: each slice costs as much as hundreds of them."""
FEW = 200
"""Connections below which each is looked at: taking them together in runs costs as much."""


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
        return _weigh_complete(evidence, evidence.groups, batch)
    codes = batch.label[judged_rows(batch)]
    arms = arms_of(batch.labels, evidence.split.arms)[codes]
    return _in_slices(
        evidence,
        len(arms),
        lambda so_far, part: _weigh_answers(so_far, arms[part], codes[part], batch.labels),
    )


def finish(evidence: Evidence) -> Evidence:
    """Judge what is left at the end of a run: connections that are not complete.

    What did not come of them counts as missing; nothing has to be known about why.
    """
    if evidence.groups is None:
        return evidence
    return _weigh_complete(evidence, evidence.groups, None)


def _in_slices(
    evidence: Evidence, length: int, judge: Callable[[Evidence, slice], Evidence]
) -> Evidence:
    """Judge connections, slice by slice, until the run is settled or the budget is spent."""
    first = 0
    while first < length:
        room = evidence.budget - evidence.judged
        if evidence.settled is not None or room <= 0:
            break
        before = evidence.judged
        evidence = judge(evidence, slice(first, first + min(SLICE, room)))
        first += evidence.judged - before
        if evidence.is_endless and evidence.settled is ReasonCode.WITHIN_TOLERANCE:
            evidence = replace(evidence, settled=None, passed_after=evidence.judged)
    return evidence


def _weigh_complete(evidence: Evidence, groups: SeveralAnswers, batch: Batch | None) -> Evidence:
    """Judge the connections that are complete with a batch, or all that are left."""
    if evidence.settled is not None or evidence.judged >= evidence.budget:
        return evidence
    complete, groups = groups.complete(batch, evidence.split.arms)

    def judge(so_far: Evidence, part: slice) -> Evidence:
        return _weigh_parts(so_far, so_far.groups or groups, complete[part])

    return _in_slices(replace(evidence, groups=groups), len(complete), judge)


def _weigh_answers(
    evidence: Evidence, arms: NDArray[np.intp], codes: NDArray[np.int32], labels: tuple[str, ...]
) -> Evidence:
    """Judge connections with one answer, given its arm and the code of its label."""
    draws = Draws.of_answers(evidence, arms)

    def counted(end: int) -> dict[str, float]:
        new = np.bincount(arms[:end], minlength=draws.foreign).tolist()
        names = evidence.split.arms
        counts = {arm: evidence.counts[arm] + n for arm, n in zip(names, new, strict=False)}
        if arms[end - 1] == draws.foreign:
            counts[labels[codes[end - 1]]] = 1
        return counts

    return guarded(_weigh_draws(evidence, draws, counted).after)


def _weigh_parts(evidence: Evidence, groups: SeveralAnswers, connections: Connections) -> Evidence:
    """Judge connections with several answers."""
    gave_up = groups.first_from is not None
    parts = Parts.of(connections, evidence.judged, groups.shorts, gave_up=gave_up)
    draws = Draws.of_parts(evidence, connections, parts)

    def counted(end: int) -> dict[str, float]:
        names = evidence.split.arms
        before = [evidence.counts[arm] for arm in names]
        sums = summed(parts.met[:, :end] / parts.length[:end], before)[:, -1].tolist()
        counts = dict(zip(names, sums, strict=True))
        strange = connections.answers[draws.foreign, end - 1]
        if strange:
            label = groups.labels[int(connections.foreign[end - 1])]
            counts[label] = float(strange / connections.planned[end - 1])
        return counts

    after, end, peaks = _weigh_draws(evidence, draws, counted)
    silent = draws.silent[end - 1].item()
    if after.clean_peak is not evidence.clean_peak:
        peaks = {**peaks, len(evidence.peaks): after.clean_peak.n - evidence.judged - 1}
    more = groups.after(
        connections[:end], parts, evidence.judged, silent, peaks, evidence.bets.arms
    )
    return guarded(replace(after, groups=more))


class _Weighed(NamedTuple):
    """Evidence after some draws, how many of them were judged, and where peaks rose."""

    after: Evidence
    end: int
    peaks: Mapping[int, int]


def _weigh_draws(
    evidence: Evidence, draws: Draws, counted: Callable[[int], dict[str, float]]
) -> _Weighed:
    """Weigh draws until one of them settles the run; `counted` holds counts of their labels."""
    losses = _losses(evidence, draws)
    is_worth_it = len(draws.n) >= FEW and evidence.bets.has_closed_form(draws)
    runs = draws.in_runs() if is_worth_it else draws
    weighed, stop, settled = _with_bets(evidence, runs), len(runs.n) - 1, None
    if runs is draws or may_settle(evidence, draws, weighed, losses):
        if runs is not draws:
            runs, weighed = draws, _with_bets(evidence, draws)
        stop, settled = first_rule(evidence, draws, weighed, losses)
    end = int(runs.n[stop]) - evidence.judged
    hit = draws.labelled_hits(end, evidence.bets.arms)
    against_band = weighed.against_band[:, : stop + 1]
    peaks = new_peaks(evidence.peaks, against_band)
    after = replace(
        evidence,
        counts=counted(end),
        judged=evidence.judged + end,
        missing=draws.missing[end - 1].item(),
        peaks=raise_peaks(evidence.peaks, peaks, against_band, runs),
        clean_peak=raise_clean_peak(evidence.clean_peak, weighed.against_dirty[: stop + 1], runs),
        carry=weighed.at(stop),
        fail_by_arm=tuple(weighed.against_inner[:, stop].tolist()),
        drift=evidence.drift if evidence.is_endless else evidence.drift.follow(hit),
        runs=evidence.runs.follow(hit),
        settled=settled,
        lost=tuple(losses[:, end - 1].tolist()),
    )
    return _Weighed(after, end, peaks)


def _losses(evidence: Evidence, draws: Draws) -> NDArray[np.float64]:
    """Follow the bets on missing labels (g, m), where there is no end."""
    if not evidence.is_endless:
        return np.empty((0, len(draws.n)))
    policy = evidence.policy
    silent = np.diff(draws.silent.astype(np.float64), prepend=evidence.silent)
    return follow_losses(silent, evidence.lost, policy.max_unlabelled, policy.alpha)


def _with_bets(evidence: Evidence, draws: Draws) -> Weighed:
    """Weigh draws, and let a clean run of the needed length suffice for shares of 0 and 1."""
    weighed = evidence.bets.weigh(draws, evidence.carry)
    if evidence.clean is None:
        return weighed
    suffices = (draws.missing == 0) & (draws.n >= evidence.clean_needed)
    least = np.where(suffices, -log(evidence.policy.beta), -inf)
    return replace(weighed, against_dirty=np.maximum(weighed.against_dirty, least))
