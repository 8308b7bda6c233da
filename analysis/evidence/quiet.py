"""Quiet slices: connections among which nothing is decided, weighed at a fraction of the cost.

A verdict falls at one connection of a run. Everywhere else it suffices to know that none fell,
and what is carried on. Both follow from the ends of *segments*, neighbours with one label:

* within a segment each bet grows or shrinks all the way, so what it was worth at most is what it
  was worth at one of the ends. If the sum of these highest values is below what a verdict takes,
  none fell in between; if not, every connection is looked at (`analysis.evidence.rules`);
* the stakes that the restarted part places within a segment add up to a geometric series.

So the decision is the same, after the same connection; only rounding differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.scales import CEILING, MAX_EXPONENT, RESTART_WEIGHT, Carry
from analysis.evidence.rules import LOOK_EVERY
from analysis.evidence.state import Peak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bets.scales import Scales, Terms
    from analysis.data.policy import Policy
    from analysis.data.split import Band

_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """Scales as matrices that act on the counts (n, x of each of the A arms, missing).

    Parameters
    ----------
    passing : (p, A + 2) float
        Log factors of the bets of the PASS side.
    pass_weight : (2A, p) float
        Their stakes, by row.
    failing : (f, A + 2) float
        Log factors of the bets of the FAIL side.
    series : (f, A + 2) float
        Factors of the geometric series in segments without and with the label.
    pooling : (A, f) float
        As in `Scales`.
    tested : (A, 1) int
        The arms.
    """

    passing: NDArray[np.float64]
    pass_weight: NDArray[np.float64]
    failing: NDArray[np.float64]
    series: NDArray[np.float64]
    pooling: NDArray[np.float64]
    tested: NDArray[np.intp]


@lru_cache(maxsize=16)
def compiled(scales: Scales) -> Compiled:
    """Compile scales; they are compared by identity, so a run's are compiled once."""
    arms, failing = len(scales.arms), scales.failing
    without, with_label = (
        1 / -np.expm1(-d) for d in (failing.without, failing.without + failing.gain)
    )
    series = np.zeros((len(failing.row), arms + 2))
    series[:, 0], series[:, -1] = without, -without
    series[np.arange(len(failing.row)), 1 + failing.row % arms] = with_label - without
    rows = np.arange(2 * arms).reshape(-1, 1)
    return Compiled(
        passing=_matrix(scales.passing, arms),
        pass_weight=np.where(scales.passing.row == rows, scales.passing.weight, 0.0),
        failing=_matrix(failing, arms),
        series=series,
        pooling=scales.pooling,
        tested=np.array(scales.arms, dtype=np.intp).reshape(-1, 1),
    )


def _matrix(terms: Terms, arms: int) -> NDArray[np.float64]:
    matrix = np.zeros((len(terms.row), arms + 2))
    matrix[:, 0] = terms.without
    matrix[np.arange(len(terms.row)), 1 + terms.row % arms] = terms.gain
    # "At least" rows count a missing label as one with theirs, up to the relief.
    matrix[:, -1] = np.where(terms.row >= arms, terms.gain, 0.0)
    if terms.relief is not None:
        matrix[:, -1] += terms.relief
    return matrix


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Neighbours with one label, taken together; each connection without a label stands alone.

    Parameters
    ----------
    ends : (s,) int
        Connections up to the end of each segment, since the slice began.
    kinds : (A + 2, s) float
        1 in the first row; whether each segment met each tested arm; whether it has no label.
    counts : (A + 2, s + 1) float
        Connections, those that met each tested arm, and those without a label: when the
        slice began, and after each segment.
    has_missing : bool
        Whether some connection of the slice has no label.
    """

    ends: NDArray[np.intp]
    kinds: NDArray[np.float64]
    counts: NDArray[np.float64]
    has_missing: bool

    @classmethod
    def of(
        cls, arms: NDArray[np.intp], none: int, tested: NDArray[np.intp], before: Sequence[float]
    ) -> Segments:
        """Cut a slice.

        Parameters
        ----------
        arms : (m,) int
            Arm of each connection; `none` for one without a label.
        none : int
            Its code.
        tested : (A, 1) int
            The tested arms.
        before : (A + 2,) sequence of float
            The counts when the slice began.
        """
        cuts = np.empty(len(arms), dtype=bool)
        np.not_equal(arms[1:], arms[:-1], out=cuts[:-1])
        cuts[-1] = True
        has_missing = bool(arms.max() == none)
        if has_missing:
            cuts |= arms == none
        last = cuts.nonzero()[0]
        met, ends = arms[last], last + 1
        kinds = np.empty((len(tested) + 2, len(ends)))
        kinds[0] = 1.0
        np.equal(met, tested, out=kinds[1:-1], casting="unsafe")
        np.equal(met, none, out=kinds[-1], casting="unsafe")
        lengths = ends.astype(np.float64)
        lengths[1:] -= ends[:-1]
        counts = np.empty((len(kinds), len(ends) + 1))
        counts[:, 0] = before
        np.multiply(kinds, lengths, out=counts[:, 1:])
        np.add.accumulate(counts, axis=1, out=counts)
        return cls(ends, kinds, counts, has_missing)


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What a quiet slice leaves: new peaks, the carry, and the FAIL evidence of each arm."""

    peaks: tuple[Peak, ...]
    carry: Carry
    fail_by_arm: tuple[float, ...]


def weigh_quietly(
    scales: Scales,
    policy: Policy,
    bands: Sequence[Band],
    segments: Segments,
    peaks: tuple[Peak, ...],
    carry: Carry,
) -> Weighed | None:
    """Weigh a slice, if it can be shown that nothing is decided within it.

    Parameters
    ----------
    scales : Scales
        Of a run in which each tested arm has a share between 0 and 1.
    policy : Policy
    bands : (A,) sequence of Band
        Of the tested arms.
    segments : Segments
        Of the slice; no label in it is unexpected.
    peaks, carry
        What the connections before these left.

    Returns
    -------
    Weighed or None
        None if something may be decided: then every connection has to be looked at.
    """
    if segments.counts[-1, -1] and not _missing_is_harmless(scales, policy, bands, segments):
        return None
    matrices = compiled(scales)
    raised = _passing(matrices, policy.beta, segments, peaks)
    if raised is None:
        return None
    failing = _failing(scales, matrices, 1 / policy.alpha, segments, carry)
    return None if failing is None else Weighed(raised, *failing)


def _missing_is_harmless(
    scales: Scales, policy: Policy, bands: Sequence[Band], segments: Segments
) -> bool:
    """Whether no rule about missing labels can hold in the slice.

    Both ask for a proof that a share is beyond some edge, which takes that it is seen there.
    Shares move one way within a segment.
    """
    if segments.has_missing and has_chains(scales):
        return False  # their bets on "all" and "none" have no series
    n, missing, x = segments.counts[0], segments.counts[-1], segments.counts[1:-1]
    if n[-1] >= LOOK_EVERY and (missing > policy.max_unlabelled * n).any():
        return False
    arms = len(bands)
    for row, band in enumerate(bands):
        if (x[row] + scales.lost[row] * missing < band.low * n).any():
            return False
        if (x[row] + scales.lost[row + arms] * missing > band.high * n).any():
            return False
    return True


def has_chains(scales: Scales) -> bool:
    """Whether a missing label takes only a part of the bets on "all" and "none"."""
    return bool(scales.extremes.lost)


def _passing(
    matrices: Compiled, beta: float, segments: Segments, peaks: tuple[Peak, ...]
) -> tuple[Peak, ...] | None:
    """Raise the peaks of the PASS side; None if all hypotheses are refuted then."""
    threshold = -log(beta)
    if min(peak.log_evidence for peak in peaks) >= threshold:
        return None
    bets = matrices.passing @ segments.counts[:, 1:]
    np.minimum(bets, MAX_EXPONENT, out=bets)
    np.exp(bets, out=bets)
    evidence = matrices.pass_weight @ bets
    highest = evidence.argmax(axis=1).tolist()
    raised = list(peaks)
    for row, (peak, at) in enumerate(zip(peaks, highest, strict=True)):
        value = evidence.item(row, at)
        if value <= 1 or (height := log(value)) <= peak.log_evidence:
            continue
        counts = segments.counts[:, at + 1].tolist()
        x = counts[1 + row % (len(peaks) // 2)]
        raised[row] = Peak(height, int(counts[0]), int(x), int(counts[-1]))
    if min(peak.log_evidence for peak in raised) * _ROUNDING >= threshold:
        return None
    return tuple(raised)


def _failing(
    scales: Scales, matrices: Compiled, threshold: float, segments: Segments, carry: Carry
) -> tuple[Carry, tuple[float, ...]] | None:
    """Carry the FAIL side on; None if it may have reached its threshold."""
    arms, counts, stake = len(scales.arms), segments.counts, 1 / scales.horizon
    length = int(segments.ends[-1])
    ratios = matrices.failing @ counts
    restarts = np.array(carry.restarts)
    clean, longest = _clean_runs(segments, carry)

    # No bet was ever worth more than at its best end, nor a stake more than by the best rise.
    best = ratios.max(axis=1)
    rise = np.minimum.accumulate(ratios, axis=1)
    np.subtract(ratios, rise, out=rise)
    since = np.minimum(np.stack([best, best - ratios[:, 0], rise.max(axis=1)]), MAX_EXPONENT)
    plain, gained, fresh = np.exp(since, out=since)
    again = gained * restarts + length * stake * fresh
    at_most = float((matrices.pooling @ _mixed(plain, again)).sum())
    at_most += (
        float(scales.extremes.weight @ _mixed(*_extremes_at_most(scales, carry, longest, counts)))
        / 2
    )
    at_most += arms * RESTART_WEIGHT * max(scales.horizon - counts.item(0, 0), 0) * stake
    if at_most / arms * _ROUNDING >= threshold:
        return None

    last = ratios[:, -1].copy()
    to_end = np.subtract(last[:, None], ratios, out=ratios)
    np.minimum(to_end, MAX_EXPONENT, out=to_end)
    np.exp(to_end, out=to_end)
    stakes = ((to_end[:, :-1] - to_end[:, 1:]) @ segments.kinds.T * matrices.series).sum(axis=1)
    if segments.has_missing:
        stakes += to_end[:, :-1] @ segments.kinds[-1]
    again = np.minimum(restarts * to_end[:, 0] + stake * stakes, CEILING)
    plain = np.exp(np.minimum(last, MAX_EXPONENT))
    by_arm = matrices.pooling @ _mixed(plain, again)
    extremes = _extremes_after(scales, carry, clean, counts)
    by_arm += (scales.extremes.weight * _mixed(*extremes)).reshape(2, arms).sum(axis=0) / 2
    by_arm += RESTART_WEIGHT * max(scales.horizon - counts.item(0, -1), 0) * stake
    chains = tuple(zip(*extremes.tolist(), strict=True)) if has_chains(scales) else ()
    return Carry(tuple(again.tolist()), tuple(clean), chains), tuple(by_arm.tolist())


def _mixed(plain: NDArray[np.float64], again: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix the plain part of the FAIL evidence with the restarted one."""
    return (1 - RESTART_WEIGHT) * plain + RESTART_WEIGHT * again


def _clean_runs(segments: Segments, carry: Carry) -> tuple[list[int], list[int]]:
    """Count connections since a row's bet on "all" or "none" was contradicted: now, at most."""
    hit = segments.kinds[1:-1]
    contradicts = np.concatenate([1 - hit, hit + segments.kinds[-1]])
    last = np.where(contradicts, segments.ends, -np.array(carry.clean).reshape(-1, 1))
    clean = segments.ends - np.maximum.accumulate(last, axis=1)
    return clean[:, -1].tolist(), clean.max(axis=1).tolist()


def _extremes_at_most(
    scales: Scales, carry: Carry, longest: Sequence[int], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the most that the bets on "all" and "none", plain and restarted, were worth: (2, 2A)."""
    before, length = counts.item(0, 0), counts.item(0, -1) - counts.item(0, 0)
    worth = []
    for row, (log_factor, clean) in enumerate(
        zip(scales.extremes.log_factor.tolist(), longest, strict=True)
    ):
        if has_chains(scales):
            worth.append(_grown(scales, log_factor, carry.chains[row], min(clean, length)))
        else:
            plain = (
                exp(min(log_factor * clean, MAX_EXPONENT)) if carry.clean[row] == before else 0.0
            )
            worth.append((plain, _series(scales, log_factor, clean)))
    return np.array(worth).T


def _extremes_after(
    scales: Scales, carry: Carry, clean: Sequence[int], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give what the bets on "all" and "none", plain and restarted, are worth now: (2, 2A)."""
    n, length = counts.item(0, -1), counts.item(0, -1) - counts.item(0, 0)
    worth = []
    for row, (log_factor, now) in enumerate(
        zip(scales.extremes.log_factor.tolist(), clean, strict=True)
    ):
        if has_chains(scales) and now == carry.clean[row] + length:
            worth.append(_grown(scales, log_factor, carry.chains[row], length))
        else:
            plain = (
                exp(min(log_factor * n, MAX_EXPONENT))
                if now == n and not has_chains(scales)
                else 0.0
            )
            worth.append((plain, _series(scales, log_factor, now)))
    return np.array(worth).T


def _grown(
    scales: Scales, log_factor: float, chain: tuple[float, float], length: float
) -> tuple[float, float]:
    """Follow a bet through connections that all agree with it."""
    won = exp(min(log_factor * length, MAX_EXPONENT))
    again = chain[1] * won + _series(scales, log_factor, length)
    return min(chain[0] * won, CEILING), min(again, CEILING)


def _series(scales: Scales, log_factor: float, length: float) -> float:
    """Add up the stakes placed at each of so many connections: f + f^2 + ..., over the horizon."""
    grown = expm1(min(log_factor * length, MAX_EXPONENT))
    return grown * exp(log_factor) / (expm1(log_factor) * scales.horizon)
