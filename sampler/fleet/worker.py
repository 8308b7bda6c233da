"""One vantage: an engine that launches what it has a lease for, and a run of its own.

It stops by itself when its coordinator is gone or silent, and what it sealed is in its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from analysis import Batch
from analysis.weighing.fold import Fold
from analysis.weighing.merging import SLICE_NS, Slicer
from analysis.weighing.report import assemble
from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import WeighbridgeError
from sampler.engine.engine import one_process
from sampler.engine.preflight import raise_file_limit
from sampler.engine.saturation import cpu_s
from sampler.fleet.forks import serve_forks
from sampler.fleet.messages import (
    PATIENCE_S,
    SLICE_S,
    Done,
    Lease,
    Pace,
    Ready,
    Sealed,
    Start,
    Stop,
    Wish,
    pack,
    receive,
)
from sampler.run.report import Course, account_of, asked_of
from sampler.store.recording import Recording
from sampler.store.wire import to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from sampler.fleet.messages import Word

SILENCE_S = 5.0
"""Time without a word of the coordinator after which a vantage stops by itself [s]."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
BEAT_NS = 2 * SLICE_NS
"""Between two words of a vantage at most, whether it has samples or not [ns]."""
_WINDOWS_IN_ELAPSED = 4


class Worker:
    """Samples for a coordinator.

    Parameters
    ----------
    start : Start
        What to do.
    tell : callable
        Takes each `Word` for the coordinator; those that it takes at once are one message.
    """

    def __init__(self, start: Start, tell: Callable[..., None]) -> None:
        self._start = start
        self._tell = tell
        self._slicer = Slicer(self._seal)
        self._told_ns = self._heard_ns = run_clock()
        self._wished = 0
        self._sealed: list[Batch] = []  # and not counted yet
        self._gave_up = False
        self._seen = (0, 0)  # time and launches when the rate was looked at [ns, 1]
        self._rate_per_s = start.plan.load.rate or 0.0
        self._engine = one_process(start.plan, on_tick=self._tick, seed=start.seed, allowed=0)

    async def run(self) -> None:
        """Sample until told to stop, or until the plan ends it; write the run; say so."""
        plan, engine, began = self._start.plan, self._engine, datetime.now(UTC)
        cpu = cpu_s()
        recording = Recording(plan, began)
        recording.begin(None)
        raise_file_limit(plan.load.concurrency)
        fold = Fold(None, has_connections=not plan.load.connection.is_fresh)
        gc.freeze()
        self._tell(*self._wishes())
        async with contextlib.aclosing(engine.batches()) as batches:
            async for batch in batches:
                self._slicer.take(batch)
                await self._count(fold, recording)
        self._slicer.complete()
        await self._count(fold, recording)
        effort = replace(engine.effort(), cpu_s=cpu_s() - cpu)
        run = "" if recording.path is None else str(recording.path)
        self._tell(Done(effort, run, gave_up=self._gave_up))
        folded = fold.finish()
        course = Course(began, cpu, recording.path, [], None, 0)
        account = account_of(plan, replace(effort, cpu_s=0.0), folded.tally, course)
        recording.finish(assemble(asked_of(plan), folded, account), folded.tally)

    def hear(self, order: object) -> None:
        """Do what the coordinator says; None says that it is gone."""
        self._heard_ns = run_clock()
        match order:
            case Lease(launches, is_last):
                self._engine.allow(launches, is_last=is_last)
            case Pace(rate_per_s, is_waiting):
                self._engine.slow_down(rate_per_s, is_waiting=is_waiting)
            case Stop(is_abort=True):
                self._engine.abort()
            case _:
                self._engine.stop()

    def _tick(self) -> None:
        now = run_clock()
        if now - self._heard_ns > SILENCE_S * NS_PER_S and not self._engine.is_stopping:
            self._gave_up = True
            self._engine.stop()
        self._slicer.complete(self._engine.complete_ns() // SLICE_NS)
        if now - self._told_ns >= BEAT_NS:
            self._seal(self._slicer.sealed)
        if wishes := self._wishes():
            self._tell(*wishes)

    async def _count(self, fold: Fold, recording: Recording) -> None:
        """Fold and write what was sealed: one batch of a slice costs less than one of a tick."""
        sealed, self._sealed = self._sealed, []
        for batch in sealed:
            fold.take(batch)
            await recording.write(batch, self._engine.elapsed_ns)

    def _seal(self, slices: int, *batches: Batch) -> None:
        self._told_ns = run_clock()
        batch = Batch.joined(batches) if batches else None
        if batch is not None:
            self._sealed.append(batch)
        self._tell(Sealed(slices, to_bytes(batch)), *self._wishes(seals=True))

    def _wishes(self, *, seals: bool = False) -> list[Wish]:
        """Ask for launches before those that are allowed run out.

        Each message has a price at every process on its way, so it goes with one that seals a
        slice, if the launches would not last until the next one; by itself only if that is late.
        """
        engine, load = self._engine, self._start.plan.load
        if engine.is_stopping:
            return []
        now, launched = engine.elapsed_ns(), engine.launched
        window_ns = min(max(now // _WINDOWS_IN_ELAPSED, SLICE_NS // 5), SLICE_NS)
        if load.rate is None and now - self._seen[0] >= window_ns:
            since, before = self._seen
            self._rate_per_s = (launched - before) * NS_PER_S / max(now - since, 1)
            self._seen = (now, launched)
        rate_per_s, ahead_s = self._rate_per_s, self._start.ahead_s
        least_s = self._start.answer_s + seals * SLICE_S
        if load.rate is None and now < SLICE_NS:  # not known yet: twice as many each time
            rate_per_s, least_s = max(rate_per_s, launched / ahead_s), ahead_s / 2
        if self._wished - launched > rate_per_s * least_s + load.concurrency / 2:
            return []
        self._wished = launched + ceil(rate_per_s * ahead_s) + load.concurrency
        return [Wish(self._wished)]


async def serve(sock: socket.socket) -> None:
    """Sample for the process at the other end of a socket."""
    reader, writer = await asyncio.open_connection(sock=sock)

    def tell(*words: Word) -> None:
        if not writer.is_closing():
            writer.write(b"".join(map(pack, words)))

    tell(Ready())
    try:
        start = await asyncio.wait_for(receive(reader), PATIENCE_S)
    except TimeoutError:
        return
    if not isinstance(start, Start):
        return
    listening: asyncio.Task[None] | None = None
    try:
        worker = Worker(start, tell)
        listening = asyncio.create_task(_listen(reader, worker))
        await worker.run()
    except WeighbridgeError as error:
        tell(Done(None, error=str(error), hint=error.hint or ""))
    with contextlib.suppress(OSError):
        writer.write_eof()
        if listening is not None:
            # Subtle: a socket that is closed with orders unread resets the connection, and what
            # was said last is lost. So the other end, which has read it all, closes first.
            await asyncio.wait([listening], timeout=SILENCE_S)
        await writer.drain()
    writer.close()


async def _listen(reader: asyncio.StreamReader, worker: Worker) -> None:
    while (order := await receive(reader)) is not None:
        worker.hear(order)
    worker.hear(None)


def _die_with(parent: int) -> None:
    """End with the process that only forwards: nobody could hear this one any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """Fork children that sample for the process that started this one.

    The first argument is the descriptor of the socket to it; the second, if there is one, its
    number: then nothing outlives it.
    """
    # The coordinator hears the signals of the terminal, and says what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parents = [int(each) for each in sys.argv[2:]]
    for parent in parents:
        _die_with(parent)

    def sample(sock: socket.socket, server: int) -> None:
        if parents:
            _die_with(server)
        asyncio.run(serve(sock))

    to_bytes(Batch.of_labels((None,)))  # opens what a conversion imports
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        serve_forks(orders, sample)
