"""What a vantage and its coordinator tell each other.

Both are weighbridge, in the same version, and trust each other; between processes messages are
pickled, and samples in them are Arrow IPC.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

from analysis.weighing.merging import SLICE_NS
from sampler.base.clock import NS_PER_S

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from sampler.engine.effort import Effort
    from sampler.plan.run import RunPlan

PATIENCE_S = 30.0
"""Time that a child waits for its first order [s]."""
ANSWER_S = 0.05
"""Time that a lease is asked for before it runs out: longer than the answer takes [s]."""
SLICE_S = SLICE_NS / NS_PER_S
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Start:
    """To a vantage, first of all: sample.

    Parameters
    ----------
    plan : RunPlan
        Its part of the load; `out` is the folder of the run that it keeps.
    number : int
        Of the vantage, >= 0.
    seed : int
        Of its own arrivals; that of the plan is the one that judges.
    answer_s : float
        As of `sampler.fleet.fleet.Crew`.
    """

    plan: RunPlan
    number: int
    seed: int
    answer_s: float

    @property
    def ahead_s(self) -> float:
        """For how long a lease lasts: until the next one is asked for, and answered [s].

        One is asked for with each slice that is sealed; with fewer of them where the answers to
        all vantages take longer than a slice.
        """
        return max(ceil(self.answer_s / SLICE_S), 1) * SLICE_S + self.answer_s + ANSWER_S


@dataclass(frozen=True, slots=True)
class Lease:
    """To a vantage: launch so many in all; `is_last` if it will never be more."""

    launches: int
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """To a vantage: send no more than this; None is what the plan says [1/s]."""

    rate_per_s: float | None
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """To a vantage: launch nothing more; give up what is in flight, too, if `is_abort`."""

    is_abort: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """From a child, first of all: everything is imported."""


@dataclass(frozen=True, slots=True)
class Wish:
    """From a vantage: asks for a lease of so many launches in all, and launches none before."""

    launches: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """From a vantage: what it planned before this slice is complete; and that it is alive.

    Parameters
    ----------
    slices : int
        As `analysis.weighing.merging.Merger.seal` takes them.
    data : bytes
        Samples that were not sealed before, as Arrow IPC; empty if there are none.
    """

    slices: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """From a vantage, last of all: everything is sealed.

    Parameters
    ----------
    effort : Effort or None
        What it took; None if it ended by an error.
    run : str
        Folder of its own run; empty where none was written.
    error, hint : str
        Why it could not sample, if so, and what to do.
    gave_up : bool
        Whether it stopped because it heard nothing from the coordinator.
    """

    effort: Effort | None
    run: str = ""
    error: str = ""
    hint: str = ""
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """From a crew: nothing more will come of this vantage."""

    why: str


Order: TypeAlias = "Start | Lease | Pace | Stop"
Word: TypeAlias = "Ready | Wish | Sealed | Done | Gone"


def pack(message: Order | Word) -> bytes:
    """Return a message as bytes, its length in front."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def whole(data: bytes | bytearray) -> int:
    """Return how many bytes from the beginning are whole messages."""
    end = 0
    while len(data) - end >= _LENGTH.size:
        after = end + _LENGTH.size + _LENGTH.unpack_from(data, end)[0]
        if after > len(data):
            break
        end = after
    return end


def unpack(data: bytes) -> Iterator[object]:
    """Yield the messages that `pack` made, in a process of the same version."""
    end = 0
    while end < len(data):
        (length,) = _LENGTH.unpack_from(data, end)
        first, end = end + _LENGTH.size, end + _LENGTH.size + length
        yield pickle.loads(data[first:end])  # noqa: S301 - from our own worker


async def receive(reader: asyncio.StreamReader) -> object | None:
    """Return the next message of a child or of the parent; None when the other end is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        data = await reader.readexactly(length)
    except (EOFError, OSError):  # asyncio.IncompleteReadError is an EOFError
        return None
    message: object = pickle.loads(data)  # noqa: S301 - from our own process, over its own socket
    return message


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where requests are sent from.

    Parameters
    ----------
    name : str
        Unique in the run.
    node, zone : str
        Where it is; empty where that is not known.
    address : str
        Of its process; empty for a child of this one.
    source : str
        IP address that its connections come from; empty lets its system choose.
    """

    name: str
    node: str = ""
    zone: str = ""
    address: str = ""
    source: str = ""
