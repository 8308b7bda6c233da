"""Several targets in one process: their sessions, begun, replaced and ended together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExitCode, WeighbridgeError
from sampler.watch.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sampler.watch.session import Session

_WORST = (
    ExitCode.FAIL,
    ExitCode.UNMEASURABLE,
    ExitCode.USAGE,
    ExitCode.INCONCLUSIVE,
    ExitCode.PASS,
)
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Setup:
    """How a target is weighed.

    Parameters
    ----------
    name : str
    options : mapping
        What was asked; a target whose options are equal goes on when they are read again.
    make : callable
        Makes its session, given the teller.
    """

    name: str
    options: Mapping[str, Any]
    make: Callable[[Teller], Session]


class Watching:
    """The sessions of a process.

    Attributes
    ----------
    teller : Teller
        Of all targets.
    sessions : dict of str to Session
        Those that go on, and those that came to their end by themselves.
    errors : dict of str to WeighbridgeError
        Why sessions ended that could not go on.
    """

    def __init__(self) -> None:
        self.teller = Teller()
        self.sessions: dict[str, Session] = {}
        self.errors: dict[str, WeighbridgeError] = {}
        self._options: dict[str, Mapping[str, Any]] = {}
        self._tasks: dict[str, asyncio.Task[ExitCode]] = {}
        self._leaving: set[asyncio.Task[ExitCode]] = set()
        self._codes: dict[str, ExitCode] = {}

    def update(self, setups: Sequence[Setup]) -> None:
        """Begin what is new or has changed, and end what is no longer asked for.

        Raises
        ------
        WeighbridgeError
            If a session cannot be made; then nothing has changed.
        """
        wanted = {setup.name: setup for setup in setups}
        stays = {
            name
            for name in self.sessions
            if name in wanted
            and wanted[name].options == self._options[name]
            and name not in self.errors  # one that could not go on is tried again
        }
        made = {name: each.make(self.teller) for name, each in wanted.items() if name not in stays}
        for name in [name for name in self.sessions if name not in stays]:
            self._leave(name)
        for name, session in made.items():
            self.sessions[name], self._options[name] = session, wanted[name].options
            self._tasks[name] = asyncio.create_task(session.run())

    def stop(self) -> None:
        """End all sessions; a second call gives up what is in flight."""
        for name in self._tasks:
            self.sessions[name].stop()

    async def wait(self) -> ExitCode:
        """Wait until all sessions are over; return the worst exit code.

        Raises
        ------
        WeighbridgeError
            Of a session that could not go on, if it was the only one.
        """
        while self._tasks:
            tasks = {*self._tasks.values(), *self._leaving}
            await asyncio.wait(tasks, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            for name in [name for name, task in self._tasks.items() if task.done()]:
                self._end(name, self._tasks.pop(name))
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if len(self.sessions) == 1:
            for error in self.errors.values():
                raise error
        return min(self._codes.values(), key=_WORST.index, default=ExitCode.UNMEASURABLE)

    def _end(self, name: str, task: asyncio.Task[ExitCode]) -> None:
        try:
            self._codes[name] = task.result()
        except WeighbridgeError as error:
            self.errors[name], self._codes[name] = error, error.exit_code
        if self.sessions[name].has_failed_fast:
            self.stop()

    def _leave(self, name: str) -> None:
        session, task = self.sessions.pop(name), self._tasks.pop(name, None)
        self._codes.pop(name, None)
        self.errors.pop(name, None)
        if task is not None:
            session.stop()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
