"""One accepted connection, owned by one pod for all of its requests.

How it works. The socket is read optimistically: a connection whose request has already come
is answered and closed without ever entering the loop. At any time a connection does one of
these: it waits for (the rest of) a request, for a timer that ends a delay or a hang, for
room to send, or, having said its last, for the client to fall silent. Requests are answered
one after the other; while one waits, what follows it stays in the buffer.
"""

from __future__ import annotations

import struct
from functools import partial
from socket import SHUT_WR, SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Final

from sampler.demo.answers import CONTINUE, Answers, BadRequestError, Request, RequestReader
from sampler.demo.loop import BROKEN, READ, WRITE, Loop, Timer
from sampler.demo.pods import MAX_DELAY_S, Fate, Faults, Pod

if TYPE_CHECKING:
    from random import Random
    from socket import socket

LINGER_S: Final = 1.0
"""How long a client may go on sending after it was told to stop [s]."""

_RECEIVE_BYTES = 65_536
_MAX_WAITING_BYTES = 65_536  # pipelined behind a request that waits; then TCP holds the rest
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""Value of SO_LINGER that makes closing a socket reset its connection."""


class Backend:
    """A pod at work: its ready-made answers, its faults now, and its counts.

    Parameters
    ----------
    pod : Pod
        What it is.
    counts : dict of Fate to int
        Where to count its requests.
    """

    __slots__ = ("answers", "counts", "faults", "is_removed")

    def __init__(self, pod: Pod, counts: dict[Fate, int]) -> None:
        self.counts = counts
        self.is_removed = False
        self.answers: Answers
        self.faults: Faults | None
        self.become(pod)

    def become(self, pod: Pod) -> None:
        """Take over the faults of `pod`, which has the same name and label."""
        self.answers = Answers.of(pod)
        self.faults = None if pod.faults.is_harmless else pod.faults


class Shared:
    """What all connections of a Service share.

    Parameters
    ----------
    loop : Loop
        Where they wait.
    fates : Random
        Decides the fates of requests.
    """

    __slots__ = ("connections", "fates", "loop", "reader", "rejected")

    def __init__(self, loop: Loop, fates: Random) -> None:
        self.loop = loop
        self.fates = fates
        self.reader = RequestReader()
        self.rejected = 0
        self.connections: set[Connection] = set()
        """Those that wait for something."""


class Connection:
    """Reads requests from a socket and lets a pod answer them.

    Parameters
    ----------
    shared : Shared
        Loop, reader and counts.
    sock : socket
        Non-blocking and connected; belongs to the connection from now on.
    backend : Backend
        The pod.
    """

    __slots__ = (
        "_backend",
        "_buffer",
        "_ends",
        "_input_ended",
        "_is_open",
        "_lingers",
        "_mask",
        "_request",
        "_shared",
        "_skip",
        "_sock",
        "_timer",
        "_unsent",
    )

    def __init__(self, shared: Shared, sock: socket, backend: Backend) -> None:
        self._shared = shared
        self._sock = sock
        self._backend = backend
        self._mask: int | None = None  # None: not in the loop
        self._is_open = True
        self._input_ended = False
        self._buffer = b""
        self._request: Request | None = None  # its body is still coming
        self._skip = 0
        self._timer: Timer | None = None
        self._unsent = b""
        self._ends = False  # after what is unsent
        self._lingers = False

    def read(self, events: int = READ) -> None:
        """Take what the socket has, and do what can be done with it."""
        if events & WRITE:
            self._flush()
            if not self._is_open or not events & (READ | BROKEN):
                return
        try:
            data = self._sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self.close()
            return
        if self._lingers:
            if not data:
                self.close()
            return
        if not data:
            self._end_input(is_broken=bool(events & BROKEN))
            return
        if self._is_idle:
            request = self._shared.reader.whole(data)
            if request is not None:
                self._meet(request)
                if self._is_open and self._mask != READ:
                    self._wait()
                return
        self._buffer += data
        self._advance()

    def close_if_idle(self) -> None:
        """Close unless a request has come that is not answered yet."""
        if self._is_idle:
            self.read()
        if self._is_idle:
            self.close()

    def close(self) -> None:
        """Close now; does nothing once closed."""
        if not self._is_open:
            return
        self._is_open = False
        self._buffer = self._unsent = b""
        self._cancel_timer()
        if self._mask is not None:
            self._mask = None
            self._shared.loop.unwatch(self._sock.fileno())
            self._shared.connections.discard(self)
        self._sock.close()

    @property
    def backend(self) -> Backend:
        """The pod that owns this connection."""
        return self._backend

    @property
    def _is_idle(self) -> bool:
        return not (self._buffer or self._request or self._timer or self._unsent)

    def _advance(self) -> None:
        """Answer what is complete in the buffer, then wait."""
        while self._is_open and not (self._timer or self._unsent or self._lingers):
            request = self._next_request()
            if request is None:
                break
            self._meet(request)
        self._wait()

    def _next_request(self) -> Request | None:
        if self._request is None:
            if not self._buffer:
                return None
            try:
                head = self._shared.reader.read(self._buffer)
            except BadRequestError as error:
                self._shared.rejected += 1
                self._send(error.answer, ends=True)
                return None
            if head is None:
                return None
            self._request, length = head
            self._buffer = self._buffer[length:]
            self._skip = self._request.body_length
            if self._request.expects_continue and self._skip and not self._buffer:
                self._send(CONTINUE, ends=False)
        skipped = min(self._skip, len(self._buffer))
        self._buffer = self._buffer[skipped:]
        self._skip -= skipped
        if self._skip:
            return None
        request, self._request = self._request, None
        return request

    def _meet(self, request: Request) -> None:
        """Count a complete request and let its fate come to pass, now or later."""
        backend = self._backend
        faults = backend.faults
        if faults is None:
            backend.counts[Fate.ANSWERED] += 1
            self._answer(request, backend.answers.good)
            return
        fate = faults.fate(self._shared.fates.random())
        backend.counts[fate] += 1
        if fate is Fate.HUNG:
            self._timer = self._shared.loop.call_later(MAX_DELAY_S, self.close)
        elif faults.delay_s:
            self._timer = self._shared.loop.call_later(
                faults.delay_s, partial(self._resume, request, fate)
            )
        else:
            self._undergo(request, fate)

    def _resume(self, request: Request, fate: Fate) -> None:
        self._timer = None
        self._undergo(request, fate)
        self._advance()

    def _undergo(self, request: Request, fate: Fate) -> None:
        match fate:
            case Fate.ANSWERED:
                self._answer(request, self._backend.answers.good)
            case Fate.ERROR:
                self._answer(request, self._backend.answers.error)
            case Fate.RESET:
                self._reset(self._backend.answers.good[request.form])
            case Fate.DROPPED | Fate.HUNG:
                self.close()

    def _answer(self, request: Request, answers: tuple[bytes, ...]) -> None:
        if request.persists and not self._backend.is_removed:
            self._send(answers[request.form], ends=False)
        else:
            self._send(answers[request.closing_form], ends=True)

    def _send(self, data: bytes, *, ends: bool) -> None:
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._ends = ends
        elif ends:
            self._finish()

    def _flush(self) -> None:
        data, self._unsent = self._unsent, b""
        self._send(data, ends=self._ends)
        if not self._unsent:
            self._advance()

    def _finish(self) -> None:
        """Close as the one who closes first, so that TIME_WAIT stays on this side."""
        if self._input_ended or self._is_idle:
            self.close()
            return
        self._buffer = b""
        self._linger()

    def _linger(self) -> None:
        # Closing a socket with unread input resets the connection, and the reset may
        # overtake the answer (RFC 9112 section 9.6).
        try:
            self._sock.shutdown(SHUT_WR)
        except OSError:
            self.close()
            return
        self._lingers = True
        self._request = None
        self._timer = self._shared.loop.call_later(LINGER_S, self.close)

    def _reset(self, answer: bytes) -> None:
        body = answer.find(b"\r\n\r\n") + 4
        self._send(answer[: (body + len(answer)) // 2], ends=False)
        if self._is_open:
            self._sock.setsockopt(SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE)
            self.close()

    def _end_input(self, *, is_broken: bool) -> None:
        # A client may shut its side down and still want the answers (RFC 9112 section 9.6),
        # but not one that will never come.
        hangs = self._timer is not None and self._timer.callback == self.close
        if is_broken or hangs or self._input_ended:
            self.close()
            return
        self._input_ended = True
        self._wait()

    def _wait(self) -> None:
        """Let the loop wake this connection for what it can do next."""
        if not self._is_open:
            return
        if self._input_ended and not (self._timer or self._unsent):
            self.close()
            return
        mask = WRITE if self._unsent else READ
        if self._input_ended or len(self._buffer) > _MAX_WAITING_BYTES:
            mask &= WRITE
        if self._mask is None:
            self._shared.connections.add(self)
        if mask != self._mask:
            self._mask = mask
            self._shared.loop.watch(self._sock.fileno(), mask, self.read)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
