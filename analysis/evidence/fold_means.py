"""Weigh connections with several answers: the fold of `analysis.evidence.fold` over their means."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.means import Parts
from analysis.bets.scales import Carry, run_lengths
from analysis.data.connections import arms_of
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

    from analysis.bets.means import Course
    from analysis.data.batch import Batch
    from analysis.data.connections import Connections
    from analysis.evidence.grouped import Grouped, Results
    from analysis.evidence.state import Evidence


def weigh_connections(evidence: Evidence, batch: Batch | None, at_once: int) -> Evidence:
    """Judge the connections that are complete with a batch, or all that are left.

    Parameters
    ----------
    evidence : Evidence
        Of what came before, with `groups`.
    batch : Batch or None
        The next samples in the order of sending; None at the end of the run.
    at_once : int
        Connections that are weighed at once.
    """
    groups = evidence.groups
    if groups is None or evidence.settled is not None or evidence.judged >= evidence.budget:
        return evidence
    if batch is None:
        complete, assembly = groups.assembly.rest()
    else:
        complete, assembly = groups.assembly.take(batch, arms_of(batch.labels, evidence.split.arms))
        groups = replace(groups, labels=batch.labels)
    evidence = replace(evidence, groups=replace(groups, assembly=assembly))
    for first in range(0, len(complete), at_once):
        room = evidence.budget - evidence.judged
        if evidence.settled is not None or room <= 0:
            break
        evidence = guarded(_weigh_slice(evidence, complete[first : first + min(at_once, room)]))
    return evidence


def _weigh_slice(evidence: Evidence, connections: Connections) -> Evidence:
    groups = evidence.groups
    if groups is None:
        return evidence
    parts = Parts.of(
        connections, evidence.judged, groups.shorts, gave_up=groups.first_from is not None
    )
    draws = _draws_of(evidence, groups, connections, parts)
    first_of, kind = parts.kinds()
    weighed, course = _weigh_parts(evidence, groups, draws, parts, first_of, kind)
    stop, settled = first_rule(evidence, draws, weighed)
    end = stop + 1
    labelled = connections.first[:end] < draws.foreign
    first = connections.first[:end][labelled]
    hit = first == np.array(evidence.scales.arms, dtype=np.intp).reshape(-1, 1)
    peaks = raise_peaks(evidence.peaks, weighed.passing[:, :end], draws)
    return replace(
        evidence,
        counts=_counts(evidence, groups, connections, parts, end),
        judged=int(draws.n[stop]),
        missing=float(draws.missing[stop]),
        peaks=peaks,
        clean_peak=raise_clean_peak(evidence.clean_peak, weighed.clean[:end], draws),
        carry=_carry(evidence, draws, end),
        fail_by_arm=tuple(weighed.failing[:, stop].tolist()),
        drift=evidence.drift.follow(hit),
        runs=evidence.runs.follow(hit),
        settled=settled,
        groups=replace(
            groups,
            stakes=course.at(stop),
            answers=_added(groups.answers, connections.answers[:-2, :end].sum(axis=1)),
            firsts=_added(groups.firsts, np.bincount(first, minlength=draws.foreign)),
            results=tuple(
                _with_more(before, parts, arm, first_of, kind[:end])
                for arm, before in enumerate(groups.results)
            ),
            at_peaks=_at_peaks(evidence, groups, weighed, parts, first_of, kind[:end]),
            silent=float(draws.silent[stop]),
            shorts=groups.shorts + int(np.count_nonzero(parts.is_short[:end])),
            first_from=_first_from(evidence, groups, parts, end),
        ),
    )


def _draws_of(evidence: Evidence, groups: Grouped, connections: Connections, parts: Parts) -> Draws:
    """Count connections as the rules look at them."""
    foreign = len(evidence.split.arms)
    tested = list(evidence.scales.arms)
    before = [evidence.counts[evidence.split.arms[arm]] for arm in tested]
    hits = parts.met[tested] / parts.length
    weights = evidence.split.weights
    rows = np.array([*(arm for arm in range(foreign) if weights[arm] == 0), foreign])
    came = connections.answers[rows] > 0
    return Draws(
        arms=np.where(came.any(axis=0), rows[came.argmax(axis=0)], connections.first),
        foreign=foreign,
        n=np.arange(1, len(connections) + 1, dtype=np.int64) + evidence.judged,
        missing=_summed(parts.lost / parts.length, evidence.missing),
        hit=hits > 0,
        x=_summed(hits, before),
        silent=_summed(parts.silent, groups.silent),
        is_silent=parts.silent > 0,
    )


def _summed(values: NDArray[np.float64], before: float | list[float]) -> NDArray[np.float64]:
    """Add up along the last axis, one after the other, so that batches make no difference."""
    sums = values.copy()
    sums[..., 0] += before
    return np.cumsum(sums, axis=-1, out=sums)


def _weigh_parts(
    evidence: Evidence,
    groups: Grouped,
    draws: Draws,
    parts: Parts,
    first: NDArray[np.intp],
    kind: NDArray[np.intp],
) -> tuple[Weighed, Course]:
    arms = list(evidence.scales.arms)
    length = parts.length[first]
    passing, failing, clean, course = groups.scales.weigh(
        draws.n,
        parts.met[arms][:, first] / length,
        parts.lost[first] / length,
        kind,
        groups.stakes,
    )
    if len(clean):
        suffices = (draws.missing == 0) & (draws.n >= evidence.clean_needed)
        clean = np.where(suffices, np.maximum(clean, -log(evidence.policy.beta)), clean)
    return Weighed(passing, failing, clean), course


def _counts(
    evidence: Evidence, groups: Grouped, connections: Connections, parts: Parts, end: int
) -> dict[str, float]:
    """Sum the parts that met each arm, and count an unexpected label that came."""
    arms = evidence.split.arms
    before = [evidence.counts[arm] for arm in arms]
    sums = _summed(parts.met[:, :end] / parts.length[:end], before)[:, -1].tolist()
    counts = dict(zip(arms, sums, strict=True))
    strange = connections.answers[len(arms), end - 1]
    if strange:
        label = groups.labels[int(connections.foreign[end - 1])]
        counts[label] = float(strange / connections.planned[end - 1])
    return counts


def _carry(evidence: Evidence, draws: Draws, end: int) -> Carry:
    """Count the connections since the last one that met an arm, and that did not."""
    agrees = np.concatenate([draws.hit[:, :end], ~draws.hit[:, :end]])
    lengths = run_lengths(agrees, evidence.carry.clean)
    return Carry(evidence.carry.restarts, tuple(lengths[:, -1].tolist()), evidence.carry.chains)


def _added(before: tuple[int, ...], new: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(old + more for old, more in zip(before, new.tolist(), strict=True))


def _with_more(
    before: Results, parts: Parts, arm: int, first_of: NDArray[np.intp], kind: NDArray[np.intp]
) -> Results:
    """Add what the next connections came to for one arm, given their kinds."""
    after = Counter(before)
    columns = (parts.met[arm], parts.lost, parts.length)
    kinds = zip(*(column[first_of].tolist() for column in columns), strict=True)
    for result, count in zip(kinds, np.bincount(kind).tolist(), strict=False):
        if count:
            after[result] += count
    return after


def _at_peaks(
    evidence: Evidence,
    groups: Grouped,
    weighed: Weighed,
    parts: Parts,
    first_of: NDArray[np.intp],
    kind: NDArray[np.intp],
) -> tuple[Results, ...]:
    """Keep what the connections came to at the new peaks, as `raise_peaks` has them."""
    kept = []
    half = len(evidence.scales.arms)
    for row, (peak, before) in enumerate(zip(evidence.peaks, groups.at_peaks, strict=True)):
        values = weighed.passing[row, : len(kind)]
        at = int(values.argmax())
        if values[at] > 1 and log(values[at]) > peak.log_evidence:
            arm = evidence.scales.arms[row % half]
            before = groups.results[arm]  # noqa: PLW2901 - of this peak from here on
            kept.append(_with_more(before, parts, arm, first_of, kind[: at + 1]))
        else:
            kept.append(before)
    return tuple(kept)


def _first_from(evidence: Evidence, groups: Grouped, parts: Parts, end: int) -> int | None:
    if groups.first_from is not None or not parts.uses_first[end - 1]:
        return groups.first_from
    return evidence.judged + int(parts.uses_first.argmax())
