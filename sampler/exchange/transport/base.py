"""The seam between the engine, which decides when to send, and the transports, which send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sampler.base.clock import Clock
    from sampler.exchange.record import Recorder
    from sampler.labels.reader import LabelReader
    from sampler.plan.load import Load
    from sampler.plan.target import Target

CLIENT_LIMIT_PAUSE_S = 0.05
"""How long a slot rests that found no port or descriptor [s]: at once there is none either."""
OWN_FILES = 64
"""Descriptors that are kept for everything but the slots' sockets: the interpreter's, the
loop's and the run's files."""
MOST_DRAINING = 1_024
"""Connections that may wait for their server's FIN at once, if there are descriptors for them."""


@dataclass(slots=True)
class Launches:
    """How many requests and connections there were, and may be.

    Parameters
    ----------
    launched : int
        Requests so far; the next one has this number.
    limit : int
        No request with this number is launched, for now.
    opened : int
        Connections so far; the next one has this number.
    """

    launched: int = 0
    limit: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a transport is connected to.

    Parameters
    ----------
    target, load
        What is sent, and how.
    reader : LabelReader
        Gives the codes of label and replica.
    recorder : Recorder
        Takes each finished exchange, exactly once for each launch.
    clock : Clock
        Monotonic time [ns].
    seed : int
        Of the transport's random choices (lengths of connections).
    on_idle : callable
        Called with the slot's number after its exchange has been recorded; never from
        within `Transport.launch`.
    launches_itself : bool, default False
        Whether a transport may launch the next request of an idle slot by itself, in place of the
        call of `on_idle`, while its `launches` are below their limit.
    """

    target: Target
    load: Load
    reader: LabelReader
    recorder: Recorder
    clock: Clock
    seed: int
    on_idle: Callable[[int], None]
    launches_itself: bool = False


@unique
class Closing(IntEnum):
    """Who ended a connection; whoever closes first keeps its port in TIME_WAIT."""

    BY_SERVER = 0
    """The server closed or reset it."""
    BY_US = 1
    """We closed it: a kept one at the end, or one whose server had not closed by then."""
    RESET = 2
    """We reset it: its exchange had failed, or its server did not close within the grace."""

    @property
    def key(self) -> str:
        """Name in documents."""
        return self.name.lower()


class Transport(Protocol):
    """Carries exchanges in numbered slots, one at a time in each. No transport ever retries.

    `closings` counts ended connections by `Closing`, where the transport can see who did it.
    `launches` are counted by whoever launches; their limit is the engine's to set.

    A slot keeps its connection between exchanges where the load's connection life says so.
    """

    name: str
    failure: BaseException | None
    closings: list[int]
    launches: Launches

    async def open(self) -> None:
        """Get ready to launch: resolve the name.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """

    def launch(self, slot: int, index: int, scheduled_ns: int | None = None) -> None:
        """Start exchange `index` in an idle slot; does not wait.

        `scheduled_ns` is when it was due by the clock; None is now. The exchange is recorded
        exactly once, whatever happens to it, and then `on_idle` is called, both after this
        call has returned.
        """

    def finish(self) -> None:
        """Tell the servers of idle connections that nothing follows; called now and then.

        Nothing is launched any more. What a server sends nobody asked for is known once it has
        ended the connection: so the samples of such a connection are held no longer than that.
        """

    def abort(self) -> None:
        """Abandon all exchanges in flight and record them as `Outcome.ABORTED`."""

    async def aclose(self) -> None:
        """Close all connections; nothing may be in flight."""


TransportFactory = Callable[[Wiring], Transport]
"""What the engine is given: makes a transport that is connected to it."""
