"""The account of a live run: what happened around its samples, for `analysis.weighing.report`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from analysis import Outcome
from analysis.data.report import Performance, Reason, ReasonCode, Run
from analysis.text.rounding import amount, counted
from analysis.verdict.decision import Ended
from analysis.verdict.losses import doubt_of_loss, told_of_loss, vantages_lost
from analysis.verdict.reasons import SPARE_THE_TARGET
from analysis.weighing.report import Account, Asked
from sampler.base.clock import NS_PER_S
from sampler.base.version import __version__
from sampler.engine.saturation import cpu_s
from sampler.exchange.record import HOLD_NS
from sampler.exchange.transport.base import Closing
from sampler.labels.missing import place_of
from sampler.run.remedies import explain_place

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from analysis import Tally
    from sampler.engine.effort import Effort
    from sampler.exchange.failure import Failure
    from sampler.plan.run import RunPlan
    from sampler.run.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Course:
    """How a live run went, beside its plan, its samples and its engine.

    Parameters
    ----------
    started_at : datetime
        Start of the run.
    cpu_s : float
        CPU time of this process when the run was made [s].
    path : Path or None
        The run's folder.
    warnings : list of str
        What this machine's limits may do to the plan.
    unmeasurable : Reason or None
        Why nothing could be measured, if so.
    interruptions : int
        How often the run was told to stop from outside.
    waiting : Waiting or None
        What was asked before the run.
    """

    started_at: datetime
    cpu_s: float
    path: Path | None
    warnings: list[str]
    unmeasurable: Reason | None
    interruptions: int
    waiting: Waiting | None = None


def asked_of(plan: RunPlan) -> Asked:
    """Return what a plan asks, as far as a report needs it."""
    return Asked(
        policy=plan.deciding_policy,
        source=plan.source,
        views=plan.views,
        replica_counts=plan.replica_counts,
        previous=plan.previous,
        is_fresh=plan.load.connection.is_fresh,
        is_paced=plan.load.rate is not None,
    )


def account_of(plan: RunPlan, effort: Effort, tally: Tally, course: Course) -> Account:
    """Return what happened around the samples of a run that is over."""
    return Account(
        performance=_performance(plan, effort, tally, course),
        run=_run(plan, course),
        ended=_ended(effort, tally, course),
        shed=effort.shed,
        unmeasurable=course.unmeasurable,
        overload=None if effort.overload is None else _explain_overload(effort, tally),
        remedies=_remedies(plan, effort, tally),
        lost=vantages_lost(effort.workers) if any(each.gone for each in effort.workers) else None,
        doubt=partial(_doubt, plan, effort, tally),
        zone_doubts={
            zone: partial(_doubt, plan, effort.of_zone(zone, plan.zone_of), tally)
            for zone in dict.fromkeys(plan.zone_of)
        },
        notes=tuple(_notes(plan, effort, tally, course)),
    )


def _remedies(plan: RunPlan, effort: Effort, tally: Tally) -> dict[ReasonCode, str]:
    """Return where the version is, if no expected label came and another place has one."""
    arms = () if plan.split is None else plan.split.arms
    if effort.example is None or any(tally.labels[arm] for arm in arms):
        return {}
    place = place_of(*effort.example, arms)
    if place is None or place[1] not in arms:
        return {}
    return {ReasonCode.UNEXPECTED_LABEL: explain_place(*place)}


def _ended(effort: Effort, tally: Tally, course: Course) -> Ended:
    if course.interruptions:
        return Ended.INTERRUPTED
    if effort.overload is not None:
        return Ended.OVERLOADED
    if tally.outcomes[Outcome.CLIENT_LIMIT]:
        return Ended.CLIENT_LIMIT
    return Ended.TIME if effort.reached_max_time else Ended.SAMPLES


def _explain_overload(effort: Effort, tally: Tally) -> Reason:
    return Reason(
        ReasonCode.TARGET_OVERLOADED,
        f"The target is overloaded: {effort.overload}. Sending stopped after "
        f"{tally.launched} requests.",
        SPARE_THE_TARGET,
    )


def _doubt(plan: RunPlan, effort: Effort, tally: Tally, reason: Reason) -> Reason | None:
    """Explain what clients that were lost or late could have done to the verdict, if anything."""
    if (loss := doubt_of_loss(effort.workers, reason)) is not None:
        return loss
    limit = plan.policy.max_unlabelled
    doubts = (each.doubt(reason.code, tally.outcomes, limit) for each in effort.strains)
    doubt = next(filter(None, doubts), None)
    if doubt is None:
        return None
    return Reason(
        ReasonCode.CLIENT_SATURATED,
        f"Nothing is claimed: {doubt}. Without that: {reason.message}",
        "Lower --rate or --concurrency, lengthen --timeout, or run on a machine with a free core.",
    )


def _performance(plan: RunPlan, effort: Effort, tally: Tally, course: Course) -> Performance:
    strain, load = effort.strain, plan.load
    return Performance(
        transport=effort.transport,
        duration_s=effort.duration_ns / NS_PER_S,
        rate_per_s=tally.launched / strain.sending_s,
        cpu_us_per_request=(cpu_s() - course.cpu_s + effort.cpu_s) / max(tally.launched, 1) * 1e6,
        client_saturated=strain.is_saturated,
        concurrency=load.concurrency,
        offered_per_s=load.rate,
        connection=str(load.connection),
        cpu_share=strain.cpu_share,
        loop_lag_ms=strain.lag.summary_ms(),
        lateness_ms=None if strain.lateness is None else strain.lateness.summary_ms(),
        max_rate_per_s=load.max_rate,
        closed={closing.key: n for closing, n in zip(Closing, effort.closings, strict=False) if n},
        workers=list(effort.workers),
    )


def _run(plan: RunPlan, course: Course) -> Run:
    path = course.path
    return Run(
        id=plan.name if path is None else path.name,
        path=None if path is None else str(path),
        seed=plan.seed,
        started_at=course.started_at.isoformat(timespec="milliseconds"),
        version=__version__,
        target=f"{plan.target.method} {plan.target.shown}",
        label=str(plan.label),
        command=plan.command,
        commit=plan.commit,
    )


def _strain_notes(effort: Effort) -> list[str]:
    """Explain what was too much: for the target, and for this machine."""
    notes = []
    if effort.overload is not None:
        notes.append(f"the target is overloaded: {effort.overload}")
    if effort.pauses:
        notes.append(
            f"sending paused {effort.pauses} times because the target asked for it (Retry-After)"
        )
    strain = effort.strain
    if strain.is_saturated:
        notes.append(
            f"the client was saturated ({strain.cpu_share * 100:.0f} % of a core, event "
            f"loop late by {strain.lag.quantile_ms(0.99):.0f} ms at the 99th percentile): "
            "shares do not depend on it, times do"
        )
    return notes


def _notes(plan: RunPlan, effort: Effort, tally: Tally, course: Course) -> list[str]:
    notes = [*plan.target.caveats, *course.warnings, *_strain_notes(effort)]
    if any(worker.gone for worker in effort.workers):
        ignored = "" if tally.outcomes[Outcome.LOST] else ", and they are left out"
        notes.append(f"{told_of_loss(effort.workers)}{ignored}")
    if course.waiting is not None and course.waiting.asked:
        asked = counted(course.waiting.asked, "request")
        waited = f"waited {course.waiting.waited_s:.1f} s for the target to answer"
        notes.append(f"{waited} ({asked}, not judged)")
    if effort.failed_lookups:
        notes.append(
            f"{plan.target.host} could not be looked up again, {effort.failed_lookups} "
            "times; the addresses known before stayed in use"
        )
    if effort.surplus:
        notes.append(
            f"kept connections sent more than was asked for, {amount(effort.surplus)} of "
            "them: only their first answers are known to belong to their requests, and later ones "
            f"that came within {HOLD_NS / NS_PER_S:g} s of it are not counted"
        )
    for outcome in sorted(tally.outcomes):
        failures = effort.failures.get(outcome)
        if failures and not _is_told(course, failures[0]):
            n = tally.outcomes[outcome]
            notes.append(f"{amount(n)} times {outcome.key}, for example: {failures[0].text}")
    return notes


def _is_told(course: Course, failure: Failure) -> bool:
    """Whether the reason for which nothing could be measured says it already."""
    return course.unmeasurable is not None and course.unmeasurable.failure == failure.code.key
