"""Bytes to responses: the same response, however the network cut the bytes."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pyarrow as pa
import pytest

from sampler.exchange.http1.response import (
    LimitExceeded,
    ProtocolViolation,
    Response,
    ResponseReader,
)

BODY = b'{"label": "v2", "host": "app-canary-1"}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
GZIPPED = gzip.compress(BODY)

WHOLE = {
    "content-length": b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + LENGTH + b"\r\n" + BODY,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;note=x\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n"
    b"0\r\nTrailer: 1\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    % len(GZIPPED)
    + GZIPPED,
    "old": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
}
KEEPS_ALIVE = {"content-length", "chunked", "interim", "gzip"}


def make_reader(**options) -> ResponseReader:
    return ResponseReader(
        **{"bodyless": False, "max_header_bytes": 4096, "max_body_bytes": 4096, **options}
    )


def feed_cut(data: bytes, cuts: list[int], **options) -> tuple[Response | None, ResponseReader]:
    reader = make_reader(**options)
    parts = [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]
    answers = [reader.feed(part) for part in parts if part]
    assert all(answer is None for answer in answers[:-1])
    return answers[-1], reader


@pytest.mark.parametrize("kind", WHOLE)
def test_a_response_is_read_whole(kind):
    response, _ = feed_cut(WHOLE[kind], [])

    assert response is not None
    assert (response.head.status, response.body) == (200, BODY)
    assert response.keep_alive is (kind in KEEPS_ALIVE)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_response_cut_in_two_anywhere_is_the_same_response(kind):
    data = WHOLE[kind]
    whole, _ = feed_cut(data, [])

    assert all(feed_cut(data, [cut])[0] == whole for cut in range(1, len(data)))


@pytest.mark.parametrize("kind", ["content-length", "chunked"])
def test_the_end_of_the_connection_does_not_complete_a_framed_body(kind):
    reader = make_reader()
    reader.feed(WHOLE[kind][:-4])

    assert reader.feed_eof() is None


def test_the_end_of_the_connection_before_the_head_is_no_response():
    reader = make_reader()
    reader.feed(b"HTTP/1.1 200 OK\r\nServer: x")

    assert reader.feed_eof() is None


@pytest.mark.parametrize(
    ("wire", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 39\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 39\r\n\r\n", False),
    ],
)
def test_the_answer_to_head_has_no_body_whatever_its_head_says(wire, keep_alive):
    response = make_reader(bodyless=True).feed(wire)

    assert response is not None
    assert (response.body, response.keep_alive) == (b"", keep_alive)


def test_surplus_bytes_leave_the_response_and_spoil_the_connection():
    response, _ = feed_cut(WHOLE["content-length"] + b"more", [])

    assert response is not None
    assert (response.body, response.keep_alive) == (BODY, False)


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>not http</html>\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ],
)
def test_what_is_not_http_is_a_protocol_violation(wire):
    with pytest.raises(ProtocolViolation):
        make_reader().feed(wire)


def _packed(coding, body):
    if coding in {"br", "zstd"}:
        return pa.compress(body, codec={"br": "brotli"}.get(coding, coding), asbytes=True)
    packer = zlib.compressobj(wbits={"deflate": 15, "bare deflate": -15, "gzip": 31}[coding])
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("coding", ["deflate", "bare deflate", "gzip", "br", "zstd"])
def test_a_packed_body_of_just_the_limit_is_read_and_a_cut_one_is_not(coding):
    packed = _packed(coding, b"a" * 4096)
    head = f"Content-Encoding: {coding.split()[-1]}\r\nContent-Length: ".encode()
    head = b"HTTP/1.1 200 OK\r\n" + head + b"%d\r\n\r\n"

    response = make_reader().feed(head % len(packed) + packed)

    assert response is not None
    assert response.body == b"a" * 4096
    cut = packed[:-3]
    with pytest.raises(ProtocolViolation, match=r"ends in the middle|cut off"):
        make_reader().feed(head % len(cut) + cut)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_small_body_that_unpacks_to_a_large_one_is_refused(coding):
    bomb = _packed(coding, b"a" * 100_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(bomb)}\r\n\r\n"

    with pytest.raises(LimitExceeded):
        make_reader().feed(head.encode() + bomb)
