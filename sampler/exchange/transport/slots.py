"""Connections of aiohttp, as slots need them: numbered, one at a time, and listened to.

How it works. Each slot has a connector that holds one connection. The connector sees each exchange
take its connection: there connections are numbered, their lengths drawn, and the last request on
one is told to say ``Connection: close``. `Handler` is the protocol of such a connection. It hands
aiohttp's parser an answer head by head, and tells what nobody has asked for from an answer.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL
from aiohttp.http_exceptions import HttpProcessingError

from analysis import ABSENT
from sampler.base.clock import NS_PER_S
from sampler.exchange.failure import TIMED_OUT
from sampler.exchange.record import HOLD_NS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage
    from aiohttp.streams import StreamReader
    from aiohttp.tracing import Trace

    from sampler.base.clock import Clock
    from sampler.exchange.connection_life import DrawnLengths
    from sampler.exchange.record import Recorder
    from sampler.exchange.transport.addresses import AddressBook

NEVER_S = 1e9
"""For limits of aiohttp's own that another limit replaces [s]."""
_END_OF_HEAD = b"\r\n\r\n"


class NumberingResolver(AbstractResolver):
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


class Handler(ResponseHandler):
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
    on_end: Callable[[Handler], None] = staticmethod(lambda _: None)

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


class SlotConnector(aiohttp.TCPConnector):
    """The connection of one slot: one at a time, numbered, of a drawn length."""

    def __init__(
        self,
        lengths: DrawnLengths,
        addresses: NumberingResolver,
        context: ssl.SSLContext | None,
        recorder: Recorder,
    ) -> None:
        super().__init__(
            limit=1,
            ssl=True if context is None else context,
            resolver=addresses,
            use_dns_cache=False,
            happy_eyeballs_delay=None,  # never two connections for one request
            keepalive_timeout=NEVER_S,
        )
        self._factory = cast("partial[ResponseHandler]", partial(Handler, self._loop))
        self._recorder = recorder
        self._lingering: set[Handler] = set()
        self._addresses = addresses
        self._lengths = lengths
        self._left = ABSENT
        self.protocol: Handler | None = None
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
        protocol = cast("Handler", connection.protocol)
        if protocol is self.protocol:
            protocol.rest()
            if protocol.has_ended:  # aiohttp would take what came for the next answer
                connection.close()
                connection = await super().connect(req, traces, timeout)
                protocol = cast("Handler", connection.protocol)
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
        handler = cast("Handler", protocol)
        handler.rest()
        if should_close or handler.has_ended or not (handler.is_kept and handler.should_close):
            super()._release(key, protocol, should_close=should_close)
        elif not self._closed:
            self._release_acquired(key, protocol)
            self._lingering.add(handler)
            self._loop.call_later(HOLD_NS / NS_PER_S, handler.close)

    def _ended(self, handler: Handler) -> None:
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
