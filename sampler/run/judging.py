"""Judge what was recorded: the same decision as in a live check, from samples on disk.

The rows are taken in the order in which they stand, which has to be the order of sending;
the decision is looked at after every connection, so it falls on the same one as it would have
live. What stands after it is counted and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis import ABSENT, Policy, Split
from analysis.data.report import Performance, Reason, ReasonCode, Run, Source
from analysis.text.rounding import counted
from analysis.verdict.decision import OF_SHARES
from analysis.verdict.losses import doubt_of_loss, vantages_lost
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.weighing.expectation import Fixed, Retold
from analysis.weighing.fold import Fold
from analysis.weighing.report import Account, Asked, assemble
from analysis.weighing.zones import Zones
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.base.version import __version__
from sampler.logs import StoredSamples
from sampler.run.ordering import Ordering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Batch, Report
    from analysis.data.report import View
    from analysis.weighing.expectation import Expectation
    from analysis.weighing.fold import Folded
    from analysis.weighing.history import History
    from sampler.logs import Quality, Record
    from sampler.plan.document import StoredPlan
    from sampler.store.reader import RunFolder

_MOST_NAMED = 20
_UNLABELLED = (
    "Find out why these rows have no label: requests that failed, or a field with another name "
    "(--label-column)"
)
RECORDED = "recorded"
"""Name of the transport in the report of a record: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Judging:
    """What is judged, and how.

    Parameters
    ----------
    split : Split
        The expected split.
    policy : Policy
        Tolerance and error rates.
    source : Source
        Where the split was read.
    name : str
        The record, as the report names it.
    label : str
        Where the label was read.
    max_bad : float, default 0.01
        Share of the rows that may be unreadable, in [0, 1].
    run : RunFolder or None
        The run, if weighbridge recorded it: its own plan and report say more.
    command : str
        The command line that repeats this.
    health : HealthPolicy or None
        How much worse the canary may be; None does not compare it, since foreign logs say
        neither status nor duration.
    history : History or None
        What happened to the expectation while the run went on: its last stretch is judged, and
        `split` is the one of that. None judges every sample.
    others : tuple of RunFolder
        Runs of further vantages, where several are judged as one.
    """

    split: Split
    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    name: str = "record"
    label: str = ""
    max_bad: float = 0.01
    run: RunFolder | None = None
    command: str = ""
    health: HealthPolicy | None = None
    history: History | None = None
    others: tuple[RunFolder, ...] = ()


def judge(record: Record, judging: Judging) -> Report:
    """Weigh a record from its first row to its last, and report.

    Parameters
    ----------
    record : Record
        Of `sampler.logs`; read once, in constant memory.
    judging : Judging
        What is expected of it.

    Returns
    -------
    Report
        As of a live check.

    Raises
    ------
    UsageError
        If the record cannot be read, or too much of it.
    """
    plan = None if judging.run is None else judging.run.readable_plan
    original = None if judging.others else _original(judging.run)
    policy = _matching(judging.policy, plan)
    fold = fold_of(
        judging.split,
        policy,
        judging.health,
        judging.history,
        # The seed breaks ties of a guard: with that of the run, the verdict is that of the run.
        _seed(original, plan),
        is_fresh=plan is not None and plan.load.connection.is_fresh,
        zones=_zones(judging),
    )
    ordering = Ordering(judging.split, policy, record.quality, _seed(original, plan))
    for recorded in record.batches():
        batch = _as_planned(recorded, policy)
        fold.take(batch)
        ordering.take(batch, fold.evidence)
    folded = fold.finish()
    record.quality.require(judging.max_bad, judging.name)
    own = Asked(is_fresh=record.quality.repeated == 0) if plan is None else asked_of(plan)
    views = _views(original, judging)
    asked = replace(own, policy=policy, source=judging.source, views=views)
    account = _account(record.quality, judging, folded, original, ordering)
    caveats = () if plan is None else plan.target.caveats
    return assemble(asked, folded, replace(account, notes=(*caveats, *account.notes)))


def asked_of(plan: StoredPlan) -> Asked:
    """Return what a stored plan asked, as far as a report needs it."""
    return Asked(
        policy=plan.policy,
        source=plan.source,
        replica_counts=plan.replica_counts,
        previous=plan.previous,
        is_fresh=plan.load.connection.is_fresh,
    )


def fold_of(
    split: Split | None,
    policy: Policy,
    health: HealthPolicy | None,
    history: History | None,
    seed: int,
    *,
    is_fresh: bool,
    zones: tuple[tuple[str, ...], Mapping[str, Split]] = ((), {}),
) -> Fold:
    """Return the fold that recorded samples go through.

    Parameters
    ----------
    split : Split or None
        The expectation; None measures only.
    policy : Policy
    health : HealthPolicy or None
        How much worse the canary may be; None compares nothing.
    history : History or None
        What happened to the expectation, where that was watched.
    seed : int
        Of the run.
    is_fresh : bool
        Whether each sample is known to have had a connection of its own.
    zones : (tuple of str, mapping of str to Split)
        As `zone_of` and `zone_splits` of a plan.

    Raises
    ------
    ValueError
        If the tolerance or the comparison of health does not fit the split.
    """
    if split is None:
        return Fold(None, has_connections=not is_fresh, keeps_windows=False, zone_of=zones[0])
    # As live: the versions that are compared are those of the start.
    first = split if history is None else history.stretches[0].split
    expectation: Expectation = (
        Fixed(split, policy, seed) if history is None else Retold(history, policy, seed)
    )
    if len({*zones[0], *zones[1]}) > 1:
        expectation = Zones(zones[0], split, policy, seed, zones[1])
    return Fold(
        expectation,
        health=None
        if health is None
        else HealthEvidence.start(first, health, seed, zones[1].values()),
        has_connections=not is_fresh,
        keeps_windows=False,
        zone_of=zones[0],
    )


def rejudge(
    run: RunFolder,
    split: Split | None = None,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
) -> Report:
    """Decide on a stored run again, as it was or in another way; nothing is sent.

    Parameters
    ----------
    run : RunFolder
        From `sampler.read`.
    split : Split or None
        The expectation; None takes the run's own.
    policy : Policy or None
        Tolerance and error rates; None takes the run's own.
    health : HealthPolicy or None
        How much worse the canary may be; None takes the run's own.

    Returns
    -------
    Report
        As of a live check on these samples. What is known of a live client only (what was
        shed, whether it was saturated) does not enter it.

    Raises
    ------
    UsageError
        If the run was not judged and no split is given, or its samples cannot be read.
    ValueError
        If the tolerance or the comparison of health does not fit the split.
    """
    plan, history = run.readable_plan, None
    source = Source(name="split", where="argument of weighbridge.judge")
    if split is None:
        stored = stored_expectation(run)
        if stored is None:
            raise UsageError(
                f"{run.path} was not judged, so no split is known",
                hint='give one: rejudge(run, Split.parse("v1=9,v2=1"))',
            )
        split, source = stored
        history = run.history
    judging = Judging(
        split=split,
        policy=policy or (Policy() if plan is None else plan.policy),
        source=source,
        name=run.path.name,
        run=run,
        health=health or (HealthPolicy() if plan is None else plan.health),
        history=history,
    )
    return judge(StoredSamples(run.path), judging)


def stored_expectation(run: RunFolder) -> tuple[Split, Source] | None:
    """Return the split that a run was checked for; None if it was not, or nothing says so."""
    original = _original(run)
    # A run that was killed has its plan from the start; a vantage measures for others to judge.
    if original is None or original.expected is None:
        plan = run.readable_plan
        return None if plan is None or plan.split is None else (plan.split, plan.source)
    return Split.of(original.expected.weights), original.expected.source


def _zones(judging: Judging) -> tuple[tuple[str, ...], Mapping[str, Split]]:
    """Return where the vantages were, if each place was judged by itself, and what each expects.

    A zone that a run names as one of its check's, and of which no run is here, was not measured.
    """
    runs = (judging.run, *judging.others)
    plans = [plan for run in runs if run is not None and (plan := run.readable_plan) is not None]
    # Those of the run stand for what it expected itself, and for nothing that is said now.
    own = [plan for plan in plans if plan.source == judging.source]
    said = {name: split for plan in own for name, split in plan.zone_splits.items()}
    names = dict.fromkeys(name for plan in plans for name in plan.zone_splits)
    splits = {name: said.get(name, judging.split) for name in names}
    return tuple(zone for plan in plans for zone in plan.zone_of), splits


def _original(run: RunFolder | None) -> Report | None:
    return run.report if run is not None and run.has_report else None


def _seed(original: Report | None, plan: StoredPlan | None) -> int:
    if original is not None:
        return original.run.seed
    return 0 if plan is None else plan.seed


def _as_planned(batch: Batch, policy: Policy) -> Batch:
    """Return samples of a foreign log with the length that connections are said to have."""
    if policy.per_connection == 1 or bool((batch.planned != ABSENT).any()):
        return batch
    return replace(batch, planned=np.full(len(batch), policy.per_connection, dtype=np.int32))


def _matching(policy: Policy, plan: StoredPlan | None) -> Policy:
    """Return the policy, with the answers of a connection that the run was judged with."""
    if policy.per_connection > 1 or plan is None or plan.policy.per_connection == 1:
        return policy
    return replace(policy, per_connection=plan.policy.per_connection)


def _views(original: Report | None, judging: Judging) -> tuple[View, ...]:
    """Return what else the run read of the split that is judged."""
    expected = None if original is None else original.expected
    if expected is None or expected.weights != judging.split.weight_of:
        return ()
    return expected.views


def _account(
    quality: Quality,
    judging: Judging,
    folded: Folded,
    original: Report | None,
    ordering: Ordering,
) -> Account:
    """Return what is known of a record besides its samples."""
    if original is None:
        performance = _performance(folded, is_fresh=quality.repeated == 0)
        run = _run_of(judging, quality)
    else:
        performance, run = original.performance, original.run
    bad = f"{quality.describe()}; each counts as a connection without a label"
    workers, zone_of = performance.workers or [], _zones(judging)[0]
    runs = [run for run in (judging.run, *judging.others) if run is not None]

    def doubt(reason: Reason, clients: Sequence[int]) -> Reason | None:
        if judging.others:
            here = [runs[each] for each in clients]
            late = _doubt_of_vantages(here, reason, judging.policy.max_unlabelled)
            return late or ordering.doubt(reason)
        own = [workers[each] for each in clients]  # none where one process sent
        is_late = not workers or any(each.saturated for each in own)
        late = _doubt_of_run(original) if is_late else None
        return doubt_of_loss(own, reason) or late or ordering.doubt(reason)

    lost = vantages_lost(workers) if any(worker.gone for worker in workers) else None
    cut_off = [run.path.name for run in runs if not run.has_report] if judging.others else []
    if cut_off:
        lost = Reason(
            ReasonCode.VANTAGE_LOST,
            f"{counted(len(cut_off), 'run')} of {len(runs)} ended without a report: "
            f"{', '.join(cut_off[:_MOST_NAMED])}; what was sent last is not known.",
            "Find out what ended their clients.",
        )
    clients = range(len(runs if judging.others else workers))
    by_zone: dict[str, list[int]] = {}
    for client in clients if len(zone_of) == len(clients) else ():
        by_zone.setdefault(zone_of[client], []).append(client)
    return Account(
        performance=performance,
        run=replace(run, command=judging.command),
        unmeasurable=_unmeasurable(quality, folded) if judging.run is None else None,
        remedies=_remedies(folded, is_log=judging.run is None),
        lost=lost,
        doubt=partial(doubt, clients=clients),
        zone_doubts={zone: partial(doubt, clients=here) for zone, here in by_zone.items()},
        notes=(
            *((bad,) if quality.bad else ()),
            *((lost.message,) if lost is not None and cut_off else ()),
            *quality.notes,
        ),
    )


def _run_of(judging: Judging, quality: Quality) -> Run:
    """Return which run a record is, where no report says it."""
    plan = None if judging.run is None else judging.run.readable_plan
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Run(
        id=judging.name,
        path=None,
        seed=0 if plan is None else plan.seed,
        started_at=now if plan is None else plan.started_at,
        version=__version__,
        target=f"record {judging.name}"
        if plan is None
        else f"{plan.target.method} {plan.target.shown}",
        label=judging.label or (quality.label if plan is None else str(plan.label)),
    )


def _doubt_of_run(original: Report | None) -> Reason | None:
    """Return what the clients of a run could have done to its verdict, as it said itself."""
    told = () if original is None else original.reasons
    return next((each for each in told if each.code is ReasonCode.CLIENT_SATURATED), None)


def _doubt_of_vantages(
    runs: Sequence[RunFolder], reason: Reason, most_shed: float
) -> Reason | None:
    """Return what vantages could have done to a verdict: they measured, and said nothing of one."""
    if reason.code not in OF_SHARES:
        return None
    for report in (run.report for run in runs if run.has_report):
        shed, due = report.samples.shed, report.samples.launched + report.samples.shed
        if report.performance.client_saturated and shed > most_shed * due:
            return Reason(
                ReasonCode.CLIENT_SATURATED,
                f"Nothing is claimed: the client of {report.run.id} was saturated and lost {shed} "
                f"of the {due} arrivals that it was to send. Without that: {reason.message}",
                "Lower --rate, or run on more machines.",
            )
    return None


def _unmeasurable(quality: Quality, folded: Folded) -> Reason | None:
    """Return why a log says nothing about the split, if none of its rows has a label."""
    if folded.tally.labelled or not folded.tally.launched:
        return None
    there = ", ".join(quality.fields[:_MOST_NAMED])
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: none of {counted(folded.tally.launched, 'row')} has a label "
        f"(read from {quality.label or 'label'})" + (f"; the rows have {there}" if there else ""),
        quality.hint or "name the field that holds the version with --label-column",
    )


def _remedies(folded: Folded, *, is_log: bool) -> dict[ReasonCode, str]:
    """Return what to do about a record, where that is not what a live check takes."""
    has_judged = folded.evidence is not None and folded.evidence.judged
    remedies = {
        ReasonCode.FEW_CONNECTIONS: "Record more connections (weighbridge plan says how many), or "
        "widen --tolerance."
        if has_judged
        else "Look at the columns: no row represents a connection."
    }
    if is_log:
        remedies |= {
            ReasonCode.UNEXPECTED_LABEL: "If it stands for one of the versions, as an address "
            "does, map it: --map 'PATTERN=LABEL'; if it is no label, map it to none: --map "
            "'PATTERN='; if it is not a version, name the right field with --label-column; "
            "otherwise find out why it got traffic.",
            ReasonCode.TOO_MANY_UNLABELLED: _UNLABELLED + ", or accept more with --max-unlabelled.",
            ReasonCode.MISSING_LABELS: _UNLABELLED + "; or widen --tolerance, or state with "
            "--missing-ratio that versions lose labels about equally often.",
        }
    return remedies


def _performance(folded: Folded, *, is_fresh: bool) -> Performance:
    duration_s, launched = folded.last_ns / NS_PER_S, folded.tally.launched
    return Performance(
        transport=RECORDED,
        duration_s=duration_s,
        rate_per_s=launched / duration_s if duration_s > 0 else 0.0,
        cpu_us_per_request=0.0,
        client_saturated=False,
        concurrency=1,
        offered_per_s=None,
        connection="fresh" if is_fresh else "reuse",
    )
