"""One way to run an exchange, over every transport and event loop."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, nullcontext

import pytest

from sampler.plan.load import ConnectionLife, Load
from sampler.plan.target import Target
from tests.conformance.driving import CARRIERS, LOOPS, Driver, Seen
from tests.conformance.scripted import ScriptedServer

_MORE_ATTEMPTS = 4


@pytest.fixture(params=CARRIERS, ids="-".join)
def carrier(request):
    """Names of the transport under test and of the event loop that it runs on."""
    return request.param


@pytest.fixture
def kind(carrier):
    """Name of the transport under test."""
    return carrier[0]


@pytest.fixture
def loop_factory(carrier):
    """Make the event loop that the transport runs on."""
    return LOOPS[carrier[1]]


@pytest.fixture
def exchange(kind, loop_factory):
    """Run exchanges against a scripted server; check the accounting of every run.

    The parameters of `Load` have short names here. `url` asks another place than the
    scripted server. `unread` is the number of requests that the server need not have read.

    Deadlines are short here, and a machine may stand still for longer. Exchanges of which the
    loop slept through a good part of their time are made again, whatever came of them.
    """

    def run(
        script=(),
        *,
        n=1,
        concurrency=1,
        connection="fresh",
        timeout_s=5.0,
        connect_timeout_s=2.0,
        max_header_bytes=65_536,
        max_body_bytes=1_048_576,
        greeting=(),
        url=None,
        host="127.0.0.1",
        path="/",
        method="GET",
        headers=(),
        body=b"",
        label="/label",
        replica=None,
        pause=0,
        abort_at=None,
        around=nullcontext,
        unread=0,
    ):
        load = Load(
            concurrency=concurrency,
            connection=ConnectionLife.parse(connection),
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_header_bytes=max_header_bytes,
            max_body_bytes=max_body_bytes,
        )

        async def main():
            server = ScriptedServer(script if callable(script) else lambda _: script, greeting)
            async with AsyncExitStack() as stack:
                if url is None:
                    await stack.enter_async_context(server)
                driver = Driver(
                    kind,
                    Target(
                        url or f"http://{host}:{server.port}{path}",
                        method=method,
                        headers=headers,
                        body=body,
                        allow_unsafe=True,
                    ),
                    load,
                    n,
                    label,
                    replica,
                    pause,
                    around(),
                )
                if abort_at is not None:
                    server.on_request = lambda request: (
                        driver.abort() if request.number + 1 == abort_at else None
                    )
                batch, failures = await driver.run()
                served = None if url else server
                return Seen(batch, failures, driver.launched, served, driver.stood_still_s)

        def attempt():
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                return runner.run(main())

        seen = attempt()
        for _ in range(_MORE_ATTEMPTS):
            if seen.stood_still_s < min(timeout_s, connect_timeout_s) / 4:
                break
            seen = attempt()
        assert sum(seen.outcomes.values()) == len(seen.batch) == seen.launched
        assert seen.batch.first == 0
        if abort_at is None:
            assert seen.launched == n
        if seen.server is not None:
            missed = seen.launched - len(seen.server.requests)
            assert 0 <= missed <= unread
        return seen

    return run


def json_answer(label="v1", *, status="200 OK", version="1.1", fields="", length=True):
    """Give the bytes of a small answer that carries a label."""
    body = b'{"label": "%s"}' % label.encode()
    framing = f"Content-Length: {len(body)}\r\n" if length else ""
    head = f"HTTP/{version} {status}\r\nContent-Type: application/json\r\n{framing}{fields}\r\n"
    return head.encode() + body


@pytest.fixture
def answer():
    """Make the bytes of a small answer that carries a label."""
    return json_answer
