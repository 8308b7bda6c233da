"""What must hold of the response reader for any bytes at all, and how such bytes are made.

Each input is read whole and again in pieces. The reader may refuse it in the two documented
ways and in no other, never holds more than its limits and one piece, and says the same
however the bytes were cut.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.exchange.http1.response import LimitExceeded, ProtocolViolation, ResponseReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

CORPUS = Path(__file__).parent / "corpus"
MAX_HEADER_BYTES = 512
MAX_BODY_BYTES = 1_024
PIECE = 256
LONGEST_INPUT = 8_192

_TOKENS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b",", b"\t", b"\xff", b"0", b"-1",
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2 ", b"100 Continue", b"101 X", b"103 Early", b"200 OK",
    b"204 No Content", b"304 Not Modified", b"999 ", b"099 ",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: \r\n",
    b"Content-Length: 18446744073709551616\r\n", b"Content-Length: " + b"9" * 5_000 + b"\r\n",
    b"Content-Length: 1, 1\r\n", b"Content-Length: +1\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding:\r\n chunked\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"Content-Encoding: br\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\n", b"Trailer: X\r\n", b"0\r\n\r\n", b"1\r\na\r\n", b"fffffffff\r\n",
    b"5;name=value\r\n", b"{", b"}", b'"label"', b"\x1f\x8b\x08", b"\x78\x9c",
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")


class Broken(Exception):  # noqa: N818 - what the reader is
    """The reader did what it must not do."""


def seeds() -> list[bytes]:
    """Give the corpus: answers of every kind, and inputs that once were too much."""
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def mutate(random: Random, corpus: Sequence[bytes], tokens: Sequence[bytes] = _TOKENS) -> bytes:
    """Make an input out of the corpus by one to five changes."""
    data = random.choice(corpus)
    for _ in range(random.randint(1, 5)):
        data = _change(random, data, corpus, tokens)[:LONGEST_INPUT]
    return data


def _change(random: Random, data: bytes, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    a, b = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    match random.randrange(8):
        case 0:
            return data[:a] + bytes([random.randrange(256)]) + data[a + 1 :]
        case 1:
            return data[:a] + data[b:]
        case 2:
            return data[:b] + data[a:]
        case 3 | 4:
            return data[:a] + random.choice(tokens) + data[a:]
        case 5:
            return data[:a] + data[a:b] * random.choice((2, 10, 100)) + data[b:]
        case 6:
            other = random.choice(corpus)
            return data[:a] + other[random.randint(0, len(other)) :]
        case _:
            numbers = list(_NUMBER.finditer(data))
            if not numbers:
                return data[:a]
            number = random.choice(numbers)
            return data[: number.start()] + b"%d" % random.randrange(2_000) + data[number.end() :]


def check_drawn(data: bytes, random: Random) -> str:
    """Check an input in a number of pieces that is drawn."""
    return check(data, random.randint(1, 64), bodyless=random.random() < 0.1)


def check(data: bytes, pieces: int, *, bodyless: bool) -> str:
    """Read `data` whole and in `pieces`; give what it came to.

    Raises
    ------
    Broken
        If the reader did what it must not do.
    """
    whole = read([data], bodyless=bodyless)
    size = max(1, min(-(-len(data) // pieces), PIECE))
    cut = read([data[at : at + size] for at in range(0, len(data), size)], bodyless=bodyless)
    # Limits are looked at when a piece is in, so they may come before or after another end.
    if whole != cut and "limit" not in {whole[0], cut[0]}:
        raise Broken(f"{whole} in one piece, {cut} in pieces of {size}")
    return whole[0]


def read(parts: Sequence[bytes], *, bodyless: bool) -> tuple[str, object]:
    """Read one answer that comes in `parts`; give how that ended, and the answer."""
    reader = ResponseReader(
        bodyless=bodyless, max_header_bytes=MAX_HEADER_BYTES, max_body_bytes=MAX_BODY_BYTES
    )
    try:
        for part in parts:
            response = reader.feed(part)
            _check_held(reader, len(part))
            if response is not None:
                break
        else:
            response = reader.feed_eof()
    except ProtocolViolation:
        return "protocol", None
    except LimitExceeded:
        return "limit", None
    if response is None:
        return "incomplete", None
    if len(response.body) > MAX_BODY_BYTES:
        raise Broken(f"a body of {len(response.body)} bytes")
    head = response.head
    return "response", (head.status, head.headers, response.body)


def _check_held(reader: ResponseReader, piece: int) -> None:
    if reader.held_bytes > MAX_HEADER_BYTES + MAX_BODY_BYTES + piece:
        raise Broken(f"{reader.held_bytes} bytes held after a piece of {piece}")
