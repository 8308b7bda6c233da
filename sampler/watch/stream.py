"""The events of a process as many follow them: what is kept of them, and what each reader lacks.

A reader is a place in what was sent. Whoever is slow is not queued for: when it comes again, it
gets the events since then, and of the states only the newest of each target. So a reader costs no
memory, and what is kept is small, since states are most of the stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from analysis.data.live import to_line
from analysis.data.live_events import StateTold
from analysis.review.chronicle import Chronicle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.data.live import LiveState
    from analysis.data.live_events import Event

KEPT = 4096
"""Events that can be read again, states apart [1]: at one target, about an hour."""


class Line(NamedTuple):
    """An event as it is sent.

    Parameters
    ----------
    place : int
        Of all that was ever sent, from 1.
    seq : int
        Number of the event; a state that has none has that of the last event before it.
    kind : str
    data : bytes
    """

    place: int
    seq: int
    kind: str
    data: bytes

    def frame(self, origin: str) -> bytes:
        """Return it as a block of ``text/event-stream``; its id names the process, too."""
        place = f"{origin}-{self.seq}".encode()
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (place, self.kind.encode(), self.data)


class Stream:
    """Hands on the events of one process.

    Parameters
    ----------
    kept : int
        Events that can be read again.

    Attributes
    ----------
    origin : str
        Tells this process from others, which count their events from 1 as well.
    chronicle : Chronicle
        Everything that the page shows.
    place : int
        Of the newest line.
    is_over : bool
        Whether readers should leave.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.origin = token_hex(4)
        self.chronicle = Chronicle()
        self.place = 0
        self.is_over = False
        self._kept: deque[Line] = deque(maxlen=kept)
        self._states: dict[str, Line] = {}
        self._forgotten = Line(0, 0, "", b"")
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Add an event, and wake whoever waits for it."""
        self.chronicle.take(event)
        line = self._line(event)
        if isinstance(event, StateTold):
            self._states[event.target] = line
        else:
            if len(self._kept) == self._kept.maxlen:
                self._forgotten = self._kept[0]
            self._kept.append(line)
        self._wake()

    def show(self, present: Mapping[str, LiveState | None]) -> None:
        """Show the present state of every target there is, also where no event has told it.

        Parameters
        ----------
        present : mapping of str to LiveState or None
            By target; None has no state yet. Other targets are no longer shown.
        """
        for gone in set(self.chronicle.targets) - set(present):
            del self.chronicle.targets[gone]
            self._states.pop(gone, None)
        for target, state in present.items():
            if state is not None and self.chronicle.show(state):
                seq = self.chronicle.seq
                told = StateTold(seq=seq, at=state.at, target=target, state=state)
                self._states[target] = self._line(told)
                self._wake()

    def close(self) -> None:
        """Let all readers leave."""
        self.is_over = True
        self._wake()

    def states(self) -> list[LiveState]:
        """Return the newest state of each target."""
        found = (told.state for told in self.chronicle.targets.values())
        return [state for state in found if state is not None]

    def begin(self, seq: int | None) -> list[Line]:
        """Return what a reader lacks who comes: the states, and the events since `seq`.

        Who has missed what is no longer kept, or what another process told (-1), gets a ``gap``
        first, and should read ``/api/state``.
        """
        if seq is None:
            return sorted(self._states.values())
        if not self._forgotten.seq <= seq <= self.chronicle.seq:
            return self._after_a_gap(seq)
        lines = (line for line in self._kept if line.seq > seq)
        return sorted((*lines, *self._states.values()))

    def since(self, place: int) -> list[Line]:
        """Return what a reader lacks who has had everything up to a place."""
        if place < self._forgotten.place:
            return self._after_a_gap(self._forgotten.seq)
        lines = (*self._kept, *self._states.values())
        return sorted(line for line in lines if line.place > place)

    def news(self) -> asyncio.Event:
        """Return what is set at the next line; take it before looking for lines."""
        return self._news

    def _after_a_gap(self, seq: int) -> list[Line]:
        first = self._forgotten
        gap = Line(
            first.place, first.seq, "gap", msgspec.json.encode({"event": "gap", "after": seq})
        )
        return [gap, *sorted((*self._kept, *self._states.values()))]

    def _line(self, event: Event) -> Line:
        self.place += 1
        return Line(self.place, event.seq, str(event.__struct_config__.tag), to_line(event))

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
