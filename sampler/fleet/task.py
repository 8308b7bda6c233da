"""What runs on a Dask worker: it has a child process sample, and only forwards.

The server that the child is forked from is started with the worker (``--preload
sampler.fleet.task``), or else when a coordinator first asks what the worker is; it stays for the
checks to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sampler.base.version import __version__
from sampler.expect.cluster.position import NODE_NAMES
from sampler.fleet.forks import ForkServer
from sampler.fleet.messages import whole

if TYPE_CHECKING:
    from collections.abc import Callable

ZONE, SOURCE = "WEIGHBRIDGE_ZONE", "WEIGHBRIDGE_SOURCE"
"""Variables of a worker: its zone, and the address that its connections are to come from."""
ENDING_S = 10.0
"""Time for a child to end its run [s]."""
_PATIENCE_S = 60.0
"""Between two orders at most: a coordinator that is there says so every second [s]."""
_MOST = 1 << 20  # bytes that are read at once: most messages in one piece
_servers: list[ForkServer] = []


def key_of(client: str, number: int) -> str:
    """Name the task of a vantage, and the queue of its orders."""
    return f"weighbridge-{client}-{number}"


def describe() -> dict[str, str]:
    """Say what a worker is: runs there."""
    environment = os.environ
    return {
        "weighbridge": __version__,
        "python": ".".join(map(str, sys.version_info[:2])),
        "distributed": import_module("distributed").__version__,  # heavy, and an extra
        "zone": environment.get(ZONE, ""),
        "source": environment.get(SOURCE, ""),
        "node": next(filter(None, map(environment.get, NODE_NAMES)), ""),
    }


def meet() -> dict[str, str]:
    """Get ready for the task that will come, and say what a worker is: runs there."""
    _server()
    return describe()


def dask_setup(worker: Any) -> None:  # noqa: ARG001 - as Dask calls it
    """Get ready for the first check: Dask calls this where the module is preloaded."""
    _server()


def _server() -> ForkServer:
    if not (_servers and _servers[-1].is_live):
        _servers[:] = [ForkServer(dies_with_parent=True)]
    return _servers[-1]


async def sample(client: str, number: int) -> None:
    """Have a child process sample, and forward what it says: runs in the loop of a worker.

    Not in a thread, which Dask would profile a hundred times a second.
    """
    from distributed import get_worker  # noqa: PLC0415 - heavy, and an extra

    worker, server = get_worker(), _server()
    child = await asyncio.to_thread(server.fork)
    reader, writer = await asyncio.open_connection(sock=child.sock, limit=_MOST)
    passing = asyncio.create_task(_pass_orders(worker.scheduler, key_of(client, number), writer))
    try:
        await _forward(reader, lambda data: worker.log_event(client, [number, data]))
    finally:
        passing.cancel()
        with contextlib.suppress(OSError):
            writer.write_eof()  # a child that still samples stops, and ends its run
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(ENDING_S):
                while await reader.read(_MOST):
                    pass
        server.kill(child)
        writer.close()


async def _pass_orders(scheduler: Any, queue: str, writer: asyncio.StreamWriter) -> None:
    """Hand a child its orders; when none can come any more, it is as alone as without a task."""
    # The scheduler waits, not the worker: nothing is asked for that is not there.
    with contextlib.suppress(Exception):  # whatever Dask raises
        while order := (await scheduler.queue_get(name=queue, timeout=_PATIENCE_S))["value"]:
            writer.write(order)
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _forward(reader: asyncio.StreamReader, tell: Callable[[bytes], None]) -> None:
    """Tell what a child says, in whole messages, until it has ended."""
    buffered = bytearray()
    with contextlib.suppress(ConnectionError):  # it was killed
        while data := await reader.read(_MOST):
            buffered += data
            if end := whole(buffered):
                tell(bytes(buffered[:end]))
                del buffered[:end]
