"""A small synchronous event loop: readiness of file descriptors, and timers.

How it works. The kernel's `select.epoll` is asked directly: one call for each turn, and one
handler for each ready descriptor. A connection that is served at once, as a fresh one with
``Connection: close`` mostly is, never enters it. Elsewhere than on Linux `selectors` stands
in for it.
"""

from __future__ import annotations

import select
import selectors
from heapq import heappop, heappush
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# The values of EPOLLIN, EPOLLOUT and EPOLLERR | EPOLLHUP; the last two are always reported.
READ: Final = 1
WRITE: Final = 4
BROKEN: Final = 8 | 16

_MAX_EVENTS = 1024


class Poller(Protocol):
    """The part of `select.epoll` that the loop uses."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Watch `fd` for `eventmask`."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch `fd` for `eventmask` from now on; 0 pauses."""

    def unregister(self, fd: int, /) -> None:
        """Watch `fd` no longer."""

    def poll(self, timeout: float | None, maxevents: int, /) -> list[tuple[int, int]]:
        """Wait for `timeout` [s] at most and return ready descriptors with their events."""
        ...

    def close(self) -> None:
        """Release the kernel's part."""


class SelectorPoller:
    """`Poller` on `selectors`, for platforms without epoll."""

    __slots__ = ("_masks", "_selector")

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._masks: dict[int, int] = {}

    def register(self, fd: int, eventmask: int, /) -> None:
        """Watch `fd` for `eventmask`."""
        self._masks[fd] = 0
        self.modify(fd, eventmask)

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch `fd` for `eventmask` from now on; 0 pauses, which selectors cannot."""
        if self._masks[fd]:
            self._selector.unregister(fd)
        self._masks[fd] = eventmask
        if eventmask:
            self._selector.register(
                fd,
                (selectors.EVENT_READ if eventmask & READ else 0)
                | (selectors.EVENT_WRITE if eventmask & WRITE else 0),
            )

    def unregister(self, fd: int, /) -> None:
        """Watch `fd` no longer."""
        if self._masks.pop(fd):
            self._selector.unregister(fd)

    def poll(self, timeout: float | None, _maxevents: int, /) -> list[tuple[int, int]]:
        """Wait for `timeout` [s] at most and return ready descriptors with their events."""
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout)
        ]

    def close(self) -> None:
        """Release the kernel's part."""
        self._selector.close()


class Timer:
    """A call that is due at some time; cancelling it releases the callback."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call; does nothing once called."""
        self.callback = None


class Loop:
    """Calls handlers of ready descriptors and due timers, turn by turn.

    Parameters
    ----------
    poller : Poller or None
        None takes epoll where there is one.
    clock : callable
        Gives the time [s]; never goes back.
    """

    __slots__ = ("_clock", "_handlers", "_is_stopping", "_poller", "_serial", "_timers")

    def __init__(
        self, poller: Poller | None = None, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._poller = poller if poller is not None else _system_poller()
        self._clock = clock
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._is_stopping = False

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler` with the events of `fd` whenever there are any of `mask`."""
        if fd in self._handlers:
            self._poller.modify(fd, mask)
        else:
            self._poller.register(fd, mask)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Call the handler of `fd` no more; to be called before `fd` is closed."""
        del self._handlers[fd]
        self._poller.unregister(fd)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, at the end of the first turn after `delay_s` [s]."""
        timer = Timer(callback)
        self._serial += 1
        heappush(self._timers, (self._clock() + delay_s, self._serial, timer))
        return timer

    def turn(self, timeout_s: float | None = None) -> None:
        """Wait for events or a timer, for `timeout_s` [s] at most, and call what is due."""
        for fd, events in self._poller.poll(self._patience(timeout_s), _MAX_EVENTS):
            # Subtle: an earlier handler of this turn may have closed fd. No handler may open
            # one in the meantime, or it would get the events of its predecessor; what
            # accepts connections does so in a timer, after all handlers.
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        self._call_due()

    def run(self) -> None:
        """Turn until `stop`."""
        while not self._is_stopping:
            self.turn()

    def stop(self) -> None:
        """Let `run` return after this turn."""
        self._is_stopping = True

    def close(self) -> None:
        """Release the kernel's part."""
        self._poller.close()

    def _patience(self, timeout_s: float | None) -> float | None:
        if not self._timers:
            return timeout_s
        until_due = max(0.0, self._timers[0][0] - self._clock())
        return until_due if timeout_s is None else min(timeout_s, until_due)

    def _call_due(self) -> None:
        if not self._timers:
            return
        now = self._clock()
        due = []
        while self._timers and self._timers[0][0] <= now:
            due.append(heappop(self._timers)[2])
        # What these callbacks schedule, even for now, belongs to the next turn.
        for timer in due:
            callback = timer.callback
            if callback is not None:
                timer.cancel()
                callback()


def _system_poller() -> Poller:
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()
