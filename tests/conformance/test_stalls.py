"""A client that stands still for longer than its timeouts."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from analysis import Outcome
from sampler.plan.load import Load
from sampler.plan.target import Target
from tests.conformance.driving import LOOPS, Driver

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"label": "v1"}'
TIMEOUT_S = 1.0


@pytest.mark.parametrize("kind", ["fast", "fast-python", "full"])
@pytest.mark.parametrize("loop_factory", LOOPS.values(), ids=LOOPS)
def test_an_answer_that_came_while_we_stood_still_is_no_timeout(kind, loop_factory):
    stalled, answered = threading.Event(), threading.Event()
    bell, ringer = socket.socketpair()

    def stall():
        bell.recv(1)
        stalled.set()
        assert answered.wait(10)
        time.sleep(1.5 * TIMEOUT_S)  # what a machine with other things to do does to us

    def serve(listener):
        conn, _ = listener.accept()
        with conn:
            conn.recv(65_536)
            ringer.send(b"!")
            assert stalled.wait(10)
            conn.sendall(ANSWER)
        answered.set()

    async def main():
        with bell, ringer, socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)
            # Among the sockets of the loop: its timers come next, before any other socket.
            asyncio.get_running_loop().add_reader(bell, stall)
            server = threading.Thread(target=serve, args=(listener,))
            server.start()
            target = Target(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            batch, _ = await Driver(kind, target, Load(1, timeout_s=TIMEOUT_S), 1).run()
            server.join()
            asyncio.get_running_loop().remove_reader(bell)
            return batch

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        batch = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.OK]
    assert batch.done_ns[0] - batch.sent_ns[0] > TIMEOUT_S * 1e9
