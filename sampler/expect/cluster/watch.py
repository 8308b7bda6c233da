"""Watch the objects that a split depends on during a run, and report when it changes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, repeat
from math import inf
from typing import TYPE_CHECKING, Protocol, Self

from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import ClusterError, WeighbridgeError
from sampler.expect.cluster.answers import AbsentError, GoneError
from sampler.expect.cluster.api import Cluster
from sampler.expect.cluster.news import ExpectationChange, News

if TYPE_CHECKING:
    from collections.abc import Iterator
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
_LASTS_S = 1.0
"""A stream that was open for so long is opened again without a longer wait [s]."""
ANSWERED_WITHIN_S = 5.0
"""Time allowed to a server that is asked for all objects until it gives the first of them [s]."""
_LOOKS = 20
_LOOKS_EVERY_S = 0.1
"""How often, and how long, a stream is given the time to tell what a list shows [s]."""


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

    def is_confirmed(self, since_ns: int) -> bool:
        """Whether all was read anew after a moment, on the clock of the run [ns].

        Asking begins it. A verdict is final only then.
        """
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
    known; that is a change, too. A stream that was cut in silence looks like a quiet cluster:
    `is_confirmed` reads all objects once more before a verdict is final.
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
        self._heard_ns: dict[Key, int] = {}
        """When a resource was last known to be watched [ns]."""
        self._down_ns: dict[Key, int] = {}
        """Since when there is no stream, of those that ended [ns]."""
        self._late: dict[Key, asyncio.TimerHandle] = {}
        self._given_up: set[Key] = set()
        self._confirmed_ns = -1
        self._confirming: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open all streams, so that nothing is judged that is not watched.

        Raises
        ------
        ExpectationError
            If the account may not watch.
        ClusterError
            If what was listed cannot be watched. A server that does not answer any more is asked
            again, as later.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._cluster)
            stack.callback(self._close_streams)
            streams = await asyncio.gather(*map(self._open, self._keys), return_exceptions=True)
            for key, stream in zip(self._keys, streams, strict=True):
                if isinstance(stream, (GoneError, AbsentError)):
                    raise ClusterError(
                        f"{key[0].plural} in {key[1]} were listed and cannot be watched: {stream}",
                        hint="kubectl get --raw /readyz?verbose says how the API server is; "
                        "try again",
                    ) from stream
                if isinstance(stream, ClusterError):
                    self._lose(key, stream)  # all was listed just now: it is opened again
                elif isinstance(stream, BaseException):
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
        tasks = [each for each in (*self._tasks, self._confirming) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.__aexit__(kind, error, trace)

    def changes(self) -> list[ExpectationChange]:
        """Return the change since the last call, if there is one."""
        for task in (*self._tasks, self._confirming):
            if task is None:
                continue
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

    def is_confirmed(self, since_ns: int) -> bool:
        """Whether all objects were read anew after a moment, and the watches had told the same."""
        if self._confirmed_ns >= since_ns:
            return True
        if self._confirming is None or self._confirming.done():
            self._confirming = asyncio.create_task(self._confirm())
        return False

    async def _confirm(self) -> None:
        """Read all objects anew; what the watches have not told was lost on the way."""
        began_ns = self._clock()
        silent = {key: asyncio.create_task(self._is_silent(key)) for key in self._keys}
        try:
            done, _ = await asyncio.wait(
                silent.values(), timeout=ANSWERED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                why = self._cluster.busy or "the API server did not answer"
                self._cut(self._keys, f"for {ANSWERED_WITHIN_S:g} s {why}")
                return
            await asyncio.gather(*silent.values())
        except (WeighbridgeError, AbsentError) as error:
            self._cut(self._keys, error)
        else:
            lost = [key for key, task in silent.items() if task.result()]
            self._cut(lost, "what has changed was not told by its watch")
            if not self._blind:
                self._confirmed_ns = began_ns
                self._heard_ns = dict.fromkeys(self._keys, began_ns)
        finally:
            for task in silent.values():
                task.cancel()
            await asyncio.gather(*silent.values(), return_exceptions=True)
        await asyncio.sleep(_RETRY_S[0])

    async def _is_silent(self, key: Key) -> bool:
        """Whether a resource is another one than its watch has told."""
        heard_ns = self._heard_ns.get(key)
        listing = await self._cluster.list(*key)
        for _ in range(_LOOKS):
            if self._heard_ns.get(key) != heard_ns or not self._state.differs(key, listing.items):
                return False
            await asyncio.sleep(_LOOKS_EVERY_S)  # it may be under way
        return True

    def _cut(self, keys: list[Key], why: object) -> None:
        """Give streams up, and open others: since when they were silent is not known."""
        heard_ns = max((self._heard_ns.get(key, 0) for key in keys), default=0)
        for key in keys:
            self._down_ns.setdefault(key, heard_ns)
            self._lose(key, why)
            if key in self._streams:
                self._given_up.add(key)
            self._shut(key)

    def _touch(self, at_ns: int | None = None) -> None:
        now_ns = self._clock() if at_ns is None else at_ns
        self._touched_ns = min(now_ns, self._touched_ns or now_ns)

    def _close_streams(self) -> None:
        for stream in self._streams.values():
            stream.close()
        for timer in self._late.values():
            timer.cancel()

    async def _open(self, key: Key) -> None:
        """Open the stream of one resource, and list it first if what is known is too old."""
        self._expect_soon(key)
        try:
            self._streams[key] = await self._cluster.watch(*key, self._state.versions[key])
        except GoneError:
            await self._list_again(key)
            self._streams[key] = await self._cluster.watch(*key, self._state.versions[key])
        self._late.pop(key).cancel()
        self._heard_ns[key] = self._clock()
        self._down_ns.pop(key, None)
        if key in self._blind:
            # Of a version that is too old, servers tell on a stream that they open.
            loop = asyncio.get_running_loop()
            loop.call_later(_LASTS_S, self._see, key, self._streams[key])

    def _see(self, key: Key, stream: Events) -> None:
        """Trust a stream that was lost before, once it has lasted."""
        if self._streams.get(key) is stream and self._blind.pop(key, None) is not None:
            self._touch()  # what was missed is told by the stream

    def _expect_soon(self, key: Key) -> None:
        """Say so if there is no stream for long."""
        if key not in self._late:
            loop = asyncio.get_running_loop()
            self._late[key] = loop.call_later(REOPENED_WITHIN_S, self._miss, key)

    def _miss(self, key: Key) -> None:
        why = f" ({self._cluster.busy})" if self._cluster.busy else ""
        self._lose(key, f"for {REOPENED_WITHIN_S:g} s no watch could be opened{why}")

    async def _follow(self, key: Key) -> None:
        """Watch one resource until the run is over."""
        waits = _waits()
        while True:
            is_stale, opened_ns = False, self._clock()
            try:
                if key not in self._streams:
                    await self._open(key)
                async for kind, body in self._streams[key]:
                    self._heard_ns[key] = self._clock()
                    if self._state.apply(key, kind, body):
                        self._touch()
            except GoneError:
                is_stale = True
            except (WeighbridgeError, AbsentError) as error:
                is_stale = True
                if key not in self._given_up:  # else the reason is known
                    self._lose(key, error)
            # One that ends at once must not make us spin; one that ends now and then is no trouble.
            self._shut(key)
            self._given_up.discard(key)
            if self._clock() - opened_ns >= _LASTS_S * NS_PER_S:
                waits = _waits()
            await asyncio.sleep(next(waits))
            if is_stale:
                await self._see_again(key)

    def _shut(self, key: Key) -> None:
        stream = self._streams.pop(key, None)
        if stream is not None:
            stream.close()
            self._down_ns.setdefault(key, self._clock())
            self._expect_soon(key)

    async def _see_again(self, key: Key) -> None:
        """List a resource anew, as often as it takes."""
        for wait_s in _waits():
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
            self._touch(self._down_ns.get(key))

    async def _list_again(self, key: Key) -> None:
        """List what was missed."""
        listing = await self._cluster.list(*key)
        if self._state.take(key, listing.items, listing.version):
            self._touch(self._down_ns.get(key))


def _waits() -> Iterator[float]:
    return chain(_RETRY_S, repeat(_RETRY_S[-1]))
