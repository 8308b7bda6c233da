"""The gate: sample until the analysis decides. Read this file first.

    async for batch in engine.batches():
        store.write(batch); tally += Tally.of(batch); evidence = weigh(evidence, batch)
        if decide(evidence) is final: stop, drain, report

Everything that is measured goes to the tally and to the disk; the evidence takes the samples
in the order in which they were sent, and stops at the one on which the verdict fell.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis import Evidence, Outcome, Policy, Tally, decide, weigh
from analysis.intervals import kt_interval, shares_with_intervals
from analysis.report import (
    Check,
    Decided,
    Expected,
    Observed,
    Performance,
    Reason,
    ReasonCode,
    Report,
    Run,
    Samples,
    Source,
    Verdict,
)
from analysis.verdict import Ended
from sampler._version import __version__
from sampler.clock import NS_PER_S
from sampler.engine import Engine
from sampler.labels import LabelReader, LabelRule
from sampler.plan import Limits, Load
from sampler.store import RunWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis import Batch, Decision, Split
    from sampler.target import Target

DEFAULT_LABEL = LabelRule.parse("/label")
DEFAULT_REPLICA = LabelRule.parse("/host")
DEFAULT_MAX_TIME_S = 60.0
_SATURATED_CPU_SHARE = 0.9
_SHORTEST_SATURATION_S = 0.5
_EXPLAINING_SAMPLES = 200
_LONGEST_EXPLANATION_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: what is asked, what should come of it, and where it is written.

    Parameters
    ----------
    target, load
        What is sent, and how.
    limits : Limits
        When sending ends. In a check without ``max_samples``, the policy's budget holds.
    label, replica : LabelRule
        Where the version and the pod are read; no replica if None.
    split : Split or None
        The expected split; None measures without judging.
    policy : Policy
        Tolerance and error rates.
    source : Source
        Where the split was read.
    seed : int
        Of every random choice of the run.
    out : Path or None
        Folder of all runs; None writes nothing.
    name : str
        Last part of the run's id.
    command : str
        The command line that repeats the run.
    """

    target: Target
    load: Load = field(default_factory=Load)
    limits: Limits = field(default_factory=lambda: Limits(max_time_s=DEFAULT_MAX_TIME_S))
    label: LabelRule = DEFAULT_LABEL
    replica: LabelRule | None = DEFAULT_REPLICA
    split: Split | None = None
    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    seed: int = field(default_factory=lambda: secrets.randbits(32))
    out: Path | None = None
    name: str = "run"
    command: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a progress line may show, between two batches.

    Parameters
    ----------
    tally : Tally
        All samples so far.
    evidence : Evidence or None
        What is decided on; None if nothing is judged.
    launched : int
        Requests launched.
    elapsed_s : float
        Since the run began [s].
    is_draining : bool
        Whether sending has ended.
    """

    tally: Tally
    evidence: Evidence | None
    launched: int
    elapsed_s: float
    is_draining: bool


class Weighing:
    """One run in progress.

    Parameters
    ----------
    plan : RunPlan
        What to do.
    observe : callable or None
        Called with a `Progress` after each batch.

    Raises
    ------
    UsageError
        If the run's folder cannot be made, or the transport cannot carry the target.
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(self, plan: RunPlan, observe: Callable[[Progress], None] | None = None) -> None:
        self.plan = plan
        self.tally = Tally()
        self.evidence = None if plan.split is None else Evidence.start(plan.split, plan.policy)
        self._observe = observe
        self._interruptions = 0
        self._reader = LabelReader(plan.label, plan.replica)
        self._decision: Decision | None = None
        self._decided_ns: int | None = None
        self._unmeasurable: Reason | None = None
        self._started_at = datetime.now(UTC)
        self._cpu_s = _cpu_s()
        self._writer = (
            None if plan.out is None else RunWriter(plan.out, plan.name, self._started_at)
        )
        self._engine = Engine(plan.target, plan.load, self._limits(), self._reader, seed=plan.seed)

    def interrupt(self) -> None:
        """Stop sending and drain; a second call gives up what is in flight."""
        self._interruptions += 1
        if self._interruptions == 1:
            self._engine.stop()
        else:
            self._engine.abort()

    async def run(self) -> Report:
        """Sample until decided, or until the limits end it; drain; write; report.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """
        async for batch in self._engine.batches():
            self.tally += Tally.of(batch)
            if self._writer is not None:
                self._writer.write(batch)
                if self._writer.is_due(self._engine.elapsed_ns()):
                    # In a thread: sending goes on while the disk is written.
                    await asyncio.to_thread(self._writer.flush, self._engine.elapsed_ns())
            self._weigh(batch)
            self._stop_when_decided()
            self._judge_preflight()
            if self._observe is not None:
                self._observe(self._progress())
        report = self._report()
        if self._writer is not None:
            self._writer.finish(report, self.tally)
        return report

    def _limits(self) -> Limits:
        limits = self.plan.limits
        if self.evidence is None or limits.max_samples is not None:
            return limits
        # The budget counts connections; each may carry several requests.
        longest = self.plan.load.connection.longest or 1
        return replace(limits, max_samples=self.evidence.budget * longest)

    def _weigh(self, batch: Batch) -> None:
        if self.evidence is None or (self._decision is not None and self._decision.is_final):
            return
        self.evidence = weigh(self.evidence, batch)
        self._decision = decide(self.evidence)

    def _stop_when_decided(self) -> None:
        """Stop sending once the verdict has fallen, and a FAIL can be explained.

        A gross departure is proven by a handful of connections, which say little about what
        the split is instead; a few more requests tell. They do not touch the verdict.
        """
        if self._decision is None or not self._decision.is_final:
            return
        elapsed_ns = self._engine.elapsed_ns()
        if self._decided_ns is None:
            self._decided_ns = elapsed_ns
        if (
            self._decision.verdict is not Verdict.FAIL
            or self.tally.launched >= _EXPLAINING_SAMPLES
            or elapsed_ns - self._decided_ns >= _LONGEST_EXPLANATION_NS
        ):
            self._engine.stop()

    def _judge_preflight(self) -> None:
        """End a run whose first requests, one of each slot, gave no label at all."""
        if self.tally.labelled or self._unmeasurable is not None:
            return
        if self.tally.launched >= self.plan.load.concurrency or (
            self._engine.is_stopping and self._engine.in_flight == 0 and self.tally.launched
        ):
            self._unmeasurable = self._explain_nothing_labelled()
            self._engine.stop()

    def _explain_nothing_labelled(self) -> Reason:
        outcome, n = self.tally.outcomes.most_common(1)[0]
        details = self._engine.recorder.details.get(outcome, [outcome.key])
        return Reason(
            ReasonCode.UNMEASURABLE,
            f"nothing could be measured: of the first {self.tally.launched} requests to "
            f"{self.plan.target.url} none gave a label, {n} ended as {outcome.key} ({details[0]})",
            _remedy_for(outcome, self.plan),
        )

    def _progress(self) -> Progress:
        return Progress(
            tally=self.tally,
            evidence=self.evidence,
            launched=self._engine.launched,
            elapsed_s=self._engine.elapsed_ns() / NS_PER_S,
            is_draining=self._engine.is_stopping,
        )

    # The report

    def _report(self) -> Report:
        decision = self._final_decision()
        reasons = [] if decision is None else list(decision.reasons)
        verdict = None if decision is None else decision.verdict
        checks = [] if decision is None else list(decision.checks)
        if self._unmeasurable is not None:
            reasons = [self._unmeasurable]
            if verdict is not None:
                verdict = Verdict.INCONCLUSIVE
                checks = [Check("split", verdict, self._unmeasurable.message)]
        return Report(
            verdict=verdict,
            reasons=reasons,
            expected=self._expected(),
            observed=self._observed(),
            samples=self._samples(),
            decision=None
            if decision is None
            else Decided(
                self.plan.policy.alpha, self.plan.policy.beta, decision.decided_after, checks
            ),
            performance=self._performance(),
            run=self._run(),
            notes=self._notes(),
        )

    def _final_decision(self) -> Decision | None:
        if self.evidence is None:
            return None
        if self._interruptions:
            ended = Ended.INTERRUPTED
        elif self.tally.outcomes[Outcome.CLIENT_LIMIT]:
            ended = Ended.CLIENT_LIMIT
        elif self._engine.reached_max_time:
            ended = Ended.TIME
        else:
            ended = Ended.SAMPLES
        seen = self.tally if self.plan.load.connection.is_fresh else None
        return decide(self.evidence, ended, seen)

    def _expected(self) -> Expected | None:
        split = self.plan.split
        if split is None or self.evidence is None:
            return None
        return Expected(
            source=self.plan.source,
            weights=dict(zip(split.arms, split.weights, strict=True)),
            shares={arm: split.share(arm) for arm in split.arms},
            tolerance={
                band.arm: (max(band.low, 0.0), min(band.high, 1.0)) for band in self.evidence.bands
            },
        )

    def _observed(self) -> Observed:
        replicas: dict[str, dict[str, int]] = {}
        for (label, replica), n in sorted(self.tally.replicas.items()):
            replicas.setdefault(label, {})[replica] = n
        if self.evidence is not None:
            table = shares_with_intervals(self.evidence)
            return Observed(
                counts=dict(self.evidence.counts),
                shares={label: share for label, (share, _, _) in table.items()},
                intervals={label: (low, high) for label, (_, low, high) in table.items()},
                replicas=replicas,
            )
        counts = dict(self.tally.labels.most_common())
        n = self.tally.labelled
        # Without a fresh connection each, samples are dependent and no interval holds.
        is_independent = self.plan.load.connection.is_fresh and n > 0
        return Observed(
            counts=counts,
            shares={label: count / n for label, count in counts.items()},
            intervals={
                label: kt_interval(n, count, self.plan.policy.alpha)
                for label, count in counts.items()
            }
            if is_independent
            else {},
            replicas=replicas,
        )

    def _samples(self) -> Samples:
        return Samples(
            launched=self.tally.launched,
            labelled=self.tally.labelled,
            independent=self.tally.connections if self.evidence is None else self.evidence.judged,
            connections=self.tally.connections,
            shed=self._engine.shed,
            outcomes={
                outcome.key: self.tally.outcomes[outcome] for outcome in sorted(self.tally.outcomes)
            },
        )

    def _performance(self) -> Performance:
        duration_s = self._engine.elapsed_ns() / NS_PER_S
        sending_s = max(self._engine.sending_ns / NS_PER_S, 1e-9)
        cpu_s = _cpu_s() - self._cpu_s
        launched = max(self.tally.launched, 1)
        load = self.plan.load
        return Performance(
            transport=self._engine.transport.name,
            duration_s=duration_s,
            rate_per_s=self.tally.launched / sending_s,
            cpu_us_per_request=cpu_s / launched * 1e6,
            client_saturated=duration_s >= _SHORTEST_SATURATION_S
            and cpu_s >= _SATURATED_CPU_SHARE * duration_s,
            concurrency=load.concurrency,
            offered_per_s=load.rate,
            connection=str(load.connection),
        )

    def _run(self) -> Run:
        path = None if self._writer is None else self._writer.path
        return Run(
            id=self.plan.name if path is None else path.name,
            path=None if path is None else str(path),
            seed=self.plan.seed,
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            version=__version__,
            target=f"{self.plan.target.method} {self.plan.target.url}",
            label=str(self.plan.label),
            command=self.plan.command,
        )

    def _notes(self) -> list[str]:
        notes = []
        for outcome in sorted(self.tally.outcomes):
            details = self._engine.recorder.details.get(outcome)
            if details and outcome is not Outcome.OK:
                n = self.tally.outcomes[outcome]
                notes.append(f"{n} times {outcome.key}, for example: {details[0]}")
        if self.evidence is not None and not self.plan.load.connection.is_fresh:
            notes.append(
                f"connections carry several requests: judged on the first answer of each of "
                f"{self.evidence.judged} connections, not on {self.tally.launched} requests"
            )
        return notes


async def check(
    target: Target,
    split: Split,
    *,
    policy: Policy | None = None,
    load: Load | None = None,
    out: Path | None = None,
) -> Report:
    """Sample `target` until it is decided whether `split` holds.

    Parameters
    ----------
    target : Target
        What is asked.
    split : Split
        The expected split.
    policy : Policy or None
        Tolerance and error rates; None takes the defaults.
    load : Load or None
        How requests are sent; None takes the defaults.
    out : Path or None
        Folder in which the run is written; None writes nothing.

    Returns
    -------
    Report
        With the verdict, the reasons and everything that was counted.

    Raises
    ------
    SamplingError
        If the target's name cannot be resolved.
    UsageError, ValueError
        If the parts do not fit together.
    """
    plan = RunPlan(
        target, load or Load(), split=split, policy=policy or Policy(), out=out, name="check"
    )
    return await Weighing(plan).run()


async def sample(
    target: Target,
    limits: Limits,
    *,
    load: Load | None = None,
    out: Path | None = None,
) -> Report:
    """Sample `target` until `limits` end it, without judging.

    Parameters are those of `check`; the report has no verdict.
    """
    return await Weighing(RunPlan(target, load or Load(), limits, out=out, name="sample")).run()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _remedy_for(outcome: Outcome, plan: RunPlan) -> str:
    """Say what to do about a target that gives nothing but `outcome`."""
    match outcome:
        case Outcome.CONNECT_FAILED | Outcome.CONNECT_TIMEOUT:
            return (
                "check host and port, that the Service has ready endpoints, and that this "
                "machine may reach it: curl -v " + plan.target.url
            )
        case Outcome.TIMEOUT:
            return "see whether the target answers at all; a slow one needs a larger --timeout"
        case Outcome.UNLABELLED | Outcome.OK:
            return (
                f"look at the answer with: curl -i {plan.target.url} and say where its version "
                "is with --label (/pointer, header:NAME, regex:EXPR or status)"
            )
        case Outcome.CLIENT_LIMIT:
            return "this machine has run out of ports or file descriptors: see ulimit -n and ss -s"
        case Outcome.PROTOCOL | Outcome.TOO_LARGE:
            return "the target must speak HTTP/1; is this the right port, and not https?"
        case Outcome.RESET | Outcome.CLOSED | Outcome.STALE | Outcome.ABORTED:
            return "the target breaks connections off: see its logs, and whether it expects https"
