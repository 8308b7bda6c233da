"""A Kubernetes API server, as a reader: list and watch, and nothing else.

Objects stay the plain mappings that the server sends. Credentials that are not accepted any more
are renewed once for each request (`sampler.expect.cluster.credentials`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import msgspec

from sampler.base.errors import ClusterError, ExpectationError, UsageError
from sampler.base.redaction import without_secrets
from sampler.expect.cluster.rights import grant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from sampler.expect.cluster.credentials import Access
    from sampler.expect.cluster.resources import Resource

_DENIED = re.compile(
    r'User "(?P<account>[^"]+)" cannot (?P<verb>\w+) resource "(?P<plural>[^"]+)"'
    r' in API group "(?P<group>[^"]*)"'
)
"""How RBAC says no (k8s.io/apiserver, responsewriters.forbiddenMessage)."""

TIMEOUT_S = 10.0
"""How long the API server may take for an answer [s]."""

_PAGE = 100
_MOST_PAGES = 1000
MOST_BYTES = 16 << 20
"""Bytes of one answer, and of one event of a watch: etcd takes objects of 1.5 MB (its
``--max-request-bytes``), and a page of such is more than anybody has."""
MOST_LISTED_BYTES = 256 << 20
"""Bytes of all pages of a list."""
_MOST_REFUSAL = 65_536
_MOST_SAID = 300
_WATCH_S = 30
"""A watch is opened again after this time [s]: a connection that was cut in silence shows then."""
_SELDOM_S = 2.0
"""Credentials are renewed no more often than this [s]: streams that fail are many."""


class UnauthorizedError(UsageError):
    """The server does not accept the credentials."""


class ForbiddenError(ExpectationError):
    """The account may not read something.

    Parameters
    ----------
    path : str
        What was asked.
    message : str
        What the API server said.
    """

    def __init__(self, path: str, message: str) -> None:
        denied = _DENIED.search(message)
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        account = "" if denied is None else denied["account"]
        if denied is None:
            said = f"reading {path} is forbidden: {message}"
        else:
            what = ".".join(filter(None, (denied["plural"], denied["group"])))
            said = f"the account {account} may not {denied['verb']} {what}" + (
                f" in namespace {namespace}" if namespace else ""
            )
        super().__init__(said, hint=f"grant it, as somebody who may: {grant(namespace, account)}")


class GoneError(Exception):
    """A watch is too old for the server: what it watches has to be listed again."""


class AbsentError(Exception):
    """The server does not have such a resource."""


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
                return _event(line, self._resource)
        raise StopAsyncIteration


class Cluster:
    """A connection to the API server; an asynchronous context.

    Parameters
    ----------
    access : Access
        Server and credentials.
    timeout_s : float
        How long an answer may take [s].
    """

    def __init__(self, access: Access, timeout_s: float = TIMEOUT_S) -> None:
        self.access = access
        self._timeout_s = timeout_s
        self._client: Any = None
        self._clients = AsyncExitStack()
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._tried_s = -_SELDOM_S

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
        size = 0
        for _ in range(_MOST_PAGES):
            page, bytes_of_page = await self._sized(resource.path(namespace), query)
            size += bytes_of_page
            if size > MOST_LISTED_BYTES:
                raise _too_large(f"all {resource.plural} in {namespace}", MOST_LISTED_BYTES)
            items += map(resource.complete, page.get("items") or ())
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion", "")))
            query["continue"] = str(metadata["continue"])
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

        lines = _Lines(response.content, f"an event of {resource.plural} in {namespace}")

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
                    raise _too_large(f"the answer for {path}", MOST_BYTES)
        finally:
            response.release()
        # Faster than Python's, which would hold up a run.
        document = msgspec.json.decode(data)
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")  # noqa: TRY004 - wrong text, not a wrong type
        return document, len(data)

    async def _open(self, path: str, query: Mapping[str, str]) -> Any:
        import aiohttp  # noqa: PLC0415 - heavy, and here already with kubernetes-asyncio

        response = await self._client.call_api(
            path,
            "GET",
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=aiohttp.ClientTimeout(total=None, connect=self._timeout_s),
        )
        if response.status != 200:
            body = b""
            while len(body) < _MOST_REFUSAL and (part := await response.content.readany()):
                body += part
            response.close()
            _refuse(response.status, body, path)
        return response

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
                f"the API server {server} cannot be reached: {_in_words(error)}",
                hint="see kubectl cluster-info, the VPN, and --context",
            ) from error
        except ValueError as error:
            raise ClusterError(
                f"the API server {server} did not return JSON for {path}: {_said(error)}",
                hint="is it the API server, or the page of a proxy? kubectl get --raw " + path,
            ) from error


def _in_words(error: Exception) -> str:
    """Say why there is no connection; the client's own texts are about its classes."""
    import aiohttp  # noqa: PLC0415 - as above

    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "")
            return f"its certificate is not accepted{f': {why}' if why else ''}"
        case aiohttp.ClientConnectorSSLError():
            return "it does not speak TLS as expected"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it broke the connection off"
        case OSError(errno=int()):
            return os.strerror(error.errno or 0).lower()
        case OSError():
            return "none of its addresses takes a connection"
    return "it does not speak HTTP as expected"


class _Lines:
    """The lines of a watch, each whole, however they came.

    Parameters
    ----------
    content : aiohttp.StreamReader
    what : str
        What a line is, in words.
    """

    def __init__(self, content: Any, what: str) -> None:
        self._content = content
        self._what = what
        self._rest = bytearray()

    async def read(self) -> bytes:
        """Return the next line; what is left, or nothing, at the end."""
        seen = 0
        while (end := self._rest.find(b"\n", seen)) < 0:
            seen = len(self._rest)
            if seen > MOST_BYTES:
                raise _too_large(self._what, MOST_BYTES)
            part = await self._content.readany()
            if not part:
                end = seen - 1
                break
            self._rest += part
        line = bytes(self._rest[: end + 1])
        del self._rest[: end + 1]
        return line


def _too_large(what: str, limit: int) -> ClusterError:
    return ClusterError(
        f"{what} has more than {limit >> 20} MB",
        hint="is it the API server? otherwise declare the split with --expect",
    )


def _said(text: object) -> str:
    """Return what a server or a library said, without secrets: it may quote what was asked."""
    return without_secrets(str(text)[: 4 * _MOST_SAID])[:_MOST_SAID]


def _event(line: bytes, resource: Resource) -> tuple[str, dict[str, Any]]:
    try:
        event = msgspec.json.decode(line)
        kind, body = event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        start = _said(line[:1000].decode("utf-8", "replace"))[:60]
        raise ClusterError(f"a watch of {resource.plural} gave {start!r}") from error
    if kind == "ERROR":
        _refuse(body.get("code", 500), json.dumps(body).encode(), f"watch of {resource.plural}")
    return str(kind), resource.complete(body)


def _refuse(status: int, body: bytes, path: str) -> None:
    """Raise what a status means."""
    try:
        message = _said(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = _said(body[:1000].decode("utf-8", "replace"))[:80]
    match status:
        case 401:
            raise UnauthorizedError(
                f"the API server rejected these credentials: {message}",
                hint="see kubectl auth whoami; log in again, or choose another --context",
            )
        case 403:
            raise ForbiddenError(path, message)
        case 404:
            raise AbsentError(message)
        case 410:
            raise GoneError(message)
        case _:
            raise ClusterError(
                f"the API server answered {status} for {path}: {message}",
                hint="see kubectl get --raw /readyz?verbose; try again",
            )
