"""The engine: launches requests as the plan says and hands out batches in send order.

A closed workload launches the next request of a slot when its last one has ended; an open
one launches at the due times of a Poisson process and sheds what finds no idle slot. Both
stop at the limits of the plan or when told to, and then drain: every launched request ends in
exactly one outcome.
"""

from __future__ import annotations

import asyncio
from sys import maxsize
from typing import TYPE_CHECKING

import numpy as np

from sampler.clock import NS_PER_MS, NS_PER_S, run_clock
from sampler.errors import UsageError
from sampler.pacing import poisson_arrivals
from sampler.plan import Limits, Load, TransportKind
from sampler.record import Recorder
from sampler.transport.base import Transport, Wiring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from analysis import Batch
    from sampler.clock import Clock
    from sampler.labels import LabelReader
    from sampler.target import Target

_SHORTEST_TICK_NS = 2 * NS_PER_MS
_LONGEST_TICK_NS = 50 * NS_PER_MS
_TICKS_IN_ELAPSED = 20


class Engine:
    """Samples one target in one process.

    Parameters
    ----------
    target, load, limits
        What is sent, how, and until when.
    reader : LabelReader
        Reads label and replica.
    seed : int
        Of arrivals and connection lengths.
    clock : Clock
        Monotonic time.

    Notes
    -----
    `batches` runs it. Between batches the fields `launched`, `shed` and `sending_ns` may be
    read, and `stop` and `abort` may be called at any time.
    """

    def __init__(
        self,
        target: Target,
        load: Load,
        limits: Limits,
        reader: LabelReader,
        *,
        seed: int = 0,
        clock: Clock = run_clock,
    ) -> None:
        self.launched = 0
        self.shed = 0
        self.sending_ns = 0
        self.reached_max_time = False
        self._clock = clock
        self._origin_ns = clock()
        self.recorder = Recorder(reader.labels, reader.replicas)
        self.is_stopping = False
        self._limits = limits
        self._load = load
        self._idle: list[int] = []
        self._most = maxsize if limits.max_samples is None else limits.max_samples
        self._arrivals: Iterator[int] = iter(())
        self._due_ns = 0
        if load.rate is not None:
            self._arrivals = poisson_arrivals(load.rate, np.random.default_rng(seed))
        self._timer: asyncio.TimerHandle | None = None
        self._ends_ns = None if limits.max_time_s is None else round(limits.max_time_s * NS_PER_S)
        wiring = Wiring(
            target=target,
            load=load,
            reader=reader,
            recorder=self.recorder,
            clock=clock,
            seed=seed,
            on_idle=self._take_idle if load.rate is not None else self._launch_next,
        )
        self.transport = make_transport(wiring)

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
            self.sending_ns = self.elapsed_ns()
            if self._timer is not None:
                self._timer.cancel()

    def abort(self) -> None:
        """Stop, and give up what is in flight."""
        self.stop()
        self.transport.abort()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches of completed samples in send order until all are in.

        The batches come a few dozen times a second at most: at first every 2 ms, so that
        a quick decision is noticed quickly, later at a twentieth of the time elapsed.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """
        await self.transport.open()
        try:
            self._start()
            while True:
                await asyncio.sleep(self._tick_ns() / NS_PER_S)
                if self.transport.failure is not None:
                    raise self.transport.failure
                if self._ends_ns is not None and self.elapsed_ns() >= self._ends_ns:
                    self.reached_max_time = self.reached_max_time or not self.is_stopping
                    self.stop()
                is_last = self.is_stopping and self.in_flight == 0
                batch = self.recorder.seal()
                if batch is not None:
                    yield batch
                if is_last:
                    return
        finally:
            self.abort()
            await self.transport.aclose()

    def _start(self) -> None:
        # Resolving the name is not part of the run.
        self._origin_ns = self.recorder.origin_ns = self._clock()
        slots = range(self._load.concurrency)
        if self._load.rate is None:
            for slot in slots:
                self._launch_next(slot)
        else:
            self._idle = list(reversed(slots))
            self._due_ns = self._next_due()
            self._launch_due()

    def _tick_ns(self) -> int:
        now = self.elapsed_ns()
        tick = min(max(now // _TICKS_IN_ELAPSED, _SHORTEST_TICK_NS), _LONGEST_TICK_NS)
        if self._ends_ns is not None and not self.is_stopping:
            tick = max(min(tick, self._ends_ns - now), 0)
        return tick

    # Closed workload

    def _launch_next(self, slot: int) -> None:
        index = self.launched
        if self.is_stopping:
            return
        if index >= self._most:
            self.stop()
            return
        self.launched = index + 1
        self.transport.launch(slot, index)

    # Open workload

    def _take_idle(self, slot: int) -> None:
        self._idle.append(slot)
        if self._due_ns <= self._clock():
            self._launch_due()

    def _next_due(self) -> int:
        return self._origin_ns + next(self._arrivals)

    def _launch_due(self) -> None:
        """Launch or shed every arrival that is due, and wake up for the next one."""
        now = self._clock()
        while self._due_ns <= now and not self.is_stopping:
            if self.launched >= self._most:
                self.stop()
            elif self._idle:
                index = self.launched
                self.launched += 1
                self.transport.launch(self._idle.pop(), index, self._due_ns)
            else:
                self.shed += 1
            self._due_ns = self._next_due()
        if self._timer is not None:
            self._timer.cancel()
        if not self.is_stopping:
            wait_s = max(self._due_ns - self._clock(), 0) / NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._launch_due)


def make_transport(wiring: Wiring) -> Transport:
    """Choose the transport: ``fast`` where it can carry the target.

    Raises
    ------
    UsageError
        If ``fast`` is asked for a target that it cannot carry.
    """
    kind = wiring.load.transport
    if kind is TransportKind.FAST and wiring.target.is_tls:
        raise UsageError(
            "the fast transport speaks plain HTTP only",
            hint="use --transport auto or full for https",
        )
    if kind is TransportKind.FULL or wiring.target.is_tls:
        from sampler.transport.full import FullTransport  # noqa: PLC0415 - aiohttp is heavy

        return FullTransport(wiring)
    from sampler.transport.fast import FastTransport  # noqa: PLC0415 - symmetric with above

    return FastTransport(wiring)
