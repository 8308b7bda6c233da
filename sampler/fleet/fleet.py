"""The coordinator: who may launch how much, what is complete, and who is lost.

    async for batch in fleet.batches(): ...      # one stream, as of one process

Nothing is launched without a lease, and a lease is counted before it is given. So of a vantage that
is lost it is known how much it can have sent at most (`analysis.weighing.merging`). A vantage is
lost when its crew says so, or when it has said nothing for a request's timeout and `GRACE_S` more,
or when what it has sealed is twice as far behind, whatever its clock says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from sys import maxsize
from typing import TYPE_CHECKING, Protocol

import numpy as np

from analysis import Batch
from analysis.data.report import Worker
from analysis.weighing.merging import SLICE_NS, Merger
from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import SamplingError, UsageError
from sampler.engine.effort import Effort
from sampler.engine.saturation import Delays, Strain
from sampler.fleet.messages import Done, Gone, Lease, Pace, Sealed, Start, Stop, Wish
from sampler.store.wire import from_bytes, to_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from sampler.base.clock import Clock
    from sampler.fleet.messages import Order, Vantage, Word
    from sampler.plan.run import RunPlan

GRACE_S = 2.0
"""Silence beyond the timeout of a request after which a vantage is lost [s]."""
STARTING_S = 30.0
"""Time for a vantage to say its first word, as a machine that is busy needs it [s]."""
_TICK_S = 0.05
_BEAT_NS = NS_PER_S
_STALL_NS = NS_PER_S // 2


class Crew(Protocol):
    """Brings messages to vantages, and theirs back.

    Attributes
    ----------
    answer_s : float
        How long the answer to a vantage may take, where all of them ask at once [s].
    """

    answer_s: float

    async def open(self, inbox: asyncio.Queue[tuple[int, Word]]) -> Sequence[Vantage]:
        """Return the vantages, ready to start; what they say goes to the inbox by their number.

        Raises
        ------
        WeighbridgeError
            If there are none, or they are not fit.
        """

    def tell(self, number: int, order: Order) -> None:
        """Send an order on its way; what cannot be sent any more is dropped."""

    def give_up(self, number: int) -> None:
        """End a vantage that is lost, as far as that is possible."""

    async def close(self) -> None:
        """End what is left."""


@dataclass(slots=True)
class _Known:
    """What the coordinator knows of one vantage."""

    vantage: Vantage
    heard_ns: int
    told_ns: int
    began_ns: int | None = None
    has_spoken: bool = False
    leased: int = 0
    done: Done | None = None
    gone: str = ""

    @property
    def is_live(self) -> bool:
        return self.done is None and not self.gone


class Fleet:
    """Has a run sent by a crew; a `sampler.engine.effort.Sampling`.

    Parameters
    ----------
    plan : RunPlan
        What is sent in all: rate, concurrency and caps are divided among the vantages.
    crew : Crew
        Who sends it.
    folder, clock, on_tick
        As of `sampler.engine.effort.SamplingFactory`.
    counts_lost : bool
        As of `analysis.weighing.merging.Merger`.
    """

    def __init__(
        self,
        plan: RunPlan,
        crew: Crew,
        *,
        folder: Callable[[], Path | None],
        clock: Clock = run_clock,
        on_tick: Callable[[], None] | None = None,
        counts_lost: bool = True,
    ) -> None:
        self.is_stopping = False
        self._plan = plan
        self._crew = crew
        self._folder = folder
        self._clock = clock
        self._on_tick = on_tick
        self._counts_lost = counts_lost
        self._known: list[_Known] = []
        self._merger = Merger(1)
        self._origin_ns = self._looked_ns = clock()
        self._ended_ns: int | None = None
        # Zones that are looked at by themselves have each a part: a fast one takes nobody else's.
        zones = list(dict.fromkeys(plan.zone_of)) or [""]
        parts = _divided(plan.limits.max_samples or maxsize, len(zones))
        self._unleased = dict(zip(zones, parts, strict=True))

    @property
    def launched(self) -> int:
        """Requests that are known to be launched."""
        return sum(self._merger.rows(number) for number in range(len(self._known)))

    @property
    def silent(self) -> frozenset[int]:
        """Numbers of the vantages that send nothing more."""
        return frozenset(number for number, each in enumerate(self._known) if not each.is_live)

    def elapsed_ns(self) -> int:
        """Time since the run began to send [ns]."""
        return self._clock() - self._origin_ns

    def stop(self) -> None:
        """Launch nothing more; what is in flight is drained until its timeout."""
        if not self.is_stopping:
            self.is_stopping = True
            self._tell_all(Stop())

    def abort(self) -> None:
        """Stop, and give up what is in flight."""
        self.is_stopping = True
        self._tell_all(Stop(is_abort=True))

    def slow_down(self, rate_per_s: float | None, *, is_waiting: bool = False) -> None:
        """Send no more than this in all, or what the plan says again if None [1/s]."""
        part = None if rate_per_s is None else rate_per_s / max(len(self._known), 1)
        self._tell_all(Pace(part, is_waiting))

    def effort(self) -> Effort:
        """Return what it took; after the last batch."""
        workers = tuple(self._worker(number) for number in range(len(self._known)))
        duration, timeout_s = self._ended_ns or self.elapsed_ns(), self._plan.load.timeout_s
        strain = Strain(max(duration, 1) / NS_PER_S, 0.0, Delays(), None, 0, 0, 0, timeout_s)
        idle = Effort(str(self._plan.load.transport.value), (strain,), 0, 0, duration)
        # One for each vantage: of one that was lost nothing is known.
        efforts = [
            each.done.effort if each.done and each.done.effort else idle for each in self._known
        ] or [idle]
        return Effort.of_all(efforts, duration, workers)

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield the merged samples in planned order until all are in.

        Raises
        ------
        WeighbridgeError
            If no vantage can sample.
        """
        from_bytes(to_bytes(Batch.of_labels((None,))))  # opens what a conversion imports
        inbox: asyncio.Queue[tuple[int, Word]] = asyncio.Queue()
        try:
            vantages = await self._crew.open(inbox)
            self._begin(vantages)
            while not self._merger.is_over:
                await self._hear(inbox)
                self._look()
                if (batch := self._merger.take()) is not None:
                    yield batch
            self._ended_ns = self.elapsed_ns()
        finally:
            self.abort()
            await self._crew.close()

    def _begin(self, vantages: Sequence[Vantage]) -> None:
        plans = parts_of(self._plan, len(vantages))
        self._merger = Merger(len(vantages), counts_lost=self._counts_lost)
        # Getting ready is not part of the run.
        self._origin_ns = self._looked_ns = now = self._clock()
        self._known = [_Known(each, now, now) for each in vantages]
        folder = self._folder()
        # Each run names all zones of its check: who judges them again sees which are missing.
        splits = {
            zone: split
            for zone in self._plan.zone_of
            if (split := self._plan.zone_splits.get(zone, self._plan.split)) is not None
        }
        for number, (vantage, plan) in enumerate(zip(vantages, plans, strict=True)):
            seed = int(np.random.SeedSequence([self._plan.seed, number]).generate_state(1)[0])
            out = None if folder is None else folder / "vantages"
            load = replace(plan.load, source=vantage.source or plan.load.source)
            part = replace(
                plan,
                load=load,
                out=out,
                keep=None,
                name=vantage.name,
                zone_of=plan.zone_of[number : number + 1],
                zone_splits=splits,
            )
            self._crew.tell(number, Start(part, number, seed, self._crew.answer_s))
        if self.is_stopping:  # since before there was anybody to tell
            self._tell_all(Stop())

    async def _hear(self, inbox: asyncio.Queue[tuple[int, Word]]) -> None:
        """Take what the vantages have said, or wait for a moment."""
        try:
            number, word = await asyncio.wait_for(inbox.get(), _TICK_S)
        except TimeoutError:
            return
        self._take(number, word)
        while not inbox.empty():
            self._take(*inbox.get_nowait())

    def _take(self, number: int, word: Word) -> None:
        known, merger = self._known[number], self._merger
        if not known.is_live:
            return
        known.heard_ns, known.has_spoken = self._clock(), True
        match word:
            case Wish(launches):
                known.began_ns = known.began_ns or self._clock()
                self._lease(number, launches)
            case Sealed(slices, data):
                merger.seal(number, slices, from_bytes(data))
            case Done(effort=None, error=error, hint=hint):
                # Its disk is full, or it cannot resolve the name: the others may go on.
                self._lose(number, error)
                if not self.launched and all(each.gone for each in self._known):
                    raise SamplingError(f"{known.vantage.name}: {error}", hint=hint or None)
            case Done():
                known.done = word
                merger.end(number)
                if word.gave_up:
                    known.gone = "it heard nothing from here, and stopped"
            case Gone(why):
                self._lose(number, why)

    def _lease(self, number: int, launches: int) -> None:
        """Give a lease, as far as the limit of the plan goes."""
        known = self._known[number]
        zone = self._zone(number)
        if self.is_stopping:
            return
        more = min(max(launches - known.leased, 0), self._unleased[zone])
        self._unleased[zone] -= more
        known.leased += more
        self._merger.lease(number, known.leased)
        self._tell_lease(number)

    def _tell_lease(self, number: int) -> None:
        known, is_last = self._known[number], not self._unleased[self._zone(number)]
        known.told_ns = self._clock()
        self._crew.tell(number, Lease(known.leased, is_last=is_last))

    def _zone(self, number: int) -> str:
        return self._plan.zone_of[number] if self._plan.zone_of else ""

    def _look(self) -> None:
        """Tell the vantages that somebody is here, and lose those that say nothing."""
        if self._on_tick is not None:
            self._on_tick()
        now = self._clock()
        stalled = now - self._looked_ns > _STALL_NS  # what came meanwhile is not heard yet
        self._looked_ns = now
        patience_s = self._plan.load.timeout_s + GRACE_S
        for number, known in enumerate(self._known):
            if known.is_live and not self.is_stopping and now - known.told_ns >= _BEAT_NS:
                self._tell_lease(number)
            if stalled:
                known.heard_ns = now
                continue
            silent_s = (now - known.heard_ns) / NS_PER_S
            if known.is_live and silent_s > (patience_s if known.has_spoken else STARTING_S):
                self._lose(number, f"silent for {silent_s:.1f} s")
            elif known.is_live and known.began_ns is not None:
                behind_ns = now - known.began_ns - self._merger.sealed(number) * SLICE_NS
                if behind_ns > 2 * patience_s * NS_PER_S:
                    self._lose(number, f"{behind_ns / NS_PER_S:.1f} s behind the others")

    def _lose(self, number: int, why: str) -> None:
        self._known[number].gone = why
        self._merger.lose(number)
        self._crew.give_up(number)

    def _tell_all(self, order: Order) -> None:
        for number, known in enumerate(self._known):
            if known.is_live:
                self._crew.tell(number, order)

    def _worker(self, number: int) -> Worker:
        known = self._known[number]
        effort = None if known.done is None else known.done.effort
        return Worker(
            name=known.vantage.name,
            node=known.vantage.node,
            zone=known.vantage.zone,
            launched=self._merger.rows(number),
            lost=self._merger.lost(number),
            cpu_share=0.0 if effort is None else effort.strain.cpu_share,
            saturated=effort is not None and effort.strain.is_saturated,
            gone=known.gone,
            run="" if known.done is None else known.done.run,
        )


def parts_of(plan: RunPlan, vantages: int) -> list[RunPlan]:
    """Divide the load of a plan; what it says is the total.

    Raises
    ------
    UsageError
        If there are more vantages than requests may be in flight.
    """
    load = plan.load
    if load.concurrency < vantages:
        raise UsageError(
            f"--concurrency {load.concurrency} is the total, and {vantages} vantages need one each",
            hint=f"give --concurrency {vantages} or more, or fewer vantages",
        )

    def part(total: float | None) -> float | None:
        return None if total is None else total / vantages

    return [
        replace(
            plan,
            load=replace(
                load,
                concurrency=concurrency,
                rate=part(load.rate),
                max_rate=part(load.max_rate),
            ),
        )
        for concurrency in _divided(load.concurrency, vantages)
    ]


def _divided(total: int, parts: int) -> list[int]:
    whole, rest = divmod(total, parts)
    return [whole + (number < rest) for number in range(parts)]
