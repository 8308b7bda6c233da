"""The engine: launches requests as the plan says and hands out batches in send order.

A closed workload launches the next request of a slot when its last one has ended; an open
one launches at the due times of a Poisson process and sheds what finds no idle slot. Both
send little until the first label has arrived (`sampler.engine.probing`), stop at the limits of
the plan or when told to, and then drain: every launched request ends in exactly one outcome.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from math import inf
from sys import maxsize
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler.base.clock import NS_PER_MS, NS_PER_S, run_clock
from sampler.engine.effort import Effort
from sampler.engine.pacing import RateCap, poisson_arrivals
from sampler.engine.probing import Probing
from sampler.engine.saturation import Gauge
from sampler.exchange.overload import (
    LONGEST_PAUSE_S,
    MOST_PAUSES,
    SHORTEST_PAUSE_S,
    WINDOW,
    OverloadWatch,
    retry_after_s,
)
from sampler.exchange.record import HOLD_NS, Recorder
from sampler.exchange.transport.base import Wiring
from sampler.exchange.transport.choice import make_transport
from sampler.labels.reader import LabelReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
    from pathlib import Path

    from analysis import Batch
    from sampler.base.clock import Clock
    from sampler.engine.saturation import Strain
    from sampler.exchange.transport.base import TransportFactory
    from sampler.plan.load import Limits, Load
    from sampler.plan.run import RunPlan
    from sampler.plan.target import Target

_SHORTEST_TICK_NS = 2 * NS_PER_MS
_LONGEST_TICK_NS = 50 * NS_PER_MS
_TICKS_IN_ELAPSED = 20
_LONGEST_WAIT_NS = 50 * NS_PER_MS
_TIMER_NS = NS_PER_MS  # the resolution of the loop's timers; shorter waits would only spin


class Engine:
    """Samples one target in one process.

    Parameters
    ----------
    target, load, limits
        What is sent, how, and until when.
    reader : LabelReader
        Reads label and replica.
    transport : callable
        Makes the transport that carries the exchanges.
    seed : int
        Of arrivals and connection lengths.
    clock : Clock
        Monotonic time.
    on_tick : callable or None
        Called a few dozen times a second, whether answers came or not; may call `slow_down`.
    allowed : int
        Requests that may be launched until `allow` says more.

    Notes
    -----
    `batches` runs it. Between batches the fields `launched`, `shed`, `sending_ns`,
    `is_paused`, `is_hopeless` and `overload` may be read, and `stop` and `abort` may be called
    at any time.

    A cap on the rate and a schedule have launchers of their own, chosen here, once; what is
    sent as fast as answers come pays nothing for them.
    """

    silent: frozenset[int] = frozenset()
    """It is no vantage of a fleet."""

    def __init__(
        self,
        target: Target,
        load: Load,
        limits: Limits,
        reader: LabelReader,
        *,
        transport: TransportFactory,
        seed: int = 0,
        clock: Clock = run_clock,
        on_tick: Callable[[], None] | None = None,
        allowed: int = maxsize,
    ) -> None:
        self.shed = 0
        self.sending_ns = 0
        self.reached_max_time = False
        self._clock = clock
        self._origin_ns = self._schedule_ns = clock()
        self.recorder = Recorder(reader.labels, reader.replicas)
        self.is_stopping = False
        self.is_paused = False
        self.is_hopeless = False
        self.overload: str | None = None
        self._is_held = False  # stopping or paused
        self._limits = limits
        self._load = load
        self._idle: deque[int] = deque()  # taken in turn, so that each connection has its part
        self._waiting: deque[int] = deque()
        self._pace: float | None = None
        self._is_waiting = False
        self._on_tick = on_tick
        self._is_started = False
        most = inf if load.max_rate is None and on_tick is not None else load.max_rate
        self._cap = None if most is None else RateCap(most, load.concurrency)
        self._watch = OverloadWatch() if load.overload_stop else None
        self._resume_ns = 0
        self._gauge = Gauge(load, clock)
        self._most = maxsize if limits.max_samples is None else limits.max_samples
        self._reader = reader
        self._labels = reader.labels
        self._allowed = allowed
        self._probing: Probing | None = Probing(load.timeout_s)
        self._quota = 0  # launches so far, at most
        self._has_held_back = False
        self._arrivals: Iterator[int] = iter(())
        self._rng = np.random.default_rng(seed)
        self._due_ns = 0
        self._is_sending = False
        if load.rate is not None:
            self._arrivals = poisson_arrivals(load.rate, self._rng)
        self._timer: asyncio.TimerHandle | None = None
        self._awaited: asyncio.Future[None] | None = None
        self._ends_ns = None if limits.max_time_s is None else round(limits.max_time_s * NS_PER_S)
        self.transport = transport(
            Wiring(
                target=target,
                load=load,
                reader=reader,
                recorder=self.recorder,
                clock=clock,
                seed=seed,
                on_idle=self._launcher(),
                launches_itself=self._cap is None and load.rate is None,
            )
        )
        self._launches = self.transport.launches
        self._let(quota=self._probing.quota)

    @property
    def launched(self) -> int:
        """Requests launched so far."""
        return self._launches.launched

    def elapsed_ns(self) -> int:
        """Time since the run began to send [ns]."""
        return self._clock() - self._origin_ns

    @property
    def in_flight(self) -> int:
        """Requests launched and not recorded yet."""
        return self.launched - self.recorder.recorded

    def stop(self) -> None:
        """Launch nothing more; what is in flight is drained until its timeout."""
        if not self.is_stopping:
            self.is_stopping = True
            self.is_paused = False
            self._let(is_held=True)
            self.sending_ns = self.elapsed_ns()
            self._shed_what_is_due()
            self._gauge.stop()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._awaited is not None:
                self._awaited.cancel()

    def slow_down(self, rate_per_s: float | None, *, is_waiting: bool = False) -> None:
        """Send no more than this, or what the plan says again if None [1/s].

        Parameters
        ----------
        rate_per_s : float or None
        is_waiting : bool
            Whether answers without a label are no wonder: a run without one is not given up.
        """
        if (rate_per_s, is_waiting) == (self._pace, self._is_waiting) or self.is_stopping:
            return
        load, self._pace, self._is_waiting = self._load, rate_per_s, is_waiting
        most = inf if load.max_rate is None else load.max_rate
        slow = inf if rate_per_s is None else rate_per_s
        self._cap = RateCap(min(most, slow), load.concurrency)
        if self._probing is not None:  # what was asked too early says nothing
            self._probing = Probing(load.timeout_s, self.launched)
            self._probing.begin(self.elapsed_ns(), self.launched)
            self._let(quota=maxsize if is_waiting else self._probing.quota)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if load.rate is not None:  # what was due meanwhile is not made up for
            self._arrivals = poisson_arrivals(min(load.rate, slow), self._rng)
            self._schedule_ns = self._clock()
        if self._is_started:
            if load.rate is not None:
                self._due_ns = self._next_due()
            self._launch_idle()

    def allow(self, launches: int, *, is_last: bool = False) -> None:
        """Let so many requests be launched in all; after the last ones, sending stops."""
        self._allowed = launches
        if is_last:
            self._most = min(self._most, launches)
        if self.is_stopping:
            return
        if self._probing is None or self._labels.names:
            self._lift_quota()
        else:
            self._let(quota=maxsize if self._is_waiting else self._probing.quota)
        if self.launched >= self._most:
            self.stop()
        elif self._is_started and not self._is_held:
            self._launch_idle()

    def complete_ns(self) -> int:
        """Return an instant before which all that was planned is handed out [ns]; 0 at first.

        None of the requests that follow is planned before it.
        """
        if not self._is_started or self.recorder.handed_out < self.launched:
            return 0
        now = self._clock()
        if self._load.rate is not None:
            now = min(now, self._due_ns)
        return now - self._origin_ns

    def strain(self) -> Strain:
        """Return how hard the client had to work; after the last batch."""
        return self._gauge.strain(
            sending_ns=self.sending_ns, launched=self.launched, shed=self.shed
        )

    def effort(self) -> Effort:
        """Return what sending the run took; after the last batch."""
        recorder = self.recorder
        return Effort(
            transport=self.transport.name,
            strains=(self.strain(),),
            launched=self.launched,
            shed=self.shed,
            duration_ns=self.elapsed_ns(),
            closings=tuple(self.transport.closings),
            failures=recorder.failures,
            example=self._reader.example,
            surplus=recorder.surplus,
            failed_lookups=0 if recorder.remotes is None else recorder.remotes.failed_lookups,
            pauses=0 if self._watch is None else self._watch.pauses,
            overload=self.overload,
            reached_max_time=self.reached_max_time,
        )

    def abort(self) -> None:
        """Stop, and give up what is in flight."""
        self.stop()
        self.transport.abort()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield batches of completed samples in send order until all are in.

        The batches come a few dozen times a second at most: at first every 2 ms, so that
        a quick decision is noticed quickly, later at a twentieth of the time elapsed; after
        the end of sending the same again.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """
        try:
            if not await self._open():
                return
            self._start()
            while True:
                await self._unless_stopped(asyncio.sleep(self._tick_ns() / NS_PER_S))
                if self.transport.failure is not None:
                    raise self.transport.failure
                if self.is_paused and self.elapsed_ns() >= self._resume_ns:
                    self._resume()
                if self._on_tick is not None:
                    self._on_tick()
                if self._ends_ns is not None and self.elapsed_ns() >= self._ends_ns:
                    self.reached_max_time = self.reached_max_time or not self.is_stopping
                    self.stop()
                if self.is_stopping:
                    self.transport.finish()
                self.recorder.let_go(self._clock() - HOLD_NS)
                is_last = self.is_stopping and self.in_flight == 0
                batch = self.recorder.seal()
                self._look_for_overload()
                self._look_for_labels()
                self._gauge.take(batch)
                if batch is not None:
                    # Who takes it will do arithmetic: the servers shall not have run idle by then.
                    await asyncio.sleep(0)
                    yield batch
                if is_last:
                    return
        finally:
            self.abort()
            await self.transport.aclose()

    async def _open(self) -> bool:
        """Get the transport ready; False if `stop` came first: a name server may be silent."""
        if self.is_stopping:
            return False
        return await self._unless_stopped(self.transport.open()) and not self.is_stopping

    async def _unless_stopped(self, act: Coroutine[Any, Any, None]) -> bool:
        """Wait for something that `stop` cancels; return whether it was done."""
        awaited = self._awaited = asyncio.ensure_future(act)
        try:
            await asyncio.wait([awaited])
        finally:
            awaited.cancel()
        if awaited.cancelled():
            return False
        awaited.result()
        return True

    def _start(self) -> None:
        # Resolving the name is not part of the run.
        self._origin_ns = self.recorder.origin_ns = self._schedule_ns = self._clock()
        self._gauge.start()
        self._is_started = True
        slots = range(self._load.concurrency)
        if self._load.rate is None:
            launch = self._launcher()
            for slot in slots:
                launch(slot)
        else:
            self._idle.extend(slots)
            self._due_ns = self._next_due()
            self._launch_due()

    def _tick_ns(self) -> int:
        now = self.elapsed_ns()
        passed = now - self.sending_ns if self.is_stopping else now  # the end is awaited anew
        tick = min(max(passed // _TICKS_IN_ELAPSED, _SHORTEST_TICK_NS), _LONGEST_TICK_NS)
        if self._ends_ns is not None and not self.is_stopping:
            tick = max(min(tick, self._ends_ns - now), 0)
        return tick

    def _launcher(self) -> Callable[[int], None]:
        """Choose what is done with a slot that is idle."""
        if self._load.rate is not None:
            return self._take_idle
        return self._launch_next if self._cap is None else self._launch_capped

    def _wake_in(self, wait_ns: float, act: Callable[[], None]) -> None:
        """Call `act` when launching may go on; a timer that runs already comes first."""
        if self._timer is None and not self.is_stopping:
            wait_s = max(wait_ns, _TIMER_NS) / NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake, act)

    def _wake(self, act: Callable[[], None]) -> None:
        self._timer = None
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a timer has no caller: `batches` raises it
            self.transport.failure = error

    # Closed workload

    def _launch_next(self, slot: int) -> None:
        launches = self._launches
        index = launches.launched
        if index >= launches.limit:
            if self.is_stopping:
                return
            if self._is_held or not self._may_go_on():
                self._waiting.append(slot)
                return
        launches.launched = index + 1
        self.transport.launch(slot, index)

    def _launch_capped(self, slot: int) -> None:
        self._waiting.append(slot)
        self._launch_waiting()

    def _launch_waiting(self) -> None:
        """Launch in the slots that wait, in their order, as far as the cap allows."""
        cap, now = self._cap, self._clock()
        while self._waiting and not self._is_held:
            if self.launched >= self._quota and not self._may_go_on():
                return
            if cap is not None and not cap.take(now):
                self._wake_in(cap.wait_ns(now), self._launch_waiting)
                return
            index = self._launches.launched
            self._launches.launched = index + 1
            self.transport.launch(self._waiting.popleft(), index)

    # Open workload

    def _take_idle(self, slot: int) -> None:
        self._idle.append(slot)
        now = self._clock()
        if self._due_ns <= now:
            self._launch_arrivals(now)

    def _next_due(self) -> int:
        return self._schedule_ns + next(self._arrivals)

    def _launch_due(self) -> None:
        """Launch every arrival that is due, shed what has waited enough; set the next timer.

        An arrival that finds no slot idle waits for one: after a stall of this process, or of
        the target, slots become idle faster than arrivals come due. Its patience ends where a
        stall would be one that this machine or the target suffers from for good.
        """
        now = self._clock()
        self._is_sending = True
        self._launch_arrivals(now)
        last_ns = now if self._is_held else now - _LONGEST_WAIT_NS
        while self._due_ns <= last_ns and not self.is_stopping:
            if self._idle and not self._is_held:
                break  # only the cap holds it back: it stays due
            self.shed += 1
            self._due_ns = self._next_due()
        wait_ns = self._due_ns - now
        if self._cap is not None:
            wait_ns = max(wait_ns, self._cap.wait_ns(now))
        self._wake_in(wait_ns, self._launch_due)

    def _launch_arrivals(self, now: int) -> None:
        """Launch what is due in the slots that are idle, as far as the cap allows."""
        while self._due_ns <= now:
            if self.launched >= self._quota and not self._may_go_on():
                return
            if self._is_held or not self._idle:
                return
            if self._cap is not None and not self._cap.take(now):
                return
            index = self._launches.launched
            self._launches.launched = index + 1
            self.transport.launch(self._idle.popleft(), index, self._due_ns)
            self._due_ns = self._next_due()

    def _shed_what_is_due(self) -> None:
        """Count, at the end of sending, what was due by then and will not be sent."""
        now = self._clock()
        while self._is_sending and self.launched < self._quota and self._due_ns <= now:
            self.shed += 1
            self._due_ns = self._next_due()

    # Before the first label

    def _may_go_on(self) -> bool:
        """Whether one more may be launched where the quota is used up; stop at the last one."""
        if self._labels.names and self._quota < self._most:
            self._lift_quota()
        if self.launched >= self._most:
            self.stop()
        self._has_held_back = self.launched >= self._quota
        return not self._has_held_back

    def _lift_quota(self) -> None:
        if self._has_held_back:
            # What was held back was never due: the schedule goes on from here.
            late_ns = max(self._clock() - self._due_ns, 0)
            self._schedule_ns += late_ns
            self._due_ns += late_ns
        self._let(quota=maxsize)

    def _let(self, *, quota: int | None = None, is_held: bool | None = None) -> None:
        """Set how many may be launched in all, as far as the plan and who allows launches leave it.

        While they are held, none may.
        """
        if quota is not None:
            self._quota = min(quota, self._most, self._allowed)
        if is_held is not None:
            self._is_held = is_held
        self._launches.limit = 0 if self._is_held else self._quota

    def _look_for_labels(self) -> None:
        """Go on as far as a run may that has no label yet, or give it up."""
        probing, now = self._probing, self.elapsed_ns()
        if probing is None or self.is_stopping or self.is_paused or self._is_waiting:
            return
        ended = self.recorder.recorded
        if self._labels.names:
            self._probing = None
            self._lift_quota()
        elif probing.is_hopeless(now, ended=ended, in_order=ended - self.recorder.waiting):
            self.is_hopeless = True
            self.abort()
            return
        else:
            probing.look(now, launched=self.launched, ended=ended)
            self._let(quota=probing.quota)
        self._launch_idle()

    # Overload of the target

    def _look_for_overload(self) -> None:
        watch = self._watch
        headers, self.recorder.throttled = self.recorder.throttled, None
        if watch is None or self.is_stopping:
            return
        asked_s = None if headers is None else retry_after_s(headers, datetime.now(UTC))
        if asked_s is not None:
            self._pause(asked_s, watch)
        elif not self.is_paused and watch.see(self.recorder.statuses):
            self._give_up(f"{watch.bad} of its last {WINDOW} answers had the status 429 or 5xx")

    def _pause(self, asked_s: float, watch: OverloadWatch) -> None:
        """Launch nothing for as long as the target asks, if the run has the time."""
        now = self.elapsed_ns()
        resume_ns = now + round(max(asked_s, SHORTEST_PAUSE_S) * NS_PER_S)
        longest_ns = now + round(LONGEST_PAUSE_S * NS_PER_S)
        if resume_ns >= (longest_ns if self._ends_ns is None else self._ends_ns):
            self._give_up(f"it asks for a pause of {asked_s:g} s, which is more than is left")
        elif self.is_paused:  # an answer to what was in flight when the pause began
            self._resume_ns = max(self._resume_ns, resume_ns)
        elif watch.pauses >= MOST_PAUSES:
            self._give_up(f"it asks for a pause once more after {watch.pauses} of them")
        else:
            watch.pauses += 1
            self.is_paused = True
            self._resume_ns = resume_ns
            self._let(is_held=True)

    def _resume(self) -> None:
        self.is_paused = False
        self._let(is_held=False)
        if self._watch is not None:
            self._watch.forget()
        if self._probing is not None:
            self._probing.begin(self.elapsed_ns(), self.launched)
            self._let(quota=self._probing.quota)
        self._launch_idle()

    def _launch_idle(self) -> None:
        """Launch in the slots that were held back."""
        if self._load.rate is not None:
            self._launch_due()
        elif self._cap is not None:
            self._launch_waiting()
        else:
            waiting, self._waiting = self._waiting, deque()
            for slot in waiting:
                self._launch_next(slot)

    def _give_up(self, why: str) -> None:
        self.overload = why
        self.stop()


def one_process(
    plan: RunPlan,
    *,
    folder: Callable[[], Path | None] | None = None,  # noqa: ARG001 - for who sends elsewhere
    clock: Clock = run_clock,
    on_tick: Callable[[], None] | None = None,
    seed: int | None = None,
    allowed: int = maxsize,
) -> Engine:
    """Return an engine that sends a plan from this process.

    Parameters
    ----------
    plan : RunPlan
    folder, clock, on_tick
        As of `sampler.engine.effort.SamplingFactory`.
    seed : int or None
        Of arrivals and connection lengths; None takes the plan's.
    allowed : int
        As of `Engine`.
    """
    expected = () if plan.split is None or on_tick is not None else plan.split.arms
    return Engine(
        plan.target,
        plan.load,
        plan.limits,
        LabelReader(plan.label, plan.replica, expected=expected),
        transport=make_transport,
        seed=plan.seed if seed is None else seed,
        clock=clock,
        on_tick=on_tick,
        allowed=allowed,
    )
