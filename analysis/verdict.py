"""The verdict: what the policy makes of the evidence, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto, unique
from math import log
from typing import TYPE_CHECKING

from analysis import reasons
from analysis.boundaries import is_certain
from analysis.causes import likely_causes
from analysis.report import Check, Reason, ReasonCode, Verdict
from analysis.split import tested_arms

if TYPE_CHECKING:
    from analysis.evidence import Evidence
    from analysis.tally import Tally

__all__ = ["Decision", "Ended", "Verdict", "decide"]


@unique
class Ended(Enum):
    """Why sampling came to its end without a verdict."""

    SAMPLES = auto()
    """The samples are used up."""
    TIME = auto()
    """The time is up."""
    INTERRUPTED = auto()
    """Stopped from outside."""
    CLIENT_LIMIT = auto()
    """This machine cannot open more connections."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reasons.

    Parameters
    ----------
    verdict : Verdict
        INCONCLUSIVE as long as the run goes on.
    is_final : bool
        Whether sampling is over: nothing that follows would change the verdict.
    reasons : tuple of Reason
        The first one is the reason of the verdict.
    checks : tuple of Check
        The parts; empty as long as the run goes on.
    decided_after : int
        Judged connections.
    """

    verdict: Verdict
    is_final: bool
    reasons: tuple[Reason, ...]
    checks: tuple[Check, ...]
    decided_after: int


SETTLED = {
    ReasonCode.WITHIN_TOLERANCE: (Verdict.PASS, reasons.within_tolerance),
    ReasonCode.OUTSIDE_TOLERANCE: (Verdict.FAIL, reasons.outside_tolerance),
    ReasonCode.UNEXPECTED_LABEL: (Verdict.FAIL, reasons.unexpected_label),
    ReasonCode.TOO_MANY_UNLABELLED: (Verdict.FAIL, reasons.too_many_unlabelled),
    ReasonCode.MISSING_LABELS: (Verdict.INCONCLUSIVE, reasons.missing_labels),
}
"""Verdict and reason of each rule that settles a run."""

ENDED = {
    Ended.TIME: reasons.time_spent,
    Ended.INTERRUPTED: reasons.interrupted,
    Ended.CLIENT_LIMIT: reasons.client_limit,
}


def decide(evidence: Evidence, ended: Ended | None = None, seen: Tally | None = None) -> Decision:
    """Give the verdict on a run, final or not.

    Parameters
    ----------
    evidence : Evidence
        Of the samples so far, in the order of sending.
    ended : Ended or None
        Why no more samples come, if so. It does not touch a verdict that has fallen.

    seen : Tally or None
        All samples of the run, if each was an independent draw; hints at causes, which carry
        no error rate, are taken from them (`likely_causes`).

    Returns
    -------
    Decision
        PASS and FAIL only if the evidence is settled; a run without a single judged
        connection is INCONCLUSIVE.
    """
    is_spent = evidence.judged >= evidence.budget
    if evidence.settled is None and ended is None and not is_spent:
        return Decision(
            Verdict.INCONCLUSIVE, False, (reasons.undecided(evidence),), (), evidence.judged
        )
    verdict, reason = _outcome(evidence, ended, is_spent=is_spent)
    hints = () if verdict is Verdict.PASS else likely_causes(evidence, seen)
    return Decision(
        verdict, True, (reason, *hints), _checks(evidence, verdict, reason), evidence.judged
    )


def _outcome(evidence: Evidence, ended: Ended | None, *, is_spent: bool) -> tuple[Verdict, Reason]:
    if evidence.settled is not None:
        verdict, explain = SETTLED[evidence.settled]
        return verdict, explain(evidence)
    if is_spent:
        return Verdict.INCONCLUSIVE, reasons.budget_spent(evidence)
    explain = (
        reasons.few_connections if ended is None else ENDED.get(ended, reasons.few_connections)
    )
    return Verdict.INCONCLUSIVE, explain(evidence)


def _checks(evidence: Evidence, verdict: Verdict, reason: Reason) -> tuple[Check, ...]:
    shares = tuple(
        Check(
            f"share of {arm}",
            _share_verdict(evidence, arm, verdict),
            reasons.share_sentence(evidence, arm),
        )
        for arm in (evidence.split.arms[position] for position in tested_arms(evidence.split))
    )
    return (
        Check("split", verdict, reason.message),
        *shares,
        _unexpected(evidence, reason),
        _unlabelled(evidence),
    )


def _share_verdict(evidence: Evidence, arm: str, verdict: Verdict) -> Verdict:
    """Judge one arm: of a FAIL by counting, the arm with the strongest evidence failed."""
    if verdict is Verdict.PASS:
        return Verdict.PASS
    band = evidence.bands[evidence.split.arms.index(arm)]
    if is_certain(band):
        has_departed = band.expected == 0 and evidence.counts[arm] > 0
        return Verdict.FAIL if has_departed else Verdict.INCONCLUSIVE
    if evidence.settled is ReasonCode.OUTSIDE_TOLERANCE and arm == reasons.culprit(evidence):
        return Verdict.FAIL
    return Verdict.PASS if _passes(evidence, arm) else Verdict.INCONCLUSIVE


def _passes(evidence: Evidence, arm: str) -> bool:
    band = evidence.bands[evidence.split.arms.index(arm)]
    n, x = evidence.judged, evidence.counts[arm]
    refuted = all(
        peak.log_evidence >= -log(evidence.policy.beta) for peak in evidence.peaks_of(arm)
    )
    return refuted and band.low < x / n and (x + evidence.missing) / n < band.high


def _unexpected(evidence: Evidence, reason: Reason) -> Check:
    name = "unexpected labels"
    if evidence.settled is ReasonCode.UNEXPECTED_LABEL:
        return Check(name, Verdict.FAIL, reason.message)
    verdict = Verdict.PASS if evidence.labelled else Verdict.INCONCLUSIVE
    return Check(name, verdict, f"None among {evidence.labelled} labels.")


def _unlabelled(evidence: Evidence) -> Check:
    if evidence.settled is ReasonCode.TOO_MANY_UNLABELLED:
        verdict = Verdict.FAIL
    elif evidence.settled is ReasonCode.MISSING_LABELS or not evidence.judged:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.PASS
    return Check("unlabelled", verdict, reasons.unlabelled_sentence(evidence))
