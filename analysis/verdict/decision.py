"""The verdict: what the policy makes of the evidence, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto, unique
from math import isfinite, log
from typing import TYPE_CHECKING

from analysis.bets.hypotheses import is_certain
from analysis.data.report import Check, Decided, Reason, ReasonCode, Verdict
from analysis.data.split import tested_arms
from analysis.text.rounding import counted
from analysis.verdict import reasons
from analysis.verdict.causes import likely_causes
from analysis.versions.health import checks_of, reasons_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.policy import Policy
    from analysis.data.tally import Tally
    from analysis.evidence.state import Evidence
    from analysis.verdict.causes import Surroundings
    from analysis.versions.health import HealthEvidence

__all__ = ["Decision", "Ended", "Verdict", "decide", "decided", "with_health"]


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
    OVERLOADED = auto()
    """The target cannot take more, or says so."""


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
    notes : tuple of str
        Sentences about the draws that change nothing about the verdict.
    """

    verdict: Verdict
    is_final: bool
    reasons: tuple[Reason, ...]
    checks: tuple[Check, ...]
    decided_after: int
    notes: tuple[str, ...] = ()


SETTLED = {
    ReasonCode.WITHIN_TOLERANCE: (Verdict.PASS, reasons.within_tolerance),
    ReasonCode.OUTSIDE_TOLERANCE: (Verdict.FAIL, reasons.outside_tolerance),
    ReasonCode.UNEXPECTED_LABEL: (Verdict.FAIL, reasons.unexpected_label),
    ReasonCode.TOO_MANY_UNLABELLED: (Verdict.FAIL, reasons.too_many_unlabelled),
    ReasonCode.MISSING_LABELS: (Verdict.INCONCLUSIVE, reasons.missing_labels),
    ReasonCode.NOT_STATIONARY: (Verdict.INCONCLUSIVE, reasons.not_stationary),
    ReasonCode.DEPENDENT_CONNECTIONS: (Verdict.INCONCLUSIVE, reasons.dependent_connections),
}
"""Verdict and reason of each rule that settles a run."""

ENDED = {
    Ended.INTERRUPTED: reasons.interrupted,
    Ended.CLIENT_LIMIT: reasons.client_limit,
    Ended.OVERLOADED: reasons.target_overloaded,
}


OF_SHARES = frozenset({
    ReasonCode.WITHIN_TOLERANCE, ReasonCode.OUTSIDE_TOLERANCE, ReasonCode.TOO_MANY_UNLABELLED,
})  # fmt: skip
"""Reasons that depend on who answered how often, and so on a client that loses requests.

A label that must not come is a proof.
"""


def decide(
    evidence: Evidence,
    ended: Ended | None = None,
    seen: Tally | None = None,
    around: Surroundings | None = None,
) -> Decision:
    """Return the verdict on a run, final or not.

    Parameters
    ----------
    evidence : Evidence
        Of the samples so far, in the order of sending.
    ended : Ended or None
        Why no more samples come, if so. It does not touch a verdict that has fallen.
    seen : Tally or None
        All samples of the run, if each was an independent draw; hints at causes, which carry
        no error rate, are taken from them (`likely_causes`).
    around : Surroundings or None
        What else is known of the run, for the same hints.

    Returns
    -------
    Decision
        PASS and FAIL only if the evidence is settled; a run without a single judged
        connection is INCONCLUSIVE.
    """
    is_spent = evidence.judged >= evidence.budget
    if evidence.settled is None and ended is None and not is_spent:
        return Decision(
            Verdict.INCONCLUSIVE,
            is_final=False,
            reasons=(reasons.undecided(evidence),),
            checks=(),
            decided_after=evidence.judged,
        )
    is_paced = around is not None and around.is_paced
    verdict, reason = _outcome(evidence, ended, is_spent=is_spent, is_paced=is_paced)
    hints = () if verdict is Verdict.PASS else likely_causes(evidence, seen, around)
    return Decision(
        verdict,
        is_final=True,
        reasons=(reason, *hints),
        checks=_checks(evidence, verdict, reason),
        decided_after=evidence.judged,
        notes=reasons.draw_notes(evidence),
    )


def decided(
    policy: Policy, after: int, checks: Sequence[Check], calibrated: int | None = None
) -> Decided:
    """Write a decision down, with what was asked of it.

    Parameters
    ----------
    policy : Policy
        What was asked.
    after : int
        Judged connections.
    checks : sequence of Check
        The parts.
    calibrated : int or None
        Budget that the thresholds were calibrated for.
    """
    return Decided(
        alpha=policy.alpha,
        beta=policy.beta,
        decided_after=after,
        checks=list(checks),
        tolerance=str(policy.tolerance),
        inner=policy.inner,
        missing_ratio=policy.missing_ratio if isfinite(policy.missing_ratio) else None,
        max_unlabelled=policy.max_unlabelled,
        per_connection=policy.per_connection,
        calibrated=calibrated,
    )


def with_health(decision: Decision, compared: Sequence[HealthEvidence], alpha: float) -> Decision:
    """Add the canary's health to the verdict on the split, where a limit was asked for.

    Parameters
    ----------
    decision : Decision
        On the split.
    compared : sequence of HealthEvidence
        Of the same samples: over all zones, and in each.
    alpha : float
        Chance of ever exceeding a limit that is kept, for each limit.

    Returns
    -------
    Decision
        FAIL with a reason for each limit that is proven to be exceeded, before those of the
        split; else the given one, with a check for each limit.
    """
    if not any(each.policy.gates for each in compared):
        return decision
    level = alpha / len(compared)
    checks = (*decision.checks, *(check for each in compared for check in checks_of(each, level)))
    worst: dict[ReasonCode, tuple[float, Reason]] = {}
    for each in compared:
        for nats, reason in zip(
            each.exceeded(level).values(), reasons_of(each, level), strict=True
        ):
            # Where only one zone is worse, the others take from what is seen over all.
            if nats > worst.get(reason.code, (0.0,))[0]:
                worst[reason.code] = nats, reason
    if not worst:
        return replace(decision, checks=checks)
    exceeded = (reason for _, reason in worst.values())
    # Sending ends with the first proof: that the split is undecided then is no news.
    rest = () if decision.verdict is Verdict.INCONCLUSIVE else decision.reasons
    return replace(decision, verdict=Verdict.FAIL, reasons=(*exceeded, *rest), checks=checks)


def _outcome(
    evidence: Evidence, ended: Ended | None, *, is_spent: bool, is_paced: bool
) -> tuple[Verdict, Reason]:
    if evidence.settled is not None:
        verdict, explain = SETTLED[evidence.settled]
        return verdict, explain(evidence)
    if is_spent:
        return Verdict.INCONCLUSIVE, reasons.budget_spent(evidence)
    if ended is Ended.TIME:
        return Verdict.INCONCLUSIVE, reasons.time_spent(evidence, is_paced=is_paced)
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
            arm,
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
    refuted = all(
        peak.log_evidence >= -log(evidence.policy.beta) for peak in evidence.peaks_of(arm)
    )
    if not refuted:
        return False
    least, most = evidence.least_and_most(arm)
    return band.low < least and most < band.high


def _unexpected(evidence: Evidence, reason: Reason) -> Check:
    name = "unexpected labels"
    if evidence.settled is ReasonCode.UNEXPECTED_LABEL:
        return Check(name, Verdict.FAIL, reason.message)
    verdict = Verdict.PASS if evidence.labelled else Verdict.INCONCLUSIVE
    return Check(name, verdict, f"None among {counted(sum(evidence.answers.values()), 'label')}.")


def _unlabelled(evidence: Evidence) -> Check:
    if evidence.settled is ReasonCode.TOO_MANY_UNLABELLED:
        verdict = Verdict.FAIL
    elif evidence.settled is ReasonCode.MISSING_LABELS or not evidence.judged:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.PASS
    return Check("unlabelled", verdict, reasons.unlabelled_sentence(evidence))
