"""What is compiled and its twin in Python tell the same of a server that does all that can happen.

What the server does to a request is drawn from a seed and the request's number, so both meet the
same. No ending leaves it to chance what comes of it.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import resource
import sys
from collections import Counter
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pytest

from analysis import ABSENT, Outcome
from sampler.base.clock import NS_PER_S
from sampler.exchange.record import Recorder
from sampler.exchange.transport import fast
from sampler.exchange.transport.fast import FastTransport
from sampler.plan.load import ConnectionLife, Load
from sampler.plan.target import Target
from tests.conformance.conftest import json_answer
from tests.conformance.driving import Driver
from tests.conformance.scripted import Act, Cut, ScriptedServer, Turns

pytestmark = pytest.mark.needs("_fastpath")

KINDS = ("fast", "fast-python")
_FILES = Path("/proc/self/fd")
_N = 300
_SEED = 17
_BODY = b'{"label": "v1", "x": "%s"}' % (b"y" * 9_000)
_LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n%b\r\n0\r\n\r\n"
_ENDED = {Outcome.CLOSED, Outcome.STALE, Outcome.RESET}


def endings(number, *, has_surplus):
    """Draw what is done to a request; half of the time it is the usual."""
    draw = Random(_SEED * 1_000_000 + number)
    whole = json_answer(draw.choice(("v1", "v2", "v3")), fields=f"X-Pod: {draw.randrange(4)}\r\n")
    at = draw.randrange(1, len(whole))
    surplus = ([whole + b"junk"], [whole + whole]) if has_surplus else ()
    unusual = (
        *surplus,
        [Cut(whole, (at,))],
        [Cut(whole, tuple(draw.randrange(1, 30) for _ in range(4)))],
        [json_answer(fields="Connection: close\r\n"), Act.CLOSE],
        [json_answer(version="1.0"), Turns(), Act.CLOSE],
        [json_answer("v2", length=False), Act.CLOSE],
        [Act.CLOSE],
        [Act.RESET],
        [whole[:at], Act.CLOSE],
        [b"nonsense\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + whole],
        [_CHUNKS % b'{"label": "v3"}'],
        [_LARGE],
        [json_answer(status="503 Oh")],
        [json_answer("v2", status="429 Slow")],
        [b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 204 No\r\n\r\n"],
    )
    steps = draw.choice(unusual) if draw.random() < 0.5 else [whole]
    late = ([Turns(), b"junk", Act.CLOSE],) if has_surplus else ()
    return steps, draw.choice(([Act.CLOSE], [Turns(), Act.CLOSE], *late))


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Wait for the end of each connection, however long a busy machine takes."""
    for module in (fast, importlib.import_module("sampler.exchange.transport.compiled")):
        monkeypatch.setattr(module, "DRAIN_GRACE_NS", 30 * NS_PER_S)
    monkeypatch.setattr(fast, "_LAST_FINS_NS", 10 * NS_PER_S)


def drive(kind, script, *, n=_N, connection="fresh", concurrency=1, **options):
    """Run exchanges; return the batch, its failures, and how its connections ended.

    That is the counts of closings, and the connections whose held samples were let go.
    """
    released: list[int] = []

    async def main():
        async with ScriptedServer(script) as server:
            target = Target(f"http://127.0.0.1:{server.port}/", allow_unsafe=True, **options)
            life = ConnectionLife.parse(connection)
            load = Load(concurrency=concurrency, connection=life, timeout_s=30)
            driver = Driver(kind, target, load, n, replica="header:X-Pod")
            batch, failures = await driver.run()
            return batch, failures, driver.transport

    open_before = sum(1 for _ in _FILES.iterdir())
    with patch.object(Recorder, "release", lambda _, number: released.append(number)):
        batch, failures, transport = asyncio.run(main())
    assert sum(1 for _ in _FILES.iterdir()) <= open_before
    assert type(transport).__name__ == ("CompiledTransport" if kind == "fast" else "FastTransport")
    assert sys.getrefcount(transport._keep) < 20  # not once for each request
    never_opened = (batch.outcome == Outcome.CLIENT_LIMIT).sum()
    assert sum(transport.closings) == transport.launches.opened - never_opened
    return batch, failures, (transport.closings, sorted(released))


def story(kind, *, connection, concurrency=1, has_surplus=True):
    """Return what came of each request in send order, and how all ended."""

    def script(request):
        steps, end = endings(request.number, has_surplus=has_surplus)
        return [*steps, *end] if ("connection", "close") in request.fields else steps

    batch, failures, ends = drive(kind, script, connection=connection, concurrency=concurrency)
    times = (batch.scheduled_ns, batch.sent_ns, batch.first_byte_ns, batch.done_ns)
    has_begun = batch.first_byte_ns != ABSENT
    in_order = [np.where(has_begun, each, 1 + place) for place, each in enumerate(times)]
    assert (np.diff(in_order, axis=0) >= 0).all()
    assert (batch.scheduled_ns > 0).all()
    labels, pods = (*batch.labels, None), (*batch.replicas, None)
    columns = (
        batch.status,
        has_begun,
        batch.connection,
        batch.ordinal,
        batch.planned,
        batch.closed,
    )
    rows = [
        (Outcome(outcome), labels[label], pods[pod], *others)
        for outcome, label, pod, *others in zip(
            *(each.tolist() for each in (batch.outcome, batch.label, batch.replica, *columns)),
            strict=True,
        )
    ]
    assert len(rows) == len({row[5:7] for row in rows}) == _N
    return rows, ends, failures


@pytest.mark.parametrize("connection", ["fresh", "2:5", "reuse"])
def test_both_tell_the_same_of_each_request(connection):
    """One after the other, so that the same request meets the same connection."""
    ours, twin = (story(kind, connection=connection) for kind in KINDS)

    assert ours == twin


@pytest.mark.parametrize("connection", ["fresh", "2:5"])
def test_both_tell_the_same_of_requests_side_by_side(connection):
    """Which request meets which connection is chance, and so is what an early end is called."""

    def told(rows):
        return Counter((Outcome.CLOSED if row[0] in _ENDED else row[0], *row[1:4]) for row in rows)

    ours, twin = (
        story(kind, connection=connection, concurrency=8, has_surplus=False)[0] for kind in KINDS
    )

    assert told(ours) == told(twin)


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_ends_are_waited_for_than_allowed(kind, monkeypatch):
    monkeypatch.setattr(fast, "MOST_DRAINING", 3)
    monkeypatch.setattr(fast, "_LAST_FINS_NS", 0)

    _, _, (closings, _) = drive(kind, lambda _: [json_answer()], n=20)

    assert closings == [0, 3, 17]


@pytest.mark.parametrize("kind", KINDS)
def test_descriptors_that_run_out_amidst_a_run_are_a_limit_of_this_machine(kind, monkeypatch):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    never_opened = FastTransport._never_opened

    def script(request):
        if request.number == 4:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        return [json_answer()]

    def go_on(*arguments):
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        never_opened(*arguments)

    monkeypatch.setattr(FastTransport, "_never_opened", go_on)
    monkeypatch.setattr(fast, "_LAST_FINS_NS", 0)
    batch, failures, _ = drive(kind, script, n=9)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert batch.outcome.tolist() == [Outcome.OK] * 5 + [Outcome.CLIENT_LIMIT] + [Outcome.OK] * 3
    assert batch.connection.tolist() == list(range(9))
    assert batch.ordinal[5] == 0
    assert [each.errno for each in failures[Outcome.CLIENT_LIMIT]] == [errno.EMFILE]


@pytest.mark.parametrize("kind", KINDS)
def test_requests_that_do_not_go_out_at_once_follow_each_other(kind):
    batch, _, (closings, _) = drive(
        *(kind, lambda _: [json_answer()]),
        n=2,
        connection="reuse",
        method="POST",
        body=b"x" * 5_000_000,
    )

    assert batch.outcome.tolist() == [Outcome.OK] * 2
    assert batch.ordinal.tolist() == [0, 1]
    assert closings == [0, 1, 0]
