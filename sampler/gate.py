"""The gate: sample until the analysis decides. Read this file first.

    async for batch in engine.batches():
        store.write(batch); tally += Tally.of(batch); evidence = weigh(evidence, batch)
        if decide(evidence) is final: stop, drain, report

Everything that is measured goes to the tally and to the disk; the evidence takes the samples
in the order in which they were sent, and stops at the one on which the verdict fell.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from analysis import Evidence, Outcome, Policy, Tally, decide, finish, weigh
from analysis.clusters import Clusters
from analysis.health import HealthEvidence, HealthPolicy
from analysis.reasons import interrupted
from analysis.replicas import ReplicaCounts
from analysis.report import Reason, ReasonCode, Report, Verdict
from analysis.sizing import required_samples
from sampler.account import Course, expected_of, write_up
from sampler.clock import NS_PER_S, run_clock
from sampler.engine import Engine
from sampler.intent import PARTS, to_document
from sampler.labels import LabelReader, LabelRule
from sampler.plan import Limits, Load
from sampler.preflight import LocalLimits, files_needed, raise_file_limit, warnings
from sampler.runplan import DEFAULT_LABEL, DEFAULT_MAX_TIME_S, DEFAULT_REPLICA, RunPlan
from sampler.saturation import cpu_s
from sampler.store import FLUSH_NS, RunWriter
from sampler.stretches import Stretches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from analysis import Batch, Decision, Split
    from sampler.target import Target

_EXPLAINING_SAMPLES = 200
_USUAL_RATE = 10_000  # of one process without a cap, with fresh connections [1/s]
_LONGEST_EXPLANATION_NS = NS_PER_S


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

    Attributes
    ----------
    warnings : list of str
        What this machine's limits may do to the plan, and the commands that raise them.

    Raises
    ------
    UsageError
        If the run's folder cannot be made, or the transport cannot carry the target.
    ValueError
        If the tolerance or the comparison of health does not fit the split.
    """

    def __init__(self, plan: RunPlan, observe: Callable[[Progress], None] | None = None) -> None:
        self.plan = plan
        self.tally = Tally()
        self.evidence = (
            None if plan.split is None else Evidence.start(plan.split, plan.policy, plan.seed)
        )
        self.stretches: Stretches | None = None
        if plan.watch is not None and plan.split is not None:
            self.stretches = Stretches(plan.split, plan.policy, plan.watch, plan.seed, plan.source)
            self.evidence = self.stretches.evidence
        self.health = None if plan.split is None else HealthEvidence.start(plan.split, plan.health)
        self.replicas = ReplicaCounts()
        self.clusters = None if plan.load.connection.is_fresh else Clusters()
        self._observe = observe
        self._interruptions = 0
        self._reader = LabelReader(plan.label, plan.replica)
        self._decision: Decision | None = None
        self._decided_ns: int | None = None
        self._unmeasurable: Reason | None = None
        self._started_at = datetime.now(UTC)
        self._cpu_s = cpu_s()
        self._writer = (
            None if plan.out is None else RunWriter(plan.out, plan.name, self._started_at)
        )
        self._engine = Engine(plan.target, plan.load, self._limits(), self._reader, seed=plan.seed)
        raise_file_limit(plan.load.concurrency)
        self.warnings = warnings(
            LocalLimits.here(),
            plan.load,
            self._limits(),
            keeps_time_wait=self._engine.transport.name == "full",
        )

    def interrupt(self) -> None:
        """Stop sending and drain; a second call gives up what is in flight."""
        self._interruptions += 1
        if self._interruptions == 1:
            self._engine.stop()
        else:
            self._engine.abort()

    async def run(self, on_report: Callable[[Report], None] | None = None) -> Report:
        """Sample until decided, or until the limits end it; drain; report; write.

        Parameters
        ----------
        on_report : callable or None
            Called with the report before the run is written: who waits for the verdict need
            not wait for the disk. The run is written even if this raises.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        StorageError
            If the run cannot be written any more.
        """
        self._begin()
        async with self._watching(), aclosing(self._engine.batches()) as batches:
            await self._consume(batches)
        self._weigh_rest()
        report = write_up(self._course())
        try:
            if on_report is not None:
                on_report(report)
        finally:
            if self._writer is not None:
                self._writer.finish(report, self.tally)
        return report

    def replay(self, batches: Iterable[Batch]) -> Report:
        """Report on the samples that a run left when it was cut off; nothing is sent.

        The verdict is INCONCLUSIVE, whatever the samples would prove: the rules that end a
        run did not end this one, and what its client and its target suffered is not known.
        """
        for batch in batches:
            self._look_aside(batch)
            self.tally += Tally.of(batch)
            self._weigh(batch)
        self._interruptions = 1
        self._weigh_rest()
        if self.evidence is None:
            return write_up(self._course())
        self.evidence = replace(self.evidence, settled=None)
        report = write_up(self._course())
        if report.verdict is Verdict.FAIL:
            why = interrupted(self.evidence)
            report = replace(report, verdict=Verdict.INCONCLUSIVE, reasons=[why, *report.reasons])
        return report

    def _begin(self) -> None:
        """Write down what is about to be done; a killed run is read with its help."""
        if self._writer is None:
            return
        plan, expected = self.plan, expected_of(self.plan, self.evidence)
        document = to_document(
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            target=plan.target,
            label=plan.label,
            replica=plan.replica,
            values={name: getattr(plan, name) for name in PARTS},
        )
        self._writer.begin(document, None if expected is None else msgspec.to_builtins(expected))
        is_short_of_files = LocalLimits.here().files < files_needed(plan.load.concurrency)
        if is_short_of_files or self._lasts_s() * NS_PER_S >= FLUSH_NS:
            # What a stream imports would stall the run in its midst, and show as slow answers.
            self._writer.open_stream()

    async def _consume(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            self.tally += Tally.of(batch)
            if self._writer is not None:
                self._writer.write(batch)
                if self._writer.is_due(self._engine.elapsed_ns()):
                    # In a thread: sending goes on while the disk is written.
                    await asyncio.to_thread(self._writer.flush, self._engine.elapsed_ns())
            self._weigh(batch)
            self._look_aside(batch)
            self._stop_when_decided()
            self._judge_preflight()
            if self._observe is not None:
                self._observe(self._progress())

    def _limits(self) -> Limits:
        limits = self.plan.limits
        if self.evidence is None or limits.max_samples is not None:
            return limits
        if self.stretches is not None:
            return limits  # nobody knows how many will not be judged: the budget ends the run
        # The budget counts connections; each may carry several requests.
        longest = self.plan.load.connection.longest or 1
        return replace(limits, max_samples=self.evidence.budget * longest)

    def _weigh_rest(self) -> None:
        """Judge what is left when no more samples come: connections that were cut short."""
        if self.stretches is not None:
            self.stretches.finish()
        if self.evidence is not None:
            self.evidence = finish(self.evidence)

    def _lasts_s(self) -> float:
        """Guess how long the run will last, from what it needs and how fast it may send [s]."""
        plan, limits = self.plan, self.plan.limits
        needed = inf if limits.max_samples is None else float(limits.max_samples)
        if plan.split is not None:
            needed = min(needed, required_samples(plan.split, plan.policy).mean)
        rate = min(plan.load.rate or inf, plan.load.max_rate or _USUAL_RATE)
        return min(needed / rate, inf if limits.max_time_s is None else limits.max_time_s)

    def _weigh(self, batch: Batch) -> None:
        if self.evidence is None or (self._decision is not None and self._decision.is_final):
            return
        if self.stretches is None:
            self.evidence = weigh(self.evidence, batch)
        else:
            self._weigh_stretches(self.stretches, batch)
            if not self.stretches.is_sure(self._engine.elapsed_ns()):
                return
        self._decision = decide(self.evidence)

    def _watching(self) -> AbstractAsyncContextManager[object]:
        """Look out for changes of the expectation, if that was asked for."""
        return nullcontext() if self.plan.watch is None else self.plan.watch.watcher

    def _weigh_stretches(self, stretches: Stretches, batch: Batch) -> None:
        """Judge a batch of a run whose expectation may change (`sampler.stretches`)."""
        # Watchers know the clock; samples know the start of the run.
        stretches.look(run_clock() - self._engine.elapsed_ns())
        self.evidence = stretches.weigh(batch)
        if stretches.previous is not None:
            self.plan = replace(
                self.plan,
                split=self.evidence.split,
                source=stretches.source,
                previous=stretches.previous,
            )

    def _look_aside(self, batch: Batch) -> None:
        """Look at what is not the split: health, and replicas inside a version."""
        self.replicas.observe(batch)
        if self.clusters is not None:
            self.clusters.observe(batch)
        if self.health is not None:
            self.health = self.health.observe(batch)
            if self.health.exceeded(self.plan.policy.alpha):
                self._engine.stop()

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
        if self._engine.is_paused or self._engine.overload is not None:
            return  # what was asked too early says nothing about the labels
        if self.tally.launched >= self.plan.load.concurrency or (
            self._engine.is_stopping and self._engine.in_flight == 0 and self.tally.launched
        ):
            is_ours = self.tally.outcomes[Outcome.CLIENT_LIMIT] == self.tally.launched
            if not (is_ours and self.evidence is not None):  # else the verdict's reason says it
                self._unmeasurable = self._explain_nothing_labelled()
            self._engine.stop()

    def _explain_nothing_labelled(self) -> Reason:
        outcome, n = self.tally.outcomes.most_common(1)[0]
        details = self._engine.recorder.details.get(outcome, [outcome.key])
        return Reason(
            ReasonCode.UNMEASURABLE,
            f"nothing could be measured: of the first {self.tally.launched} requests to "
            f"{self.plan.target.shown} none gave a label, "
            f"{n} ended as {outcome.key} ({details[0]})",
            _remedy_for(outcome, self.plan)
            if "certificate: " not in details[0]
            else "trust the authority that signed it with --cacert FILE, or ask under the name "
            "that the certificate carries; --insecure accepts any certificate",
        )

    def _progress(self) -> Progress:
        return Progress(
            tally=self.tally,
            evidence=self.evidence,
            launched=self._engine.launched,
            elapsed_s=self._engine.elapsed_ns() / NS_PER_S,
            is_draining=self._engine.is_stopping,
        )

    def _course(self) -> Course:
        return Course(
            plan=self.plan,
            engine=self._engine,
            tally=self.tally,
            evidence=self.evidence,
            health=self.health,
            replicas=self.replicas,
            clusters=self.clusters,
            unmeasurable=self._unmeasurable,
            interruptions=self._interruptions,
            started_at=self._started_at,
            cpu_s=self._cpu_s,
            path=None if self._writer is None else self._writer.path,
            warnings=self.warnings,
            stretches=self.stretches,
        )


async def check(
    target: Target,
    split: Split,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
    load: Load | None = None,
    limits: Limits | None = None,
    label: str = str(DEFAULT_LABEL),
    replica: str | None = str(DEFAULT_REPLICA),
    seed: int | None = None,
    out: Path | None = None,
    name: str = "check",
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
    health : HealthPolicy or None
        How much worse the canary may be; None compares it without a limit.
    load : Load or None
        How requests are sent; None takes the defaults.
    limits : Limits or None
        When sending ends at the latest; None takes a minute, and the policy's budget.
    label, replica : str
        Where the version and the pod are read, as ``--label`` and ``--replica`` say it: a JSON
        pointer, ``header:NAME``, ``regex:EXPR`` or ``status``; no replica if None.
    seed : int or None
        Of every random choice of the run; None draws one.
    out : Path or None
        Folder in which the run is written; None writes nothing.
    name : str, default "check"
        Last part of the run's id.

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
        target,
        load or Load(),
        limits or Limits(max_time_s=DEFAULT_MAX_TIME_S),
        split=split,
        policy=policy or Policy(),
        health=health or HealthPolicy(),
        out=out,
        name=name,
        **_names_and_chance(label, replica, seed),
    )
    return await Weighing(plan).run()


async def sample(
    target: Target,
    limits: Limits,
    *,
    load: Load | None = None,
    label: str = str(DEFAULT_LABEL),
    replica: str | None = str(DEFAULT_REPLICA),
    seed: int | None = None,
    out: Path | None = None,
    name: str = "sample",
) -> Report:
    """Sample `target` until `limits` end it, without judging.

    Parameters are those of `check`; the report has no verdict.
    """
    chosen = _names_and_chance(label, replica, seed)
    plan = RunPlan(target, load or Load(), limits, out=out, name=name, **chosen)
    return await Weighing(plan).run()


def _names_and_chance(label: str, replica: str | None, seed: int | None) -> dict[str, Any]:
    """Read what a plan takes in another form than a caller gives it."""
    rules: dict[str, Any] = {
        "label": LabelRule.parse(label),
        "replica": None if replica is None else LabelRule.parse(replica),
    }
    return rules if seed is None else rules | {"seed": seed}


def _remedy_for(outcome: Outcome, plan: RunPlan) -> str:
    """Say what to do about a target that gives nothing but `outcome`."""
    match outcome:
        case Outcome.CONNECT_FAILED | Outcome.CONNECT_TIMEOUT:
            return (
                "check host and port, that the Service has ready endpoints, and that this "
                "machine may reach it: curl -v " + plan.target.shown
            )
        case Outcome.TIMEOUT:
            return "see whether the target answers at all; a slow one needs a larger --timeout"
        case Outcome.UNLABELLED | Outcome.OK:
            return (
                f"look at the answer with: curl -i {plan.target.shown} and say where its version "
                "is with --label (/pointer, header:NAME, regex:EXPR or status)"
            )
        case Outcome.CLIENT_LIMIT:
            return "this machine has run out of ports or file descriptors: see ulimit -n and ss -s"
        case Outcome.PROTOCOL | Outcome.TOO_LARGE:
            return "the target must speak HTTP/1; is this the right port, and not https?"
        case Outcome.RESET | Outcome.CLOSED | Outcome.STALE | Outcome.ABORTED:
            return "the target breaks connections off: see its logs, and whether it expects https"
