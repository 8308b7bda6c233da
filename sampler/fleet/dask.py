"""A crew of Dask workers: each task has a child process sample, and only forwards.

Words go up as events of a topic; orders go down by a queue of the scheduler, at which the task
waits. So a task that cannot reach the scheduler any more gets no leases, and its child stops.

Nothing stays at the scheduler but the events, which it forgets an hour after the client whose name
their topic has, and, of a client that was killed, the queues.

A task is pinned to its worker: Dask would run it once more elsewhere when the worker dies, which
sends twice. It would run it again where a worker comes back under its old address, too; but what
to send is the first order, which a queue hands out once, and without it a child ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from sampler.base.errors import UsageError
from sampler.base.version import __version__
from sampler.expect.cluster.position import NODE_NAMES
from sampler.fleet.messages import ANSWER_S, Gone, Vantage, pack, unpack
from sampler.fleet.task import ENDING_S, ZONE, describe, key_of, meet, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.fleet.messages import Order, Word


class NotYetError(UsageError):
    """There are no workers, or too few, or no scheduler: they may still come."""


CONNECT_S = 3.0
"""Time for the scheduler, and for the workers, to answer [s]."""
GATHERING_S = 60.0
"""Time to wait for workers of as many places as were asked for [s]."""
_LEASES_PER_S = 600
"""To all vantages together, about: one scheduler hands them out [1/s]."""
_LOOK_S = 2.0
"""Between two looks at what the scheduler knows of the workers [s]."""
_SURVEY_S = 0.5
_READY_S = 10.0


@dataclass(slots=True)
class _Task:
    """The task of one vantage, and what it is to be told."""

    future: Any = None
    queue: Any = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    orders: dict[str, bytes] = field(default_factory=dict)
    is_told: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: bool = False


class DaskWorkers:
    """The workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler: ``tls://…`` or ``tcp://…``.
    vantages : sequence of Vantage
        Which workers, as `survey` found them.
    """

    def __init__(self, address: str, vantages: Sequence[Vantage]) -> None:
        self.answer_s = max(ANSWER_S, len(vantages) / _LEASES_PER_S)
        self._address = address
        self._vantages = list(vantages)
        self._tasks = [_Task() for _ in vantages]
        self._helpers: list[asyncio.Task[None]] = []
        self._client: Any = None

    async def open(self, inbox: asyncio.Queue[tuple[int, Word]]) -> Sequence[Vantage]:
        """Give each worker its task, and wait until all are ready: that is no part of the run."""
        from distributed import Queue  # noqa: PLC0415 - heavy, and an extra

        client = self._client = await _connected(self._address)
        client.subscribe_topic(client.id, partial(self._take, inbox))
        keys = [key_of(client.id, number) for number in range(len(self._tasks))]
        queue = cast("Any", Queue)
        queues = await asyncio.gather(*(queue(key, client=client) for key in keys))
        for number, task in enumerate(self._tasks):
            task.queue = queues[number]
            task.future = client.submit(
                sample, client.id, number, key=keys[number], pure=False, retries=0,
                workers=[self._vantages[number].address], allow_other_workers=False,
            )  # fmt: skip
        self._helpers = [
            asyncio.create_task(self._look(inbox)),
            *(asyncio.create_task(self._send(task)) for task in self._tasks),
        ]
        ready = [asyncio.create_task(task.is_ready.wait()) for task in self._tasks]
        _, late = await asyncio.wait(ready, timeout=_READY_S)
        for each in late:  # it is lost if it says nothing later on, either
            each.cancel()
        return self._vantages

    def tell(self, number: int, order: Order) -> None:
        """Send an order; of what could not be sent yet, the newest of each kind is."""
        task = self._tasks[number]
        task.orders[type(order).__name__] = pack(order)
        task.is_told.set()

    def give_up(self, number: int) -> None:
        """Wait no longer for a task."""
        self._tasks[number].is_gone = True

    async def close(self) -> None:
        """Wait for the runs of the tasks to end, and leave nothing at the scheduler."""
        if self._client is None:
            return
        live = [each.future for each in self._tasks if each.future and not each.is_gone]
        with contextlib.suppress(Exception):  # the scheduler may be gone, in any of Dask's ways
            if live:
                await asyncio.wait([asyncio.ensure_future(_ended(each)) for each in live],
                                   timeout=ENDING_S)  # fmt: skip
        for helper in self._helpers:
            helper.cancel()
        with contextlib.suppress(Exception):
            queues = [each.queue for each in self._tasks if each.queue]
            ends = asyncio.gather(*(queue.put(b"") for queue in queues))  # to whoever waits there
            await asyncio.wait_for(ends, CONNECT_S)
            for queue in queues:
                queue.close()
            self._client.unsubscribe_topic(self._client.id)
            futures = [each.future for each in self._tasks if each.future]
            await asyncio.wait_for(self._client.cancel(futures, force=True), CONNECT_S)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.close(), CONNECT_S)

    async def _send(self, task: _Task) -> None:
        """Hand a task its orders, one message after the other."""
        while True:
            await task.is_told.wait()
            task.is_told.clear()
            orders, task.orders = b"".join(task.orders.values()), {}
            with contextlib.suppress(Exception):  # without leases it stops
                await task.queue.put(orders)

    async def _look(self, inbox: asyncio.Queue[tuple[int, Word]]) -> None:
        """Notice workers that have left, tasks that have ended, and a scheduler that is gone."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                there = await asyncio.wait_for(self._client.scheduler.ncores(), CONNECT_S)
            except Exception:  # noqa: BLE001 - whatever Dask raises, nobody can be heard
                there = None
            for number, task in enumerate(self._tasks):
                why = ""
                if there is None:
                    why = "the Dask scheduler is gone"
                elif self._vantages[number].address not in there:
                    why = "its Dask worker left"
                elif task.future.status == "error":
                    why = f"its task failed: {await task.future.exception()}"
                elif task.future.done():  # what it said before is here
                    why = "its process ended"
                if why:
                    inbox.put_nowait((number, Gone(why)))
                    task.is_ready.set()
            if there is None:
                return

    def _take(self, inbox: asyncio.Queue[tuple[int, Word]], event: tuple[float, Any]) -> None:
        if not isinstance(event[1], dict):  # those are the scheduler's own, about its client
            number, data = event[1]
            self._tasks[number].is_ready.set()
            for word in unpack(data):
                inbox.put_nowait((number, cast("Word", word)))


async def _ended(future: Any) -> None:
    with contextlib.suppress(Exception):
        await future


async def _connected(address: str) -> Any:
    """Return a client of a scheduler.

    Raises
    ------
    UsageError
        If Dask is not installed, or the scheduler cannot be reached.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - heavy, and an extra
    except ImportError as error:
        raise UsageError(
            "--dask needs the package distributed", hint="pip install '.[dask]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is reported here
    try:
        return await cast("Any", Client)(address, asynchronous=True, timeout=CONNECT_S)
    except Exception as error:  # whatever Dask raises, of its configuration, too
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotYetError(
            f"no Dask scheduler can be reached at {address}: {why}",
            hint="give its address, as in --dask tls://scheduler:8786; certificates are set in "
            "Dask's configuration (distributed.comm.tls)",
        ) from error


async def survey(address: str) -> list[Vantage]:
    """Return the workers of a scheduler, after comparing versions with them.

    Raises
    ------
    UsageError
        If there are none, one does not answer, or one has another version of something.
    """
    client = await _connected(address)
    try:
        there = (await client.scheduler.identity(n_workers=-1))["workers"]
        asked = client.run(meet, on_error="return")
        told = await asyncio.wait_for(asked, CONNECT_S)
    except TimeoutError:
        raise UsageError(
            f"a worker of {address} did not answer within {CONNECT_S:g} s",
            hint="look at the workers' logs; one that hangs must leave before a check",
        ) from None
    finally:
        await client.close()
    if not there:
        raise NotYetError(
            f"the scheduler at {address} has no workers", hint="start them: dask worker ADDRESS"
        )
    own, vantages = describe(), []
    for place in sorted(there, key=lambda each: str(there[each]["name"])):
        name, found = str(there[place]["name"]), told.get(place)
        if not isinstance(found, dict):
            raise UsageError(
                f"the Dask worker {name} has no weighbridge that fits: {found}",
                hint=f"install weighbridge {__version__} there, in the same Python",
            )
        differing = [
            f"{what} {found[what]} instead of {own[what]}"
            for what in ("weighbridge", "python", "distributed")
            if found[what] != own[what]
        ]
        if differing:
            raise UsageError(
                f"the Dask worker {name} has {', '.join(differing)}",
                hint="install the same versions on all of them, as from one image",
            )
        vantages.append(Vantage(name, found["node"], found["zone"], place, found["source"]))
    return vantages


async def gathered(address: str, choice: str, least: int) -> list[Vantage]:
    """Return the vantages that ``--vantage`` asks for, once so many places have one.

    Parameters
    ----------
    address : str
        Of the scheduler.
    choice : str
        As for `chosen`; empty is ``zone`` if all workers say theirs, else ``all``.
    least : int
        Waits for so many, for `GATHERING_S` at most; 0 takes what there is.

    Raises
    ------
    UsageError
        As `survey` and `chosen`; or if there are too few in the end.
    """
    ends = time.monotonic() + (GATHERING_S if least else 0.0)
    while True:
        try:
            found = await survey(address)
            here = choice or ("zone" if all(each.zone for each in found) else "all")
            return chosen(found, here, least)
        except NotYetError:
            if time.monotonic() >= ends:
                raise
            await asyncio.sleep(_SURVEY_S)


def chosen(vantages: Sequence[Vantage], choice: str, least: int = 0) -> list[Vantage]:
    """Return the vantages that ``--vantage`` asks for.

    Parameters
    ----------
    vantages : sequence of Vantage
        All there are, at least one.
    choice : str
        ``zone`` or ``node``: one of each; ``all``; or how many, spread over the zones.
    least : int, default 0
        How many zones or nodes there have to be.

    Raises
    ------
    UsageError
        If a worker does not say where it is, or there are too few.
    """
    if choice == "all":
        return list(vantages)
    if choice in {"zone", "node"}:
        where: Callable[[Vantage], str] = lambda each: getattr(each, choice)  # noqa: E731
        homeless = [each.name for each in vantages if not where(each)]
        if homeless:
            variable = ZONE if choice == "zone" else NODE_NAMES[0]
            raise UsageError(
                f"--vantage {choice}: the Dask worker {homeless[0]} does not say its {choice}",
                hint=f"set {variable} for each worker (docs/fleet.md), or give --vantage all",
            )
        one_of_each = list({where(each): each for each in reversed(vantages)}.values())[::-1]
        if len(one_of_each) < least:
            raise NotYetError(
                f"--vantage {choice}:{least}: there are workers in {len(one_of_each)} of them",
                hint="start more, or ask for fewer",
            )
        return one_of_each
    number = int(choice)
    if number > len(vantages):
        raise UsageError(
            f"--vantage {number}: there are {len(vantages)} Dask workers",
            hint="start more, or ask for fewer",
        )
    zones: dict[str, list[Vantage]] = {}
    for each in vantages:
        zones.setdefault(each.zone, []).append(each)
    rounds = max(map(len, zones.values()))
    in_turn = [zone[i] for i in range(rounds) for zone in zones.values() if i < len(zone)]
    return in_turn[:number]


def is_exposed(address: str) -> bool:
    """Whether others than this machine can reach a scheduler that does not ask who they are."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme == "tls":
        return False
    with contextlib.suppress(ValueError):
        return not ip_address(parts.hostname or "").is_loopback
    return parts.hostname != "localhost"
