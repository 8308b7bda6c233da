"""A server in this process, on a free port of loopback, whose checks are scripted."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from sampler.serve.desk import Limits
from sampler.serve.gates import Gate
from sampler.serve.server import Server
from sampler.web.address import Address
from sampler.web.door import Door
from tests.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

SCRIPTED = (sys.executable, str(REPOSITORY / "tests" / "serve" / "scripted.py"))
WEIGHTS = {"v1": 9, "v2": 1}


def gate(words: str, name: str = "shop", **settings: Any) -> Gate:
    """Return a gate whose checks come to these words, as `tests.serve.scripted` reads them."""
    weights = {} if settings.get("is_live") else WEIGHTS
    options = {"url": f"http://{name}/{words}", **settings.pop("options", {})}
    return Gate(name, options, **{"weights": weights, **settings})


@asynccontextmanager
async def serving(
    *gates: Gate,
    out: Path,
    limits: Limits | None = None,
    targets: tuple[str, ...] = (),
    door: Door | None = None,
) -> AsyncIterator[tuple[Server, aiohttp.ClientSession]]:
    """Serve gates; yield the server, and a client of it."""
    door = door or Door(Address("127.0.0.1", 0))
    by_name = {each.name: each for each in gates}
    server = Server(door, by_name, limits or Limits(1), out, SCRIPTED, targets)
    await server.desk.start()
    await door.open()
    try:
        async with aiohttp.ClientSession(door.url) as client:
            yield server, client
    finally:
        await server.desk.close()
        await door.close()


def served(
    act: Callable[[Server, aiohttp.ClientSession], Awaitable[Any]], *gates: Gate, **how: Any
) -> Any:
    """Serve gates, let `act` call the server, and give what it returns."""

    async def run() -> Any:
        async with serving(*gates, **how) as (server, client):
            return await act(server, client)

    return asyncio.run(run())
