"""Each way in which an exchange can fail is told from the others."""

from __future__ import annotations

import errno
import gzip
import os
import resource
from contextlib import contextmanager

import pytest

from analysis import ABSENT, Outcome
from sampler.base.errors import SamplingError
from sampler.exchange.failure import Failure, FailureCode
from tests.conformance.scripted import Act, Drip, Turns
from tests.ports import full_backlog

HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
HALF_A_BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"label": "v1"'
HALF_A_CHUNK = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"label": "v1"'
NO_LAST_CHUNK = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"label": "v1"}\r\n'
TWO_CODINGS = HALF_A_CHUNK.replace(b"Transfer", b"Transfer-Encoding: gzip\r\nTransfer")
OPEN_END = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"label": "v1"}'

AT_THE_DEADLINE = "bad chunk, later"  # which is when aiohttp says it
ENDINGS = {
    "no answer": ([Act.CLOSE], FailureCode.CLOSED),
    "half a head, close": ([HALF_A_HEAD, Turns(), Act.CLOSE], FailureCode.CLOSED),
    "half a body, close": ([HALF_A_BODY, Turns(), Act.CLOSE], FailureCode.CLOSED),
    "half a body, close at once": ([HALF_A_BODY, Act.CLOSE], FailureCode.CLOSED),
    "half a chunk, close": ([HALF_A_CHUNK, Turns(), Act.CLOSE], FailureCode.CLOSED),
    "no last chunk, close": ([NO_LAST_CHUNK, Turns(), Act.CLOSE], FailureCode.CLOSED),
    "only 100, close": ([b"HTTP/1.1 100 Continue\r\n\r\n", Turns(), Act.CLOSE], FailureCode.CLOSED),
    "no answer, reset": ([Act.RESET], FailureCode.RESET),
    "half a head, reset": ([HALF_A_HEAD, Turns(), Act.RESET], FailureCode.RESET),
    "half a body, reset": ([HALF_A_BODY, Turns(), Act.RESET], FailureCode.RESET),
    "half a chunk, reset": ([HALF_A_CHUNK, Turns(), Act.RESET], FailureCode.RESET),
    "open end, reset": ([OPEN_END, Turns(), Act.RESET], FailureCode.RESET),
    "silence": ([Act.SILENCE], FailureCode.NO_ANSWER_IN_TIME),
    "half a head, silence": ([HALF_A_HEAD, Act.SILENCE], FailureCode.NO_ANSWER_IN_TIME),
    "half a body, silence": ([HALF_A_BODY, Act.SILENCE], FailureCode.NO_ANSWER_IN_TIME),
    "open end, silence": ([OPEN_END, Act.SILENCE], FailureCode.NO_ANSWER_IN_TIME),
    "only 100, silence": (
        [b"HTTP/1.1 100 Continue\r\n\r\n", Act.SILENCE],
        FailureCode.NO_ANSWER_IN_TIME,
    ),
    "drip in the head": ([Drip(HALF_A_HEAD * 99, 0.02)], FailureCode.NO_ANSWER_IN_TIME),
    "drip in the body": ([HALF_A_BODY, Drip(b" " * 99, 0.02)], FailureCode.NO_ANSWER_IN_TIME),
    "garbage": ([b"\x00\x01 what\r\n\r\n", Act.SILENCE], FailureCode.NOT_HTTP),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.6\r\n", Act.SILENCE], FailureCode.NOT_HTTP),
    "TLS alert": ([b"\x15\x03\x01\x00\x02\x02\x28", Act.CLOSE], FailureCode.NOT_HTTP),
    "bad status": ([b"HTTP/1.1 2x0 OK\r\n\r\n", Act.SILENCE], FailureCode.NOT_HTTP),
    "bad header": ([b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Act.SILENCE], FailureCode.NOT_HTTP),
    "bad length": ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], FailureCode.NOT_HTTP),
    "two lengths": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
        FailureCode.NOT_HTTP,
    ),
    "bad chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Act.SILENCE],
        FailureCode.NOT_HTTP,
    ),
    AT_THE_DEADLINE: ([HALF_A_CHUNK[:-1], Turns(), b"x" * 99, Act.SILENCE], FailureCode.NOT_HTTP),
    "switching without a word of what to": (
        [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Act.SILENCE],
        FailureCode.NOT_HTTP,
    ),
    "chunked by a second field, cut": ([TWO_CODINGS, Turns(), Act.CLOSE], FailureCode.CLOSED),
    "unasked upgrade": (
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        FailureCode.NOT_HTTP,
    ),
}


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize("name", ENDINGS)
def test_a_broken_answer_has_its_own_outcome_and_code(exchange, name, connection):
    steps, expected = ENDINGS[name]
    is_late = expected is FailureCode.NO_ANSWER_IN_TIME
    timeout_s = 0.1 if is_late else 0.5 if name == AT_THE_DEADLINE else 5

    seen = exchange(
        steps,
        n=2,
        concurrency=2,
        connection=connection,
        timeout_s=timeout_s,
        unread=2 if is_late else 0,  # on a busy machine the deadline may come first
    )

    assert seen.only() is expected.outcome
    assert seen.failure.code is expected
    assert seen.labels == [None, None]
    assert len(seen.failure.text) > 10


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([Act.CLOSE], "closed by the server without an answer"),
        ([HALF_A_HEAD, Turns(), Act.CLOSE], "closed by the server inside the answer"),
        ([HALF_A_BODY, Turns(), Act.CLOSE], "closed by the server inside the answer"),
        ([Act.RESET], "reset by the server without an answer"),
        ([HALF_A_BODY, Turns(), Act.RESET], "reset by the server inside the answer"),
        ([b"HTTP/1.1 101 X\r\n\r\n"], "switching protocols, which was not requested"),
    ],
)
def test_a_failure_is_told_in_the_same_words_everywhere(exchange, steps, told):
    assert exchange(steps).failure.text == told


def test_the_deadline_is_named_in_the_text(exchange):
    assert "0.2 s" in exchange([Act.SILENCE], timeout_s=0.2).failure.text


def test_the_status_of_an_answer_that_broke_in_its_body_is_known(exchange):
    seen = exchange([HALF_A_BODY.replace(b"200 OK", b"500 Oh"), Turns(), Act.CLOSE])

    assert seen.batch.status == [500]


def test_an_exchange_without_an_answer_has_no_status_and_no_first_byte(exchange):
    seen = exchange([Act.CLOSE])

    assert seen.batch.status == [0]
    assert seen.batch.first_byte_ns == [ABSENT]


def test_the_instants_of_an_exchange_are_in_order(exchange, answer):
    seen = exchange([answer()], n=8, concurrency=2)

    batch = seen.batch
    assert (batch.scheduled_ns <= batch.sent_ns).all()
    assert (batch.sent_ns < batch.first_byte_ns).all()
    assert (batch.first_byte_ns <= batch.done_ns).all()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 5_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Field: 0123456789\r\n" * 100,
        b"HTTP/1.1 200 " + b"O" * 5_000 + b"\r\n",
    ],
    ids=["one field", "many fields", "status line"],
)
def test_a_header_over_its_limit_is_too_large(exchange, head):
    wire = head + b"Content-Length: 0\r\n\r\n"

    seen = exchange([wire], max_header_bytes=1_000)
    assert (seen.only(), seen.failure.code) == (Outcome.TOO_LARGE, FailureCode.TOO_LARGE)
    assert exchange([wire], max_header_bytes=10_000).only() is Outcome.UNLABELLED


def test_a_long_field_below_the_limit_is_read(exchange, answer):
    seen = exchange([answer(fields=f"X-Long: {'x' * 30_000}\r\n")], n=2)

    assert seen.labels == ["v1"] * 2


def test_a_header_without_end_is_too_large_long_before_the_deadline(exchange):
    seen = exchange(
        [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000, Act.SILENCE], max_header_bytes=1_000
    )

    assert seen.only() is Outcome.TOO_LARGE


@pytest.mark.parametrize("framing", ["length", "chunks", "close", "gzip"])
def test_a_body_over_its_limit_is_too_large(exchange, framing):
    wire = _body_of(5_000, framing)

    seen = exchange([wire, Act.CLOSE], max_body_bytes=4_999)
    assert (seen.only(), seen.failure.code) == (Outcome.TOO_LARGE, FailureCode.TOO_LARGE)
    assert exchange([wire, Act.CLOSE], max_body_bytes=5_000).only() is Outcome.OK


def test_a_body_without_end_is_too_large_long_before_the_deadline(exchange):
    seen = exchange(
        [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000, Act.SILENCE], max_body_bytes=10_000
    )

    assert seen.only() is Outcome.TOO_LARGE


def test_a_refused_connection_is_a_failed_connection(exchange, closed_port):
    seen = exchange(url=f"http://127.0.0.1:{closed_port}/", n=4, concurrency=2)

    assert seen.only() is Outcome.CONNECT_FAILED
    assert seen.failure == Failure(
        FailureCode.REFUSED,
        f"connect to 127.0.0.1:{closed_port}: Connection refused",
        errno.ECONNREFUSED,
    )
    assert sorted(seen.batch.connection) == [0, 1, 2, 3]
    assert (seen.batch.done_ns >= seen.batch.sent_ns).all()


def test_a_connection_that_nobody_takes_times_out(exchange):
    with full_backlog() as port:
        seen = exchange(url=f"http://127.0.0.1:{port}/", n=2, concurrency=2, connect_timeout_s=0.2)

    assert seen.only() is Outcome.CONNECT_TIMEOUT
    assert seen.failure.code is FailureCode.NO_CONNECTION_IN_TIME
    assert "0.2 s" in seen.failure.text


def test_the_shorter_of_the_two_deadlines_is_the_one_that_was_met(exchange):
    with full_backlog() as port:
        seen = exchange(url=f"http://127.0.0.1:{port}/", connect_timeout_s=9, timeout_s=0.2)

    assert seen.only() is Outcome.TIMEOUT
    assert seen.failure.code is FailureCode.NO_ANSWER_IN_TIME
    assert "0.2 s" in seen.failure.text


def test_connections_that_could_not_be_opened_have_numbers_of_their_own(exchange, answer):
    seen = exchange([answer()], n=6, concurrency=3, around=_no_more_descriptors, unread=6)

    assert sorted(seen.batch.connection) == list(range(6))


def test_running_out_of_file_descriptors_is_a_limit_of_this_machine(exchange, answer):
    seen = exchange([answer()], n=3, around=_no_more_descriptors, unread=3)

    assert seen.only() is Outcome.CLIENT_LIMIT
    assert (seen.failure.code, seen.failure.errno) == (FailureCode.NO_RESOURCES, errno.EMFILE)
    assert "Too many open files" in seen.failure.text
    assert seen.server.requests == []


def test_an_unknown_host_is_an_error_of_the_run_and_not_of_an_exchange(exchange):
    with pytest.raises(SamplingError, match=r"nowhere\.invalid"):
        exchange(url="http://nowhere.invalid/")


def _body_of(size, framing):
    body = b'{"label": "v1"}'.ljust(size)
    head = b"HTTP/1.1 200 OK\r\n"
    match framing:
        case "length":
            return head + b"Content-Length: %d\r\n\r\n" % size + body
        case "chunks":
            chunk = b"%x\r\n%s\r\n" % (1_000, b"%s")
            parts = b"".join(chunk % body[i : i + 1_000] for i in range(0, size, 1_000))
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
        case "gzip":
            packed = gzip.compress(body)
            fields = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
            return head + fields + packed
    return head + b"\r\n" + body


@contextmanager
def _no_more_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
