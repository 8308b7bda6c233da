"""A crew of local processes: each an engine with an interpreter, and so a core, of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from sampler.base.errors import SamplingError
from sampler.fleet.forks import ForkServer
from sampler.fleet.messages import ANSWER_S, Gone, Vantage, pack, receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.fleet.forks import Child
    from sampler.fleet.messages import Order, Word

_ENDING_S = 10.0


class Processes:
    """Children of this process, each at the other end of a socket.

    When this process is gone, they find the socket closed, stop, and end their runs.

    Parameters
    ----------
    count : int
        How many, >= 1.
    """

    answer_s = ANSWER_S

    def __init__(self, count: int) -> None:
        self._count = count
        self._server: ForkServer | None = None
        self.children: list[Child] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._reading: list[asyncio.Task[None]] = []

    async def open(self, inbox: asyncio.Queue[tuple[int, Word]]) -> Sequence[Vantage]:
        """Start the processes, and wait until they are ready: that is no part of the run."""
        self._server = ForkServer()
        for number in range(self._count):
            try:
                child = await asyncio.to_thread(self._server.fork)
            except OSError as error:
                raise SamplingError(
                    f"worker {number} ended before it was ready",
                    hint="is there memory for so many processes? give fewer --workers",
                ) from error
            self.children.append(child)
            reader, writer = await asyncio.open_connection(sock=child.sock)
            self._writers.append(writer)
            self._reading.append(asyncio.create_task(_read(reader, writer, number, inbox)))
        return [Vantage(f"worker-{number}") for number in range(self._count)]

    def tell(self, number: int, order: Order) -> None:
        """Send an order."""
        if not self._writers[number].is_closing():
            self._writers[number].write(pack(order))

    def give_up(self, number: int) -> None:
        """Kill a process."""
        if self._server is not None:
            self._server.kill(self.children[number])

    async def close(self) -> None:
        """Let the processes end their runs, and kill those that do not."""
        if self._server is None:
            return
        for writer in self._writers:
            if not writer.is_closing():  # uvloop refuses to end what is closed
                with contextlib.suppress(OSError):
                    writer.write_eof()
        if self._reading:
            # Each reads until its process has ended.
            _, late = await asyncio.wait(self._reading, timeout=_ENDING_S)
            for task in late:
                self.give_up(self._reading.index(task))
                task.cancel()
        self._server.close()


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
