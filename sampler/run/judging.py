"""Judge what was recorded: the same decision as in a live check, from samples on disk.

The rows are taken in the order in which they stand, which has to be the order of sending;
the decision is looked at after every connection, so it falls on the same one as it would have
live. What stands after it is counted and changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import ABSENT, Evidence, Policy, Tally, decide, finish, weigh
from analysis.data.report import Performance, ReasonCode, Report, Run, Source, Verdict
from analysis.verdict.decision import Ended, decided, with_health
from analysis.verdict.sections import expected_of, observed_of, samples_of
from analysis.versions.correlation import Clusters, groups_of, notes_on
from analysis.versions.health import HealthEvidence, HealthPolicy, health_of
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.base.version import __version__
from sampler.logs import StoredSamples
from sampler.plan.document import from_document
from sampler.store.expectation_history import Retelling
from sampler.store.store import PLAN, REPORT, StoredRun

if TYPE_CHECKING:
    from pathlib import Path

    from analysis import Batch, Decision, Split
    from analysis.data.report import Groups, View
    from sampler.logs import Quality, Record
    from sampler.store.expectation_history import History

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
    run : Path or None
        Folder of the run, if weighbridge recorded it: its own report says how.
    command : str
        The command line that repeats this.
    health : HealthPolicy or None
        How much worse the canary may be; None does not compare it, since foreign logs say
        neither status nor duration.
    history : History or None
        What happened to the expectation while the run went on: its last stretch is judged, and
        `split` is the one of that. None judges every sample.
    """

    split: Split
    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    name: str = "record"
    label: str = ""
    max_bad: float = 0.01
    run: Path | None = None
    command: str = ""
    health: HealthPolicy | None = None
    history: History | None = None


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
    original = _original(judging.run)
    # The seed breaks ties of a guard: with that of the run, the verdict is that of the run.
    own = {} if judging.run is None else stored_plan(judging.run)
    policy = _matching(judging.policy, own.get("policy"))
    seed = own.get("seed", 0) if original is None else original.run.seed
    history = judging.history
    told = None if history is None else Retelling(history, policy, seed)
    evidence = Evidence.start(judging.split, policy, seed) if told is None else told.evidence
    tally, last_ns = Tally(), 0
    # As live: the versions that are compared are those of the start.
    first = judging.split if history is None else history.stretches[0].split
    health = None if judging.health is None else HealthEvidence.start(first, judging.health)
    clusters = Clusters()
    for recorded in record.batches():
        batch = _as_planned(recorded, policy)
        evidence = weigh(evidence, batch) if told is None else told.weigh(batch)
        clusters.observe(batch)
        health = None if health is None else health.observe(batch)
        tally += Tally.of(batch)
        # Windows of time are for figures; here they would grow with the record.
        tally.windows.clear()
        if len(batch):
            last_ns = max(last_ns, int(batch.sent_ns[-1]))
    evidence = finish(evidence)
    record.quality.require(judging.max_bad, judging.name)
    is_independent = record.quality.repeated == 0
    clustering = None if is_independent else clusters.finish()
    groups = None if clustering is None else groups_of(clustering, evidence)
    is_uniform = history is None or history.is_uniform
    decision = _decide(evidence, tally if is_independent and is_uniform else None)
    decision = with_health(decision, health, judging.policy.alpha)
    decision = _moved(decision, evidence, history)
    if judging.run is None:
        decision = _of_a_log(decision)
    performance = _performance(tally.launched, last_ns, is_independent=is_independent)
    run = Run(
        id=judging.name,
        path=None,
        seed=0,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        version=__version__,
        target=f"record {judging.name}",
        label=judging.label or record.quality.label,
    )
    if original is not None:
        performance, run = original.performance, original.run
    return Report(
        verdict=decision.verdict,
        reasons=list(decision.reasons),
        expected=expected_of(evidence, judging.source, _views(original, judging)),
        observed=observed_of(evidence, tally),
        samples=samples_of(tally, evidence, clustering),
        decision=decided(policy, decision.decided_after, decision.checks),
        performance=performance,
        run=replace(run, command=judging.command),
        groups=groups,
        notes=[
            *([] if history is None else history.notes(policy)),
            *_notes(record.quality, evidence, groups),
        ],
        events=() if history is None else history.events,
        health=None if health is None else health_of(health, seed=abs(run.seed)),
    )


def rejudge(
    run: StoredRun,
    split: Split | None = None,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
) -> Report:
    """Decide on a stored run again, as it was or in another way; nothing is sent.

    Parameters
    ----------
    run : StoredRun
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
    own = stored_plan(run.path)
    stored = stored_expectation(run.path)
    if split is None and stored is None:
        raise UsageError(
            f"nothing says which split is expected: {run.path} was not judged",
            hint='give one: rejudge(run, Split.parse("v1=9,v2=1"))',
        )
    source = Source(name="rejudge", where="call")
    history = None
    if split is None and stored is not None:
        split, source = stored
        history = run.history
    judging = Judging(
        split=split,  # type: ignore[arg-type]  # one of the two is there
        policy=policy or own.get("policy") or Policy(),
        source=source,
        name=run.path.name,
        run=run.path,
        health=health or own.get("health") or HealthPolicy(),
        history=history,
    )
    return judge(StoredSamples(run.path), judging)


def stored_plan(folder: Path) -> dict[str, Any]:
    """Read what the run set out to do, by name as in `sampler.plan.document`; empty if not kept."""
    try:
        return from_document(json.loads((folder / PLAN).read_text(encoding="utf-8")))
    except (OSError, ValueError, UsageError):
        return {}


def stored_expectation(folder: Path) -> tuple[Split, Source] | None:
    """Read the split that a run was checked for; None if it was not, or nothing says so."""
    from analysis import Split  # noqa: PLC0415 - a type elsewhere in this module

    original = _original(folder)
    if original is None:  # the run was killed: its plan is there from the start
        plan = stored_plan(folder)
        return None if plan.get("split") is None else (plan["split"], plan["source"])
    if original.expected is None:
        return None
    weights = original.expected.weights
    return Split.of(weights), original.expected.source


def _as_planned(batch: Batch, policy: Policy) -> Batch:
    """Give the samples of a foreign log the length that their connections are said to have."""
    if policy.per_connection == 1 or bool((batch.planned != ABSENT).any()):
        return batch
    return replace(batch, planned=np.full(len(batch), policy.per_connection, dtype=np.int32))


def _matching(policy: Policy, own: Policy | None) -> Policy:
    """Give the policy, with the answers of a connection that the run was judged with."""
    if policy.per_connection > 1 or own is None:
        return policy
    return replace(policy, per_connection=own.per_connection)


def _original(folder: Path | None) -> Report | None:
    if folder is None or not (folder / REPORT).exists():
        return None
    return StoredRun(folder).report


def _decide(evidence: Evidence, seen: Tally | None) -> Decision:
    decision = decide(evidence, Ended.SAMPLES, seen)
    first, *others = decision.reasons
    if first.code is not ReasonCode.FEW_CONNECTIONS:
        return decision
    remedy = (
        "Record more connections (weighbridge plan says how many), or widen --tolerance."
        if evidence.judged
        else "Look at the columns: no row stands for a connection."
    )
    return replace(decision, reasons=(replace(first, remedy=remedy), *others))


def _views(original: Report | None, judging: Judging) -> tuple[View, ...]:
    """Give what else the run read of the split that is judged."""
    expected = None if original is None else original.expected
    if expected is None or expected.weights != judging.split.weight_of:
        return ()
    return expected.views


def _moved(decision: Decision, evidence: Evidence, history: History | None) -> Decision:
    """Say so where nothing could be judged at the end, because the expectation had moved."""
    if history is None or evidence.settled is not None:
        return decision
    moved = history.moved()
    if moved is None or decision.verdict is not Verdict.INCONCLUSIVE:
        return decision
    return replace(decision, reasons=(moved, *decision.reasons))


def _of_a_log(decision: Decision) -> Decision:
    """Say what to do about a label that is not expected where an option may explain it."""
    remedy = (
        "If it stands for one of the versions, as an address does, say so: --map "
        "'PATTERN=LABEL'; if it is no version, name the right field with --label-column; "
        "otherwise find out why it got traffic."
    )
    reasons = tuple(
        replace(reason, remedy=remedy) if reason.code is ReasonCode.UNEXPECTED_LABEL else reason
        for reason in decision.reasons
    )
    return replace(decision, reasons=reasons)


def _performance(launched: int, last_ns: int, *, is_independent: bool) -> Performance:
    duration_s = last_ns / NS_PER_S
    return Performance(
        transport=RECORDED,
        duration_s=duration_s,
        rate_per_s=launched / duration_s if duration_s > 0 else 0.0,
        cpu_us_per_request=0.0,
        client_saturated=False,
        concurrency=1,
        offered_per_s=None,
        connection="fresh" if is_independent else "reuse",
    )


def _notes(quality: Quality, evidence: Evidence, groups: Groups | None) -> list[str]:
    notes: list[str] = []
    if quality.bad:
        notes.append(f"{quality.describe()}; each counts as a connection without a label")
    if groups is not None:
        notes += notes_on(groups, evidence, quality.rows)
    return [*notes, *quality.notes]
