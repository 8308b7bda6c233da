"""The story of a drift, weighed without an end: weights that fall to 1:1 in mid-run, and return."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from analysis import Split
from analysis.data.live import State
from analysis.data.live_events import AlarmTold, NoteTold, StateTold
from analysis.data.report import Source
from analysis.watching.asked import WatchPolicy
from sampler.demo.process import EmbeddedService
from sampler.plan.load import Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.watch.session import Session
from sampler.watch.several import Setup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.data.live import Alarm
    from analysis.data.live_events import Event
    from sampler.watch.several import Watching
    from sampler.watch.telling import Teller

RATE = 400.0
"""Connections per second of the story [1/s]."""
FALSE_ALARM_S = 30 * 86_400.0
LONGEST_S = 120.0
"""Unless somebody looks at it, the story ends after this time [s]."""

_RIGHT, _WRONG = {"v1": 9, "v2": 1}, {"v1": 5, "v2": 5}


async def tell(
    out: Path,
    *,
    seed: int,
    concurrency: int,
    watching: Watching,
    on_told: Callable[[], None],
    longest_s: float,
) -> Alarm | None:
    """Play the story on an embedded Service.

    Parameters
    ----------
    out : Path
        Folder of the runs.
    seed : int
        Of the Service's picks and of the sampler.
    concurrency : int
        Most requests in flight at once.
    watching : Watching
        Takes the target; whoever shows it listens to its stream. It is weighed until it is stopped.
    on_told : callable
        Called at the end of the story.
    longest_s : float
        It ends after this time, whatever has come of it [s].

    Returns
    -------
    Alarm or None
        The drift, with its cause, if it was found and its end was proven.
    """
    events: asyncio.Queue[Event] = asyncio.Queue()
    listeners = watching.teller.listeners
    listeners.append(events.put_nowait)
    with EmbeddedService(_RIGHT, seed=seed) as service:
        plan = RunPlan(
            Target(service.url),
            Load(concurrency=concurrency, rate=RATE),
            split=Split.of(_RIGHT),
            source=Source("declared", "demo", "nine pods of v1, one of v2"),
            seed=seed,
            out=out,
            name="watch-demo",
            command="weighbridge demo --watch",
        )
        asked = WatchPolicy(plan.policy, FALSE_ALARM_S, RATE)

        def make(stream: Teller) -> Session:
            return Session("demo", plan, asked, stream, max_time_s=longest_s)

        watching.update([Setup("demo", {}, make)])
        story = asyncio.create_task(_turn(events, service, watching, on_told))
        story.add_done_callback(lambda _: listeners.remove(events.put_nowait))
        try:
            await watching.wait()
        finally:
            story.cancel()
            await asyncio.gather(story, return_exceptions=True)
        return None if story.cancelled() else story.result()


async def _turn(
    events: asyncio.Queue[Event],
    service: EmbeddedService,
    watching: Watching,
    on_told: Callable[[], None],
) -> Alarm | None:
    """Change the weights when the split is proven, and back when the drift is found."""
    await _until_ok(events)
    await asyncio.to_thread(service.configure, _WRONG)
    alarm = None
    while alarm is None:
        event = await events.get()
        alarm = event.alarm if isinstance(event, AlarmTold) else None
    session = watching.sessions["demo"]
    while session.lookout.last_alarm is not None and not session.lookout.last_alarm.cause:
        event = await events.get()
        if isinstance(event, NoteTold) and event.kind == "cause":
            break
    alarm = session.lookout.last_alarm
    await asyncio.to_thread(service.configure, _RIGHT)
    await _until_ok(events)
    on_told()
    return alarm


async def _until_ok(events: asyncio.Queue[Event]) -> None:
    while True:
        event = await events.get()
        if isinstance(event, StateTold) and event.state.state is State.OK:
            return
