"""Processes that weigh, one check after another: the doors stay open while they do.

How it works. A weigher is started before it is needed, so that a check does not wait for
imports. It takes a job as a line of JSON on its stdin, and tells how far it is on its stdout. When
its stdin ends, because this process ended however it did, it stops sending and writes its run.
After a number of jobs it is replaced by a new one.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sampler.base.own_process import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JOBS_EACH = 200
"""Jobs of a process until it is replaced, so that nothing that a library leaks adds up."""
_LONGEST_LINE = 1 << 24
_STOPPING_S = 10.0
_LOG = logging.getLogger("weighbridge.web")


class WeigherLostError(Exception):
    """A process that weighs has ended: killed, or by a bug."""


class Weigher:
    """One process.

    Parameters
    ----------
    command : sequence of str
        What starts it.
    inherited : sequence of int
        Descriptors that it holds as long as it lives.
    """

    def __init__(self, command: Sequence[str], inherited: Sequence[int] = ()) -> None:
        self._command, self._inherited = command, inherited
        self._process: asyncio.subprocess.Process | None = None
        self._logging: asyncio.Task[None] | None = None
        self._jobs = 0
        self._is_amiss = False

    @property
    def is_worn(self) -> bool:
        """Whether it is to be replaced."""
        process = self._process
        has_ended = process is None or process.returncode is not None
        return has_ended or self._is_amiss or self._jobs >= JOBS_EACH

    async def start(self) -> None:
        """Start the process; it gets ready by itself."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            env=environment(),
            pass_fds=self._inherited,
            start_new_session=True,  # Ctrl-C is for this process alone, which knows what to do
        )
        self._logging = asyncio.create_task(_log_lines(self._process))

    async def work(
        self, job: dict[str, Any], tell: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """Have a job done; return what it came to.

        Parameters
        ----------
        job : dict
            As `sampler.cli.weigher` takes it.
        tell : callable
            Takes what is said meanwhile.

        Raises
        ------
        WeigherLostError
            If the process ends before.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WeigherLostError
        self._jobs += 1
        # Subtle: whatever comes between a job and its end, this process gets no other job. What it
        # still says would be taken for the end of that one.
        self._is_amiss = True
        self._say(job)
        while line := await process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            if "end" in message:
                end: dict[str, Any] = message["end"]
                self._is_amiss = False
                return end
            tell(message)
        raise WeigherLostError

    def stop(self) -> None:
        """Have the present job end early."""
        self._say({"do": "stop"})

    async def close(self) -> None:
        """End the process: what it does is stopped and written."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOPPING_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._logging is not None:
            await self._logging

    def _say(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    """Log what a process warns of."""
    if process.stderr is None:
        return
    with suppress(ValueError):  # a line beyond the limit
        while line := await process.stderr.readline():
            _LOG.warning("%s", line.decode("utf-8", "replace").rstrip())


class Weighers:
    """Some processes, of which each does one job at a time.

    Parameters
    ----------
    number : int
    command : sequence of str
        What starts one.
    """

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self._number, self._command = number, command
        self._inherited: Sequence[int] = ()
        self._idle: asyncio.Queue[Weigher] = asyncio.Queue()
        self._every: set[Weigher] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self, inherited: Sequence[int] = ()) -> None:
        """Start all of them; parameters are those of `Weigher`."""
        self._inherited = inherited
        for _ in range(self._number):
            await self._add()

    async def take(self) -> Weigher:
        """Return one that has nothing to do, once there is one.

        Raises
        ------
        WeigherLostError
            If there is none, and none can be started.
        """
        while (weigher := await self._idle.get()).is_worn:
            if self._is_closed or not await self._replace(weigher):
                self._idle.put_nowait(weigher)  # for the next one who waits
                raise WeigherLostError
        return weigher

    async def give_back(self, weigher: Weigher) -> None:
        """Take one back; one that has done enough is replaced by another before it is needed."""
        if not weigher.is_worn or not await self._replace(weigher):
            self._idle.put_nowait(weigher)

    async def close(self) -> None:
        """End all of them, and wait for what they still write."""
        self._is_closed = True
        await asyncio.gather(*(each.close() for each in self._every), *self._retiring)
        for weigher in self._every:
            self._idle.put_nowait(weigher)  # tells those who wait that there is none

    async def _add(self) -> None:
        weigher = Weigher(self._command, self._inherited)
        await weigher.start()
        self._every.add(weigher)
        self._idle.put_nowait(weigher)

    async def _replace(self, weigher: Weigher) -> bool:
        """Start another one in place of a worn one, if a process can be started now."""
        try:
            await self._add()
        except OSError as error:
            _LOG.warning("no process can be started: %s", error)
            return False
        self._every.discard(weigher)
        task = asyncio.create_task(weigher.close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return True
