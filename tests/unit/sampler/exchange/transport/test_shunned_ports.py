"""Ports of connections that nobody answered: none is used again while a run goes on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from sampler.engine.engine import Engine
from sampler.exchange.transport.choice import make_transport
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.target import Target

SYN_SENT = "02"


@contextmanager
def silent():
    """Give the port of a listener that takes no more connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
            fillers.append(filler)
        yield server.getsockname()[1]
        for filler in fillers:
            filler.close()


def asking(port):
    """Return the local ports of connections to a port that are not answered.

    The file is no snapshot: a row may be passed over while sockets of others come and go.
    """
    texts = [Path("/proc/net/tcp").read_text("ascii") for _ in range(3)]
    rows = [line.split() for text in texts for line in text.splitlines()[1:]]
    return {row[1] for row in rows if row[3] == SYN_SENT and row[2].endswith(f":{port:04X}")}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc/net/tcp")
def test_the_port_of_a_connection_that_timed_out_stays_taken():
    async def run(port):
        load = Load(concurrency=2, connect_timeout_s=0.1)
        engine = Engine(
            Target(f"http://127.0.0.1:{port}/"),
            load,
            Limits(max_samples=6),
            LabelReader(LabelRule.parse("/label"), None),
            transport=make_transport,
        )
        before, launched, held = asking(port), 0, set[str]()
        async with aclosing(engine.batches()) as batches:
            async for batch in batches:
                launched += len(batch)
                held = asking(port) - before
        return launched, held, asking(port) - before

    with silent() as port:
        launched, held, after = asyncio.run(run(port))

    assert launched == 6
    assert len(held) == 6
    assert after == set()
