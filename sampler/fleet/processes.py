"""A crew of local processes: each an engine with an interpreter, and so a core, of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, cast

from sampler.base.errors import SamplingError
from sampler.fleet.messages import Gone, Vantage, pack, receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.fleet.messages import Order, Word

_WORKER = "from sampler.fleet.worker import main; main()"
_ENDING_S = 10.0


class Processes:
    """Children of this process, each at the other end of a socket.

    When this process is gone, they find the socket closed, stop, and end their runs.

    Parameters
    ----------
    count : int
        How many, >= 1.
    """

    ahead_s = 0.25

    def __init__(self, count: int) -> None:
        self._count = count
        self.children: list[subprocess.Popen[bytes]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._reading: list[asyncio.Task[None]] = []

    async def open(self, inbox: asyncio.Queue[tuple[int, Word]]) -> Sequence[Vantage]:
        """Start the processes, and wait until they are ready: that is no part of the run."""
        started = [spawn() for _ in range(self._count)]
        self.children = [child for child, _ in started]
        for number, (_, sock) in enumerate(started):
            reader, writer = await asyncio.open_connection(sock=sock)
            self._writers.append(writer)
            if await receive(reader) is None:
                raise SamplingError(
                    f"worker {number} ended before it was ready",
                    hint="is there memory for so many processes? give fewer --workers",
                )
            self._reading.append(asyncio.create_task(_read(reader, writer, number, inbox)))
        return [Vantage(f"worker-{number}") for number in range(self._count)]

    def tell(self, number: int, order: Order) -> None:
        """Send an order."""
        if not self._writers[number].is_closing():
            self._writers[number].write(pack(order))

    def give_up(self, number: int) -> None:
        """Kill a process."""
        self.children[number].kill()

    async def close(self) -> None:
        """Let the processes end their runs, and kill those that do not."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                if writer.can_write_eof():
                    writer.write_eof()
        for child in self.children:
            try:
                await asyncio.to_thread(child.wait, _ENDING_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for task in self._reading:
            task.cancel()
        for writer in self._writers:
            writer.close()


def spawn(*, dies_with_parent: bool = False) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a process that samples, and return it with the socket that leads to it.

    Parameters
    ----------
    dies_with_parent : bool
        Whether it is killed with this process; else it finds the socket closed, and ends its run.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-c", _WORKER, str(theirs.fileno())]
        if dies_with_parent:
            command.append(str(os.getpid()))
        # Signals of the terminal are for the coordinator.
        child = subprocess.Popen(  # noqa: S603 - our own module
            command, pass_fds=[theirs.fileno()], start_new_session=True
        )
    return child, ours


async def _read(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    number: int,
    inbox: asyncio.Queue[tuple[int, Word]],
) -> None:
    while (word := await receive(reader)) is not None:
        inbox.put_nowait((number, cast("Word", word)))
    writer.close()
    inbox.put_nowait((number, Gone("its process ended")))
