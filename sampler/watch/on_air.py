"""A watch that listens: its door is open for as long as it weighs."""

from __future__ import annotations

import asyncio
import platform
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sampler.base.version import __version__
from sampler.watch.metrics import Metrics
from sampler.watch.page import LivePages
from sampler.watch.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sampler.watch.several import Watching
    from sampler.web.door import Door

SHOWN_EVERY_S = 1.0
"""Between two states of a target that readers are shown [s]."""


@asynccontextmanager
async def on_air(
    watching: Watching, door: Door, on_open: Callable[[], None]
) -> AsyncIterator[None]:
    """Show everything that a watch tells to whoever asks at a door.

    Parameters
    ----------
    watching : Watching
    door : Door
    on_open : callable
        Called once somebody may ask.

    Raises
    ------
    UsageError
        If the address cannot be taken.
    """
    stream, metrics = Stream(), Metrics(__version__, platform.python_version())
    watching.teller.listeners += [stream.tell, metrics.tell]
    watching.teller.samplers.append(metrics.take)
    LivePages(stream, metrics).add_to(door.app)
    await door.open()
    door.unready = ""
    on_open()
    showing = asyncio.create_task(_show(watching, stream))
    try:
        yield
    finally:
        showing.cancel()
        door.unready = "ending"
        await door.close()


async def _show(watching: Watching, stream: Stream) -> None:
    while True:
        stream.show({name: session.latest for name, session in watching.sessions.items()})
        await asyncio.sleep(SHOWN_EVERY_S)
