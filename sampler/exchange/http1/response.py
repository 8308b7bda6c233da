"""Bytes to response: incremental, no socket; bytes may be cut anywhere.

How it works. `ResponseReader` reads one response with llhttp (through httptools) and keeps
what that leaves to its caller: a HEAD request's answer without a body, a body that ends with
the connection, interim 1xx answers, compressed bodies that were not requested, and limits.

What a user agent has to bear with, it bears: folded fields (RFC 9112 section 5.2), lines that
end with a bare LF (section 2.2), spaces behind a chunk's size. aiohttp bears with the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from sampler.base.redaction import without_secrets

NO_BODY_STATUSES = frozenset({204, 304})  # RFC 9112 section 6.3
VERSIONS = frozenset({"1.0", "1.1"})
"""Of the answers that are read: what calls itself something else may be framed by other rules."""
_SWITCHING = 101
UPGRADED = "switching protocols, which was not requested"
_BY_ARROW = {b"br": "brotli", b"zstd": "zstd"}
_SHOWN = 40  # bytes of what is no response that are quoted


class ProtocolViolation(Exception):  # noqa: N818 - it describes what the peer did
    """What came back is not an HTTP/1 response."""


class LimitExceeded(Exception):  # noqa: N818 - as above
    """The header or body is larger than the limit."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a final response.

    Parameters
    ----------
    status : int
        In [200, 999].
    headers : tuple of (bytes, bytes)
        In the order of their arrival.
    body_length : int or None
        Bytes of the body, if the head alone says so.
    keep_alive : bool
        Whether the connection may carry another exchange.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body_length: int | None
    keep_alive: bool

    def header(self, name: bytes) -> bytes | None:
        """Return the first field of a lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response.

    Parameters
    ----------
    head : Head
    body : bytes
        With the transfer and content codings removed.
    keep_alive : bool
        Whether the connection may carry another exchange; never after surplus bytes.
    has_surplus : bool
        Whether more followed it at once.
    """

    head: Head
    body: bytes
    keep_alive: bool
    has_surplus: bool


class ResponseReader:
    """Reads one response.

    Parameters
    ----------
    bodyless : bool
        The request was HEAD: the answer has no body, whatever its head says.
    max_header_bytes, max_body_bytes : int
        Limits; the body's holds before and after decompression.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_bodyless",
        "_head_bytes",
        "_headers",
        "_idle_bytes",
        "_is_complete",
        "_max_body",
        "_max_header",
        "_parser",
        "_reason_bytes",
        "_start",
        "_surplus",
        "head",
    )

    def __init__(self, *, bodyless: bool, max_header_bytes: int, max_body_bytes: int) -> None:
        self.head: Head | None = None
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._start = b""
        self._bodyless = bodyless
        self._max_header = max_header_bytes
        self._max_body = max_body_bytes
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._reason_bytes = 0
        self._body = bytearray()  # a list of its parts would hold many times their bytes
        self._idle_bytes = 0
        self._body_bytes = 0
        self._is_complete = False
        self._surplus = False

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes; return the response once it is complete.

        Raises
        ------
        ProtocolViolation
            If the bytes cannot be (part of) an HTTP/1 response.
        LimitExceeded
            If the header or body is over its limit.
        """
        if self.head is None:
            self._head_bytes += len(data)
            self._start = self._start or data[:_SHOWN]
        else:
            self._idle_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            raise ProtocolViolation(UPGRADED) from error
        except HttpParserCallbackError as error:
            # A defect of the methods below is not the peer's: it must not pass for an answer.
            raise error.__context__ or error from None
        except HttpParserError as error:
            # Surplus bytes after a complete response spoil the connection, not the response.
            if not self._is_complete:
                raise self._violation(str(error)) from error
            self._surplus = True
        if self.head is None and self._head_bytes > self._max_header:
            raise LimitExceeded(f"the response header is larger than {self._max_header} bytes")
        if self._body_bytes > self._max_body or (self._announced or 0) > self._max_body:
            raise LimitExceeded(f"the response body is larger than {self._max_body} bytes")
        if self._idle_bytes > self._max_header:
            raise LimitExceeded(
                f"the response has {self._idle_bytes} consecutive bytes that are neither header "
                "nor body (a chunk's extension or a trailer)"
            )
        return self._response() if self._is_complete else None

    def _violation(self, why: str) -> ProtocolViolation:
        start = without_secrets(self._start.decode("latin-1"))  # it may quote what was asked
        where = f"; it begins {start!r}" if self.head is None else ""
        return ProtocolViolation(f"not an HTTP/1 response: {why}{where}")

    @property
    def _announced(self) -> int | None:
        """Bytes that the body will have by its head."""
        return None if self.head is None else self.head.body_length

    def feed_eof(self) -> Response | None:
        """Take the end of the connection; return the response if that ends it, else None."""
        if self.head is not None and self.head.body_length is None and not self._is_chunked():
            self._is_complete = True
            return self._response()
        return None

    @property
    def held_bytes(self) -> int:
        """Bytes of header and body kept so far."""
        kept = () if self.head is None else self.head.headers
        fields = (*self._headers, *kept)
        return len(self._body) + sum(len(name) + len(value) for name, value in fields)

    # What llhttp calls while it reads.

    def on_status(self, reason: bytes) -> None:
        """Count the reason phrase; it may be cut into several parts."""
        self._reason_bytes += len(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header field."""
        if self.head is not None:
            return  # a trailer is of no interest
        if b"\0" in value:  # RFC 9110 section 5.5
            raise self._violation(f"the field {name.decode('latin-1')} holds a NUL")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Make the head, unless it is an interim answer's (RFC 9110 section 15.2)."""
        status = self._parser.get_status_code()
        headers = tuple(self._headers)
        self._headers.clear()
        size = self._reason_bytes + sum(len(name) + len(value) + 4 for name, value in headers)
        self._reason_bytes = 0
        if self._is_complete:
            return
        if (version := self._parser.get_http_version()) not in VERSIONS:
            raise self._violation(f"HTTP/{version} is another version")
        if status == _SWITCHING:
            raise ProtocolViolation(UPGRADED)
        if status < 100:  # RFC 9110 section 15
            raise self._violation(f"{status:03d} is not a valid status")
        if status < 200:
            return
        # llhttp has read on into the body by now; what it kept of the head is what counts.
        self._head_bytes = min(self._head_bytes, size + len(b"HTTP/1.1 200 \r\n\r\n"))
        if self._head_bytes > self._max_header:
            return
        bodyless = self._bodyless or status in NO_BODY_STATUSES
        self.head = Head(
            status,
            headers,
            0 if bodyless else _content_length(headers),
            self._stays_open(headers) if self._bodyless else self._parser.should_keep_alive(),
        )
        if bodyless:
            self._is_complete = True

    def _stays_open(self, headers: tuple[tuple[bytes, bytes], ...]) -> bool:
        """Whether a HEAD request's connection persists (RFC 9112 section 9.3).

        llhttp cannot be told of HEAD: without a length it takes the body to end with the
        connection, and says that the connection ends.
        """
        options = b",".join(v for k, v in headers if k.lower() == b"connection").lower()
        if self._parser.get_http_version() == "1.0":
            return b"keep-alive" in options
        return b"close" not in options

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        if self._is_complete:
            self._surplus = True
            return
        self._idle_bytes = 0
        self._body_bytes += len(part)
        if self._body_bytes <= self._max_body:
            self._body += part

    def on_message_complete(self) -> None:
        """Note the end of a final response."""
        if self.head is not None:
            self._is_complete = True

    def on_message_begin(self) -> None:
        """Note that more came than was asked for."""
        if self._is_complete:
            self._surplus = True

    def _is_chunked(self) -> bool:
        headers = () if self.head is None else self.head.headers
        codings = [value for key, value in headers if key.lower() == b"transfer-encoding"]
        return bool(codings) and codings[-1].lower().split(b",")[-1].strip() == b"chunked"

    def _response(self) -> Response:
        head = self.head
        if head is None:
            raise RuntimeError("a response is complete only after its head")
        body = decompress(head.header(b"content-encoding"), bytes(self._body), self._max_body)
        is_kept = head.keep_alive and not self._surplus
        return Response(head, body, is_kept, self._surplus)


def _content_length(headers: tuple[tuple[bytes, bytes], ...]) -> int | None:
    """Return the declared length; llhttp has already refused malformed and double ones."""
    for name, value in headers:
        if name.lower() == b"content-length":
            return int(value)
    return None


def decompress(coding: bytes | None, body: bytes, limit: int) -> bytes:
    """Undo a content coding that was not asked for; leave an unknown one as it is.

    Parameters
    ----------
    coding : bytes or None
        Value of ``Content-Encoding``.
    body : bytes
    limit : int
        Most bytes of the plain body.

    Raises
    ------
    ProtocolViolation
        If the body is not what the coding says, or ends too soon.
    LimitExceeded
        If the plain body is over the limit.
    """
    coding = b"" if coding is None else coding.strip().lower()
    if not body or coding not in {b"gzip", b"x-gzip", b"deflate", *_BY_ARROW}:
        return body
    plain = _by_arrow(coding, body, limit) if coding in _BY_ARROW else _by_zlib(coding, body, limit)
    if len(plain) > limit:
        raise LimitExceeded(f"the response body is larger than {limit} bytes")
    return plain


def _by_zlib(coding: bytes, body: bytes, limit: int) -> bytes:
    # "deflate" means the zlib format (RFC 9110 section 8.4.1.2), but some send it bare.
    bare = coding == b"deflate" and body[0] & 0x0F != zlib.DEFLATED
    reader = zlib.decompressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
    try:
        plain = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise ProtocolViolation(f"the body is not {coding.decode()}: {error}") from error
    if len(plain) <= limit and not reader.eof:
        raise ProtocolViolation(f"the body ends in the middle of its {coding.decode()}")
    return plain


def _by_arrow(coding: bytes, body: bytes, limit: int) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and for a coding that was not asked for

    try:
        plain: bytes = pa.CompressedInputStream(pa.py_buffer(body), _BY_ARROW[coding]).read(
            limit + 1
        )
    except OSError as error:
        raise ProtocolViolation(
            f"the body is not {coding.decode()}, or cut off: {error}"
        ) from error
    return plain
