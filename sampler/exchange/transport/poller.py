"""Readiness of sockets, as one call for each batch of ready ones.

On Linux an epoll instance of the transport's own is watched by the event loop as a single
descriptor: one callback of the loop then serves everything that is ready, edge-triggered, and
a socket costs one ``epoll_ctl`` in its life. Elsewhere the loop watches each socket.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

READABLE = 0x001
WRITABLE = 0x004
FAILED = 0x008 | 0x010
PEER_CLOSED = 0x2000
"""Bits of a readiness mask: EPOLLIN, EPOLLOUT, EPOLLERR | EPOLLHUP, EPOLLRDHUP (epoll_ctl(2))."""

_ROUNDS = 16
_EVENTS = 256
_MOST_SERVED = 64  # times _EVENTS are more than may be in flight


Events = Sequence[tuple[int, int]]
"""Descriptors that are ready, each with a mask of the bits above."""


class Poller(Protocol):
    """Watches descriptors and calls ``on_ready(events)``."""

    def watch(self, fd: int) -> None:
        """Report `fd` when it becomes readable, writable or fails."""

    def wrote(self, fd: int) -> None:
        """Note that the request is out: only the answer is of interest from here on."""

    def wants_to_write(self, fd: int) -> None:
        """Report `fd` again when it becomes writable."""

    def forget(self, fd: int) -> None:
        """Stop reporting `fd`; called before it is closed."""

    def catch_up(self) -> None:
        """Report all that is ready now, where the loop runs its timers first."""

    def close(self) -> None:
        """Release what the poller holds."""


class EpollPoller:
    """An epoll instance inside the event loop.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Watches the instance's own descriptor.
    on_ready : callable
        Takes `Events`.
    """

    __slots__ = ("_epoll", "_loop", "_mask", "_on_ready")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[Events], None],
    ) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._on_ready = on_ready
        self._mask = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
        loop.add_reader(self._epoll.fileno(), self._serve)

    def watch(self, fd: int) -> None:
        """Report `fd` on every change of its readiness."""
        self._epoll.register(fd, self._mask)

    def wrote(self, fd: int) -> None:
        """Do nothing: an edge-triggered descriptor stays quiet by itself."""

    def wants_to_write(self, fd: int) -> None:
        """Do nothing: every edge is reported."""

    def forget(self, fd: int) -> None:
        """Do nothing: the kernel forgets a descriptor that is closed."""

    def catch_up(self) -> None:
        """Report all that is ready now, in bounded time."""
        for _ in range(_MOST_SERVED):
            if not self._serve():
                return

    def close(self) -> None:
        """Close the epoll instance."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _serve(self) -> bool:
        """Report what is ready; return whether more may be."""
        # A few rounds before going back to the loop: answers arrive while others are served.
        # A few only: the loop's timers wait meanwhile, and what is left is reported again.
        poll, on_ready = self._epoll.poll, self._on_ready
        left = _EVENTS
        for _ in range(_ROUNDS):
            events = poll(0, left)
            left -= len(events)
            if not events:
                return False
            on_ready(events)
            if left <= 0:
                break
        return True


class LoopPoller:
    """Each descriptor watched by the event loop itself; works on every selector loop."""

    __slots__ = ("_loop", "_on_ready", "_writing")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[Events], None],
    ) -> None:
        self._loop = loop
        self._on_ready = on_ready
        self._writing: dict[int, bool] = {}

    def watch(self, fd: int) -> None:
        """Report `fd` when it can be written, until `wrote`, and when it can be read."""
        self._writing[fd] = True
        self._loop.add_writer(fd, self._on_ready, [(fd, WRITABLE)])
        self._loop.add_reader(fd, self._on_ready, [(fd, READABLE)])

    def wrote(self, fd: int) -> None:
        """Stop reporting that `fd` can be written: it nearly always can."""
        if self._writing.get(fd):
            self._writing[fd] = False
            self._loop.remove_writer(fd)

    def wants_to_write(self, fd: int) -> None:
        """Report `fd` until `wrote`."""
        if not self._writing[fd]:
            self._writing[fd] = True
            self._loop.add_writer(fd, self._on_ready, [(fd, WRITABLE)])

    def forget(self, fd: int) -> None:
        """Take `fd` out of the loop."""
        if self._writing.pop(fd, None) is not None:
            self._loop.remove_writer(fd)
            self._loop.remove_reader(fd)

    def catch_up(self) -> None:
        """Do nothing: selector loops serve sockets before timers."""

    def close(self) -> None:
        """Take everything out of the loop."""
        for fd in list(self._writing):
            self.forget(fd)
