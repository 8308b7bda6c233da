"""Wait for a run from code that is not asynchronous, also where an event loop runs already.

A run needs a loop. In a script or a thread it is one in the same thread. A notebook runs a loop
in its main thread, in which no second one can run: there the run has a thread of its own, and
the caller waits for that.

Ctrl-C ends a run the way the command line does: it stops sending and waits for what is in
flight; once more gives up what is in flight. Then the handler that stood there before gets the
signal, which by default raises `KeyboardInterrupt`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sampler.run.pilot import PilotedRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from analysis import Report
    from sampler.plan.run import RunPlan

_HEEDED = 2
"""Signals that the run answers itself: stop, then give up. One more ends the wait at once."""
_GIVE_UP_S = 10.0


class Blocking:
    """One run that a caller waits for.

    Parameters
    ----------
    plan : RunPlan
        What to do.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._run = PilotedRun(plan)
        # Its own factory: a runner without one makes its loop that of the calling thread. The
        # run sees the context variables of its caller, because a runner copies them here.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()

    def run(self) -> Report:
        """Carry the plan out and return its report."""
        with self._heard():
            return self._run_beside() if _has_loop() else self._run_here()

    def interrupt(self) -> None:
        """Stop sending; a second call gives up what is in flight. Safe from any thread."""
        with suppress(RuntimeError):  # the loop is closed: the run is over
            self._loop.call_soon_threadsafe(self._run.interrupt)

    async def _weigh(self) -> Report:
        weighing = await self._run.begin()
        return await weighing.run()

    def _run_here(self) -> Report:
        with self._runner as runner:
            return runner.run(self._weigh())

    def _run_beside(self) -> Report:
        """Carry the plan out in a thread of its own."""
        done: Future[Report] = Future()
        thread = threading.Thread(
            target=self._fulfil, args=(done,), name="weighbridge", daemon=True
        )
        thread.start()
        try:
            return done.result()
        except BaseException:
            # Subtle: not the run's own failure but one thrown at who waits for it, as by a third
            # signal. Nobody takes the report any more, so nothing more may be sent.
            if not done.done():
                self.interrupt()
                self.interrupt()
                thread.join(_GIVE_UP_S)
            raise

    def _fulfil(self, done: Future[Report]) -> None:
        try:
            done.set_result(self._run_here())
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            done.set_exception(error)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Answer SIGINT during the run, and hand it on afterwards."""
        before = signal.getsignal(signal.SIGINT)
        # Python runs handlers in the main thread only; one that ignores the signal stays.
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield
            return
        heard: list[tuple[int, FrameType | None]] = []

        def hear(signum: int, frame: FrameType | None) -> None:
            heard.append((signum, frame))
            if len(heard) > _HEEDED:
                before(signum, frame)
            self.interrupt()

        signal.signal(signal.SIGINT, hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if heard:
            before(*heard[0])


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
