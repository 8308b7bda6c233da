"""The gate: sample until the analysis decides. Read this file first.

    async for batch in engine.batches():
        store.write(batch); tally += Tally.of(batch); evidence = weigh(evidence, batch)
        if decide(evidence) is final: stop, drain, report

Everything that is measured goes to the tally and to the disk; the evidence takes the samples
in the order in which they were sent, and stops at the one on which the verdict fell.
`Weighing.run` is that loop; `check` and `sample` are its doors for programs.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import Evidence, Policy, Split, Tally, decide, finish, weigh
from analysis.versions.correlation import Clusters
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.versions.replicas import ReplicaCounts
from sampler.base.clock import NS_PER_S, run_clock
from sampler.engine.engine import Engine
from sampler.engine.preflight import LocalLimits, raise_file_limit, warnings
from sampler.engine.saturation import cpu_s
from sampler.labels.rule import LabelReader, LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.run import (
    DEFAULT_LABEL,
    DEFAULT_MAX_TIME_S,
    DEFAULT_REPLICA,
    DEFAULT_SAMPLE_TIME_S,
    RunPlan,
    draw_seed,
)
from sampler.plan.target import Target
from sampler.run.changes import Stretches
from sampler.run.report import Course, expected_of, write_up
from sampler.run.stopping import Stopping
from sampler.store.expectation_history import Retelling
from sampler.store.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from analysis import Batch, Decision
    from analysis.data.report import Report
    from sampler.store.expectation_history import History


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
        self.replicas = ReplicaCounts()
        self.clusters = None if plan.load.connection.is_fresh else Clusters()
        self.evidence: Evidence | None = None
        self.stretches: Stretches | Retelling | None = None
        self.health: HealthEvidence | None = None
        if plan.split is not None:
            self._expect(plan.split)
        self._observe = observe
        self._interruptions = 0
        self._told = 0
        self._decision: Decision | None = None
        self._started_at = datetime.now(UTC)
        self._cpu_s = cpu_s()
        limits, reader = self._limits(), LabelReader(plan.label, plan.replica)
        self._engine = Engine(plan.target, plan.load, limits, reader, seed=plan.seed)
        self._stopping = Stopping(plan, self._engine)
        self._keeping = Keeping(plan, self._started_at)
        raise_file_limit(plan.load.concurrency)
        self.warnings = warnings(
            LocalLimits.here(),
            plan.load,
            limits,
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
        self._keeping.begin(expected_of(self.plan, self.evidence), self._history())
        async with self._watching(), aclosing(self._engine.batches()) as batches:
            async for batch in batches:
                await self._keeping.write(batch, self._engine.elapsed_ns)
                self._take(batch)
                self._keep_news()
                self._stopping.look(self.tally, self._decision, self.health)
                self._show()
        if not self._interruptions:
            self._stopping.end(self.tally)
        report = self._report()
        try:
            if on_report is not None:
                on_report(report)
        finally:
            self._keeping.finish(report, self.tally, self._history(is_over=True))
        return report

    def replay(self, batches: Iterable[Batch], history: History | None = None) -> Report:
        """Report on the samples that a run left when it was cut off; nothing is sent.

        No verdict has fallen: the rules that end a run did not end this one.

        Parameters
        ----------
        batches : iterable of Batch
            In send order.
        history : History or None
            What happened to the expectation, where that was watched.
        """
        if history is not None:
            self.stretches = Retelling(history, self.plan.policy, self.plan.seed)
            self.evidence = self.stretches.evidence
        for batch in batches:
            self._take(batch)
        self._interruptions = 1
        return self._report(is_whole=False)

    def _expect(self, split: Split) -> None:
        """Begin to weigh: against one split, or against what a cluster says at any time."""
        plan = self.plan
        self.health = HealthEvidence.start(split, plan.health)
        if plan.watch is None:
            self.evidence = Evidence.start(split, plan.policy, plan.seed)
        else:
            self.stretches = Stretches(split, plan.policy, plan.watch, plan.seed, plan.source)
            self.evidence = self.stretches.evidence

    def _history(self, *, is_over: bool = False) -> History | None:
        return None if self.stretches is None else self.stretches.history(is_over=is_over)

    def _keep_news(self) -> None:
        """Write down what happened to the expectation, in case that this run is killed."""
        stretches = self.stretches
        if isinstance(stretches, Stretches) and len(stretches.events) > self._told:
            self._told = len(stretches.events)
            expected = expected_of(self._plan_in_force(), self.evidence)
            self._keeping.expect(expected, stretches.history())

    def _limits(self) -> Limits:
        limits = self.plan.limits
        if self.evidence is None or limits.max_samples is not None:
            return limits
        if self.stretches is not None:
            return limits  # nobody knows how many will not be judged: the budget ends the run
        # The budget counts connections; each may carry several requests.
        longest = self.plan.load.connection.longest or 1
        return replace(limits, max_samples=self.evidence.budget * longest)

    def _watching(self) -> AbstractAsyncContextManager[object]:
        """Look out for changes of the expectation, if that was asked for."""
        return nullcontext() if self.plan.watch is None else self.plan.watch.watcher

    def _take(self, batch: Batch) -> None:
        """Count a batch, weigh it, and look at what is not the split."""
        self.tally += Tally.of(batch)
        self._weigh(batch)
        self.replicas.observe(batch)
        if self.clusters is not None:
            self.clusters.observe(batch)
        if self.health is not None:
            self.health = self.health.observe(batch)

    def _weigh(self, batch: Batch) -> None:
        if self.evidence is None or self._is_decided:
            return
        if self.stretches is None:
            self.evidence = weigh(self.evidence, batch)
        else:
            # Watchers know the clock; samples know the start of the run.
            elapsed_ns = self._engine.elapsed_ns()
            self.stretches.look(run_clock() - elapsed_ns)
            self.evidence = self.stretches.weigh(batch)
            if not self.stretches.is_sure(elapsed_ns):
                return
        self._decision = decide(self.evidence)

    @property
    def _is_decided(self) -> bool:
        return self._decision is not None and self._decision.is_final

    def _show(self) -> None:
        if self._observe is None:
            return
        progress = Progress(
            tally=self.tally,
            evidence=self.evidence,
            launched=self._engine.launched,
            elapsed_s=self._engine.elapsed_ns() / NS_PER_S,
            is_draining=self._engine.is_stopping,
        )
        self._observe(progress)

    def _report(self, *, is_whole: bool = True) -> Report:
        """Judge what is left when no more samples come, and write the account."""
        if self.stretches is not None:
            self.stretches.finish()
        if self.evidence is not None:
            self.evidence = finish(self.evidence)
            if not is_whole:
                self.evidence = replace(self.evidence, settled=None)
        return write_up(self._course())

    def _course(self) -> Course:
        return Course(
            plan=self._plan_in_force(),
            engine=self._engine,
            tally=self.tally,
            evidence=self.evidence,
            health=self.health,
            replicas=self.replicas,
            clusters=self.clusters,
            unmeasurable=self._stopping.unmeasurable,
            interruptions=self._interruptions,
            started_at=self._started_at,
            cpu_s=self._cpu_s,
            path=self._keeping.path,
            warnings=self.warnings,
            history=self._history(is_over=True),
        )

    def _plan_in_force(self) -> RunPlan:
        """Give the plan with the split of the last stretch, which the verdict is about."""
        stretches = self.stretches
        if stretches is None or stretches.previous is None:
            return self.plan
        return replace(
            self.plan,
            split=stretches.evidence.split,
            source=stretches.source,
            previous=stretches.previous,
            views=(),  # they were about the start
        )


async def check(
    target: Target | str,
    split: Split | Mapping[str, int] | str,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
    load: Load | None = None,
    limits: Limits | None = None,
    label: str = str(DEFAULT_LABEL),
    replica: str | None = str(DEFAULT_REPLICA),
    seed: int | None = None,
    out: Path | str | None = None,
    name: str = "check",
) -> Report:
    """Sample `target` until it is decided whether `split` holds.

    Parameters
    ----------
    target : Target or str
        What is asked; a URL is asked with GET.
    split : Split or mapping of str to int or str
        The expected split, or weights by label, ``{"v1": 9, "v2": 1}``, also as ``--expect``
        takes them: ``"v1=9,v2=1"``.
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
    out : Path or str or None
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
        _target(target),
        load or Load(),
        limits or Limits(max_time_s=DEFAULT_MAX_TIME_S),
        label=LabelRule.parse(label),
        replica=None if replica is None else LabelRule.parse(replica),
        split=_split(split),
        policy=policy or Policy(),
        health=health or HealthPolicy(),
        seed=draw_seed() if seed is None else seed,
        out=None if out is None else Path(out),
        name=name,
    )
    return await Weighing(plan).run()


async def sample(
    target: Target | str,
    limits: Limits | None = None,
    *,
    load: Load | None = None,
    label: str = str(DEFAULT_LABEL),
    replica: str | None = str(DEFAULT_REPLICA),
    seed: int | None = None,
    out: Path | str | None = None,
    name: str = "sample",
) -> Report:
    """Sample `target` until `limits` end it, after ten seconds if there are none; judge nothing.

    Parameters are those of `check`; the report has no verdict.
    """
    plan = RunPlan(
        _target(target),
        load or Load(),
        limits or Limits(max_time_s=DEFAULT_SAMPLE_TIME_S),
        label=LabelRule.parse(label),
        replica=None if replica is None else LabelRule.parse(replica),
        seed=draw_seed() if seed is None else seed,
        out=None if out is None else Path(out),
        name=name,
    )
    return await Weighing(plan).run()


def _target(given: Target | str) -> Target:
    return Target(given) if isinstance(given, str) else given


def _split(given: Split | Mapping[str, int] | str) -> Split:
    if isinstance(given, Split):
        return given
    return Split.parse(given) if isinstance(given, str) else Split.of(given)
