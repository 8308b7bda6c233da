"""One run of a session: sampled, recorded and reported as any run, judged by the lookout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self, cast

from analysis.versions.replicas import ReplicaCounts
from analysis.weighing.change import Phase
from analysis.weighing.watched import Watched
from sampler.base.clock import NS_PER_S
from sampler.engine.engine import one_process
from sampler.run.gate import PACES, Weighing

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis import Batch, Tally
    from analysis.versions.health import HealthEvidence
    from analysis.watching.lookout import Lookout
    from analysis.weighing.expectation import Expectation
    from analysis.weighing.report import Account
    from sampler.base.clock import Clock
    from sampler.engine.engine import Engine
    from sampler.expect.cluster.news import ExpectationChange
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.load import Limits
    from sampler.plan.run import RunPlan


class Owner(Protocol):
    """The session that a run belongs to."""

    lookout: Lookout
    clock: Clock
    wall: Callable[[], float]

    def sampled(self, batch: Batch) -> None:
        """Hand samples on."""
        ...

    def tick(self, segment: Segment) -> None:
        """Look at the run, a few dozen times a second."""
        ...


class SharedWatcher:
    """The watcher of a session, as each of its runs sees it: entered and left by the session."""

    def __init__(self, watch: Watch) -> None:
        self._watcher = watch.watcher
        self.last: ExpectationChange | None = watch.start

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def changes(self) -> list[ExpectationChange]:
        """Return the changes since the last call."""
        found = self._watcher.changes()
        for each in found:
            if not each.is_remark:
                self.last = each
        return found

    def is_confirmed(self, since_ns: int) -> bool:
        """Whether all was read anew after a moment."""
        return self._watcher.is_confirmed(since_ns)


class Segment(Weighing):
    """One run of a session.

    Parameters
    ----------
    plan : RunPlan
        With the split that is expected now.
    session : Owner
    watch : Watch or None
        Reports changes of the expectation.
    """

    keeps_windows = False
    always_ticks = True

    def __init__(self, plan: RunPlan, session: Owner, watch: Watch | None) -> None:
        self._session = session
        self._is_attached = False
        super().__init__(plan, None, watch, session.clock, one_process)

    @property
    def engine(self) -> Engine:
        """What sends."""
        return cast("Engine", self._engine)  # of `one_process`

    @property
    def tally(self) -> Tally:
        """All samples of the run."""
        return self._fold.tally

    @property
    def health(self) -> HealthEvidence | None:
        """Canary against stable version, in the present stretch."""
        return self._fold.health

    @property
    def replicas(self) -> ReplicaCounts:
        """Connections by replica, in the present stretch."""
        return self._fold.replicas

    def compare_anew(self, health: HealthEvidence | None) -> None:
        """Forget what was compared in an earlier stretch."""
        self._fold.health, self._fold.replicas = health, ReplicaCounts()

    def _expectation(self) -> Expectation:
        lookout = self._session.lookout
        plan, watch = self.plan, self._watch
        if plan.split is None:
            raise ValueError("a session needs an expected split")
        self._watched = Watched(
            plan.split,
            plan.deciding_policy,
            plan.seed,
            plan.source,
            settle_s=None if watch is None else watch.settle_s,
            age_s=None if watch is None else watch.age_s,
            remarks=() if watch is None else watch.remarks,
            start=None if watch is None else watch.start,
            judging=lookout,
        )
        lookout.attach(self._watched, self._session.wall(), is_followed=self._watch is not None)
        return lookout

    def _account(self, tally: Tally) -> Account:
        account = super()._account(tally)
        words = self._session.lookout.asked.words
        told = f"weighed without an end: a FAIL is an alarm, and not one of the rate alpha; {words}"
        # A run's report says what the page and the exit code say: delays of this client are told
        # by all of them, and take no verdict back (docs/decisions/0020).
        return replace(account, doubt=None, notes=(told, *account.notes))

    def _limits(self) -> Limits:
        return self.plan.limits

    def _take(self, batch: Batch) -> None:
        self._notice(self._engine.elapsed_ns())
        self._fold.take(batch)
        self._session.sampled(batch)
        self._record_news()

    async def _confirm(self) -> None:
        """Decide nothing at the end of a run: the lookout goes on, and waits for news by itself."""

    def _tick(self) -> None:
        if not self._is_attached and self._watched is not None:
            # Only now it is known when sending began.
            self._is_attached = True
            origin_s = self._session.wall() - self._engine.elapsed_ns() / NS_PER_S
            self._session.lookout.attach(
                self._watched, origin_s, is_followed=self._watch is not None
            )
        super()._tick()
        self._session.tick(self)

    def _pace(self) -> None:
        """Send little while nothing is judged, and do not give a target up that has no label."""
        if self._watched is not None:
            phase = self._watched.phase
            is_waiting = phase is Phase.WAITING or not self._fold.tally.labelled
            self._engine.slow_down(PACES[phase], is_waiting=is_waiting)
