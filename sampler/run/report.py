"""The account of a run: from what happened to its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis import Outcome, decide
from analysis.data.report import (
    Check,
    Expected,
    Groups,
    Observed,
    Performance,
    Reason,
    ReasonCode,
    Report,
    Run,
    Verdict,
)
from analysis.text.rounding import amount
from analysis.verdict import sections as measured
from analysis.verdict.causes import Surroundings
from analysis.verdict.decision import Ended, decided, with_health
from analysis.verdict.reasons import SPARE_THE_TARGET
from analysis.versions.correlation import groups_of, notes_on
from analysis.versions.health import health_of
from analysis.versions.least_request import pace_of
from analysis.versions.replicas import ReplicaCounts, replica_warnings
from sampler.base.clock import NS_PER_S
from sampler.base.version import __version__
from sampler.engine.saturation import cpu_s
from sampler.exchange.transport.base import Closing

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from analysis import Decision, Evidence, Tally
    from analysis.versions.correlation import Clusters
    from analysis.versions.health import HealthEvidence
    from sampler.engine.engine import Engine
    from sampler.plan.run import RunPlan
    from sampler.store.expectation_history import History


@dataclass(frozen=True, slots=True)
class Course:
    """What happened in a run, as its report needs it.

    Parameters
    ----------
    plan : RunPlan
        What was to be done.
    engine : Engine
        What was sent, and what the client and the target suffered.
    tally : Tally
        All samples.
    evidence : Evidence or None
        What was decided on; None if nothing was judged.
    health : HealthEvidence or None
        Canary against stable; None if nothing was judged.
    replicas : ReplicaCounts
        Replicas inside the versions.
    clusters : Clusters or None
        Answers by connection; None where each connection carries one.
    unmeasurable : Reason or None
        Why nothing could be measured, if so.
    interruptions : int
        How often the run was told to stop from outside.
    started_at : datetime
        Start of the run.
    cpu_s : float
        CPU time of this process when the run was made [s].
    path : Path or None
        The run's folder.
    warnings : list of str
        What this machine's limits may do to the plan.
    history : History or None
        What happened to the expectation, where that was watched.
    """

    plan: RunPlan
    engine: Engine
    tally: Tally
    evidence: Evidence | None
    health: HealthEvidence | None
    replicas: ReplicaCounts
    clusters: Clusters | None
    unmeasurable: Reason | None
    interruptions: int
    started_at: datetime
    cpu_s: float
    path: Path | None
    warnings: list[str]
    history: History | None = None

    @property
    def is_uniform(self) -> bool:
        """Whether one split was expected throughout, and every sample was judged."""
        return self.history is None or self.history.is_uniform


def _is_told(course: Course, detail: str) -> bool:
    """Whether the reason for which nothing could be measured says it already."""
    return course.unmeasurable is not None and detail in course.unmeasurable.message


def write_up(course: Course) -> Report:
    """Give the report of a run."""
    decision = _final_decision(course)
    clustering = None if course.clusters is None else course.clusters.finish()
    groups = None if clustering is None else groups_of(clustering, course.evidence)
    reasons = [] if decision is None else list(decision.reasons)
    verdict = None if decision is None else decision.verdict
    checks = [] if decision is None else list(decision.checks)
    if course.unmeasurable is not None:
        reasons = [course.unmeasurable]
        if verdict is not None:
            verdict = Verdict.INCONCLUSIVE
            checks = [Check("split", verdict, course.unmeasurable.message)]
    elif verdict is None and course.engine.overload is not None:
        reasons = [_explain_overload(course)]
    elif verdict is Verdict.INCONCLUSIVE and (moved := _moved(course)) is not None:
        reasons = [moved, *reasons]
    elif verdict in {Verdict.PASS, Verdict.FAIL} and (doubt := _doubt(course, reasons[0])):
        verdict, reasons = Verdict.INCONCLUSIVE, [doubt]
        checks = [Check("split", verdict, doubt.message)]
    return Report(
        verdict=verdict,
        reasons=reasons,
        expected=expected_of(course.plan, course.evidence),
        observed=_observed(course),
        samples=measured.samples_of(
            course.tally, course.evidence, clustering, shed=course.engine.shed
        ),
        decision=None
        if decision is None
        else decided(course.plan.policy, decision.decided_after, checks),
        performance=_performance(course),
        run=_run(course),
        health=None
        if course.health is None
        else health_of(course.health, seed=abs(course.plan.seed)),
        groups=groups,
        notes=[*_notes(course, groups), *(() if decision is None else decision.notes)],
        events=() if course.history is None else course.history.events,
    )


def _moved(course: Course) -> Reason | None:
    """Say that nothing could be judged at the end, because the expectation had moved."""
    history, evidence = course.history, course.evidence
    if history is None or evidence is None or evidence.settled is not None:
        return None
    return history.moved()


def _final_decision(course: Course) -> Decision | None:
    if course.evidence is None:
        return None
    if course.interruptions:
        ended = Ended.INTERRUPTED
    elif course.engine.overload is not None:
        ended = Ended.OVERLOADED
    elif course.tally.outcomes[Outcome.CLIENT_LIMIT]:
        ended = Ended.CLIENT_LIMIT
    elif course.engine.reached_max_time:
        ended = Ended.TIME
    else:
        ended = Ended.SAMPLES
    seen = course.tally if course.plan.load.connection.is_fresh and course.is_uniform else None
    per_s = course.tally.launched / course.engine.strain().sending_s
    around = Surroundings(
        _replicas(course),
        course.plan.replica_counts,
        course.plan.previous,
        pace_of(course.health, per_s, course.plan.policy.alpha),
    )
    decision = decide(course.evidence, ended, seen, around)
    return with_health(decision, course.health, course.plan.policy.alpha)


def _replicas(course: Course) -> ReplicaCounts:
    """Give the replicas that answered, if they were the same ones throughout the run."""
    return course.replicas if course.is_uniform else ReplicaCounts()


def _explain_overload(course: Course) -> Reason:
    return Reason(
        ReasonCode.TARGET_OVERLOADED,
        f"The target is overloaded: {course.engine.overload}. Sending stopped after "
        f"{course.tally.launched} requests.",
        SPARE_THE_TARGET,
    )


def _doubt(course: Course, reason: Reason) -> Reason | None:
    """Say what the client's own delays could have done to the verdict, if anything."""
    doubt = course.engine.strain().doubt(
        reason.code, course.tally.outcomes, course.plan.policy.max_unlabelled
    )
    if doubt is None:
        return None
    return Reason(
        ReasonCode.CLIENT_SATURATED,
        f"Nothing is claimed: {doubt}. Without that: {reason.message}",
        "Lower --rate or --concurrency, lengthen --timeout, or run on a machine with a free core.",
    )


def expected_of(plan: RunPlan, evidence: Evidence | None) -> Expected | None:
    """Describe what is expected; None if nothing is judged."""
    return None if evidence is None else measured.expected_of(evidence, plan.source, plan.views)


def _observed(course: Course) -> Observed:
    if course.evidence is not None:
        return measured.observed_of(course.evidence, course.tally)
    is_independent = course.plan.load.connection.is_fresh
    return measured.observed_unjudged(
        course.tally, course.plan.policy.alpha if is_independent else None
    )


def _performance(course: Course) -> Performance:
    duration_s = course.engine.elapsed_ns() / NS_PER_S
    strain = course.engine.strain()
    launched = max(course.tally.launched, 1)
    load = course.plan.load
    return Performance(
        transport=course.engine.transport.name,
        duration_s=duration_s,
        rate_per_s=course.tally.launched / strain.sending_s,
        cpu_us_per_request=(cpu_s() - course.cpu_s) / launched * 1e6,
        client_saturated=strain.is_saturated,
        concurrency=load.concurrency,
        offered_per_s=load.rate,
        connection=str(load.connection),
        cpu_share=strain.cpu_share,
        loop_lag_ms=strain.lag.summary_ms(),
        lateness_ms=None if strain.lateness is None else strain.lateness.summary_ms(),
        max_rate_per_s=load.max_rate,
        closed={
            closing.key: n
            for closing, n in zip(Closing, course.engine.transport.closings, strict=False)
            if n
        },
    )


def _run(course: Course) -> Run:
    path = course.path
    return Run(
        id=course.plan.name if path is None else path.name,
        path=None if path is None else str(path),
        seed=course.plan.seed,
        started_at=course.started_at.isoformat(timespec="milliseconds"),
        version=__version__,
        target=f"{course.plan.target.method} {course.plan.target.shown}",
        label=str(course.plan.label),
        command=course.plan.command,
        commit=course.plan.commit,
    )


def _strain_notes(course: Course) -> list[str]:
    """Say what was too much: for the target, and for this machine."""
    notes = []
    if course.engine.overload is not None:
        notes.append(f"the target is overloaded: {course.engine.overload}")
    if course.engine.pauses:
        notes.append(
            f"sending paused {course.engine.pauses} times because the target asked for it "
            "(Retry-After)"
        )
    strain = course.engine.strain()
    if strain.is_saturated:
        notes.append(
            f"the client was saturated ({strain.cpu_share * 100:.0f} % of a core, event "
            f"loop late by {strain.lag.quantile_ms(0.99):.0f} ms at the 99th percentile): "
            "shares do not depend on it, times do"
        )
    return notes


def _notes(course: Course, groups: Groups | None) -> list[str]:
    notes = [*course.warnings, *_strain_notes(course)]
    if course.history is not None:
        notes += course.history.notes(course.plan.policy)
    if course.plan.target.insecure:
        notes.append("--insecure: no certificate was verified; whoever answered was believed")
    remotes = course.engine.recorder.remotes
    if remotes is not None and remotes.failed_lookups:
        notes.append(
            f"{course.plan.target.host} could not be looked up again, {remotes.failed_lookups} "
            "times; the addresses known before stayed in use"
        )
    for outcome in sorted(course.tally.outcomes):
        details = course.engine.recorder.details.get(outcome)
        if details and outcome is not Outcome.OK and not _is_told(course, details[0]):
            n = course.tally.outcomes[outcome]
            notes.append(f"{amount(n)} times {outcome.key}, for example: {details[0]}")
    if groups is not None:
        notes += notes_on(groups, course.evidence, course.tally.launched)
    counts, alpha = course.plan.replica_counts, course.plan.policy.alpha
    return [*notes, *replica_warnings(_replicas(course), counts, alpha)]
