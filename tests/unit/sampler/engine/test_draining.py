"""Connections that wait for their server to close, when it does not."""

from __future__ import annotations

import asyncio
import resource

from analysis import Outcome
from sampler.engine.preflight import raise_file_limit
from sampler.exchange.transport.base import MOST_DRAINING, OWN_FILES, Closing
from sampler.exchange.transport.fast import FastTransport
from sampler.plan.load import Load
from sampler.plan.target import Target
from tests.conformance.driving import Driver
from tests.conformance.scripted import Act, ScriptedServer, Turns

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'


def test_a_server_that_never_closes_does_not_use_up_our_descriptors(monkeypatch):
    load = Load(concurrency=2)
    limit = load.concurrency + OWN_FILES + 5
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (limit, limit))

    async def main():
        async with ScriptedServer(lambda _: [ANSWER]) as server:
            driver = Driver("fast", Target(f"http://127.0.0.1:{server.port}/"), load, 40)
            batch, _ = await driver.run()
            assert driver.transport is not None
            return batch, driver.transport.closings

    batch, closings = asyncio.run(main())

    assert set(batch.outcome) == {Outcome.OK}
    assert closings[Closing.RESET] == 40 - 5


def test_the_file_limit_is_raised_for_connections_that_wait_to_be_closed(monkeypatch):
    limits = {"now": (256, 65_536)}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, to: limits.update(now=to))

    raise_file_limit(16)

    assert limits["now"] == (16 + MOST_DRAINING + OWN_FILES, 65_536)


def test_a_connection_that_waits_to_be_closed_is_not_looked_at_for_ever(monkeypatch):
    looks = []
    on_ready = FastTransport._on_ready

    def counted(self, events):
        looks.extend(events)
        on_ready(self, events)

    monkeypatch.setattr(FastTransport, "_on_ready", counted)

    async def main():
        # The answer comes before the request is out, and the rest of that is read afterwards.
        async with ScriptedServer(
            lambda _: [], greeting=[ANSWER, Turns(200), Act.SILENCE]
        ) as server:
            url = f"http://127.0.0.1:{server.port}/"
            target = Target(url, method="POST", body=b"x" * 8_000_000, allow_unsafe=True)
            return await Driver("fast-loop", target, Load(concurrency=1), 1).run()

    batch, _ = asyncio.run(main())

    assert set(batch.outcome) == {Outcome.OK}
    assert len(looks) < 100
