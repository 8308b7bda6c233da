"""A closed loop of a few exchanges over one transport, and what must hold after any of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from analysis import ABSENT, Outcome
from sampler.base.clock import run_clock
from sampler.exchange.record import Recorder
from sampler.exchange.transport import choice
from sampler.exchange.transport.base import Wiring
from sampler.exchange.transport.fast import FastTransport
from sampler.exchange.transport.full import FullTransport
from sampler.exchange.transport.tls import TlsTransport
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from analysis import Batch
    from sampler.exchange.failure import Failure
    from sampler.exchange.transport.base import Transport
    from sampler.plan.load import Load
    from sampler.plan.target import Target
    from tests.conformance.scripted import ScriptedServer

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
CARRIERS = (
    *((kind, loop) for kind in ("fast", "fast-loop", "full") for loop in LOOPS),
    ("fast-python", "asyncio"),
)
"""Transports, each with the loops that it is tried on."""
_TICK_S = 0.01
_HUNG_S = 20.0  # a run that takes this long has lost an exchange


def make_transport(kind: str, wiring: Wiring) -> Transport:
    """Make a transport of one of the `CARRIERS`; fast is compiled where it can be."""
    match kind:
        case "full":
            return FullTransport(wiring)
        case "fast":
            return choice.make_transport(wiring)
        case "fast-python" | "fast-loop":
            fast = TlsTransport if wiring.target.is_tls else FastTransport
            return fast(wiring, poller="loop" if kind == "fast-loop" else "auto")
    raise ValueError(kind)


@dataclass(eq=False)
class Seen:
    """What a run left behind: the client's samples, and the server's count."""

    batch: Batch
    failures: dict[Outcome, list[Failure]]
    launched: int
    server: ScriptedServer | None
    stood_still_s: float

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Number of samples by outcome."""
        return {Outcome(code): n for code, n in Counter(self.batch.outcome.tolist()).items()}

    @property
    def labels(self) -> list[str | None]:
        """Label of each sample in send order."""
        names = self.batch.labels
        return [None if code == ABSENT else names[code] for code in self.batch.label]

    @property
    def replicas(self) -> list[str | None]:
        """Replica of each sample in send order."""
        names = self.batch.replicas
        return [None if code == ABSENT else names[code] for code in self.batch.replica]

    @property
    def failure(self) -> Failure:
        """The only failure."""
        ((failure,),) = self.failures.values()
        return failure

    def only(self) -> Outcome:
        """Give the outcome that all samples share."""
        (outcome,) = self.outcomes
        return outcome


@dataclass(eq=False)
class Driver:
    """Runs exchanges: the smallest engine that keeps to the seam.

    Parameters
    ----------
    n
        Exchanges to launch.
    pause
        Turns of the loop between the end of an exchange and the next launch in its slot.
    around
        Entered for the time between opening and closing the transport.

    Attributes
    ----------
    stood_still_s
        Longest time for which the loop, and with it both sides, did nothing at all: the
        machine had other things to do, and a deadline that passed meanwhile says nothing.
    """

    kind: str
    target: Target
    load: Load
    n: int
    label: str = "/label"
    replica: str | None = None
    pause: int = 0
    around: AbstractContextManager[object] = field(default_factory=nullcontext)
    problems: list[str] = field(default_factory=list)
    resting: int = 0
    stood_still_s: float = 0.0
    transport: Transport | None = None
    _in_launch: bool = False

    async def run(self) -> tuple[Batch, dict[Outcome, list[Failure]]]:
        """Launch and wait until every exchange has been recorded."""
        self._loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()
        self._clock = run_clock
        reader = LabelReader(
            LabelRule.parse(self.label), LabelRule.parse(self.replica) if self.replica else None
        )
        recorder = Recorder(reader.labels, reader.replicas)
        wiring = Wiring(
            self.target, self.load, reader, recorder, self._clock, seed=7, on_idle=self._on_idle,
            launches_itself=not self.pause,
        )  # fmt: skip
        transport = self.transport = make_transport(self.kind, wiring)
        transport.launches.limit = self.n
        await transport.open()
        try:
            with self.around:
                self._looked_s = self._loop.time()
                for slot in range(self.load.concurrency):
                    self._launch(slot)
                await self._wait(transport)
        finally:
            await transport.aclose()
        batch = recorder.seal()
        if self.problems or batch is None or recorder.waiting:
            raise AssertionError(
                f"{self.problems}, {recorder.recorded} recorded, {recorder.waiting} waiting"
            )
        return batch, recorder.failures

    async def _wait(self, transport: Transport) -> None:
        """Wait for the last exchange, and look at the transport's health as the engine does."""
        for _ in range(round(_HUNG_S / _TICK_S)):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._finished.wait()
            before_s, self._looked_s = self._looked_s, self._loop.time()
            self.stood_still_s = max(self.stood_still_s, self._looked_s - before_s - _TICK_S)
            if transport.failure is not None:
                raise transport.failure
            if self._finished.is_set():
                return
        raise AssertionError(f"{self.load.concurrency - self.resting} exchanges never ended")

    def abort(self) -> None:
        """Stop launching, and give up what is in flight."""
        if self.transport is not None:
            self.transport.launches.limit = 0
            self.transport.abort()

    @property
    def launched(self) -> int:
        """Exchanges launched so far."""
        return 0 if self.transport is None else self.transport.launches.launched

    def _launch(self, slot: int) -> None:
        if self.transport is not None and self.launched < self.transport.launches.limit:
            index = self.launched
            self.transport.launches.launched += 1
            self._in_launch = True
            self.transport.launch(slot, index, self._clock())
            self._in_launch = False
        else:
            self.resting += 1
            if self.resting == self.load.concurrency:
                self._finished.set()

    def _on_idle(self, slot: int) -> None:
        if self._in_launch:
            self.problems.append(f"slot {slot} became idle within launch")
        self._later(self.pause, slot)

    def _later(self, turns: int, slot: int) -> None:
        if turns:
            self._loop.call_soon(self._later, turns - 1, slot)
        else:
            self._launch(slot)
