"""How the evidence grew: the values that a decision looked at, at some of its looks.

The samples are weighed once more, in the order of their sending, by the fold that decided. A
run of any length becomes a few hundred numbers; drawing them costs the same for a hundred
connections as for ten million.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.mixture import RESTART_WEIGHT
from analysis.data.batch import Batch, judged_rows
from analysis.data.split import Split
from analysis.review.policies import told_policy
from analysis.review.timeline import early_looks, ordered_labels
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import weighed_again

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.policy import Policy
    from analysis.data.report import Report
    from analysis.evidence.state import Evidence
    from analysis.weighing.history import History

MOST_LOOKS = 160
"""Looks that are kept, at most; the first connections lie closer together."""
EXACT = 200_000
"""Connections that are weighed one by one; beyond, the evidence is that of the counts."""

_NS_PER_S = 1e9
_MOST_NATS = 700.0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Evidence at m looks of one run, the last one where the decision fell or the run ended.

    Parameters
    ----------
    arms : tuple of str
        Labels whose share is counted; a share of 0 or 1 has no row of its own.
    judged : (m,) int
        Connections judged by then; increasing.
    at_s : (m,) float
        When the last of them was sent [s since the run began].
    passing : (2A, m) float
        Highest log evidence so far against "too low" of each arm, then against "too high"
        [nats], >= 0. PASS asks that each has reached `pass_at`.
    clean : (m,) float or None
        Highest log evidence so far that shares of 0 and 1 are not contradicted [nats]; PASS
        asks for `pass_at` here, too. None where no share is 0 or 1.
    failing : (m,) float
        Log evidence that a share is outside its tolerance [nats]; FAIL at `fail_at`. Empty
        where every share is 0 or 1, since one label decides there.
    pass_at, fail_at : float
        The boundaries [nats]: ``-log(beta)`` and ``-log(alpha)``.
    is_exact : bool
        Whether all connections were weighed one by one. Otherwise, beyond `EXACT` of them,
        `passing` knows the looks only and `failing` leaves its restarted part out.
    """

    arms: tuple[str, ...]
    judged: NDArray[np.int64]
    at_s: NDArray[np.float64]
    passing: NDArray[np.float64]
    clean: NDArray[np.float64] | None
    failing: NDArray[np.float64]
    pass_at: float
    fail_at: float
    is_exact: bool = True

    @property
    def weakest(self) -> NDArray[np.float64]:
        """The least of the evidences that PASS asks for, at each look: (m,) [nats]."""
        rows = [*self.passing] if self.clean is None else [*self.passing, self.clean]
        least: NDArray[np.float64] = np.min(rows, axis=0)
        return least


def trace(batch: Batch, report: Report, policy: Policy) -> Trace | None:
    """Weigh a run once more and keep what the decision looked at.

    Parameters
    ----------
    batch : Batch
        All samples of the run, in send order.
    report : Report
        Of the same run.
    policy : Policy
        That the run was judged by.

    Returns
    -------
    Trace or None
        None where nothing was judged; where these samples, this policy and this report do not
        belong together, because the figure of another decision would mislead; and where
        connections were judged by the mean of several answers.
    """
    expected, decision = report.expected, report.decision
    rows = judged_rows(batch)
    if expected is None or decision is None or not decision.decided_after:
        return None
    rows = rows[: decision.decided_after]
    split = Split.of(expected.weights)
    if len(rows) < decision.decided_after or not _fits(report, split, policy):
        return None
    expectation = Fixed(split, policy, report.run.seed)
    evidence = expectation.evidence
    if evidence.groups is not None or len(rows) > evidence.budget:
        return None
    places = early_looks(len(rows), MOST_LOOKS)
    ends = (places[places < EXACT] + 1).tolist()
    parts = (_draws(batch, rows[first:end]) for first, end in pairwise([0, *ends]))
    points = list(weighed_again(expectation, parts))
    if [point.judged for point in points] != ends:
        return None  # settled earlier than the report says
    kept = _kept(points)
    if len(points) < len(places):
        kept = _continued(kept, points[-1], _counts(batch, report, split, rows, places))
    if not _agrees(points[-1], report, len(rows)):
        return None
    return Trace(
        arms=tuple(split.arms[arm] for arm in evidence.bets.arms),
        judged=places + 1,
        at_s=batch.sent_ns[rows[places]] / _NS_PER_S,
        passing=kept[0],
        clean=kept[1] if evidence.clean is not None else None,
        failing=kept[2],
        pass_at=-log(policy.beta),
        fail_at=-log(policy.alpha),
        is_exact=len(points) == len(places),
    )


def retraced(
    batch: Batch, report: Report, policy: Policy | None, history: History | None
) -> Trace | None:
    """Weigh a run once more, as its report says that it was weighed.

    Parameters
    ----------
    batch : Batch
        All samples.
    report : Report
        Of the run.
    policy : Policy or None
        That the run was judged by, its budget included; None takes what the report tells of it.
    history : History or None
        What happened to its expectation, where that was watched.

    Returns
    -------
    Trace or None
        As `trace`.
    """
    for each in (policy, told_policy(report)):
        if each is None:
            continue
        found = trace(batch, report, each)
        if found is None and history is not None:
            found = trace(*history.alone(batch, report), history.policy(each))
        if found is not None:
            return found
    return None


_Kept = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def _fits(report: Report, split: Split, policy: Policy) -> bool:
    """Whether a policy accepts what the report says was accepted."""
    expected, decision = report.expected, report.decision
    if expected is None or decision is None:
        return False
    if (policy.alpha, policy.beta) != (decision.alpha, decision.beta):
        return False
    try:
        bands = policy.tolerance.bands(split)
    except ValueError:
        return False
    return all(
        np.allclose(band.clipped, expected.tolerance.get(band.arm, (2.0, 2.0))) for band in bands
    )


def _agrees(last: Evidence, report: Report, n: int) -> bool:
    """Whether the fold came to what the report says, as far as it was followed."""
    if last.judged < n:
        return True
    return last.answers == report.observed.counts


def _draws(batch: Batch, rows: NDArray[np.intp]) -> Batch:
    """Return some samples as a batch, with only the columns that the fold reads."""
    nothing = np.full(len(rows), -1, dtype=np.int32)
    times = batch.sent_ns[rows]
    return Batch(
        first=0,
        scheduled_ns=times,
        sent_ns=times,
        first_byte_ns=times,
        done_ns=times,
        connection=batch.connection[rows],
        ordinal=batch.ordinal[rows],
        label=batch.label[rows],
        replica=nothing,
        status=batch.status[rows],
        outcome=batch.outcome[rows],
        worker=batch.worker[rows],
        labels=batch.labels,
    )


def _kept(points: list[Evidence]) -> _Kept:
    rows = len(points[0].peaks)
    passing = np.array([[peak.log_evidence for peak in point.peaks] for point in points])
    clean = np.array([point.clean_peak.log_evidence for point in points])
    failing = np.array([point.log_fail for point in points if point.fail_by_arm])
    return passing.reshape(len(points), rows).T, clean, failing


def _counts(
    batch: Batch,
    report: Report,
    split: Split,
    rows: NDArray[np.intp],
    places: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count, at the looks beyond `EXACT`: connections, those by arm (k, m), those unlabelled."""
    labels, row_of = ordered_labels(batch, report)
    segment = np.searchsorted(places, np.arange(len(rows)))
    wide = len(labels) + 1
    grid = np.bincount(
        row_of[batch.label[rows]] * len(places) + segment, minlength=wide * len(places)
    ).reshape(wide, len(places))
    counts = grid.cumsum(axis=1)[:, places >= EXACT]
    return (places + 1)[places >= EXACT], counts[: len(split.arms)], counts[-1]


def _continued(
    kept: _Kept,
    last: Evidence,
    later: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> _Kept:
    """Go on from counts alone: closed forms at each look, instead of a fold."""
    n, counts, missing = later
    passing, clean, failing = kept
    bets = last.bets
    more_clean = np.full(len(n), clean[-1])
    if not bets.arms:
        return passing, np.concatenate([clean, more_clean]), failing
    x = counts[list(bets.arms)]
    with np.errstate(divide="ignore"):
        more = np.log(bets.passing.mixed(bets.passing.log_ratios(n, x, missing)))
    joined = np.maximum.accumulate(np.concatenate([passing, more], axis=1), axis=1)
    ratios = np.minimum(bets.failing.log_ratios(n, x, missing), _MOST_NATS)
    by_row = (1 - RESTART_WEIGHT) * bets.failing.pooled(np.exp(ratios))
    plain = bets.by_arm(by_row).mean(axis=0)
    with np.errstate(divide="ignore"):
        more_failing = np.log(plain)
    return (
        joined,
        np.concatenate([clean, more_clean]),
        np.concatenate([failing, more_failing]),
    )
