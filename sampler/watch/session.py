"""One target, weighed for as long as traffic flows: a chain of runs with one lookout.

    lookout = Lookout(...)
    while not told to end:
        run a `Segment`: a run as of a check, judged by the lookout
        rotate; or wait, if the target is overloaded, and go on

Each segment is a whole run on disk, with a report. What is known of the split goes on from one to
the next, and so does the watch of the cluster. So memory and disk stay bounded.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from math import inf
from time import time
from typing import TYPE_CHECKING

from analysis.data.live_events import NoteTold, StateTold
from analysis.text.rounding import counted
from analysis.versions.health import HealthEvidence, health_of
from analysis.watching.lookout import Lookout
from analysis.watching.picture import Around, picture
from analysis.watching.totals import NEARLY_EQUAL
from analysis.weighing.change import Phase
from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import ExitCode, StorageError, WeighbridgeError
from sampler.plan.load import Limits
from sampler.store.runs import keep_newest
from sampler.store.writer import folder_name
from sampler.watch.costs import Costs
from sampler.watch.segment import Segment, SharedWatcher
from sampler.watch.telling import EventLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis import Batch
    from analysis.data.health import Health
    from analysis.data.live import LiveState
    from analysis.data.live_events import Event
    from analysis.watching.asked import WatchPolicy
    from sampler.base.clock import Clock
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.run import RunPlan
    from sampler.watch.telling import Teller

LOOK_EVERY_S = 0.1
STATE_EVERY_S = 1.0
"""Between two pictures of the state [s]."""
RECORD_EVERY_S = 10.0
"""Between two states in the stream, unless the state turns [s]."""
SLOW_EVERY_S = 5.0
"""Between two looks at what takes long: health, disk [s]."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 600.0
"""How long sending pauses after an overload, at first and at most [s]."""
_LONGEST_RUN_S = 1e6
_CLOCK_SET_S = 1.0
"""From so much on [s], the wall clock was set, or the machine slept."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a run ends and the next one begins, and how many stay.

    Parameters
    ----------
    samples : int
        Samples of a run.
    time_s : float
        Length of a run [s].
    keep : int
        Runs that are kept, the one that is written included.
    """

    samples: int = 1_000_000
    time_s: float = 86_400.0
    keep: int = 8


class Session:
    """Weighs one target.

    Parameters
    ----------
    name : str
        Of the target.
    plan : RunPlan
        With a split; its limits are not looked at.
    asked : WatchPolicy
    teller : Teller
        Takes the events.
    watch : Watch or None
        Reports changes of the expectation.
    rotation : Rotation
    max_time_s : float, default inf
        How long is weighed in all [s].
    is_fail_fast : bool
        Whether the first alarm ends it.
    wall : callable
        Seconds since 1970.
    clock : Clock
        Monotonic time.

    Attributes
    ----------
    lookout : Lookout
    latest : LiveState or None
        The last picture of the state.

    Raises
    ------
    UsageError
        If the folder of the first run cannot be made, or the transport cannot carry the target.
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(
        self,
        name: str,
        plan: RunPlan,
        asked: WatchPolicy,
        teller: Teller,
        watch: Watch | None = None,
        *,
        rotation: Rotation | None = None,
        max_time_s: float = inf,
        is_fail_fast: bool = False,
        wall: Callable[[], float] = time,
        clock: Clock = run_clock,
    ) -> None:
        self.name = name
        self.plan = plan
        self.started = wall()
        self.lookout = Lookout(name, asked, self.started, plan.seed)
        self.latest: LiveState | None = None
        self.clock = clock
        self.wall = wall
        self._began_ns = clock()
        self._ahead_s = self._wall_ahead_s()
        self._teller = teller
        self._watcher = None if watch is None else watch.watcher
        self._shared = None if watch is None else SharedWatcher(watch)
        self._watch = watch
        self._rotation = rotation or Rotation()
        self._max_time_s = max_time_s
        self._is_fail_fast = is_fail_fast
        self._is_stopping = False
        self._wakes = asyncio.Event()
        self._costs = Costs(plan)
        self._views = {view.name: view.shares for view in plan.views}
        self._stretches = 0
        self._looked = self._pictured = self._recorded = self._slow = -inf
        self._state = self.lookout.course.state
        self._health: Health | None = None
        self._compared = 1
        self._log = EventLog(None)
        self._segment = self._next_segment()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the last stretch; that nothing could be measured, without any label."""
        if not self.lookout.has_measured:
            return ExitCode.UNMEASURABLE
        if self.has_failed_fast:
            return ExitCode.FAIL
        return self.lookout.verdict.exit_code

    @property
    def has_failed_fast(self) -> bool:
        """Whether an alarm has ended it."""
        return self._is_fail_fast and bool(self.lookout.alarms)

    def stop(self) -> None:
        """End: drain, report, write; a second call gives up what is in flight."""
        self._is_stopping = True
        self._wakes.set()
        self._segment.interrupt()

    async def run(self) -> ExitCode:
        """Weigh until told to end.

        Raises
        ------
        WeighbridgeError
            If the target's name cannot be resolved, the cluster cannot be watched at the start, or
            a run cannot be written any more.
        """
        try:
            return await self._weigh()
        except WeighbridgeError as error:
            self._give_up(error)
            raise

    async def _weigh(self) -> ExitCode:
        self._note("start", f"weighing {self.plan.target.shown}")
        pause_s = SHORTEST_PAUSE_S
        async with self._watcher or nullcontext():
            while True:
                before = self.lookout.counts.last_judged
                await self._segment.run()
                self._close_segment()
                overload = self._segment.engine.overload
                if self._is_over():
                    break
                if overload is not None:
                    is_early = self.lookout.counts.last_judged == before
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S) if is_early else SHORTEST_PAUSE_S
                    await self._pause(overload, pause_s)
                    if self._is_over():
                        break
                    self._note("restart", "sending goes on after a pause")
                else:
                    self._note("rotate", "the next run begins")
                following = self._next_segment()
                self._costs.add(self._segment)
                self._segment = following
        self._note("end", f"the last state is {self.lookout.course.state}")
        self._log.close()
        return self.exit_code

    def _is_over(self) -> bool:
        passed_s = (self.clock() - self._began_ns) / NS_PER_S
        return self._is_stopping or passed_s >= self._max_time_s

    def _give_up(self, error: WeighbridgeError) -> None:
        """Say that nothing is judged any more: the last state must not be taken for the present."""
        now = self.wall()
        why = f"weighing has ended: {error}"
        events = self.lookout.look(now, why)
        self._measure(now)
        self.latest = self._picture(now, len(events))
        events.append(StateTold(seq=0, at=now, target=self.name, state=self.latest))
        self._teller.tell(events)  # and not into the run, whose disk may be what failed
        with suppress(StorageError):
            self._log.close()

    def _wall_ahead_s(self) -> float:
        return self.wall() - self.clock() / NS_PER_S

    def _follow_clock(self) -> None:
        """Notice that the wall clock was set: what is due and how old things are counts anew."""
        moved_s = self._wall_ahead_s() - self._ahead_s
        if abs(moved_s) < _CLOCK_SET_S:
            return
        self._ahead_s += moved_s
        self._looked = self._pictured = self._recorded = self._slow = -inf
        self._costs.follow_clock()
        self.lookout.counts.follow_clock(moved_s)
        self._note("warning", f"the clock of this machine was set by {moved_s:+.0f} s, or it slept")

    # Runs

    def _next_segment(self) -> Segment:
        """Make the next run: of the split that is expected by now."""
        plan, watch = self.plan, self._watch
        if hasattr(self, "_segment"):
            watched = self.lookout.watched
            self.lookout.resume()
            split = watched.evidence.split
            views = plan.views if split == plan.split else ()
            plan = replace(plan, split=split, source=watched.source, views=views, wait_for_s=0.0)
            if watch is not None and self._shared is not None:
                last = self._shared.last
                is_held = last is not None and last.expectation is None
                is_moving = watched.phase is not Phase.JUDGING
                watch = replace(
                    watch, start=last if is_held else None, age_s=0.0 if is_moving else None
                )
        if watch is not None and self._shared is not None:
            watch = replace(watch, watcher=self._shared, wait_s=inf)
        plan = replace(
            plan, keep=None, limits=Limits(max_time_s=min(self._max_time_s, _LONGEST_RUN_S))
        )
        segment = Segment(plan, self, watch)
        self._log.close()
        self._log = EventLog(segment.path)
        return segment

    def _close_segment(self) -> None:
        """Tell the last state of a run, and remove old ones."""
        self._pictured = self._recorded = -inf  # a run ends with its state
        self._look(self.wall())
        if self.plan.out is not None:
            coming = 0 if self._is_over() else 1
            most = max(self._rotation.keep - coming, 1)
            keep_newest(self.plan.out, most, folder_name(self.plan.name))

    async def _pause(self, overload: str, pause_s: float) -> None:
        """Send nothing for a while; the state says why."""
        end_ns = self.clock() + pause_s * NS_PER_S
        why = f"the target is overloaded: {overload}; sending pauses for {pause_s:.0f} s"
        while not self._is_over() and self.clock() < end_ns:
            self._follow_clock()
            self._look(self.wall(), why)
            try:
                async with asyncio.timeout(STATE_EVERY_S):
                    await self._wakes.wait()
            except TimeoutError:
                continue

    # Looks

    def sampled(self, batch: Batch) -> None:
        """Hand samples on to whoever measures them."""
        for sampler in self._teller.samplers:
            sampler(self.name, batch)

    def tick(self, segment: Segment) -> None:
        """Look at a run that goes on, and end it when it is time."""
        self._follow_clock()
        now = self.wall()
        if now - self._looked < LOOK_EVERY_S:
            return
        engine = segment.engine
        self._look(now, "the target asks for a pause (Retry-After)" if engine.is_paused else "")
        if self._is_over() or self.has_failed_fast:
            self._is_stopping = True
            engine.stop()
        elif (
            engine.launched >= self._rotation.samples
            or engine.elapsed_ns() >= self._rotation.time_s * 1e9
        ) and self.lookout.watched.phase is Phase.JUDGING:
            engine.stop()

    def _look(self, now: float, blindness: str = "") -> None:
        """Look, tell what is new, and draw the state when it is due."""
        self._looked = now
        events = self.lookout.look(now, blindness)
        if self.lookout.stretches != self._stretches:
            self._stretches = self.lookout.stretches
            self._compare_anew()
        has_turned = self.lookout.course.state is not self._state
        if has_turned or now - self._pictured >= STATE_EVERY_S:
            self._pictured = now
            self._measure(now)
            self.latest = self._picture(now, len(events))
            if has_turned or now - self._recorded >= RECORD_EVERY_S:
                self._recorded, self._state = now, self.lookout.course.state
                events.append(StateTold(seq=0, at=now, target=self.name, state=self.latest))
        self._tell(events)

    def _note(self, kind: str, text: str) -> None:
        self._tell([NoteTold(seq=0, at=self.wall(), target=self.name, kind=kind, text=text)])

    def _tell(self, events: list[Event]) -> None:
        self._log.write(self._teller.tell(events))

    def _compare_anew(self) -> None:
        """Compare canary and stable version of another stretch."""
        split = self.lookout.watched.evidence.split
        try:
            health = HealthEvidence.start(split, self.plan.health, self.plan.seed)
        except ValueError:  # the named versions are not in this split
            health = None
        self._segment.compare_anew(health)
        self._health, self._compared, self._slow = None, 1, -inf

    def _measure(self, now: float) -> None:
        """Measure what the sampling costs, and now and then what takes long."""
        self._costs.measure(self._segment, now)
        if now - self._slow >= SLOW_EVERY_S:
            self._slow = now
            health = self._segment.health
            compared = 0 if health is None else sum(n for n, _ in health.failures.totals())
            if health is not None and compared >= NEARLY_EQUAL * self._compared:
                self._compared, self._health = compared, health_of(health, seed=0)
            self._costs.measure_disk()

    def _picture(self, now: float, coming: int) -> LiveState:
        segment = self._segment
        around = Around(
            url=self.plan.target.shown,
            run="" if segment.path is None else segment.path.name,
            started=self.started,
            cost=self._costs.now(segment),
            views=self._views if self.lookout.watched.previous is None else {},
            outcomes=self._costs.outcomes(segment),
            health=self._health,
            replicas=segment.replicas,
            last_event=self._teller.last + coming,
        )
        return picture(self.lookout, around, now)


def ended_in_words(session: Session) -> str:
    """Say how a session ended, in a line."""
    told = counted(session.lookout.counts.totals.total(), "connection")
    alarms = counted(session.lookout.alarms.total(), "alarm")
    return f"{session.name}: {session.lookout.verdict} at the end, {told} judged, {alarms}"
