"""The stream of events as it is followed by many: what is kept of it, and what each reader lacks.

A reader is a number, that of the last event it was given. Whoever is slow is not queued for: when
it comes again, it gets the events since then, and of the states only the newest of each target. So
a reader costs no memory, and the ring is small, since states are most of the stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from analysis.data.live import StateTold, to_line
from analysis.review.chronicle import Chronicle

if TYPE_CHECKING:
    from analysis.data.live import Event, LiveState

KEPT = 4096
"""Events that can be read again, states apart [1]: at one target, about an hour."""


class Line(NamedTuple):
    """An event as it is sent."""

    seq: int
    kind: str
    data: bytes

    def frame(self) -> bytes:
        """Return it as a block of ``text/event-stream``."""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.seq, self.kind.encode(), self.data)


class Stream:
    """The events of one process.

    Parameters
    ----------
    kept : int
        Events that can be read again.

    Attributes
    ----------
    chronicle : Chronicle
        Everything that the page shows.
    is_over : bool
        Whether readers should leave.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.chronicle = Chronicle()
        self.is_over = False
        self._ring: deque[Line] = deque(maxlen=kept)
        self._states: dict[str, Line] = {}
        self._forgotten = 0
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Add an event, and wake whoever waits for it."""
        self.chronicle.take(event)
        line = Line(event.seq, str(event.__struct_config__.tag), to_line(event))
        if isinstance(event, StateTold):
            self._states[event.target] = line
        else:
            if len(self._ring) == self._ring.maxlen:
                self._forgotten = self._ring[0].seq
            self._ring.append(line)
        self._wake()

    def close(self) -> None:
        """Let all readers leave."""
        self.is_over = True
        self._wake()

    def states(self) -> list[LiveState]:
        """Return the newest state of each target."""
        found = (told.state for told in self.chronicle.targets.values())
        return [state for state in found if state is not None]

    def since(self, seq: int | None) -> list[Line]:
        """Return what a reader lacks who was last given `seq`; None for a new one.

        A new reader gets the states. Who has missed what is no longer kept, or what another
        process told, gets a ``gap`` first, and should read ``/api/state``.
        """
        newest = self.chronicle.seq
        if seq is None:
            return sorted(self._states.values())
        gap: list[Line] = []
        if not self._forgotten <= seq <= newest:
            data = b'{"event":"gap","after":%d}' % seq
            # Subtle: its number is that from which on nothing is missing, lest it be sent again.
            seq = self._forgotten if seq < self._forgotten else 0
            gap = [Line(seq, "gap", data)]
        lines = [each for each in (*self._ring, *self._states.values()) if each.seq > seq]
        return gap + sorted(lines)

    def news(self) -> asyncio.Event:
        """Return what is set at the next event; take it before looking at `since`."""
        return self._news

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
