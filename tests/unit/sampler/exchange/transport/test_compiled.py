"""What is compiled does what its twin in Python does.

Every test of tests/conformance runs on both; here is what they do not reach.
"""

from __future__ import annotations

import errno
import importlib
import os
import select
import socket
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

import analysis
from sampler.base.clock import run_clock
from sampler.exchange.record import ListOfRows, Recorder
from sampler.exchange.transport import base, choice, connection, fast, poller
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Load
from sampler.plan.target import Target
from tests.ports import full_backlog

pytestmark = pytest.mark.needs("_fastpath")

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'
PERIODS = {"timeout_ns": 5_000, "first_deadline_ns": 3_000, "drain_grace_ns": 7_000}
ROW = (0, 1, 2, 3, 4, 5, 0, 0, -1, 200 << 8)


@pytest.fixture
def compiled():
    return importlib.import_module("sampler.exchange.transport._fastpath")


@pytest.fixture
def connected():
    ours, theirs = socket.socketpair()
    yield ours
    ours.close()
    theirs.close()


def make_transport(clock):
    reader = LabelReader(LabelRule.parse("/label"))
    recorder = Recorder(reader.labels, reader.replicas)
    return choice.make_transport(
        base.Wiring(Target("http://h/"), Load(), reader, recorder, clock, 0, lambda _slot: None)
    )


def test_both_have_the_same_constants(compiled):
    modules = (analysis, base.Closing, connection, fast, poller)
    for name, value in compiled.CONSTANTS.items():
        twins = [vars(each)[name] for each in modules if name in vars(each)]
        assert twins, name
        assert set(twins) == {value}, name


@pytest.mark.parametrize(("changed", "is_used"), [(None, True), (1, True), (3, False)])
def test_what_is_older_than_its_source_is_not_used(
    compiled, monkeypatch, tmp_path, changed, is_used
):
    built, source = tmp_path / "_fastpath.abi3.so", tmp_path / "_fastpath.c"
    for path, at in ((built, 2), (source, changed)):
        if at is not None:
            path.touch()
            os.utime(path, (at, at))
    monkeypatch.setattr(compiled, "__file__", str(built))

    assert (choice.compiled() is not None) is is_used


def test_it_carries_runs_unless_python_alone_is_asked_for(monkeypatch):
    assert type(make_transport(run_clock)).__name__ == "CompiledTransport"
    assert type(make_transport(lambda: 0)).__name__ == "FastTransport"  # not the clock it reads

    monkeypatch.setenv(choice.PURE, "1")

    assert type(make_transport(run_clock)).__name__ == "FastTransport"


def test_connections_have_the_same_attributes_and_begin_alike(compiled, connected):
    twin, conn = (
        kind(connected, 3, 17, -1) for kind in (connection.Connection, compiled.Connection)
    )

    names = sorted(connection.Connection.__slots__)
    assert [name for name in dir(conn) if not name.startswith("_")] == names
    assert {name: getattr(conn, name) for name in names} == {
        name: getattr(twin, name) for name in names
    }
    for name in set(names) - {"fd", "sock", "outgoing", "reader"}:
        setattr(conn, name, 5)
        assert getattr(conn, name) == 5


def test_a_connection_is_initialised_once(compiled, connected):
    conn = compiled.Connection(connected, 0, 0, 1)

    with pytest.raises(TypeError, match="once"):
        conn.__init__(connected, 1, 1, 1)


def test_rows_give_back_what_they_took(compiled):
    rows, twin = compiled.Rows(), ListOfRows()
    for number in range(3_000):
        for each in (rows, twin):
            each.extend((number, *ROW[1:]))

    assert len(rows) == len(twin) == 30_000
    assert np.array_equal(np.frombuffer(rows.drain(), np.int64), twin.drain())
    assert len(rows) == len(twin) == 0


@pytest.mark.parametrize("row", [ROW[1:], (*ROW, 1), list(ROW), (*ROW[1:], "1"), (*ROW[1:], 2**63)])
def test_rows_refuse_what_is_not_one(compiled, row):
    rows = compiled.Rows()

    with pytest.raises((TypeError, OverflowError)):
        rows.extend(row)

    assert len(rows) == 0


@pytest.mark.parametrize("missing", ["connections", "epoll", "on_idle", "life"])
def test_a_path_is_made_of_all_its_parts(compiled, missing):
    parts = everything(compiled)
    del parts[missing]

    with pytest.raises(TypeError, match=missing):
        compiled.FastPath(**parts)


@pytest.mark.parametrize(
    ("part", "value"),
    [("slots", ()), ("rows", []), ("launches", base.Launches()), ("keep", "GET"), ("life", "1")],
)
def test_a_path_is_made_of_parts_of_the_right_type(compiled, part, value):
    with pytest.raises(TypeError):
        compiled.FastPath(**{**everything(compiled), part: value})


def everything(compiled):
    """Return the parts of a path that serves nothing."""
    numbers = (
        "epoll",
        "life",
        "timeout_ns",
        "first_deadline_ns",
        "drain_grace_ns",
        "most_draining",
    )
    calls = (
        *("pick", "on_idle", "on_ready", "on_opening", "on_launch", "on_sending", "on_reading"),
        *("on_end", "drain", "discard"),
    )
    return {
        **dict.fromkeys(numbers, 0),
        **dict.fromkeys(calls, print),
        **dict.fromkeys(("connections", "draining", "answers")),
        **{name: {} for name in ("connections", "draining", "answers")},
        "slots": [],
        "closings": [0],
        "keep": b"",
        "close": b"",
        "lengths": None,
        "launches_itself": False,
        "launches": compiled.Launches(),
        "rows": compiled.Rows(),
    }


def test_a_socket_that_it_is_not_told_of_is_handed_over(compiled):
    """A port that is kept from being used again may be answered late."""
    seen: list[tuple[int, int]] = []
    ours, theirs = socket.socketpair()
    with ours, theirs, select.epoll() as epoll:
        epoll.register(ours)
        parts = {"epoll": epoll.fileno(), "on_ready": seen.extend}
        path = compiled.FastPath(**{**everything(compiled), **parts})

        theirs.send(b"late")
        assert path.serve() is True  # it is not edge-triggered here
        assert set(seen) == {(ours.fileno(), poller.READABLE | poller.WRITABLE)}


def test_a_connection_of_another_kind_is_an_error(compiled):
    ours, theirs = socket.socketpair()
    with ours, theirs, select.epoll() as epoll:
        epoll.register(ours)
        parts = {"epoll": epoll.fileno(), "connections": {ours.fileno(): object()}}

        with pytest.raises(TypeError, match="a Connection was expected"):
            compiled.FastPath(**{**everything(compiled), **parts}).serve()


@pytest.fixture
def awaited(compiled):
    """Make a path with one connection whose answer is known; return what all of it is."""
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        epoll = stack.enter_context(select.epoll())
        epoll.register(ours, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)

        def make(left, **calls):
            conn = compiled.Connection(ours, 0, 17, left)
            conn.state, conn.ordinal = connection.AWAITING, 0
            parts = {
                **everything(compiled),
                "epoll": epoll.fileno(),
                "connections": {ours.fileno(): conn},
                "slots": [conn],
                "answers": {ANSWER: (0, -1, 200 << 8, True)},
                "keep": b"GET",
                "life": 1,
                "most_draining": 9,
                "launches_itself": True,
                "pick": lambda *_: (socket.AF_INET, listener.getsockname()),
                **PERIODS,
                **calls,
            }
            parts["launches"].limit = 1
            return SimpleNamespace(**parts, conn=conn, path=compiled.FastPath(**parts))

        yield theirs, make


def test_what_cannot_be_sent_on_a_kept_connection_is_handed_over(awaited):
    """Its server went after the answer was reported, and before the next request."""
    failed: list[tuple[object, ...]] = []
    theirs, make = awaited
    made = make(-1, on_launch=lambda *what: failed.append(what))

    theirs.send(ANSWER)
    theirs.shutdown(socket.SHUT_RD)
    made.path.serve()

    conn = made.conn
    assert failed == [(conn, -1, errno.EPIPE)]
    assert (conn.state, conn.ordinal, conn.index) == (connection.SENDING, 1, 0)
    assert conn.deadline_ns == conn.sent_ns + PERIODS["timeout_ns"]
    assert made.launches.launched == 1
    assert len(made.rows) == 10


def test_the_end_of_a_connection_behind_its_answer_is_handed_over(awaited):
    ended: list[tuple[object, int, int]] = []
    theirs, make = awaited
    made = make(-1, on_end=lambda *what: ended.append(what))

    theirs.send(ANSWER)
    theirs.close()
    made.path.serve()

    ((conn, mask, keep_alive),) = ended
    assert (conn, mask & poller.PEER_CLOSED, keep_alive) == (made.conn, poller.PEER_CLOSED, 1)
    assert (made.launches.launched, len(made.rows)) == (0, 10)


def test_the_last_answer_of_a_connection_leaves_its_slot_to_the_next(awaited):
    theirs, make = awaited
    made = make(0)

    theirs.send(ANSWER)
    made.path.serve()

    (following,) = made.slots
    assert made.draining == {made.conn.fd: made.conn}
    assert made.connections == {made.conn.fd: made.conn, following.fd: following}
    assert made.conn.deadline_ns == following.scheduled_ns + PERIODS["drain_grace_ns"]
    assert following.state in {connection.CONNECTING, connection.AWAITING}
    period = "timeout_ns" if following.state == connection.AWAITING else "first_deadline_ns"
    assert following.deadline_ns == following.sent_ns + PERIODS[period]
    assert not os.get_inheritable(following.fd)
    assert not os.get_blocking(following.fd)

    theirs.close()
    made.path.serve()

    assert (made.draining, list(made.connections), made.closings) == ({}, [following.fd], [1])
    assert made.slots == [following]


def test_a_connection_that_does_not_open_has_a_deadline_of_its_own(awaited):
    theirs, make = awaited
    with full_backlog() as port:
        made = make(0, pick=lambda *_: (socket.AF_INET, ("127.0.0.1", port)))

        theirs.send(ANSWER)
        made.path.serve()

    (following,) = made.slots
    assert following.state == connection.CONNECTING
    assert following.deadline_ns == following.sent_ns + PERIODS["first_deadline_ns"]


def test_an_answer_that_came_before_its_request_was_sent_is_read(awaited):
    """Nothing reports it a second time."""
    theirs, make = awaited
    made = make(0)
    made.conn.state, made.conn.outgoing = connection.CONNECTING, b"GET"

    theirs.send(ANSWER)
    made.path.serve()

    assert theirs.recv(9) == b"GET"
    assert (made.conn.state, len(made.rows)) == (connection.DRAINING, 10)


def test_a_slot_whose_connection_is_over_is_empty_where_nothing_follows(awaited):
    idle: list[int] = []
    theirs, make = awaited
    made = make(0, on_idle=idle.append)
    made.launches.limit = 0

    theirs.send(ANSWER)
    theirs.close()
    made.path.serve()

    assert (idle, made.slots, made.connections, made.closings) == ([0], [None], {}, [1])


def test_it_launches_nothing_where_others_do(awaited):
    idle: list[int] = []
    theirs, make = awaited
    made = make(-1, on_idle=idle.append, launches_itself=False)

    theirs.send(ANSWER)
    made.path.serve()

    assert (idle, made.launches.launched, made.conn.state) == ([0], 0, connection.IDLE)


def test_a_connection_that_cannot_be_begun_leaves_no_socket(awaited):
    failed: list[tuple[int, ...]] = []
    theirs, make = awaited
    nobody = (socket.AF_INET, ("255.255.255.255", 9))
    made = make(0, on_opening=lambda *what: failed.append(what), pick=lambda *_: nobody)
    os.close(lowest := os.dup(theirs.fileno()))

    theirs.send(ANSWER)
    made.path.serve()

    ((slot, index, _, number, code),) = failed
    assert (slot, index, number, code) == (0, 0, 0, errno.ENETUNREACH)
    assert made.slots == [None]
    os.close(again := os.dup(theirs.fileno()))
    assert again == lowest


def test_a_connection_that_failed_is_handed_over(awaited):
    seen: list[tuple[int, int]] = []
    theirs, make = awaited
    made = make(0, on_ready=seen.extend)
    made.conn.state = connection.CONNECTING

    theirs.close()
    made.path.serve()

    ((fd, mask),) = seen
    assert (fd, mask & poller.FAILED != 0) == (made.conn.fd, True)


def test_a_piece_that_looks_like_a_whole_answer_is_none(awaited):
    pieces: list[bytes] = []
    theirs, make = awaited
    made = make(-1, on_reading=lambda _conn, _mask, data, *_: pieces.append(data))
    made.conn.first_byte_ns = 5

    theirs.send(ANSWER)
    made.path.serve()

    assert (pieces, len(made.rows)) == ([ANSWER], 0)


def test_answers_with_the_same_hash_are_told_apart(awaited):
    """A server may know how they are looked up."""

    def state_after(word):
        state = ((16 * odd & mask) ^ word) * odd & mask
        return state ^ state >> 32

    odd, mask = 0x9E3779B97F4A7C15, 2**64 - 1
    words = [(1, 7), (2, state_after(1) ^ 7 ^ state_after(2))]
    first, second = (b"".join(word.to_bytes(8, sys.byteorder) for word in each) for each in words)
    theirs, make = awaited
    made = make(-1, answers={first: (0, -1, 0, True), second: (1, -1, 0, True)})
    made.launches.limit = 2

    for answer in (first, second):
        theirs.send(answer)
        made.path.serve()

    assert np.frombuffer(made.rows.drain(), np.int64).reshape(-1, 10)[:, 7].tolist() == [0, 1]


def test_a_connection_that_nobody_ended_closes_its_socket(awaited):
    """As Python's own do; of a run that was given up with its loop."""
    theirs, make = awaited
    made = make(0)
    theirs.send(ANSWER)
    made.path.serve()
    opened = made.slots[0].fd

    del made

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)
