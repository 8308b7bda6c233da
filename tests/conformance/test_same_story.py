"""What is odd, broken or hostile comes to the same on both transports.

The right column says what RFC 9110 and 9112 make of it, or what both parsers agree on.
"""

from __future__ import annotations

import gzip

import pytest

from analysis import Outcome
from sampler.exchange.failure import FailureCode
from tests.conformance.scripted import Act, Turns

BODY = b'{"label": "v1"}'
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"f\r\n" + BODY + b"\r\n0\r\n\r\n"
PACKED = gzip.compress(BODY)


def by_length(*fields: bytes, line: bytes = OK) -> bytes:
    return line + LENGTH + b"".join(fields) + b"\r\n" + BODY


def with_body(body: bytes, *, line: bytes = OK) -> bytes:
    return line + b"Content-Length: %d\r\n\r\n" % len(body) + body


READ = {
    "another answer behind it": by_length() + by_length().replace(b"v1", b"v9"),
    "half of an answer behind it": by_length() + by_length()[:30],
    "junk behind it": by_length() + b"junk",
    "empty lines behind it": by_length() + b"\r\n\r\n",
    "junk behind an answer that closes": by_length(b"Connection: close\r\n") + b"junk",
    "junk behind chunks": OK + CHUNKED + b"\r\n" + CHUNKS + b"junk",
    "junk behind an answer without a body": OK + b"Content-Length: 15\r\n\r\n" + BODY + b"\0\0",
    "lines that end with LF": by_length().replace(b"\r\n", b"\n"),
    "a folded field": by_length(b"X: a\r\n  b\r\n"),
    "a folded length": OK + b"Content-Length:\r\n 15\r\n\r\n" + BODY,
    "spaces behind the length": OK + b"Content-Length: 15  \r\n\r\n" + BODY,
    "latin-1 in a field": by_length(b"X: \xe9\r\n"),
    "a control character in a field": by_length(b"X: a\x01b\r\n"),
    "empty lines before the status": b"\r\n\r\n" + by_length(),
    "utf-8 in the reason": by_length(line=b"HTTP/1.1 200 \xc3\xa9\r\n"),
    "a status that nobody registered": by_length(line=b"HTTP/1.1 799 X\r\n"),
    "1000 interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000 + by_length(),
    "an upgrade that was only offered": by_length(b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    "chunked in capitals": OK + b"Transfer-Encoding: ChUnKeD\r\n\r\n" + CHUNKS,
    "chunked by a second field": OK + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "a space behind a chunk's size": OK + CHUNKED + b"\r\nf \r\n" + BODY + b"\r\n0\r\n\r\n",
    "zeros before a chunk's size": OK + CHUNKED + b"\r\n00000000f\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a quoted chunk extension": OK + CHUNKED + b'\r\nf;a="b;\\"c"\r\n' + BODY + b"\r\n0\r\n\r\n",
    "an unknown transfer coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n" + BODY,
    "gzip with something behind it": OK
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) + 4)
    + PACKED
    + b"junk",
    "GZIP": OK + b"Content-Encoding: GZIP\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    "an unknown content coding": by_length(b"Content-Encoding: lzma\r\n"),
    "a byte order mark": OK + b"Content-Length: 18\r\n\r\n\xef\xbb\xbf" + BODY,
    "a length with zeros before it": OK
    + b"Content-Length: 0000000000000000000000015\r\n\r\n"
    + BODY,
    "half of a surrogate pair in another member": with_body(b'{"x": "\\ud800", "label": "v1"}'),
    "half of a surrogate pair as a name": with_body(b'{"\\udfff": 1, "label": "v1"}'),
    "a broken cookie": by_length(b"Set-Cookie: ;;;=\xff\r\n"),
    "a broken location": by_length(b"Location: http://[\r\n", line=b"HTTP/1.1 302 Found\r\n"),
    "a broken type": by_length(b"Content-Type: \xff;;;charset=\r\n"),
}
REFUSED = {
    "two lengths that agree": OK + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": OK + b"Content-Length: 15, 15\r\n\r\n" + BODY,
    "a length with a sign": OK + b"Content-Length: +15\r\n\r\n" + BODY,
    "a negative length": OK + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length in hex": OK + b"Content-Length: 0xf\r\n\r\n" + BODY,
    "no length in its field": OK + b"Content-Length: \r\n\r\n" + BODY,
    "a length beyond 64 bits": OK + b"Content-Length: 18446744073709551616\r\n\r\n" + BODY,
    "chunks behind a length": OK + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "a length behind chunks": OK + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "a NUL in a field": by_length(b"X: a\0b\r\n"),
    "a NUL in a field's name": by_length(b"X\0: a\r\n"),
    "a bare CR in a field": by_length(b"X: a\rb\r\n"),
    "a space before a colon": by_length(b"X : a\r\n"),
    "a field without a name": by_length(b": a\r\n"),
    "HTTP/0.9": by_length(line=b"HTTP/0.9 200 OK\r\n"),
    "HTTP/2.0": by_length(line=b"HTTP/2.0 200 OK\r\n"),
    "HTTP/2 in words": by_length(line=b"HTTP/2 200 OK\r\n"),
    "another version of an interim answer": b"HTTP/2.0 100 Continue\r\n\r\n" + by_length(),
    "another version": by_length(line=b"HTTP/1.2 200 OK\r\n"),
    "a status of two digits": by_length(line=b"HTTP/1.1 20 OK\r\n"),
    "a status of four digits": by_length(line=b"HTTP/1.1 2000 OK\r\n"),
    "a status below 100": by_length(line=b"HTTP/1.1 099 OK\r\n"),
    "status 0": by_length(line=b"HTTP/1.1 000 OK\r\n"),
    "two spaces before the status": by_length(line=b"HTTP/1.1  200 OK\r\n"),
    "a switch to nothing": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "a chunk's size with a sign": OK + CHUNKED + b"\r\n-1\r\n" + BODY,
    "a chunk's size in C": OK + CHUNKED + b"\r\n0xf\r\n" + BODY,
    "a chunk beyond 64 bits": OK + CHUNKED + b"\r\nffffffffffffffffff\r\n" + BODY,
    "a length in a trailer": OK
    + CHUNKED
    + b"\r\nf\r\n"
    + BODY
    + b"\r\n0\r\nContent-Length: 3\r\n\r\n",
    "a trailer without a colon": OK + CHUNKED + b"\r\nf\r\n" + BODY + b"\r\n0\r\nno colon\r\n\r\n",
    "half of a gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + PACKED[:20],
    "HTML without a head": b"<html>hello</html>",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "our own request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "Redis": b"-ERR unknown command\r\n",
    "SMTP": b"220 mail ESMTP\r\n",
}
NO_LABEL = {
    "a body of a 204": by_length(line=b"HTTP/1.1 204 No Content\r\n"),
    "a body of a 304": by_length(line=b"HTTP/1.1 304 Not Modified\r\n"),
    "chunks of a 204": b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "a body of a 204 that closes": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n" + BODY,
    "a label that is half of a surrogate pair": with_body(b'{"label": "\\ud800"}'),
    "bytes that are no UTF-8 in another member": with_body(b'{"x": "\xff", "label": "v1"}'),
    "bytes that are no UTF-8 as a name": with_body(b'{"\xff": 1, "label": "v1"}'),
    "bytes that are no UTF-8 in the label": with_body(b'{"label": "v\xff"}'),
    "a surrogate in UTF-8": with_body(b'{"x": "\xed\xa0\x80", "label": "v1"}'),
    "an overlong slash": with_body(b'{"x": "\xc0\xaf", "label": "v1"}'),
    "UTF-16": with_body('{"label": "v1"}'.encode("utf-16")),
    "what is not a number": with_body(b'{"x": NaN, "label": "v1"}'),
    "a 204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 15\r\n\r\n",
    "a 304 with a length beyond 63 bits": b"HTTP/1.1 304 Not Modified\r\n"
    b"Content-Length: 9223372036854775808\r\n\r\n",
}
TOO_LARGE = {
    "a length of 2^63 - 1": OK + b"Content-Length: 9223372036854775807\r\n\r\n" + BODY,
    "a length of 2^63": OK + b"Content-Length: 9223372036854775808\r\n\r\n" + BODY,
    "a length of 2^64 - 1": OK + b"Content-Length: 18446744073709551615\r\n\r\n" + BODY,
    "an announced body of 10 GB": OK + b"Content-Length: 10000000000\r\n\r\n" + BODY,
    "a bomb": OK
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b" " * 5_000_000))
    + gzip.compress(b" " * 5_000_000),
    "a trailer without end": OK + CHUNKED + b"\r\nf\r\n" + BODY + b"\r\n0\r\nX: " + b"y" * 200_000,
}
ALL = [
    *((name, wire, None) for name, wire in READ.items()),
    *((name, wire, FailureCode.NOT_HTTP) for name, wire in REFUSED.items()),
    *((name, wire, FailureCode.NO_LABEL) for name, wire in NO_LABEL.items()),
    *((name, wire, FailureCode.TOO_LARGE) for name, wire in TOO_LARGE.items()),
]


@pytest.mark.parametrize(("name", "wire", "expected"), ALL, ids=[case[0] for case in ALL])
def test_an_odd_answer_comes_to_the_same_everywhere(exchange, name, wire, expected):
    seen = exchange([wire, Turns(12), Act.CLOSE], timeout_s=2)

    codes = [failure.code for failures in seen.failures.values() for failure in failures]
    assert codes == ([] if expected is None else [expected]), (name, seen.failures)
    assert seen.only() is (Outcome.OK if expected is None else expected.outcome)
    assert seen.labels == (["v1"] if expected is None else [None])


def test_what_came_instead_of_a_response_is_quoted(exchange):
    detail = exchange([b"SSH-2.0-OpenSSH_9.6\r\n", Act.SILENCE]).failure.text

    assert "not an HTTP/1 response: Expected HTTP/" in detail
    assert "SSH-2.0-OpenSSH_9.6" in detail
    assert "\n" not in detail
