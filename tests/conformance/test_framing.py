"""Where an answer ends: RFC 9112 sections 6 and 7."""

from __future__ import annotations

import gzip
import zlib

import pyarrow as pa
import pytest

from analysis import Outcome
from tests.conformance.scripted import Act, Cut, Drip, Turns

BODY = b'{"label": "v1", "host": "pod-7"}'
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"

BY_LENGTH = OK + LENGTH + b"\r\n" + BODY
BY_CHUNKS = OK + CHUNKED + b"\r\n5\r\n" + BODY[:5] + b"\r\n1b\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
BY_DECORATED_CHUNKS = (
    OK
    + b"transfer-encoding:chunked\r\nTrailer: X-Check\r\n\r\n"
    + b'5;name="value"\r\n'
    + BODY[:5]
    + b"\r\n1B;flag\r\n"
    + BODY[5:]
    + b"\r\n0;last\r\nX-Check: fine\r\n\r\n"
)
BY_CLOSE = OK + b"Content-Type: application/json\r\n\r\n" + BODY

SELF_DELIMITED = {
    "length": BY_LENGTH,
    "chunks": BY_CHUNKS,
    "chunks with extensions and trailers": BY_DECORATED_CHUNKS,
    "1.1 that says keep-alive": OK + LENGTH + b"Connection: keep-alive\r\n\r\n" + BODY,
    "1.0 that keeps alive": b"HTTP/1.0 200 OK\r\n"
    + LENGTH
    + b"Connection: keep-alive\r\n\r\n"
    + BODY,
    "after 100": b"HTTP/1.1 100 Continue\r\n\r\n" + BY_LENGTH,
    "after 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + BY_CHUNKS,
    "after 100 and 103": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    + BY_LENGTH,
    "no reason phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY,
    "error status": b"HTTP/1.1 503 Service Unavailable\r\n" + LENGTH + b"\r\n" + BODY,
}
ENDED_BY_CLOSE = {
    "1.1 to the end of the connection": BY_CLOSE,
    "1.0 to the end of the connection": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "1.0 by length": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "1.1 that closes": OK + LENGTH + b"Connection: close\r\n\r\n" + BODY,
    "chunks and close": OK + CHUNKED + b"Connection: close\r\n" + BY_CHUNKS[len(OK + CHUNKED) :],
}


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize("name", SELF_DELIMITED)
def test_an_answer_that_says_where_it_ends_is_read(exchange, name, connection):
    seen = exchange([SELF_DELIMITED[name]], n=3, connection=connection, replica="/host")

    assert seen.only() is Outcome.OK
    assert seen.labels == ["v1"] * 3
    assert seen.replicas == ["pod-7"] * 3
    assert seen.server.connections == (3 if connection == "fresh" else 1)


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize("name", ENDED_BY_CLOSE)
def test_an_answer_that_ends_with_its_connection_is_read(exchange, name, connection):
    seen = exchange([ENDED_BY_CLOSE[name], Act.CLOSE], n=3, connection=connection)

    assert seen.only() is Outcome.OK
    assert seen.labels == ["v1"] * 3
    assert seen.server.connections == 3


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize("name", SELF_DELIMITED)
def test_an_answer_may_be_cut_in_two_at_every_position(exchange, name, connection):
    wire = SELF_DELIMITED[name]

    seen = exchange(
        lambda request: [Cut(wire, (request.number + 1,))],
        n=len(wire) - 1,
        connection=connection,
    )

    assert seen.only() is Outcome.OK


@pytest.mark.parametrize("name", [*SELF_DELIMITED, *ENDED_BY_CLOSE])
def test_an_answer_may_come_byte_by_byte(exchange, name):
    wire = {**SELF_DELIMITED, **ENDED_BY_CLOSE}[name]

    seen = exchange([Cut(wire), Act.CLOSE])

    assert seen.labels == ["v1"]


def test_the_end_of_the_connection_may_come_later_than_the_body(exchange):
    seen = exchange([BY_CLOSE, Turns(), Act.CLOSE], n=3)

    assert seen.labels == ["v1"] * 3


def test_a_large_body_is_read_whole(exchange, answer):
    body = b'{"padding": "%s", "label": "v1"}' % (b"x" * 900_000)
    wire = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body

    assert exchange([wire]).labels == ["v1"]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("br", pa.compress(BODY, codec="brotli", asbytes=True)),
        ("zstd", pa.compress(BODY, codec="zstd", asbytes=True)),
    ],
    ids=["gzip", "deflate", "br", "zstd"],
)
def test_a_label_is_read_from_a_compressed_body_that_nobody_asked_for(exchange, coding, body):
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"

    assert exchange([head.encode() + body], n=2).labels == ["v1"] * 2


def test_a_coding_that_nobody_knows_leaves_the_label_in_the_head_readable(exchange):
    wire = OK + b"Content-Encoding: lzma\r\nX-Version: v1\r\n" + LENGTH + b"\r\n" + BODY

    assert exchange([wire], label="header:X-Version").labels == ["v1"]


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_a_body_that_is_not_what_its_coding_says_is_a_protocol_error(exchange, coding):
    seen = exchange([OK + b"Content-Encoding: " + coding + b"\r\n" + LENGTH + b"\r\n" + BODY])

    assert seen.only() is Outcome.PROTOCOL


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\nX-Version: v1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nX-Version: v1\r\nContent-Length: 32\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["204", "304", "empty", "no chunks"],
)
def test_an_answer_without_a_body_is_complete_with_its_head(exchange, head, connection):
    seen = exchange([head], n=3, connection=connection, label="header:x-version")

    assert seen.labels == ["v1"] * 3
    assert seen.server.connections == (3 if connection == "fresh" else 1)


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize(
    "framing",
    [LENGTH, CHUNKED, b"Content-Length: 100000000\r\n"],
    ids=["length", "chunked", "long"],
)
def test_the_answer_to_head_has_no_body_whatever_its_head_says(exchange, framing, connection):
    seen = exchange(
        [OK + b"X-Version: v1\r\n" + framing + b"\r\n"],
        n=3,
        connection=connection,
        method="HEAD",
        label="header:X-Version",
    )

    assert seen.labels == ["v1"] * 3
    assert seen.server.connections == (3 if connection == "fresh" else 1)


def test_the_answer_to_head_may_say_nothing_of_a_body(exchange):
    wire = OK + b"X-Version: v1\r\n\r\n"

    seen = exchange([wire], n=3, connection="reuse", method="HEAD", label="header:X-Version")

    assert seen.labels == ["v1"] * 3


def test_a_slow_answer_within_the_deadline_is_an_answer(exchange, answer):
    seen = exchange([Drip(answer(), 0.001), Act.CLOSE])

    assert seen.labels == ["v1"]
