"""The full transport: exchanges by aiohttp, a second client to compare the first with.

How it works. Each slot has a session of its own over a connector that holds one connection,
so that a connection belongs to a slot. The connector sees each exchange take its connection:
there connections are numbered, their lengths drawn, and the last request on one is told to
say ``Connection: close``. An exchange is one task, whose end records the sample.

What aiohttp does by itself and must not do here is switched off: it repeats an idempotent
request whose connection broke, keeps cookies, follows redirects and reads the environment.
Its errors become outcomes in one place, `_translate`; an error that is not listed there is a
defect, ends up in `FullTransport.failure` and must end the run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from yarl import URL

from analysis import ABSENT, Outcome
from sampler.base.clock import NS_PER_S
from sampler.base.errors import SamplingError, UsageError
from sampler.exchange.connection_life import DrawnLengths
from sampler.exchange.failure import (
    GIVEN_UP,
    TIMED_OUT,
    UNASKED,
    Failure,
    FailureCode,
    broken,
    connect_failure,
    no_label,
    too_late,
)
from sampler.exchange.http1.request import header_fields
from sampler.exchange.http1.response import (
    NO_BODY_STATUSES,
    UPGRADED,
    VERSIONS,
    LimitExceeded,
    ProtocolViolation,
    decompress,
)
from sampler.exchange.overload import THROTTLED
from sampler.exchange.record import HOLD_NS
from sampler.exchange.transport.addresses import AddressBook
from sampler.exchange.transport.base import CLIENT_LIMIT_PAUSE_S
from sampler.exchange.transport.trust import broken_tls, client_context, handshake_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.http import HttpVersion, RawResponseMessage
    from aiohttp.streams import StreamReader
    from aiohttp.tracing import Trace

    from sampler.base.clock import Clock
    from sampler.exchange.record import Recorder
    from sampler.exchange.transport.base import Wiring

_NEVER_S = 1e9  # for limits of aiohttp's own that another limit replaces
_STALL_S = 0.05
_END_OF_HEAD = b"\r\n\r\n"
_TOO_MANY_FIELDS = "Too many headers received"
_BAD_STATUS_LINE = "Bad status line:"
_AUTO_HEADERS = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


@dataclass(slots=True, eq=False)
class _Exchange:
    """One launched request until it is recorded."""

    slot: int
    index: int
    scheduled_ns: int
    sent_ns: int
    first_byte_ns: int = ABSENT
    done_ns: int = ABSENT
    status: int = 0
    connection_error: BaseException | None = None  # what aiohttp state against the connection
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an exchange ended."""

    failure: Failure | None
    label: int = ABSENT
    replica: int = ABSENT


class _NumberingResolver(AbstractResolver):
    """Numbers the connections of a slot, and gives each its address.

    Parameters
    ----------
    book : AddressBook
        Where connections go.
    numbers : iterator of int
        Of the connections of all slots.
    clock : Clock
        Monotonic time.
    """

    def __init__(self, book: AddressBook, numbers: Iterator[int], clock: Clock) -> None:
        self._book = book
        self._numbers = numbers
        self._clock = clock
        self._number: int | None = None

    def number(self) -> int:
        """Return the number of the connection that was resolved last, or one of its own."""
        number, self._number = self._number, None
        return next(self._numbers) if number is None else number

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - there is one port
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Return the address of one connection; aiohttp asks for names only, not for addresses."""
        self._number = next(self._numbers)
        family, address = self._book.pick(self._number, self._clock())
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Do nothing: the transport owns the addresses."""


class _Handler(ResponseHandler):
    """A connection of aiohttp that notices what comes while nothing is asked.

    Attributes
    ----------
    number : int
        Of the connection, once it is known.
    is_kept : bool
        Whether it may carry more than one exchange.
    is_asked : bool
        Whether an exchange is under way.
    has_heard : bool
        Whether anything has come in the last exchange.
    has_surplus : bool
        Whether more has come than was asked for.
    has_ended : bool
        Whether the connection has ended; after a surplus it is ended here.
    on_end : callable
        Called with this when it ends.
    """

    number = ABSENT
    is_kept = True
    is_asked = has_heard = has_ended = has_surplus = False
    _answers = 0
    on_end: Callable[[_Handler], None] = staticmethod(lambda _: None)

    def ask(self) -> None:
        """Expect one answer from here on."""
        self.is_asked, self.has_heard, self._answers = True, False, 0

    def rest(self) -> None:
        """Expect nothing from here on."""
        self.is_asked = False
        if self.has_surplus:
            self._end()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take an answer from the parser."""
        super().feed_data(data, size)
        self._answers += data[0].code >= 200
        self.has_surplus |= self.is_kept and self._answers > 1

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if not self.is_asked and data and self.is_kept:
            self.has_surplus |= not data.startswith(TIMED_OUT)
            self._end()
        elif isinstance(self.exception(), HttpProcessingError):
            return  # a broken parser has another word for each further piece
        elif self.is_asked or not data:
            self.has_heard |= bool(data)
            # Head by head: what stands behind an answer would spoil it, if it came with it.
            while not self._answers and (head := data.partition(_END_OF_HEAD))[1]:
                super().data_received(b"".join(head[:2]))
                data = head[2]
                if not data:
                    return
            super().data_received(data)
            self._look_behind()

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        """Take what went wrong, and keep why, also where nobody waits for it yet."""
        if exc.__cause__ is None and exc_cause is not _EXC_SENTINEL:
            exc.__cause__ = exc_cause
        super().set_exception(exc, exc_cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the end of the connection."""
        super().connection_lost(exc)
        self._end()

    def _look_behind(self) -> None:
        """Tell what is wrong behind a whole answer from what is wrong inside."""
        is_whole = self._answers and (self._payload is None or self._payload.is_eof())
        if is_whole and isinstance(self.exception(), HttpProcessingError):
            self.has_surplus |= self.is_kept

    def _end(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            if self.transport is not None:
                self.transport.abort()
            self.on_end(self)


class _SlotConnector(aiohttp.TCPConnector):
    """The connection of one slot: one at a time, numbered, of a drawn length."""

    def __init__(
        self,
        lengths: DrawnLengths,
        addresses: _NumberingResolver,
        context: ssl.SSLContext | None,
        recorder: Recorder,
    ) -> None:
        super().__init__(
            limit=1,
            ssl=True if context is None else context,
            resolver=addresses,
            use_dns_cache=False,
            happy_eyeballs_delay=None,  # never two connections for one request
            keepalive_timeout=_NEVER_S,
        )
        self._factory = cast("partial[ResponseHandler]", partial(_Handler, self._loop))
        self._recorder = recorder
        self._lingering: set[_Handler] = set()
        self._addresses = addresses
        self._lengths = lengths
        self._left = ABSENT
        self.protocol: _Handler | None = None
        self.is_connected = False
        self.number = ABSENT
        self.ordinal = 0

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return the connection for a request, the open one if it is still there."""
        self.is_connected = False
        connection = await super().connect(req, traces, timeout)
        protocol = cast("_Handler", connection.protocol)
        if protocol is self.protocol:
            protocol.rest()
            if protocol.has_ended:  # aiohttp would take what came for the next answer
                connection.close()
                connection = await super().connect(req, traces, timeout)
                protocol = cast("_Handler", connection.protocol)
        if protocol is self.protocol:
            self.ordinal += 1
        else:
            self.protocol = protocol
            self.number = protocol.number = self._addresses.number()
            self.ordinal = 0
            self._left = self._lengths.of(self.number)
            protocol.is_kept = self._left != 1
            protocol.on_end = self._ended
        self.is_connected = True
        protocol.ask()
        self._left -= 1  # below 0 is without end
        if self._left == 0:
            req.headers[hdrs.CONNECTION] = "close"
            protocol.force_close()
        return connection

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Take a connection back; one that has carried its last exchange is still listened to."""
        handler = cast("_Handler", protocol)
        handler.rest()
        if should_close or handler.has_ended or not (handler.is_kept and handler.should_close):
            super()._release(key, protocol, should_close=should_close)
        elif not self._closed:
            self._release_acquired(key, protocol)
            self._lingering.add(handler)
            self._loop.call_later(HOLD_NS / NS_PER_S, handler.close)

    def _ended(self, handler: _Handler) -> None:
        self._lingering.discard(handler)
        if handler.has_surplus:
            self._recorder.doubt(handler.number)
        else:
            self._recorder.release(handler.number)

    def close_lingering(self) -> None:
        """Close the connections that have carried their last exchange."""
        for handler in list(self._lingering):
            handler.close()

    @property
    def has_heard(self) -> bool:
        """Whether anything of an answer has come in the exchange that has just ended."""
        return self.is_connected and self.protocol is not None and self.protocol.has_heard

    def numbers(self) -> tuple[int, int]:
        """Return connection number and ordinal of the exchange that has just ended.

        An attempt that found no connection has a number of its own: nothing depends on it.
        """
        return (self.number, self.ordinal) if self.is_connected else (self._addresses.number(), 0)


@dataclass(slots=True, eq=False)
class _SlotState:
    """What a slot keeps between its exchanges."""

    connector: _SlotConnector
    session: aiohttp.ClientSession
    exchange: _Exchange | None = None
    task: asyncio.Task[_Ending] | None = field(default=None)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """End what takes longer by a `TimeoutError`, but for what came while this process stood still.

    A timer that is late by more than a stall says that nothing was read meanwhile: what came in
    time gets the moment that reading it takes.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + seconds

    def expire() -> None:
        now_s = loop.time()
        if now_s - due_s <= _STALL_S:
            limit.reschedule(now_s)
        else:
            timers.append(loop.call_later(_STALL_S, limit.reschedule, now_s))

    timers = [loop.call_at(due_s, expire)]
    try:
        async with asyncio.timeout(None) as limit:
            yield
    finally:
        for timer in timers:
            timer.cancel()


class FullTransport:
    """Carries exchanges over aiohttp; implements `sampler.exchange.transport.base.Transport`.

    Parameters
    ----------
    wiring : Wiring
        What the transport is connected to.

    Attributes
    ----------
    failure : BaseException or None
        A defect of the transport, or of aiohttp, that is not an outcome of an exchange. It
        must end the run; the exchange that met it is recorded as aborted.

    Raises
    ------
    UsageError
        If the target's file of authorities cannot be used, or its address has a zone.

    Notes
    -----
    The client closes first when a connection has carried its last request: aiohttp does not
    wait for the peer's FIN, so TIME_WAIT is on this side.
    """

    name = "full"

    def __init__(self, wiring: Wiring) -> None:
        target, load = wiring.target, wiring.load
        if "%" in target.host:
            raise UsageError(
                f"aiohttp cannot connect to {target.host}, an address with a zone",
                hint="use --transport fast",
            )
        self.failure: BaseException | None = None
        self.closings: list[int] = []  # aiohttp does not say who closed
        self._wiring = wiring
        self._load = load
        self._url = URL(
            f"{'https' if target.is_tls else 'http'}://{target.authority}{target.request_target}",
            encoded=True,
        )
        self._host_port = f"{target.host}:{target.port}"
        self._addresses = AddressBook(target, load, wiring.seed)
        wiring.recorder.remotes = self._addresses
        self._context = client_context(target) if target.is_tls else None
        self._numbers = count()
        self._lengths = wiring.recorder.planned = DrawnLengths(load.connection, wiring.seed)
        self._slots: dict[int, _SlotState] = {}
        self._tasks: set[asyncio.Task[_Ending]] = set()

    async def open(self) -> None:
        """Get ready to launch: resolve the name.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved, or this aiohttp offers no way to keep it
            from repeating requests.
        """
        await self._addresses.open(self._wiring.clock())
        async with aiohttp.ClientSession() as probe:
            if not hasattr(probe, "_retry_connection"):
                raise SamplingError(
                    f"aiohttp {aiohttp.__version__} retries failed requests, and the switch that "
                    "this version of weighbridge knows is gone",
                    hint="use --transport fast, or another version of aiohttp",
                )

    def launch(self, slot: int, index: int, scheduled_ns: int | None = None) -> None:
        """Start exchange `index` in an idle slot; does not wait."""
        state = self._slots.get(slot)
        if state is None:
            state = self._slots[slot] = self._new_slot()
        now = self._wiring.clock()
        exchange = _Exchange(slot, index, now if scheduled_ns is None else scheduled_ns, now)
        state.exchange = exchange
        task = asyncio.get_running_loop().create_task(self._carry(state, exchange))
        state.task = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._on_done(state, exchange, done))

    def abort(self) -> None:
        """Abandon all exchanges in flight and record them as `Outcome.ABORTED`."""
        in_flight = [
            (state, state.exchange, state.task)
            for state in self._slots.values()
            if state.exchange is not None
        ]
        for state, exchange, task in in_flight:
            if task is not None:
                task.cancel()
            self._finish(state, exchange, _Ending(GIVEN_UP))
        self._wiring.recorder.let_go()

    async def aclose(self) -> None:
        """Close all connections; nothing may be in flight."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for state in self._slots.values():
            state.connector.close_lingering()
            await state.session.close()
        self._slots.clear()
        self._wiring.recorder.let_go()
        await self._addresses.aclose()

    def _new_slot(self) -> _SlotState:
        load = self._load
        addresses = _NumberingResolver(self._addresses, self._numbers, self._wiring.clock)
        connector = _SlotConnector(self._lengths, addresses, self._context, self._wiring.recorder)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            # Above the threshold aiohttp would round the instant up to whole seconds.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=load.connect_timeout_s, ceil_threshold=_NEVER_S
            ),
            max_line_size=load.max_header_bytes,
            max_field_size=load.max_header_bytes,
        )
        session._retry_connection = False  # noqa: SLF001 - no public switch; `open` checked it
        return _SlotState(connector, session)

    async def _carry(self, state: _SlotState, exchange: _Exchange) -> _Ending:
        try:
            async with _within(self._load.timeout_s):
                headers, body = await self._ask(state, exchange)
        except (aiohttp.ClientError, OSError, LimitExceeded, ProtocolViolation) as error:
            exchange.done_ns = self._wiring.clock()
            return _Ending(self._translate(error, state.connector, exchange))
        exchange.done_ns = self._wiring.clock()
        return self._label(exchange.status, headers, body)

    async def _ask(
        self, state: _SlotState, exchange: _Exchange
    ) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
        target = self._wiring.target
        response = await state.session.request(
            target.method,
            self._url,
            headers=header_fields(target),
            # As a file: aiohttp sends that in pieces, and may be answered in between.
            data=BytesIO(target.body) if target.body else None,
            allow_redirects=False,
        )
        try:
            exchange.first_byte_ns = self._wiring.clock()
            exchange.status = response.status
            headers = response.raw_headers
            self._check_head(exchange.status, headers, response.version)
            packed = await self._read_body(response)
            coding = next((v for k, v in headers if k.lower() == b"content-encoding"), None)
            body = decompress(coding, packed, self._load.max_body_bytes)
        finally:
            if state.connector.protocol is not None:
                exchange.connection_error = state.connector.protocol.exception()
            response.close()  # clears that exception
            if exchange.status < 200 and state.connector.protocol is not None:
                state.connector.protocol.close()  # aiohttp keeps it, as if it had been an answer
        if isinstance(exchange.connection_error, aiohttp.ClientOSError):
            # aiohttp takes a reset for the end of a body that ends with its connection.
            raise exchange.connection_error
        return headers, body

    def _check_head(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...],
        version: HttpVersion | None,
    ) -> None:
        told = "" if version is None else f"{version.major}.{version.minor}"
        if told not in VERSIONS:
            raise ProtocolViolation(f"not an HTTP/1 response: HTTP/{told} is another version")
        if status == 101:
            raise ProtocolViolation(UPGRADED)
        if status < 100:
            raise ProtocolViolation(f"not an HTTP/1 response: {status:03d} is not a valid status")
        # aiohttp limits each line, not the header as a whole.
        limit = self._load.max_header_bytes
        if sum(len(name) + len(value) + 4 for name, value in headers) > limit:
            raise LimitExceeded(f"the response header is larger than {limit} bytes")

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._load.max_body_bytes
        parts: list[bytes] = []
        size = 0
        # aiohttp takes a length of 2^64 - 1 for none.
        has_body = response.status not in NO_BODY_STATUSES and response.method != hdrs.METH_HEAD
        if has_body and (response.content_length or 0) > limit:
            raise LimitExceeded(f"the response body is larger than {limit} bytes")
        while part := await response.content.readany():
            size += len(part)
            if size > limit:
                raise LimitExceeded(f"the response body is larger than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _label(self, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> _Ending:
        if status in THROTTLED:
            self._wiring.recorder.throttled = headers
        reader = self._wiring.reader
        label, replica = reader.codes(status, headers, body)
        failure = no_label(reader, status, headers, body) if label == ABSENT else None
        return _Ending(failure, label, replica)

    def _translate(
        self, error: BaseException, connector: _SlotConnector, exchange: _Exchange
    ) -> Failure:
        """Return the failure that an error of the library or the system stands for.

        The one table; a more special error comes before its base class.
        """
        match error:
            case LimitExceeded():
                return Failure(FailureCode.TOO_LARGE, str(error))
            case ProtocolViolation():
                return Failure(FailureCode.NOT_HTTP, str(error))
            case aiohttp.ConnectionTimeoutError():
                return too_late(self._load, self._host_port, is_connected=False)
            case TimeoutError() if not isinstance(error, aiohttp.ClientOSError):
                if isinstance(exchange.connection_error, HttpProcessingError):
                    # aiohttp does not wake the reader of a body whose chunks are malformed.
                    return self._bad_message(exchange.connection_error)
                return too_late(self._load, self._host_port, is_connected=connector.is_connected)
            case aiohttp.ClientConnectorError():
                return self._connect_error(error)
            case aiohttp.ClientOSError() if isinstance(error.__cause__, ssl.SSLError):
                is_answered = connector.ordinal > 0 or connector.has_heard
                return broken_tls(error.__cause__, self._host_port, is_answered=is_answered)
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientConnectionResetError():
                return _broken(FailureCode.CLOSED, connector)
            case aiohttp.ClientOSError() | ConnectionResetError():
                return _broken(FailureCode.RESET, connector)
            case aiohttp.ClientPayloadError() if isinstance(
                exchange.connection_error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError
            ):
                return self._translate(exchange.connection_error, connector, exchange)
            case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
                return self._bad_message(error)
        raise error

    def _connect_error(self, error: aiohttp.ClientConnectorError) -> Failure:
        cause = error.os_error
        if isinstance(cause, ssl.SSLError):
            return handshake_failure(cause, self._host_port)
        if cause.errno is None:
            return self._refusal(str(cause))
        failure = connect_failure(cause.errno, self._host_port)
        if failure.outcome is Outcome.RESET and self._context is not None:
            return self._refusal(os.strerror(cause.errno), cause.errno)  # within the handshake
        return failure

    def _refusal(self, reason: str, code: int | None = None) -> Failure:
        what = FailureCode.NOT_CONNECTED if self._context is None else FailureCode.HANDSHAKE
        return Failure(what, f"connect to {self._host_port}: {reason}", code)

    def _bad_message(self, error: BaseException) -> Failure:
        causes = list(_causes(error))
        if any(isinstance(cause, LineTooLong) for cause in causes):
            limit = self._load.max_header_bytes
            return Failure(
                FailureCode.TOO_LARGE, f"the response header is larger than {limit} bytes"
            )
        reasons = [cause.message for cause in causes if isinstance(cause, HttpProcessingError)]
        reason = (reasons or [str(error)])[-1]
        if reason == _TOO_MANY_FIELDS:
            return Failure(FailureCode.TOO_LARGE, "the response has too many fields for aiohttp")
        # Several lines: a heading, the reason, what came, and a mark below the place.
        lines = [line.strip() for line in reason.splitlines()]
        told = [line.rstrip(":") for line in lines if line not in {"", "^", _BAD_STATUS_LINE}]
        return Failure(FailureCode.NOT_HTTP, f"not an HTTP/1 response: {': '.join(told[:2])[:200]}")

    def _on_done(self, state: _SlotState, exchange: _Exchange, task: asyncio.Task[_Ending]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._finish(state, exchange, _Ending(GIVEN_UP))
            return
        failure = task.exception()
        if failure is not None:
            self.failure = self.failure or failure
            defect = Failure(FailureCode.DEFECT, f"a defect: {failure!r}")
            self._finish(state, exchange, _Ending(defect))
            return
        self._finish(state, exchange, task.result())

    def _finish(self, state: _SlotState, exchange: _Exchange, ending: _Ending) -> None:
        if exchange.is_recorded:  # an aborted task ends later than its exchange
            return
        exchange.is_recorded = True
        state.exchange = state.task = None
        connection, ordinal = state.connector.numbers()
        handler = state.connector.protocol
        is_over = ordinal > 0 and handler is not None and handler.has_ended
        if ordinal and handler is not None and handler.has_surplus and ending.failure is None:
            ending = _Ending(UNASKED)
        self._wiring.recorder.record(
            exchange.index,
            exchange.scheduled_ns,
            exchange.sent_ns,
            exchange.first_byte_ns,
            exchange.done_ns if exchange.done_ns != ABSENT else self._wiring.clock(),
            connection,
            ordinal,
            ending.label,
            ending.replica,
            exchange.status,
            ending.failure,
        )
        if is_over:  # too late for its own end
            self._wiring.recorder.release(connection)
        if ending.failure is not None and ending.failure.outcome is Outcome.CLIENT_LIMIT:
            # Asking again at once would only spin until a port or a descriptor is free.
            loop = asyncio.get_running_loop()
            loop.call_later(CLIENT_LIMIT_PAUSE_S, self._free, exchange.slot)
        else:
            self._free(exchange.slot)

    def _free(self, slot: int) -> None:
        """Report that a slot is idle; a defect has no caller here, so it is kept for the engine."""
        try:
            self._wiring.on_idle(slot)
        except Exception as error:  # noqa: BLE001 - raised by the engine at its next tick
            self.failure = self.failure or error


def _broken(code: FailureCode, connector: _SlotConnector) -> Failure:
    """Return the failure for the early end of a connection."""
    is_kept = connector.is_connected and connector.ordinal > 0
    return broken(code, is_kept=is_kept, is_answered=connector.has_heard)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
