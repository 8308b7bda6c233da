"""A server that does to each request what a script says, and counts what it was asked.

It lives in the loop of the transport under test. Giving the loop a few turns between two
writes therefore makes sure that the client has met the first before the second is sent:
bytes are cut exactly where the script says, without any waiting by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TURNS = 6
"""Turns of the loop in which a client has certainly met what was sent before."""


@unique
class Act(Enum):
    """A step that ends the script of a connection."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"
    """Keep the connection open, say nothing, and wait for the client to go."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes in separate segments of the given sizes; the rest is the last segment."""

    data: bytes
    sizes: tuple[int, ...] = ()

    def parts(self) -> list[bytes]:
        """Give the segments."""
        sizes = self.sizes or (1,) * len(self.data)
        parts, rest = [], self.data
        for size in sizes:
            parts.append(rest[:size])
            rest = rest[size:]
        return [part for part in [*parts, rest] if part]


@dataclass(frozen=True, slots=True)
class Drip:
    """Bytes, one at a time, for ever too slow."""

    data: bytes
    every_s: float


@dataclass(frozen=True, slots=True)
class Turns:
    """Let the client work before the next step."""

    number: int = _TURNS


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request as it came."""

    number: int
    connection: int
    ordinal: int
    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Header fields, with lower-case names."""
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        pairs = (line.partition(":") for line in lines)
        return [(name.lower(), value.strip()) for name, _, value in pairs]


Step = bytes | Cut | Drip | Turns | Act


@dataclass(eq=False)
class ScriptedServer:
    """Listens on a loopback port of its own.

    `script` gives the steps that answer one request. With `greeting`, those steps come when
    a connection opens, and no request is read.
    """

    script: Callable[[Request], Sequence[Step]]
    greeting: Sequence[Step] = ()
    on_request: Callable[[Request], None] = lambda _request: None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        self._defects: list[Exception] = []
        self._sockets: set[socket.socket] = set()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(self, *exception: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()  # whose task was cancelled before it began
        if self._defects:
            raise ExceptionGroup("the scripted server failed", self._defects)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.add(sock)
            number, self.connections = self.connections, self.connections + 1
            task = asyncio.get_running_loop().create_task(self._serve(sock, number))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._defects.append(error)

    async def _serve(self, sock: socket.socket, number: int) -> None:
        # The client may go at any time: that is no defect of the script.
        with sock, contextlib.suppress(ConnectionError):
            if self.greeting:
                await self._perform(sock, self.greeting)
                return
            incoming, ordinal = _Incoming(sock), 0
            while (head := await incoming.head()) is not None:
                body = await incoming.body(_body_length(head))
                request = Request(len(self.requests), number, ordinal, head, body)
                ordinal += 1
                self.requests.append(request)
                self.on_request(request)
                if not await self._perform(sock, self.script(request)):
                    return

    async def _perform(self, sock: socket.socket, steps: Sequence[Step]) -> bool:
        """Do the steps; give whether the connection goes on."""
        loop = asyncio.get_running_loop()
        for step in steps:
            match step:
                case bytes():
                    await loop.sock_sendall(sock, step)
                case Cut():
                    for part in step.parts():
                        await loop.sock_sendall(sock, part)
                        await _turns(_TURNS)
                case Drip():
                    for value in step.data:
                        await loop.sock_sendall(sock, bytes([value]))
                        await asyncio.sleep(step.every_s)
                case Turns():
                    await _turns(step.number)
                case Act.SILENCE:
                    while await loop.sock_recv(sock, 65_536):
                        pass
                    return False
                case Act.RESET:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    return False
                case Act.CLOSE:
                    return False
        return True


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


class _Incoming:
    """What a client sends, in requests."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    async def head(self) -> bytes | None:
        """Give the next head, or None if the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    async def body(self, length: int) -> bytes:
        """Give the next `length` bytes."""
        while len(self._buffer) < length:
            if not await self._more():
                raise ConnectionAbortedError
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    async def _more(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self._sock, 65_536)
        self._buffer += data
        return bool(data)


def _body_length(head: bytes) -> int:
    found = re.search(rb"(?mi)^content-length: *(\d+)", head)
    return int(found[1]) if found else 0
