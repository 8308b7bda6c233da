"""The full transport: exchanges by aiohttp, a second client to compare the first with.

How it works. Each slot has a session of its own over a connector that holds one connection,
so that a connection belongs to a slot. An exchange is one task, whose end records the sample.

What aiohttp does by itself and must not do here is switched off: it repeats an idempotent
request whose connection broke, keeps cookies, follows redirects and reads the environment.
Its errors become outcomes in one place, `_translate`; an error that is not listed there is a
defect, ends up in `FullTransport.failure` and must end the run.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import hdrs
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from yarl import URL

from analysis import ABSENT, Outcome
from sampler.base.errors import SamplingError, UsageError
from sampler.base.redaction import without_secrets
from sampler.exchange.connection_life import DrawnLengths
from sampler.exchange.failure import (
    GIVEN_UP,
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
from sampler.exchange.transport.addresses import AddressBook
from sampler.exchange.transport.base import CLIENT_LIMIT_PAUSE_S, Launches
from sampler.exchange.transport.slots import NEVER_S, NumberingResolver, SlotConnector
from sampler.exchange.transport.trust import broken_tls, client_context, handshake_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp.http import HttpVersion

    from sampler.exchange.transport.base import Wiring

_STALL_S = 0.05
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


@dataclass(slots=True, eq=False)
class _SlotState:
    """What a slot keeps between its exchanges."""

    connector: SlotConnector
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
        self.launches = Launches()
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

    def finish(self) -> None:
        """Do nothing: aiohttp closes its connections at once, or not at all."""

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
        addresses = NumberingResolver(self._addresses, self._numbers, self._wiring.clock)
        connector = SlotConnector(self._lengths, addresses, self._context, self._wiring.recorder)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            # Above the threshold aiohttp would round the instant up to whole seconds.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=load.connect_timeout_s, ceil_threshold=NEVER_S
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
        failure = no_label(reader.label, status, headers, body) if label == ABSENT else None
        return _Ending(failure, label, replica)

    def _translate(
        self, error: BaseException, connector: SlotConnector, exchange: _Exchange
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
        quoted = without_secrets(": ".join(told[:2])[:1000])[:200]  # it may quote what was asked
        return Failure(FailureCode.NOT_HTTP, f"not an HTTP/1 response: {quoted}")

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


def _broken(code: FailureCode, connector: SlotConnector) -> Failure:
    """Return the failure for the early end of a connection."""
    is_kept = connector.is_connected and connector.ordinal > 0
    return broken(code, is_kept=is_kept, is_answered=connector.has_heard)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
