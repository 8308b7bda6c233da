"""The desk between doors and weighers: sessions are begun, waited for, written down and ended."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from sampler.serve import memory
from sampler.serve.outcome import Kind, Outcome, line_of, undecided
from sampler.serve.sessions import Session, Sessions, State
from sampler.serve.watched import look_at_watch
from sampler.serve.weighers import Weigher, WeigherLostError, Weighers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from sampler.serve.gates import Ask, Gate


_OF_MANIFESTS = frozenset(
    {"manifests", "service", "route", "namespace", "version-from", "map", "step"}
)
"""Options that say what is expected, and have no meaning beside another expectation."""
_OF_TWO = frozenset({"canary", "stable", "max-error-ratio", "max-slowdown"})
"""Options that compare two versions; where one answers alone, `check` refuses them."""
_DRAINING_S = 15.0
"""How long requests in flight may take at the end of the server [s]."""
_LOG = logging.getLogger("weighbridge.web")
_LOST = undecided("the process that weighed was killed", "interrupted")
_LATE = undecided("the cluster did not answer in time", "unmeasurable", Kind.UNMEASURABLE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is weighed, and kept.

    Parameters
    ----------
    at_once : int
        Sessions that run at the same time.
    queue : int
        Sessions that wait.
    keep : int or None
        Runs that stay on disk, the newest; None removes none.
    """

    at_once: int = 2
    queue: int = 64
    keep: int | None = None


class Desk:
    """Everything behind the doors.

    Parameters
    ----------
    gates : mapping of str to Gate
    limits : Limits
    out : Path
        Folder of all runs.
    command : sequence of str
        What starts a weigher (`sampler.cli.weigher`).
    on_end : callable
        Called with each session that is over.

    Attributes
    ----------
    sessions : Sessions
    """

    def __init__(
        self,
        gates: Mapping[str, Gate],
        limits: Limits,
        out: Path,
        command: Sequence[str],
        on_end: Callable[[Session], None] = lambda _: None,
    ) -> None:
        self.gates, self._out, self._keep, self._on_end = gates, out, limits.keep, on_end
        self.sessions = Sessions(
            limits.at_once, limits.queue, time.monotonic, memory.rfc3339, self._stop, self._pass
        )
        # One more where a cluster is looked at, which does not wait for checks.
        number = limits.at_once + any(gate.is_live for gate in gates.values())
        self._weighers = Weighers(number, command)
        self._weigher_of: dict[str, Weigher] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._disk = ThreadPoolExecutor(1, "disk")

    async def start(self, inherited: Sequence[int] = ()) -> None:
        """Start the weighers, and remember what earlier processes left.

        Parameters
        ----------
        inherited : sequence of int
            Descriptors that the weighers hold as long as they live.
        """
        await self._weighers.start(inherited)
        for each in await self._on_disk(memory.stored, self._out, self.gates):
            if each.ago_s is None:
                await self._recover(each.session)
            self.sessions.restore(
                each.session,
                each.ago_s or 0.0,
                is_current=each.is_current,
                undecided_s=each.undecided_s,
            )

    async def close(self) -> None:
        """End all sessions as INCONCLUSIVE; their runs are written."""
        self.sessions.stop_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAINING_S)
        await self._weighers.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._disk.shutdown()

    def ask(self, gate: Gate, ask: Ask, *, is_fresh: bool = False) -> Session:
        """Return the session that answers a request; parameters are those of `Sessions.ask`."""
        session = self.sessions.ask(gate, ask, is_fresh=is_fresh)
        self._pump()
        return session

    async def wait(self, session: Session, seconds: float) -> None:
        """Wait until a session is over, for some time at most."""
        if session.state is State.DONE or seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await session.done.wait()
        except TimeoutError:
            pass

    async def look(
        self, gate: Gate, seconds: float, step: int | None = None
    ) -> dict[str, int] | Outcome:
        """Return the split that a cluster is set to now, or why that cannot be told in time."""
        options = {name: each for name, each in gate.options.items() if name not in _OF_TWO}
        if step is not None:
            options["step"] = step
        # Subtle: a weigher whose answer nobody reads would give it to the next job.
        task = asyncio.create_task(
            self._ask_weigher({"do": "look", "options": options}, time.monotonic() + seconds)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            return _LATE
        end = task.result()
        if "weights" in end:
            weights: dict[str, int] = end["weights"]
            return weights
        return Outcome.from_document(end["outcome"])

    async def _ask_weigher(self, job: dict[str, Any], until: float = inf) -> dict[str, Any]:
        """Have a short job done, if one can begin by then; return what it came to."""
        weigher = None
        try:
            weigher = await self._weighers.take()
            if time.monotonic() >= until:  # nobody waits for it any more
                return {"outcome": _LATE.to_document()}
            return await weigher.work(job)
        except WeigherLostError:
            return {"outcome": _LOST.to_document()}
        except Exception:  # noqa: BLE001 - as a check, this costs itself alone
            return {"outcome": _bug().to_document()}
        finally:
            if weigher is not None:
                await self._give_back(weigher)

    async def _give_back(self, weigher: Weigher) -> None:
        if not self.sessions.is_ending:
            await self._weighers.give_back(weigher)

    def _pump(self) -> None:
        """Begin what may begin."""
        while (session := self.sessions.begin()) is not None:
            self._go(self._look_at_watch(session) if session.gate.watch else self._weigh(session))

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _weigh(self, session: Session) -> None:
        try:
            outcome = await self._work(session)
        except WeigherLostError:
            outcome = await self._outcome_on_disk(session)
        except Exception:  # noqa: BLE001 - callers are told, and the next session is weighed
            outcome = _bug()
        self.sessions.end(session, outcome)
        self._on_end(session)
        self._pump()
        await self._save(session)

    async def _work(self, session: Session) -> Outcome:
        weigher = await self._weighers.take()
        self._weigher_of[session.id] = weigher
        try:
            if session.stopped:
                return undecided("the check was stopped before it began", session.stopped)
            end = await weigher.work(self._job(session), partial(_follow, session))
            return Outcome.from_document(end["outcome"])
        finally:
            # Before a run is read: a lost one is replaced, which may have been the last.
            del self._weigher_of[session.id]
            await self._give_back(weigher)

    async def _look_at_watch(self, session: Session) -> None:
        gate = session.gate
        outcome = await look_at_watch(gate.watch, gate.target, gate.token_file)
        self.sessions.end(session, outcome)
        self._on_end(session)
        self._pump()

    def _job(self, session: Session) -> dict[str, Any]:
        gate, ask = session.gate, session.ask
        alpha, beta = session.error_rates
        options = dict(gate.options) | {"alpha": alpha, "beta": beta}
        if ask.expect:
            options = {name: each for name, each in options.items() if name not in _OF_MANIFESTS}
            options["expect"] = ask.expect
        if ask.is_alone:
            options = {name: each for name, each in options.items() if name not in _OF_TWO}
        if ask.step is not None:
            options["step"] = ask.step
        if ask.url:
            options["url"] = ask.url
        return {
            "do": "check",
            "options": options,
            "name": f"{gate.name}-{session.id}",
            "out": str(self._out),
            "keep": self._keep,
            "canary": gate.canary,
            "session": memory.to_document(session, self.sessions.undecided_s(session)),
        }

    def _stop(self, session: Session) -> None:
        weigher = self._weigher_of.get(session.id)
        if weigher is not None:
            weigher.stop()

    async def _recover(self, session: Session) -> None:
        """Make a report of a run whose process was killed; its verdict is never PASS or FAIL."""
        session.outcome = await self._outcome_on_disk(session)
        await self._on_disk(memory.save_end, session, self.sessions.undecided_s(session), 0.0)

    def _pass(self, session: Session) -> None:
        """Keep that a session says nothing of the present, if that matters and somebody can."""
        if session.state is State.DONE and session.run and not self.sessions.is_ending:
            self._go(self._save(session))

    async def _save(self, session: Session) -> None:
        if session.run:
            undecided_s = self.sessions.undecided_s(session)
            ago_s = time.monotonic() - session.done_at
            await self._on_disk(memory.save_end, session, undecided_s, ago_s)

    async def _outcome_on_disk(self, session: Session) -> Outcome:
        if not session.run or self.sessions.is_ending:
            return _LOST
        end = await self._ask_weigher(
            {"do": "recover", "run": session.run, "canary": session.gate.canary}
        )
        return Outcome.from_document(end["outcome"])

    async def _on_disk(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call what touches the disk, in order, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, call, *arguments)


def _bug() -> Outcome:
    """Log the exception at hand; return what callers are told of it."""
    _LOG.exception("a bug in weighbridge")
    return undecided("this is a bug in weighbridge", "bug", Kind.BUG)


def _follow(session: Session, message: dict[str, Any]) -> None:
    """Take what a weigher says of a session that is not over."""
    if "run" in message:
        session.run = message["run"]
    if "connections" in message:
        n, elapsed_s = message["connections"], message["elapsed_s"]
        line = line_of("PENDING", f"{n} connections so far, after {elapsed_s:.1f} s")
        session.progress = Outcome(
            "PENDING",
            "",
            line,
            observed=message["observed"],
            connections=n,
            elapsed_s=elapsed_s,
        )
