"""HTTP/1.1 as a pod speaks it: request bytes in, response bytes out; no socket.

How it works. The head of a request is reduced to what the answer depends on, an index into
the pod's ready-made answers and the length of the body to skip. `RequestReader` remembers
the requests that it has seen as bytes, because a load generator sends the same ones.
There is no ``Date``: a pod of the demo has no clock (RFC 9110 section 6.6.1).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sampler.demo.pods import Pod

MAX_HEAD_BYTES = 16_384
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REMEMBERED = 128  # requests; a client that changes every request must not fill the memory
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 section 5.6.2
_BEGINNING = re.compile(_TOKEN + rb"{1,32}(?: |\Z)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,32}) [\x21-\x7e\x80-\xff]+ HTTP/1\.([0-9])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,15}")

# The answer's index is the sum of one of the first three and, for HEAD, the last.
_PERSIST, _CLOSE, _PERSIST_1_0, _HEAD = 0, 1, 2, 3
_CONNECTION = (b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n")


class BadRequestError(Exception):
    """What came is no request that a pod can read; `answer` says so to the client."""

    def __init__(self, reason: str, *, status: bytes = b"400 Bad Request") -> None:
        super().__init__(reason)
        self.answer = _message(status, b"text/plain", reason.encode() + b"\n", _CLOSE)


@dataclass(frozen=True, slots=True)
class Request:
    """What the answer depends on.

    Parameters
    ----------
    form : int
        Index into `Answers`.
    persists : bool
        Whether the connection stays open for another request (RFC 9112 section 9.3).
    body_length : int
        Bytes of body that follow the head.
    expects_continue : bool
        Whether the client waits for a 100 before it sends the body.
    """

    form: int
    persists: bool
    body_length: int = 0
    expects_continue: bool = False

    @property
    def closing_form(self) -> int:
        """Index of the same answer with the end of the connection announced."""
        return self.form // _HEAD * _HEAD + _CLOSE


class RequestReader:
    """Reads request heads, and remembers those that it has read."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Request] = {}

    def whole(self, data: bytes) -> Request | None:
        """Return the request if `data` is, byte for byte, one known head and nothing else."""
        return self._known.get(data)

    def read(self, data: bytes) -> tuple[Request, int] | None:
        """Read the head at the beginning of `data`.

        Returns
        -------
        (Request, int) or None
            With the length of the head [bytes]; None while it is incomplete.

        Raises
        ------
        BadRequestError
            If `data` is not the beginning of a request, or its head is too large.
        """
        start = 0
        while data.startswith(b"\r\n", start):  # RFC 9112 section 2.2: ignore empty lines
            start += 2
        end = data.find(b"\r\n\r\n", start)
        if (end if end >= 0 else len(data)) > MAX_HEAD_BYTES:
            raise BadRequestError(f"the head of the request exceeds {MAX_HEAD_BYTES} bytes")
        if end < 0:
            _check_beginning(data[start:])
            return None
        request = read_head(data[start:end])
        if start == 0 and end + 4 == len(data) and not request.body_length:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[data] = request
        return request, end + 4


def read_head(head: bytes) -> Request:
    """Read a complete head, without the empty line that ends it.

    Raises
    ------
    BadRequestError
        If it breaks RFC 9112, or its body has no length.
    """
    line, *rest = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequestError("the request line is not METHOD TARGET HTTP/1.x")
    fields = _fields(rest)
    is_1_0 = match[2] == b"0"
    if not is_1_0 and len(fields.get(b"host", ())) != 1:
        raise BadRequestError("expected one Host")  # RFC 9112 section 3.2
    if b"transfer-encoding" in fields:
        raise BadRequestError("expected a Content-Length", status=b"411 Length Required")
    lengths = set(fields.get(b"content-length", ()))
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise BadRequestError("expected one Content-Length")  # RFC 9112 section 6.3
    options = {
        option.strip().lower()
        for value in fields.get(b"connection", ())
        for option in value.split(b",")
    }
    mode = _PERSIST
    if b"close" in options or (is_1_0 and b"keep-alive" not in options):
        mode = _CLOSE
    elif is_1_0:
        mode = _PERSIST_1_0
    return Request(
        form=mode + (_HEAD if match[1] == b"HEAD" else 0),
        persists=mode != _CLOSE,
        body_length=int(lengths.pop()) if lengths else 0,
        expects_continue=not is_1_0
        and any(value.lower() == b"100-continue" for value in fields.get(b"expect", ())),
    )


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadRequestError("a header is not NAME: VALUE")
        fields.setdefault(match[1].lower(), []).append(match[2].rstrip(b" \t"))
    return fields


def _check_beginning(data: bytes) -> None:
    # Whoever speaks TLS, or ends lines as no HTTP client does, would otherwise wait for
    # an answer for ever.
    if data.strip(b"\r") and not _BEGINNING.match(data):
        raise BadRequestError("this is not HTTP/1.1")
    if _BARE_LF.search(data):
        raise BadRequestError("a line ends without CR")


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of one pod, ready to send, by `Request.form`.

    Parameters
    ----------
    good : tuple of 6 bytes
        With status 200.
    error : tuple of 6 bytes
        With status 503 and no label.
    """

    good: tuple[bytes, ...]
    error: tuple[bytes, ...]

    @classmethod
    def of(cls, pod: Pod) -> Answers:
        """Build the answers of `pod`."""
        kind, body = b"application/json", _json_body(pod)
        if pod.faults.html:
            kind, body = b"text/html; charset=utf-8", _HTML
        return cls(
            good=_forms(b"200 OK", kind, body),
            error=_forms(b"503 Service Unavailable", b"application/json", _ERROR),
        )


_ERROR = b'{"error": "the pod cannot answer now"}'
_HTML = b"<!DOCTYPE html>\n<html><title>Sign in</title><body><h1>Sign in</h1></body></html>\n"


def _json_body(pod: Pod) -> bytes:
    return json.dumps({"label": pod.label, "host": pod.name}).encode()


def _forms(status: bytes, kind: bytes, body: bytes) -> tuple[bytes, ...]:
    return tuple(_message(status, kind, body, form) for form in range(2 * _HEAD))


def _message(status: bytes, kind: bytes, body: bytes, form: int) -> bytes:
    is_head, mode = divmod(form, _HEAD)
    return b"".join(
        (
            b"HTTP/1.1 %b\r\nServer: weighbridge-demo\r\n" % status,
            b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body)),
            _CONNECTION[mode],
            b"\r\n",
            b"" if is_head else body,
        )
    )
