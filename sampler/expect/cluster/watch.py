"""Watch the objects that a split depends on during a run, and report when it changes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, repeat
from math import inf
from typing import TYPE_CHECKING, Protocol, Self

from sampler.base.clock import run_clock
from sampler.base.errors import WeighbridgeError
from sampler.expect.cluster.api import AbsentError, Cluster, GoneError
from sampler.expect.cluster.news import ExpectationChange, News

if TYPE_CHECKING:
    from types import TracebackType

    from sampler.base.clock import Clock
    from sampler.expect.cluster.api import Events
    from sampler.expect.cluster.credentials import Access
    from sampler.expect.cluster.standing import Sight, Standing
    from sampler.expect.cluster.state import ClusterState, Key

REOPENED_WITHIN_S = 1.0
"""Time allowed to reopen a stream that ended; after it, the expected split is unknown [s].
Credentials that are renewed meanwhile take longer now and then."""
_RETRY_S = (0.1, 0.5, 1.0, 2.0)
"""Waits between attempts to see again [s]; the last one is repeated."""


class Watcher(Protocol):
    """The source of changes of a run's expectation: an asynchronous context."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def changes(self) -> list[ExpectationChange]:
        """Return the changes since the last call, in the order of time."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run watches for changes.

    Parameters
    ----------
    watcher : Watcher
        Says what changed.
    settle_s : float or None
        How long nothing is judged after a change [s]; None finds out.
    age_s : float or None
        How long ago the last change was made [s]; None if that is not known.
    remarks : tuple of str
        Sentences for the report, about what was read before the run.
    start : ExpectationChange or None
        What was known when the run began, if that holds the judging back.
    wait_s : float
        How long the run waits for the cluster while nothing can be judged [s].
    """

    watcher: Watcher
    settle_s: float | None = None
    age_s: float | None = None
    remarks: tuple[str, ...] = ()
    start: ExpectationChange | None = None
    wait_s: float = inf


class ClusterWatcher:
    """Keeps a `ClusterState` up to date by watching, each resource with a stream of its own.

    Parameters
    ----------
    access : Access
        Server and credentials.
    state : ClusterState
        What was read; kept up to date from here on.
    keys : list of Key
        What is watched.
    standing : Standing
        Says what of it is judged.
    sight : Sight
        Its look when the run began.
    clock : Clock
        Of the run.

    Notes
    -----
    An expired watch (410) is listed again. While a stream is broken, the expected split is not
    known; that is a change, too.
    """

    def __init__(
        self,
        access: Access,
        state: ClusterState,
        keys: list[Key],
        standing: Standing,
        sight: Sight,
        clock: Clock = run_clock,
    ) -> None:
        self._cluster = Cluster(access)
        self._state = state
        self._keys = keys
        self._clock = clock
        self._news = News(standing, sight)
        self._blind: dict[Key, str] = {}
        self._touched_ns: int | None = None
        self._streams: dict[Key, Events] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open all streams, so that nothing is judged that is not watched.

        Raises
        ------
        ExpectationError
            If the account may not watch.
        ClusterError
            If the API server cannot be reached or does not answer.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._cluster)
            stack.callback(self._close_streams)
            streams = await asyncio.gather(*map(self._open, self._keys), return_exceptions=True)
            for stream in streams:
                if isinstance(stream, BaseException):
                    raise stream
            self._tasks = [asyncio.create_task(self._follow(key)) for key in self._keys]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.__aexit__(kind, error, trace)

    def changes(self) -> list[ExpectationChange]:
        """Return the change since the last call, if there is one."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()  # a bug must not look like a quiet cluster
        now_ns = self._clock()
        if self._news.is_due(now_ns):
            self._touch()
        if self._touched_ns is None:
            return []
        blind = self._blindness()
        found = self._news.look(self._state, blind, self._touched_ns, now_ns)
        if found is None:
            return []
        self._touched_ns = None
        return found

    def _blindness(self) -> str:
        """Return what is no longer seen, and why; empty if all is."""
        if not self._blind:
            return ""
        lost = ", ".join(f"{resource.plural} in {namespace}" for resource, namespace in self._blind)
        what = "the cluster" if self._blind.keys() >= {*self._keys} else lost
        return f"{what} can no longer be watched: {next(iter(self._blind.values()))}"

    def _touch(self) -> None:
        if self._touched_ns is None:
            self._touched_ns = self._clock()

    def _close_streams(self) -> None:
        for stream in self._streams.values():
            stream.close()

    async def _open(self, key: Key) -> None:
        """Open the stream of one resource, and list it first if what is known is too old."""
        why = f"for {REOPENED_WITHIN_S:g} s no watch could be opened"
        late = asyncio.get_running_loop().call_later(REOPENED_WITHIN_S, self._lose, key, why)
        try:
            try:
                self._streams[key] = await self._cluster.watch(*key, self._state.versions[key])
            except GoneError:
                await self._list_again(key)
                self._streams[key] = await self._cluster.watch(*key, self._state.versions[key])
        finally:
            late.cancel()
        if self._blind.pop(key, None) is not None:
            self._touch()  # what was missed is told by the stream

    async def _follow(self, key: Key) -> None:
        """Watch one resource until the run is over."""
        waits = chain(_RETRY_S, repeat(_RETRY_S[-1]))
        while True:
            try:
                if key not in self._streams:
                    await self._open(key)
                async for kind, body in self._streams[key]:
                    waits = chain(_RETRY_S, repeat(_RETRY_S[-1]))
                    if self._state.apply(key, kind, body):
                        self._touch()
            except GoneError:
                self._shut(key)
                await self._see_again(key)
                await asyncio.sleep(next(waits))  # what comes meanwhile is not lost
            except (WeighbridgeError, AbsentError) as error:
                self._shut(key)
                self._lose(key, error)
                await asyncio.sleep(next(waits))
                await self._see_again(key)
            else:  # a stream ends now and then; one that ends at once must not make us spin
                self._shut(key)
                await asyncio.sleep(next(waits))

    def _shut(self, key: Key) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            stream.close()

    async def _see_again(self, key: Key) -> None:
        """List a resource anew, as often as it takes."""
        for wait_s in chain(_RETRY_S, repeat(_RETRY_S[-1])):
            try:
                await self._list_again(key)
            except (WeighbridgeError, AbsentError) as error:
                self._lose(key, error)
                await asyncio.sleep(wait_s)
            else:
                return

    def _lose(self, key: Key, why: object) -> None:
        if self._blind.get(key) != str(why):
            self._blind[key] = str(why)
            self._touch()

    async def _list_again(self, key: Key) -> None:
        """List what was missed."""
        listing = await self._cluster.list(*key)
        was_blind = self._blind.pop(key, None) is not None
        if self._state.take(key, listing.items, listing.version) or was_blind:
            self._touch()
