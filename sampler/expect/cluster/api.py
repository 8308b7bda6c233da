"""A Kubernetes API server, as a reader: list and watch, and nothing else.

Objects stay the plain mappings that the server sends. Credentials that are not accepted any more
are renewed once for each request (`sampler.expect.cluster.credentials`).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain, repeat
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import msgspec

from sampler.base.errors import ClusterError, UsageError
from sampler.expect.cluster.answers import (
    MOST_BYTES,
    GoneError,
    Lines,
    UnauthorizedError,
    event_of,
    in_words,
    items_of,
    nonsense,
    refuse,
    said_of,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from sampler.expect.cluster.credentials import Access
    from sampler.expect.cluster.resources import Resource

TIMEOUT_S = 10.0
"""How long the API server may take for an answer [s]."""

_PAGE = 100
_MOST_PAGES = 1000
MOST_LISTED_BYTES = 256 << 20
"""Bytes of all pages of a list."""
_MOST_REFUSAL = 65_536
_WATCH_S = 30
"""A watch is opened again after this time [s]: a connection that was cut in silence shows then."""
_TOO_MANY, _STARTING = 429, 503
"""Priority and fairness, or a limit of a proxy; with ``Retry-After``, a server that starts."""
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
"""A busy server is asked again after so much time at least; the last is repeated [s]."""
LISTED_WITHIN_S = 300.0
"""Time for all pages of a list [s]: continuations expire after five to ten minutes."""
_CLOCKS_DIFFER_S = 2.0
"""Clocks that are apart by less are taken for the same: dates have whole seconds [s]."""
_SELDOM_S = 2.0
"""Credentials are renewed no more often than this [s]: streams that fail are many."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a resource in a namespace.

    Parameters
    ----------
    items : list of dict
        Each with its kind.
    version : str
        Where a watch goes on from.
    """

    items: list[dict[str, Any]]
    version: str


class Events:
    """The events of a watch: an asynchronous iterator of type and object, to be closed.

    Parameters
    ----------
    read : callable
        Gives the next line; nothing at the end.
    close : callable
        Gives the connection up.
    resource : Resource
        What is watched.
    """

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], close: Callable[[], None], resource: Resource
    ) -> None:
        self._read = read
        self._resource = resource
        self.close = close

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, dict[str, Any]]:
        while line := await self._read():
            if line.strip():
                return event_of(line, self._resource)
        raise StopAsyncIteration


class Cluster:
    """A connection to the API server; an asynchronous context.

    Parameters
    ----------
    access : Access
        Server and credentials.
    timeout_s : float
        How long an answer may take [s].

    Attributes
    ----------
    busy : str
        How a busy server put off the last request; empty if it did not.
    ahead_s : float
        By how much the clock of this machine is ahead of the server's [s]; 0 if that is little,
        or not known.
    """

    def __init__(self, access: Access, timeout_s: float = TIMEOUT_S) -> None:
        self.access = access
        self._timeout_s = timeout_s
        self._client: Any = None
        self._clients = AsyncExitStack()
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._tried_s = -_SELDOM_S
        self.busy = ""
        self.ahead_s = 0.0

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    def _connect(self) -> None:
        """Make a client with the certificates of now; streams of earlier ones stay open."""
        from kubernetes_asyncio.client import ApiClient  # noqa: PLC0415 - an extra, and heavy

        try:
            client = ApiClient(self.access.configuration)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"the certificates of {self.access.configuration.host} cannot be used: {error}",
                hint="see certificate-authority and client-certificate in the kubeconfig",
            ) from error
        client.user_agent = "weighbridge"
        self._clients.push_async_callback(client.close)
        self._client = client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._clients.aclose()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read a JSON document of the API.

        Raises
        ------
        ForbiddenError
            If the account may not.
        AbsentError
            If it is not there.
        GoneError
            If the continuation has expired.
        ClusterError
            If the server cannot be reached, takes too long, or gives something else.
        """
        document, _ = await self._sized(path, query or {})
        return document

    async def _sized(self, path: str, query: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        """Read a document, and return how many bytes it had."""
        found: tuple[dict[str, Any], int] = await self._admitted(
            lambda: self._guarded(self._get(path, query), path)
        )
        return found

    async def _admitted(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask; if the credentials are not accepted, once more with new ones."""
        if self.access.origin.is_stale():
            await self._renew(self._renewals)
        known = self._renewals
        try:
            return await ask()
        except UnauthorizedError:
            if not await self._renew(known):
                raise
        return await ask()

    async def _renew(self, known: int) -> bool:
        """Renew the credentials, unless somebody did since; return whether there are other ones."""
        async with self._renewing:
            if self._renewals != known:
                return True
            if monotonic() - self._tried_s < _SELDOM_S:
                return False
            self._tried_s = monotonic()
            before, certificate = self.access.identity(), self.access.certificate()
            await self.access.origin.renew(self.access.configuration)
            if self.access.identity() == before:
                return False
            if self.access.certificate() != certificate:
                self._connect()
            self._renewals += 1
            return True

    async def list(self, resource: Resource, namespace: str) -> Listing:
        """List a resource in a namespace, page by page.

        Raises
        ------
        ForbiddenError, AbsentError, ClusterError
            As `get`.
        """
        for _ in range(2):
            try:
                return await self._pages(resource, namespace)
            except GoneError:
                continue  # a continuation expired between two pages: once more from the start
        raise ClusterError(
            f"{resource.plural} in {namespace} change faster than they can be listed",
            hint="try again",
        )

    async def _pages(self, resource: Resource, namespace: str) -> Listing:
        items: list[dict[str, Any]] = []
        query = {"limit": str(_PAGE)}
        size, began_s = 0, monotonic()
        for _ in range(_MOST_PAGES):
            page, bytes_of_page = await self._sized(resource.path(namespace), query)
            size += bytes_of_page
            if size > MOST_LISTED_BYTES:
                raise too_large(f"all {resource.plural} in {namespace}", MOST_LISTED_BYTES)
            found, version, rest = items_of(page, resource)
            items += found
            if not rest:
                return Listing(items, version)
            if rest == query.get("continue"):
                raise nonsense(
                    f"a list of {resource.plural} that goes on where it was", rest.encode()
                )
            if monotonic() - began_s > LISTED_WITHIN_S:
                raise ClusterError(
                    f"{resource.plural} in {namespace} could not be listed within "
                    f"{LISTED_WITHIN_S:g} s: {len(items)} came",
                    hint="see whether kubectl get --raw /readyz is as slow; try again",
                )
            query["continue"] = rest
        raise ClusterError(
            f"there are more than {_PAGE * _MOST_PAGES} {resource.plural} in {namespace}",
            hint="declare the split with --expect",
        )

    async def watch(self, resource: Resource, namespace: str, version: str) -> Events:
        """Open a stream of what happens after `version`; it is open when this returns.

        Returns
        -------
        Events
            Raises like this, too.

        Raises
        ------
        GoneError
            If `version` is too old.
        ForbiddenError, AbsentError, ClusterError
            As `get`.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
        }
        path = resource.path(namespace)
        response = await self._admitted(lambda: self._guarded(self._open(path, query), path))

        lines = Lines(response.content, f"an event of {resource.plural} in {namespace}")

        async def read() -> bytes:
            line: bytes = await self._guarded(lines.read(), path, _WATCH_S + self._timeout_s)
            return line

        return Events(read, response.close, resource)

    async def _get(self, path: str, query: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        response = await self._open(path, query)
        data = bytearray()
        try:
            while part := await response.content.readany():
                data += part
                if len(data) > MOST_BYTES:
                    response.close()
                    raise too_large(f"the answer for {path}", MOST_BYTES)
        finally:
            response.release()
        # Faster than Python's, which would hold up a run.
        document = msgspec.json.decode(data)
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")  # noqa: TRY004 - wrong text, not a wrong type
        return document, len(data)

    async def _open(self, path: str, query: Mapping[str, str]) -> Any:
        import aiohttp  # noqa: PLC0415 - heavy, and here already with kubernetes-asyncio

        began_s, pauses_s = monotonic(), chain(_PAUSES_S, repeat(_PAUSES_S[-1]))
        while True:
            response = await self._client.call_api(
                path,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=aiohttp.ClientTimeout(total=None, connect=self._timeout_s),
            )
            self._compare_clocks(response.headers.get("Date", ""))
            told_s = _told_to_wait(response)
            if told_s is None:
                self.busy = ""
                break
            self.busy = f"the API server answered {response.status}"
            wait_s = max(told_s, next(pauses_s))
            if monotonic() - began_s + wait_s >= self._timeout_s:
                break
            response.close()
            await asyncio.sleep(wait_s)
        if response.status != 200:
            body = b""
            while len(body) < _MOST_REFUSAL and (part := await response.content.readany()):
                body += part
            response.close()
            refuse(response.status, body, path)
        return response

    def _compare_clocks(self, date: str) -> None:
        with suppress(ValueError, TypeError):
            ahead_s = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
            self.ahead_s = ahead_s if abs(ahead_s) > _CLOCKS_DIFFER_S else 0.0

    async def _guarded(self, work: Any, path: str, timeout_s: float | None = None) -> Any:
        """Wait for an answer, and give every way in which it fails a name and a remedy."""
        import aiohttp  # noqa: PLC0415 - as above

        server = self.access.configuration.host
        limit = self._timeout_s if timeout_s is None else timeout_s
        try:
            # Not wait_for: before Python 3.12 it may swallow a cancellation.
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError as error:
            raise ClusterError(
                f"the API server {server} did not answer within {limit:g} s ({path})",
                hint="see whether kubectl get --raw /readyz is as slow; try again",
            ) from error
        except aiohttp.ClientError as error:
            raise ClusterError(
                f"the API server {server} cannot be reached: {in_words(error)}",
                hint="see kubectl cluster-info, the VPN, and --context",
            ) from error
        except ValueError as error:
            raise ClusterError(
                f"the API server {server} did not return JSON for {path}: {said_of(error)}",
                hint="is it the API server, or the page of a proxy? kubectl get --raw " + path,
            ) from error


def _told_to_wait(response: Any) -> float | None:
    """Return for how long a busy server asks us to wait [s]; None if it is not busy."""
    after = response.headers.get("Retry-After", "")
    if after.isdecimal() and response.status in {_TOO_MANY, _STARTING}:
        return float(after)
    return 0.0 if response.status == _TOO_MANY else None
