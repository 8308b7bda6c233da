"""The gate: sample until the analysis decides. Read this file first.

    async for batch in engine.batches():
        recording.write(batch)
        fold.take(batch)
        if fold.look() is final: stop, drain, report

Everything that is measured goes to the tally and to the disk; the evidence takes the samples
in the order in which they were sent, and stops at the one on which the verdict fell.
`Weighing.run` is that loop; `sampler.run.door` is its door for programs.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.verdict.sections import expected_of
from analysis.versions.health import HealthEvidence
from analysis.weighing.change import Phase
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.report import assemble
from analysis.weighing.watched import Watched
from analysis.weighing.zones import Zones
from sampler.base.clock import NS_PER_S, run_clock
from sampler.engine.engine import one_process
from sampler.engine.preflight import LocalLimits, raise_file_limit, warnings
from sampler.engine.saturation import cpu_s
from sampler.plan.load import TransportKind
from sampler.run.report import Course, account_of, asked_of
from sampler.run.stopping import Stopping
from sampler.run.waiting import Waiting
from sampler.store.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis import Batch, Evidence, Tally
    from analysis.data.report import Expected, Report
    from analysis.weighing.expectation import Expectation
    from analysis.weighing.history import History
    from analysis.weighing.report import Account
    from sampler.base.clock import Clock
    from sampler.engine.effort import SamplingFactory
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.load import Limits
    from sampler.plan.run import RunPlan

WAITING_PER_S = 5.0
"""Requests per second while there is nothing to judge: enough to see what answers [1/s]."""
SETTLING_PER_S = 100.0
"""... and while the data plane settles: enough to see in seconds that it follows [1/s]."""

_LOOKS_EVERY_S = 0.02

PACES = {Phase.WAITING: WAITING_PER_S, Phase.SETTLING: SETTLING_PER_S, Phase.JUDGING: None}
"""Requests per second at most, by what is done with them; None is what the plan says [1/s]."""


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
    watch : Watch or None
        Reports changes of the expectation during the run; None expects one split throughout.
    clock : Clock
        Monotonic time.
    sampling : callable
        Makes what sends the run; this process by default.

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

    keeps_windows = True
    """Whether windows of time are counted, which grow with the length of the run."""
    always_ticks = False
    """Whether `_tick` is called where no watch needs it, too."""

    def __init__(
        self,
        plan: RunPlan,
        observe: Callable[[Progress], None] | None = None,
        watch: Watch | None = None,
        clock: Clock = run_clock,
        sampling: SamplingFactory = one_process,
    ) -> None:
        self.plan = plan
        self._observe = observe
        self._watch = watch
        self._watched: Watched | None = None
        self._zones: Zones | None = None
        self._told = 0
        self._interruptions = 0
        self._started_at = datetime.now(UTC)
        self._cpu_s = cpu_s()
        self._fold = Fold(
            self._expectation(),
            health=None
            if plan.split is None
            else HealthEvidence.start(
                plan.split, plan.health, plan.seed, plan.zone_splits.values()
            ),
            has_connections=not plan.load.connection.is_fresh,
            keeps_windows=self.keeps_windows,
            zone_of=plan.zone_of,
        )
        limits = self._limits()
        self._clock = clock
        self._engine = sampling(
            replace(plan, limits=limits),
            folder=lambda: self._recording.path,
            clock=clock,
            on_tick=None if watch is None and not self.always_ticks else self._tick,
        )
        self._pace()
        self._stopping = Stopping(plan, self._engine)
        self._waiting = Waiting(plan)
        self._recording = Recording(plan, self._started_at)
        raise_file_limit(plan.load.concurrency)
        self.warnings = warnings(
            LocalLimits.here(),
            plan.load,
            limits,
            keeps_time_wait=plan.load.transport is TransportKind.FULL,
        )

    @property
    def path(self) -> Path | None:
        """The run's folder; None if nothing is written."""
        return self._recording.path

    def interrupt(self) -> None:
        """Stop sending and drain; a second call gives up what is in flight."""
        self._interruptions += 1
        self._waiting.stop()
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
        fold, engine, recording = self._fold, self._engine, self._recording
        recording.begin(*self._expected())
        if self.plan.wait_for_s:
            await self._waiting.run()
        async with self._watching(), aclosing(engine.batches()) as batches:
            async for batch in batches:
                await recording.write(batch, engine.elapsed_ns)
                self._take(batch)
                self._stopping.look(fold.tally, fold.decision, fold.compared)
                self._show()
            await self._confirm()
        is_waiting = self._watched is not None and self._watched.phase is Phase.WAITING
        if not self._interruptions and not is_waiting:
            self._stopping.end(fold.tally)
        folded = fold.finish()
        report = assemble(asked_of(self.plan), folded, self._account(folded.tally))
        try:
            if on_report is not None:
                on_report(report)
        finally:
            recording.finish(report, folded.tally, folded.history)
        return report

    def _expectation(self) -> Expectation | None:
        """Return the expectation: one split, or a watched one; None measures only."""
        plan, watch = self.plan, self._watch
        if plan.split is None:
            return None
        if len(set(plan.zone_of)) > 1:
            self._zones = Zones(
                plan.zone_of, plan.split, plan.deciding_policy, plan.seed, plan.zone_splits
            )
            return self._zones
        if watch is None:
            return Fixed(plan.split, plan.deciding_policy, plan.seed)
        self._watched = Watched(
            plan.split,
            plan.deciding_policy,
            plan.seed,
            plan.source,
            settle_s=watch.settle_s,
            age_s=watch.age_s,
            remarks=watch.remarks,
            start=watch.start,
        )
        return self._watched

    def _limits(self) -> Limits:
        limits, evidence = self.plan.limits, self._fold.evidence
        if evidence is None or limits.max_samples is not None:
            return limits
        if self._watched is not None:
            return limits  # how many will not be judged is unknown: the budget ends the run
        # The budget counts connections; each may carry several requests. Of zones, which have
        # equal parts, one with a small share needs more than the others.
        longest = self.plan.load.connection.longest or 1
        zones = [evidence] if self._zones is None else self._zones.zones.values()
        budget = max(each.budget for each in zones) * len(zones)
        return replace(limits, max_samples=budget * longest)

    def _watching(self) -> AbstractAsyncContextManager[object]:
        """Watch for changes of the expectation, if that was asked for."""
        return nullcontext() if self._watch is None else self._watch.watcher

    def _take(self, batch: Batch) -> None:
        """Fold a batch, and look at the verdict where nothing can take it back any more."""
        elapsed_ns = self._engine.elapsed_ns()
        self._notice(elapsed_ns)
        self._fold.take(batch)
        if self._is_sure(elapsed_ns):
            self._fold.look()
        self._record_news()
        if self._zones is not None and not self._engine.is_stopping:
            silent = self._engine.silent  # lost, or told by the target to end
            there = {zone for n, zone in enumerate(self.plan.zone_of) if n not in silent}
            if (waits_for := self._zones.waits_for()) and there.isdisjoint(waits_for):
                self._engine.stop()  # nobody is left where something is open

    def _is_sure(self, elapsed_ns: int) -> bool:
        """Whether nothing that happened in the cluster can take back what was judged last."""
        watched, watch = self._watched, self._watch
        if watched is None or watch is None:
            return True
        is_quiet = watched.is_sure(elapsed_ns)
        if watched.ended_ns is None:
            return is_quiet
        began_ns = self._clock() - self._engine.elapsed_ns()
        return watch.watcher.is_confirmed(began_ns + watched.ended_ns) and is_quiet

    async def _confirm(self) -> None:
        """Find out, after the last request, whether what was proven last is sure."""
        watched = self._watched
        if watched is None or self._interruptions:
            return
        while watched.ended_ns is not None and not self._fold.is_decided:
            elapsed_ns = self._engine.elapsed_ns()
            self._notice(elapsed_ns)
            if watched.phase is not Phase.JUDGING:
                return  # what is known now takes back what has to be
            if self._is_sure(elapsed_ns):
                self._fold.look()
            await asyncio.sleep(_LOOKS_EVERY_S)

    def _notice(self, elapsed_ns: int) -> None:
        """Take what changed in the cluster, as long as the run is not decided."""
        if self._watched is None or self._watch is None or self._fold.is_decided:
            return
        # Watchers know the clock; samples know the start of the run.
        self._watched.notice(self._watch.watcher.changes(), self._clock() - elapsed_ns)

    def _tick(self) -> None:
        """Take what changed in the cluster, send as little as that asks for, or stop waiting."""
        elapsed_ns = self._engine.elapsed_ns()
        self._notice(elapsed_ns)
        self._pace()
        watched, watch = self._watched, self._watch
        if watched is None or watch is None or self._fold.is_decided:
            return
        if elapsed_ns >= watched.waits_until_ns(watch.wait_s):
            self._engine.stop()

    def _pace(self) -> None:
        """Send little while nothing is judged."""
        if self._watched is not None and not self._fold.is_decided:
            phase = self._watched.phase
            self._engine.slow_down(PACES[phase], is_waiting=phase is Phase.WAITING)

    def _record_news(self) -> None:
        """Write down what happened to the expectation, in case this run is killed."""
        if self._watched is not None and len(self._watched.events) > self._told:
            self._told = len(self._watched.events)
            self._recording.expect(*self._expected())

    def _expected(self) -> tuple[Expected | None, History | None]:
        """Return what is expected now, and what happened to it."""
        evidence, plan, watched = self._fold.evidence, self.plan, self._watched
        if evidence is None:
            return None, None
        if watched is None:
            expected = expected_of(evidence, plan.source, plan.views)
        elif watched.previous is None:
            expected = expected_of(evidence, watched.source, plan.views)
        else:  # the views were about the start
            expected = expected_of(evidence, watched.source)
        return expected, None if watched is None else watched.history()

    def _show(self) -> None:
        if self._observe is None:
            return
        progress = Progress(
            tally=self._fold.tally,
            evidence=self._fold.evidence,
            launched=self._engine.launched,
            elapsed_s=self._engine.elapsed_ns() / NS_PER_S,
            is_draining=self._engine.is_stopping,
        )
        self._observe(progress)

    def _account(self, tally: Tally) -> Account:
        course = Course(
            started_at=self._started_at,
            cpu_s=self._cpu_s,
            path=self._recording.path,
            warnings=self.warnings,
            unmeasurable=self._stopping.unmeasurable,
            interruptions=self._interruptions,
            waiting=self._waiting,
        )
        return account_of(self.plan, self._engine.effort(), tally, course)
