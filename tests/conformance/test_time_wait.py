"""Who keeps a closed connection's port for a minute: the side that closed first."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from sampler.plan.load import Load
from sampler.plan.target import Target
from tests.conformance.driving import LOOPS, Driver

ANSWER = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'
TABLE = Path("/proc/net/tcp")
TIME_WAIT = "06"


def in_time_wait(port):
    """Count TIME_WAIT on the side of the server that listens on `port`, and of its clients.

    The file is no snapshot: a row may be passed over while sockets of others come and go.
    """
    texts = [TABLE.read_text(encoding="ascii") for _ in range(5)]
    rows = [line.split() for text in texts for line in text.splitlines()[1:]]
    found = {(row[1], row[2]) for row in rows if row[3] == TIME_WAIT}
    local, remote = (
        sum(int(places[side].split(":")[1], 16) == port for places in found) for side in (0, 1)
    )
    return local, remote


@pytest.mark.skipif(not TABLE.exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["fast", "fast-python", "fast-loop"])  # aiohttp closes first
@pytest.mark.parametrize("loop_factory", LOOPS.values(), ids=LOOPS)
def test_the_server_keeps_the_ports_of_fresh_connections(kind, loop_factory):
    async def main():
        closed: list[asyncio.Future[None]] = []

        async def serve(reader, writer):
            done = asyncio.get_running_loop().create_future()
            closed.append(done)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)
                writer.close()
                await writer.wait_closed()
            done.set_result(None)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Target(f"http://127.0.0.1:{port}/")
            _, before = in_time_wait(port)  # of another test that had this port
            await Driver(kind, target, Load(concurrency=1), 20).run()
            await asyncio.gather(*closed)
            server_side, client_side = in_time_wait(port)
            return server_side, max(client_side - before, 0)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        server_side, client_side = runner.run(main())

    # When the run ends, it waits for the last FINs no longer than a moment, in which a machine
    # may stand still. A client that closed first would keep all 20.
    assert client_side <= 5
    assert server_side >= 19 - client_side
