"""Judge what was recorded: the same decision as in a live check, from samples on disk.

The rows are taken in the order in which they stand, which has to be the order of sending;
the decision is looked at after every connection, so it falls on the same one as it would have
live. What stands after it is counted and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis import Evidence, Policy, Tally, decide, weigh
from analysis.intervals import shares_with_intervals
from analysis.report import (
    Decided,
    Expected,
    Observed,
    Performance,
    ReasonCode,
    Report,
    Run,
    Samples,
    Source,
)
from analysis.verdict import Ended
from sampler._version import __version__
from sampler.clock import NS_PER_S
from sampler.store import REPORT, StoredRun

if TYPE_CHECKING:
    from pathlib import Path

    from analysis import Decision, Split
    from sampler.logs import Quality, Record

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
    """

    split: Split
    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    name: str = "record"
    label: str = ""
    max_bad: float = 0.01
    run: Path | None = None
    command: str = ""


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
    evidence = Evidence.start(
        judging.split, judging.policy, 0 if original is None else original.run.seed
    )
    tally, last_ns = Tally(), 0
    for batch in record.batches():
        evidence = weigh(evidence, batch)
        tally += Tally.of(batch)
        # Windows of time are for figures; here they would grow with the record.
        tally.windows.clear()
        if len(batch):
            last_ns = max(last_ns, int(batch.sent_ns[-1]))
    record.quality.require(judging.max_bad, judging.name)
    is_independent = record.quality.repeated == 0
    decision = _decide(evidence, tally if is_independent else None)
    performance = _performance(tally.launched, last_ns, is_independent=is_independent)
    run = Run(
        id=judging.name,
        path=None,
        seed=0,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        version=__version__,
        target=f"record {judging.name}",
        label=judging.label,
    )
    if original is not None:
        performance, run = original.performance, original.run
    return Report(
        verdict=decision.verdict,
        reasons=list(decision.reasons),
        expected=_expected(evidence, judging.source),
        observed=_observed(evidence, tally),
        samples=_samples(evidence, tally),
        decision=Decided(
            judging.policy.alpha,
            judging.policy.beta,
            decision.decided_after,
            list(decision.checks),
        ),
        performance=performance,
        run=replace(run, command=judging.command),
        notes=_notes(record.quality, evidence),
    )


def stored_expectation(folder: Path) -> tuple[Split, Source] | None:
    """Read the split that a run was checked for; None if it has no report or was not judged."""
    from analysis import Split  # noqa: PLC0415 - a type elsewhere in this module

    original = _original(folder)
    if original is None or original.expected is None:
        return None
    weights = original.expected.weights
    return Split(tuple(weights), tuple(weights.values())), original.expected.source


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


def _expected(evidence: Evidence, source: Source) -> Expected:
    split = evidence.split
    return Expected(
        source=source,
        weights=dict(zip(split.arms, split.weights, strict=True)),
        shares={arm: split.share(arm) for arm in split.arms},
        tolerance={band.arm: (max(band.low, 0.0), min(band.high, 1.0)) for band in evidence.bands},
    )


def _observed(evidence: Evidence, tally: Tally) -> Observed:
    table = shares_with_intervals(evidence)
    replicas: dict[str, dict[str, int]] = {}
    for (label, replica), n in sorted(tally.replicas.items()):
        replicas.setdefault(label, {})[replica] = n
    return Observed(
        counts=dict(evidence.counts),
        shares={label: share for label, (share, _, _) in table.items()},
        intervals={label: (low, high) for label, (_, low, high) in table.items()},
        replicas=replicas,
    )


def _samples(evidence: Evidence, tally: Tally) -> Samples:
    return Samples(
        launched=tally.launched,
        labelled=tally.labelled,
        independent=evidence.judged,
        connections=tally.connections,
        shed=0,
        outcomes={outcome.key: tally.outcomes[outcome] for outcome in sorted(tally.outcomes)},
    )


def _notes(quality: Quality, evidence: Evidence) -> list[str]:
    notes = []
    if quality.bad:
        notes.append(f"{quality.describe()}; each counts as a connection without a label")
    if quality.repeated:
        notes.append(
            f"connections carry several requests: judged on the first answer of each of "
            f"{evidence.judged} connections, not on {quality.rows} requests"
        )
    return notes
