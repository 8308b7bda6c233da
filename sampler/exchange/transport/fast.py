"""The fast transport: HTTP/1.1 on non-blocking sockets, the measured path.

How it works. Every slot owns at most one socket that carries an exchange. A poller reports
ready sockets in batches, and `_on_ready` moves each one through its states:

    CONNECTING --writable--> SENDING --request out--> AWAITING --response whole--> IDLE
                                                         |                      or DRAINING
                                                         +--failure--> closed

At the end of a run, idle connections are HALF_CLOSED until their servers have closed.

There is no task, future or timer for an exchange: deadlines are swept a few times a second.

The answers of a canary repeat themselves: until the second changes in their Date, a pod's
answers are the same bytes. Whole answers that gave a label are remembered by their bytes,
within bounds, and one look-up then replaces parsing and labelling; everything else goes
through `ResponseReader` and the rules. Both give the same sample for the same bytes.

In fresh mode we ask the server to close (``Connection: close``) and wait for its FIN in the
DRAINING state, while the slot goes on with its next connection. Whoever closes first keeps
the port in TIME_WAIT for a minute; so it is the server, and we do not run out of ports. A
server that does not close within a grace gets a reset.

A fresh connection costs its packets more than anything else. On Linux the acknowledgement of
the handshake travels with the request, and that of the answer with our FIN, as in a system
that always has something to say (tcp(7), TCP_QUICKACK): three segments instead of five. An
answer that comes in pieces is acknowledged at once, because a server with Nagle's algorithm
(RFC 1122, section 4.2.3.4) holds the next piece back until then.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import select
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from analysis import ABSENT, Outcome
from sampler.base.clock import NS_PER_MS, NS_PER_S
from sampler.exchange.connection_life import DrawnLengths
from sampler.exchange.failure import (
    GIVEN_UP,
    RESETS,
    TIMED_OUT,
    Failure,
    FailureCode,
    connect_failure,
    no_label,
    too_late,
)
from sampler.exchange.http1.request import encode
from sampler.exchange.http1.response import LimitExceeded, ProtocolViolation, ResponseReader
from sampler.exchange.overload import THROTTLED
from sampler.exchange.transport.addresses import AddressBook
from sampler.exchange.transport.base import (
    CLIENT_LIMIT_PAUSE_S,
    MOST_DRAINING,
    OWN_FILES,
    Closing,
    Launches,
)
from sampler.exchange.transport.connection import (
    AWAITING,
    CHUNK,
    CONNECTING,
    DRAINING,
    HALF_CLOSED,
    IDLE,
    SENDING,
    Connection,
    early_end,
    read_failure,
    send_failure,
)
from sampler.exchange.transport.poller import (
    FAILED,
    PEER_CLOSED,
    READABLE,
    EpollPoller,
    LoopPoller,
    Poller,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.exchange.http1.response import Response
    from sampler.exchange.transport.base import Wiring

_INPUT = READABLE | PEER_CLOSED | FAILED
SPOILT = 0x1_0000
"""Beside the bits of a readiness mask: the connection must not carry another exchange."""
SURPLUS = 0x2_0000
"""As above: the answer was followed by more than was asked for."""
_LATE_PORT = 24 if sys.platform == "linux" else None  # IP_BIND_ADDRESS_NO_PORT, linux/in.h
_ENDS = PEER_CLOSED | SPOILT
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds (socket(7))
DRAIN_GRACE_NS = NS_PER_S
_LAST_FINS_NS = NS_PER_S // 10
_SHORTEST_SWEEP_NS = NS_PER_MS  # a timer of the loop resolves no less

# Members of `Closing` as what they are: they are compared for each connection.
_MOST_SHUNNED = 256
"""Sockets of connections that timed out, kept so that their ports are not used again."""
_BY_SERVER, _BY_US, _RESET = (int(each) for each in Closing)

_MOST_ANSWERS = 1_024
_LARGEST_ANSWER = CHUNK - 1  # nothing is left unread behind a remembered answer


class FastTransport:
    """Carries exchanges over plain TCP.

    Everything that touches an open socket's bytes stays in `_connected`, `_send`,
    `_fail_sending`, `_read` and `_read_surplus`, because `sampler.exchange.transport.tls`
    puts a layer in their place.

    Parameters
    ----------
    wiring : Wiring
        What the transport is connected to.
    poller : {"auto", "epoll", "loop"}, default "auto"
        How readiness is learnt; auto takes epoll where the system has it.
    """

    name = "fast"
    _quick_ack = _QUICK_ACK
    _new_connection = Connection
    _new_launches = Launches

    def __init__(self, wiring: Wiring, poller: str = "auto") -> None:
        self.failure: BaseException | None = None
        self.closings = [0] * len(Closing)
        self.launches = self._new_launches()
        self._wiring = wiring
        self._clock = wiring.clock
        self._record = wiring.recorder.record
        self._take = wiring.recorder.take
        self._on_idle = wiring.on_idle
        self._codes = wiring.reader.codes
        load = wiring.load
        self._answers: dict[bytes, tuple[int, int, int, bool]] = {}
        self._keep = encode(wiring.target, close=False)
        self._close = encode(wiring.target, close=True)
        self._connect_timeout_ns = round(load.connect_timeout_s * NS_PER_S)
        self._source = load.source
        self._timeout_ns = round(load.timeout_s * NS_PER_S)
        self._first_deadline_ns = min(self._connect_timeout_ns, self._timeout_ns)
        self._host_port = f"{wiring.target.host}:{wiring.target.port}"
        # Without a pace the next request follows its answer at once: nothing comes in between.
        self._looks_first = load.rate is not None or load.max_rate is not None
        life = load.connection
        # Exchanges that a connection may carry, at most; negative is without end.
        self._life = -1 if life.longest is None else life.longest
        self._draws_life = life.shortest != life.longest
        self._lengths = wiring.recorder.planned = DrawnLengths(life, wiring.seed)
        self._slots: list[Connection | None] = [None] * load.concurrency
        self._connections: dict[int, Connection] = {}
        self._draining: dict[int, Connection] = {}
        self._most_draining = MOST_DRAINING
        self._shunned: dict[int, socket.SocketType] = {}
        self._addresses = AddressBook(wiring.target, load, wiring.seed)
        wiring.recorder.remotes = self._addresses
        self._poller_kind = poller
        self._loop: asyncio.AbstractEventLoop
        self._poller: Poller
        self._sweeper: asyncio.TimerHandle | None = None
        self._pending = 0  # failures that are on their way through the loop

    async def open(self) -> None:
        """Resolve the name and start watching.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """
        self._loop = asyncio.get_running_loop()
        await self._addresses.open(self._clock())
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            spare = files - self._wiring.load.concurrency - OWN_FILES
            self._most_draining = max(min(MOST_DRAINING, spare), 1)
        self._poller = self._make_poller()
        self._sweep()

    def _make_poller(self) -> Poller:
        use_epoll = self._poller_kind == "epoll" or (
            self._poller_kind == "auto" and hasattr(select, "epoll")
        )
        kind = EpollPoller if use_epoll else LoopPoller
        return kind(self._loop, self._on_ready)

    def launch(self, slot: int, index: int, scheduled_ns: int | None = None) -> None:
        """Start exchange `index` in an idle slot, on its kept connection or a new one."""
        now = self._clock()
        if scheduled_ns is None:
            scheduled_ns = now
        conn = self._slots[slot]
        if conn is not None and self._looks_first:
            self._read_surplus(conn, 0)  # what has come since is no answer to this request
            conn = self._slots[slot]
        if conn is None:
            opened = self._connect(slot)
            if isinstance(opened, OSError):
                number = self.launches.opened - 1
                self._not_opened(slot, index, scheduled_ns, now, number, opened)
                return
            conn = opened
            conn.deadline_ns = now + self._first_deadline_ns
        else:
            conn.deadline_ns = now + self._timeout_ns
        conn.index = index
        conn.scheduled_ns = scheduled_ns
        conn.sent_ns = now
        conn.first_byte_ns = ABSENT
        conn.reader = None
        conn.ordinal += 1
        conn.left -= 1
        conn.outgoing = self._keep if conn.left else self._close
        if conn.state == IDLE:
            conn.state = SENDING
            failure = self._send(conn)
            if failure is not None:
                self._fail_soon(conn, failure)

    def finish(self) -> None:
        """Half-close idle connections whose samples are held; the server's FIN releases them."""
        idle = [c for c in self._connections.values() if c.state == IDLE and c.ordinal > 0]
        for conn in idle:
            self._read_surplus(conn, 0)  # the server may have ended it by now
            if conn.fd in self._connections:
                with suppress(OSError):  # the server was first, and its end is on its way here
                    self._half_close(conn)
                    conn.state = HALF_CLOSED

    def _half_close(self, conn: Connection) -> None:
        conn.sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Abandon all exchanges in flight and record them as aborted."""
        for conn in list(self._connections.values()):
            if conn.state not in {IDLE, DRAINING, HALF_CLOSED}:
                self._fail(conn, GIVEN_UP)
        self._wiring.recorder.let_go()

    async def aclose(self) -> None:
        """Close all connections."""
        while self._pending:  # noqa: ASYNC110 - callbacks that are already in the loop
            await asyncio.sleep(0)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._await_fins()
        for conn in list(self._connections.values()):
            self._discard(conn, Closing.BY_US)
        for sock in self._shunned.values():
            sock.close()
        self._shunned.clear()
        if hasattr(self, "_poller"):
            self._poller.close()
        self._wiring.recorder.let_go()
        await self._addresses.aclose()

    async def _await_fins(self) -> None:
        """Wait a moment for the servers of the last exchanges to close first."""
        last_ns = self._clock() + _LAST_FINS_NS
        while self._draining and self._clock() < last_ns:  # noqa: ASYNC110 - bounded above
            await asyncio.sleep(_LAST_FINS_NS / NS_PER_S / 100)

    def _guard(self, act: Callable[..., None], *arguments: object) -> None:
        """Call back; a defect has no caller here, so it is kept for the engine to raise."""
        try:
            act(*arguments)
        except Exception as error:  # noqa: BLE001 - raised by the engine at its next tick
            self.failure = error

    # Opening

    def _connect(self, slot: int) -> Connection | OSError:
        number = self.launches.opened
        family, address = self._addresses.pick(number, self._clock())
        self.launches.opened += 1
        try:
            sock = socket.SocketType(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            return error
        if self._quick_ack is not None:
            sock.setsockopt(socket.IPPROTO_TCP, self._quick_ack, 0)
        code = self._bind(sock) if self._source else 0
        code = code or sock.connect_ex(address)
        if code not in {0, errno.EINPROGRESS}:
            sock.close()
            return OSError(code, os.strerror(code))
        left = self._life
        if self._draws_life:
            left = self._lengths.of(number)
        conn = self._new_connection(sock, slot, number, left)
        self._slots[slot] = conn
        self._connections[conn.fd] = conn
        self._poller.watch(conn.fd)
        return conn

    def _bind(self, sock: socket.SocketType) -> int:
        """Let a connection come from an address; return an error number, or 0."""
        try:
            if _LATE_PORT is not None:  # the port is chosen with the destination in view
                sock.setsockopt(socket.IPPROTO_IP, _LATE_PORT, 1)
            sock.bind((self._source, 0))
        except OSError as error:
            return error.errno or errno.EADDRNOTAVAIL
        return 0

    def _not_opened(
        self, slot: int, index: int, scheduled_ns: int, sent_ns: int, number: int, error: OSError
    ) -> None:
        """Record a connection that could not be begun, once who launched it has returned."""
        self._pending += 1
        failed = (slot, index, scheduled_ns, sent_ns, number, error)
        self._loop.call_soon(self._guard, self._never_opened, *failed)

    def _never_opened(
        self, slot: int, index: int, scheduled_ns: int, sent_ns: int, number: int, error: OSError
    ) -> None:
        self._pending -= 1
        failure = connect_failure(error.errno, self._host_port)
        self._record(
            index, scheduled_ns, sent_ns, ABSENT, self._clock(), number, 0,
            ABSENT, ABSENT, 0, failure,
        )  # fmt: skip
        if failure.outcome is Outcome.CLIENT_LIMIT:
            # Asking again at once would only spin until a port or a descriptor is free.
            self._loop.call_later(CLIENT_LIMIT_PAUSE_S, self._guard, self._on_idle, slot)
        else:
            self._on_idle(slot)

    # What happens on a socket

    def _on_ready(self, events: Sequence[tuple[int, int]]) -> None:
        connections, read = self._connections, self._read
        for fd, mask in events:
            conn = connections.get(fd)
            if conn is None:
                late = self._shunned.pop(fd, None)
                if late is not None:  # answered after all, or given up by the kernel
                    late.close()
                continue
            try:
                state = conn.state
                if state == AWAITING:
                    if mask & _INPUT:
                        read(conn, mask)
                elif state == CONNECTING:
                    self._connected(conn, mask)
                elif state == SENDING:
                    self._go_on_sending(conn, mask)
                elif mask & _INPUT:
                    self._read_surplus(conn, mask)
            except Exception as error:  # noqa: BLE001 - nobody called: the engine raises it
                self.failure = error

    def _connected(self, conn: Connection, mask: int) -> None:
        if mask & FAILED:
            code = conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(conn, connect_failure(code, self._host_port))
                return
        self._go_on_sending(conn, mask)

    def _go_on_sending(self, conn: Connection, mask: int) -> None:
        self._after_sending(conn, mask, self._send(conn))

    def _after_sending(self, conn: Connection, mask: int, failure: Failure | None) -> None:
        if conn.state == AWAITING:
            self._poller.wrote(conn.fd)
        if failure is not None:
            self._fail_sending(conn, failure)
        elif mask & _INPUT and conn.state != CONNECTING:
            # An answer that came before the request was out is not reported a second time. If
            # the request is still not out, it need not be read, and nothing may follow it.
            self._read(conn, mask if conn.state == AWAITING else mask | SPOILT)

    def _send(self, conn: Connection) -> Failure | None:
        """Send what is left of the request; return the failure, if it is one."""
        try:
            sent = conn.sock.send(conn.outgoing)
        except OSError as error:
            return self._not_sent(conn, error)
        if sent == len(conn.outgoing) and conn.state != CONNECTING:
            conn.state = AWAITING
            return None
        return self._sent(conn, sent)

    def _not_sent(self, conn: Connection, error: OSError) -> Failure | None:
        connecting = conn.state == CONNECTING
        if isinstance(error, BlockingIOError):
            # Subtle: a socket that is still connecting says the same, and stays so.
            if not connecting:
                self._poller.wants_to_write(conn.fd)
            return None
        if connecting and error.errno not in RESETS:
            return connect_failure(error.errno, self._host_port)
        return send_failure(conn, error)

    def _sent(self, conn: Connection, sent: int) -> Failure | None:
        if conn.state == CONNECTING:
            conn.deadline_ns = conn.sent_ns + self._timeout_ns
        if sent < len(conn.outgoing):
            conn.outgoing = memoryview(conn.outgoing)[sent:]
            conn.state = SENDING
            self._poller.wants_to_write(conn.fd)
            return None
        conn.state = AWAITING
        return None

    def _fail_sending(self, conn: Connection, failure: Failure) -> None:
        """Fail, unless the server has answered before it closed: it need not read all."""
        data = b""
        if failure.outcome is Outcome.RESET:
            with suppress(OSError):
                data = conn.sock.recv(self._wiring.load.max_header_bytes)
        if data and conn.first_byte_ns == ABSENT:
            conn.first_byte_ns = self._clock()
        if not data or not self._feed(conn, data, PEER_CLOSED):
            self._fail(conn, failure)

    def _read(self, conn: Connection, mask: int) -> None:
        while True:
            try:
                data = conn.sock.recv(CHUNK)
            except OSError as error:
                self._not_read(conn, error)
                return
            if not data:
                self._read_eof(conn)
                return
            now = self._clock()
            if conn.first_byte_ns == ABSENT:
                conn.first_byte_ns = now
                answer = self._answers.get(data)
                if answer is not None:
                    label, replica, status_and_outcome, keep_alive = answer
                    self._take((
                        conn.index, conn.scheduled_ns, conn.sent_ns, now, now, conn.number,
                        conn.ordinal, label, replica, status_and_outcome,
                    ))  # fmt: skip
                    if keep_alive and conn.left and not mask & _ENDS:
                        conn.state = IDLE  # as in `_settle`, but for the price of its call
                        self._on_idle(conn.slot)
                    else:
                        self._settle(conn, mask, keep_alive=keep_alive)
                    return
            if self._take_in(conn, data, mask):
                return

    def _not_read(self, conn: Connection, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            self._ask_for_more(conn)
        else:
            self._fail(conn, read_failure(conn, error))

    def _take_in(self, conn: Connection, data: bytes, mask: int) -> bool:
        """Take what one read gave; return whether there is nothing more to read for now."""
        if self._feed(conn, data, mask):
            return True
        if len(data) < CHUNK and not mask & PEER_CLOSED:
            self._ask_for_more(conn)
            return True
        return False

    def _ask_for_more(self, conn: Connection) -> None:
        """Acknowledge a piece of an answer at once: the next may wait for it."""
        if self._quick_ack is not None and conn.first_byte_ns != ABSENT:
            conn.sock.setsockopt(socket.IPPROTO_TCP, self._quick_ack, 1)

    def _feed(self, conn: Connection, data: bytes, mask: int) -> bool:
        """Take bytes the slow way; return whether the exchange has ended."""
        is_first = conn.reader is None
        if conn.reader is None:
            conn.reader = ResponseReader(
                bodyless=self._wiring.target.method == "HEAD",
                max_header_bytes=self._wiring.load.max_header_bytes,
                max_body_bytes=self._wiring.load.max_body_bytes,
            )
        try:
            response = conn.reader.feed(data)
        except ProtocolViolation as error:
            self._fail(conn, Failure(FailureCode.NOT_HTTP, str(error)))
            return True
        except LimitExceeded as error:
            self._fail(conn, Failure(FailureCode.TOO_LARGE, str(error)))
            return True
        if response is None:
            return False
        mask |= self._left_unread(conn, len(data))
        self._complete(conn, response, mask, data if is_first else None)
        return True

    def _left_unread(self, conn: Connection, size: int, /) -> int:
        """Return what lies behind a read of `size` bytes that ended an answer, as bits of a mask.

        It must not be taken for the next answer.
        """
        if size < CHUNK or (behind := self._behind(conn)) is None:
            return 0
        return SPOILT | SURPLUS if behind else SPOILT

    def _behind(self, conn: Connection) -> bytes | None:
        """Return a byte of what has not been read, none at the end, None if nothing is there.

        A failure is left to the next read.
        """
        try:
            return conn.sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return None

    def _remember(self, data: bytes, response: Response, label: int, replica: int) -> None:
        """Keep what a whole answer came to."""
        status = response.head.status
        if label == ABSENT or len(data) > _LARGEST_ANSWER or status in THROTTLED:
            return
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        self._answers[data] = label, replica, status << 8 | Outcome.OK, response.keep_alive

    def _read_eof(self, conn: Connection) -> None:
        reader = conn.reader
        try:
            response = None if reader is None else reader.feed_eof()
        except ProtocolViolation as error:
            self._fail(conn, Failure(FailureCode.NOT_HTTP, str(error)))
        except LimitExceeded as error:
            self._fail(conn, Failure(FailureCode.TOO_LARGE, str(error)))
        else:
            if response is not None:
                self._complete(conn, response, PEER_CLOSED)
            else:
                self._fail(conn, early_end(conn))

    def _read_surplus(self, conn: Connection, mask: int) -> None:
        """Close a connection that has nothing more to say; note if it says something all the same.

        What came on a fresh one, behind its only answer, need not be read before its end.
        """
        is_over = bool(mask & (PEER_CLOSED | FAILED))
        if not is_over or conn.ordinal:
            data, has_ended = self._unasked(conn)
            if data and not data.startswith(TIMED_OUT) and (conn.ordinal or conn.state == IDLE):
                self._end_in_doubt(conn)
                return
            is_over |= has_ended or (conn.state == IDLE and bool(data))
        if is_over:
            self._discard(conn, _BY_US if conn.state == HALF_CLOSED else _BY_SERVER)

    def _unasked(self, conn: Connection) -> tuple[bytes, bool]:
        """Return what came although nothing was asked, and whether that was all."""
        try:
            data = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return b"", False
        except OSError:
            return b"", True
        return data, not data

    # Ends

    def _complete(
        self, conn: Connection, response: Response, mask: int, whole: bytes | None = None
    ) -> None:
        """Record an answer; `whole` is all of it, if it came in one piece."""
        head = response.head
        if head.status in THROTTLED:
            self._wiring.recorder.throttled = head.headers
        label, replica = self._codes(head.status, head.headers, response.body)
        has_surplus = response.has_surplus or mask & SURPLUS
        if whole is not None and not has_surplus:
            self._remember(whole, response, label, replica)
        failure = None
        if label == ABSENT:
            failure = no_label(self._wiring.reader.label, head.status, head.headers, response.body)
        self._record(
            conn.index, conn.scheduled_ns, conn.sent_ns, conn.first_byte_ns, self._clock(),
            conn.number, conn.ordinal, label, replica, head.status, failure,
        )  # fmt: skip
        if has_surplus and (conn.ordinal or conn.left):
            self._end_in_doubt(conn)
            self._on_idle(conn.slot)
        else:
            self._settle(conn, mask, keep_alive=response.keep_alive)

    def _end_in_doubt(self, conn: Connection) -> None:
        """Leave a kept connection that sent more than was asked for."""
        self._wiring.recorder.doubt(conn.number)
        if conn.left:
            self._cut(conn)
        self._discard(conn, _RESET)

    def _settle(self, conn: Connection, mask: int, *, keep_alive: bool) -> None:
        """Keep, close or drain a connection whose exchange is complete; free its slot."""
        if mask & SPOILT:
            self._poller.wrote(conn.fd)  # what is left of the request, if anything, stays here
        if mask & PEER_CLOSED:
            if conn.left:
                self._cut(conn)
            self._discard(conn, _BY_SERVER)
        elif not conn.left:
            self._drain(conn)
        elif keep_alive and not mask & SPOILT:
            conn.state = IDLE
        else:
            self._cut(conn)
            self._drain(conn)
        self._on_idle(conn.slot)

    def _cut(self, conn: Connection) -> None:
        """Note that the server ended a connection on which more was planned."""
        self._wiring.recorder.cut(conn.number, conn.ordinal)

    def _fail(self, conn: Connection, failure: Failure) -> None:
        status = 0
        if conn.reader is not None and conn.reader.head is not None:
            status = conn.reader.head.status
        self._record(
            conn.index, conn.scheduled_ns, conn.sent_ns, conn.first_byte_ns, self._clock(),
            conn.number, conn.ordinal, ABSENT, ABSENT, status, failure,
        )  # fmt: skip
        # The peer may still be working on an answer that is no longer wanted: a reset tells it.
        closed_by_peer = failure.outcome in {Outcome.CLOSED, Outcome.STALE, Outcome.RESET}
        closing = Closing.BY_SERVER if closed_by_peer else Closing.RESET
        self._discard(conn, closing, is_shunned=failure.outcome is Outcome.CONNECT_TIMEOUT)
        self._on_idle(conn.slot)

    def _fail_soon(self, conn: Connection, failure: Failure) -> None:
        """Record a failure to send, once who launched the request has returned."""
        self._pending += 1
        self._loop.call_soon(self._guard, self._failed_later, conn, failure)

    def _failed_later(self, conn: Connection, failure: Failure) -> None:
        self._pending -= 1
        # Subtle: an abort may have come between the failure and this callback.
        if self._connections.get(conn.fd) is conn:
            self._fail(conn, failure)

    def _drain(self, conn: Connection) -> None:
        """Wait for the server's FIN, beside the slot's next exchange."""
        if len(self._draining) >= self._most_draining:
            self._discard(next(iter(self._draining.values())), Closing.RESET)
        conn.state = DRAINING
        conn.deadline_ns = self._clock() + DRAIN_GRACE_NS
        self._slots[conn.slot] = None
        self._draining[conn.fd] = conn

    def _discard(self, conn: Connection, closing: int, *, is_shunned: bool = False) -> None:
        """Give a connection up, and close its socket, unless its port is not to be used again.

        Whoever translates addresses (conntrack) leads the port of a connection that was not
        answered to the same address for as long as it remembers, also if that is gone. While the
        socket is open, no other one gets the port.
        """
        self.closings[closing] += 1
        if self._slots[conn.slot] is conn:
            self._slots[conn.slot] = None
        del self._connections[conn.fd]
        self._draining.pop(conn.fd, None)
        if conn.ordinal > 0:
            self._wiring.recorder.release(conn.number)
        self._poller.forget(conn.fd)
        if closing == _RESET:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if not is_shunned:
            conn.sock.close()
            return
        self._shunned[conn.fd] = conn.sock
        if len(self._shunned) > min(_MOST_SHUNNED, self._most_draining):
            self._shunned.pop(next(iter(self._shunned))).close()

    def _late(self) -> list[Connection]:
        now = self._clock()
        return [conn for conn in self._connections.values() if conn.deadline_ns <= now]

    def _sweep(self) -> None:
        """End what is past its deadline, and come back a few times within each timeout."""
        late = self._late()
        if late:
            # If this process stood still, answers that came in time have not been read yet.
            self._poller.catch_up()
            late = self._late()
        for conn in late:
            if conn.state in {CONNECTING, SENDING, AWAITING}:
                is_connected = conn.state != CONNECTING
                failure = too_late(self._wiring.load, self._host_port, is_connected=is_connected)
                self._fail(conn, failure)
            elif conn.state == DRAINING:
                self._discard(conn, Closing.RESET)
        shortest_ns = min(self._connect_timeout_ns, self._timeout_ns, DRAIN_GRACE_NS)
        wait_ns = max(shortest_ns // 20, _SHORTEST_SWEEP_NS)
        self._sweeper = self._loop.call_later(wait_ns / NS_PER_S, self._guard, self._sweep)
