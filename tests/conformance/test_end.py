"""The end of a run with kept connections: what servers still say, and how long it is awaited."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import trustme

from analysis import Outcome
from sampler.engine import engine as module
from sampler.engine.engine import Engine
from sampler.exchange.transport.base import Closing
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import ConnectionLife, Limits, Load
from sampler.plan.target import Target
from tests.conformance.driving import CARRIERS, make_transport

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'
LATE = ANSWER.replace(b"200 OK", b"408 Request Timeout").replace(b"v1", b"v9")
FOR_EVER_NS = 10**15


@pytest.fixture(params=[each for each in CARRIERS if each[0] != "full"], ids="-".join)
def carrier(request):
    """aiohttp does not say what came unasked."""
    return request.param


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
def run(request, kind, loop_factory, authority, tmp_path):
    """Run 40 requests on four kept connections; `parting` is sent to those that half-close."""
    cacert = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(cacert))
    context = None
    if request.param == "https":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)

    def one(parting=b"", *, stays=False):
        over = threading.Event()

        def serve(listener):
            sock, _ = listener.accept()
            with context.wrap_socket(sock, server_side=True) if context else sock as sock:
                while sock.recv(4_096):
                    sock.sendall(ANSWER)
                if stays:
                    assert over.wait(60)
                sock.sendall(parting)

        async def sample(url):
            reader = LabelReader(LabelRule.parse("/label"))
            reader.labels.code("v1")  # before the first label, not all connections are opened
            engine = Engine(
                Target(url, cacert=str(cacert) if context else None),
                Load(concurrency=4, connection=ConnectionLife.parse("reuse"), max_rate=None),
                Limits(max_samples=40),
                reader,
                transport=lambda wiring: make_transport(kind, wiring),
            )
            batches = [batch async for batch in engine.batches()]
            outcomes, connections = (
                np.concatenate([getattr(batch, name) for batch in batches])
                for name in ("outcome", "connection")
            )
            return Counter(outcomes.tolist()), np.bincount(connections).tolist(), engine

        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(4) as pool:
            serving = [pool.submit(serve, listener) for _ in range(4)]
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                try:
                    port = listener.getsockname()[1]
                    return runner.run(sample(f"{request.param}://127.0.0.1:{port}/"))
                finally:
                    over.set()
                    listener.shutdown(socket.SHUT_RDWR)  # who still waits there is told
                    for each in serving:
                        each.result()

    return one


@pytest.mark.parametrize("parting", [b"", LATE], ids=["nothing", "408"])
def test_samples_are_held_no_longer_than_until_the_server_has_closed(run, monkeypatch, parting):
    monkeypatch.setattr(module, "HOLD_NS", FOR_EVER_NS)

    outcomes, _, engine = run(parting)

    assert outcomes == {Outcome.OK: 40}
    assert engine.transport.closings[Closing.BY_US] == 4


def test_what_a_server_says_before_it_closes_is_a_surplus(run, monkeypatch):
    monkeypatch.setattr(module, "HOLD_NS", FOR_EVER_NS)

    outcomes, carried, engine = run(ANSWER)

    # The first answer of a connection is known to be right, and there is nothing else on some.
    held = [requests - 1 for requests in carried if requests > 1]
    assert engine.recorder.surplus == len(held) > 0
    assert outcomes == {Outcome.SURPLUS: sum(held), Outcome.OK: 40 - sum(held)}


def test_a_server_that_does_not_close_is_not_waited_for(run):
    outcomes, _, engine = run(stays=True)

    assert outcomes == {Outcome.OK: 40}
    assert engine.transport.closings[Closing.BY_US] == 4


def test_who_closed_first_has_ended_the_connection(kind, loop_factory, monkeypatch):
    async def main():
        engine = Engine(
            Target(f"http://127.0.0.1:{listener.getsockname()[1]}/"),
            Load(concurrency=1, connection=ConnectionLife.parse("reuse"), max_rate=None),
            Limits(max_samples=2),
            LabelReader(LabelRule.parse("/label")),
            transport=lambda wiring: make_transport(kind, wiring),
        )
        finish = engine.transport.finish

        def finish_late():
            is_over.set()
            closed.result()  # its FIN is here, but the loop has not looked yet
            finish()

        monkeypatch.setattr(engine.transport, "finish", finish_late)
        async for _ in engine.batches():
            pass
        return engine.transport.closings

    def serve():
        sock, _ = listener.accept()
        with sock:
            for _ in range(2):
                sock.recv(4_096)
                sock.sendall(ANSWER)
            assert is_over.wait(60)

    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        closed = pool.submit(serve)
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            assert runner.run(main())[Closing.BY_SERVER] == 1
