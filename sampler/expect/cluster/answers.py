"""What the answers of an API server say, and what they mean when they are no answer."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import msgspec

from sampler.base.errors import ClusterError, ExpectationError, UsageError
from sampler.base.redaction import without_secrets
from sampler.expect.cluster.rights import grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.expect.cluster.resources import Resource

_DENIED = re.compile(
    r'User "(?P<account>[^"]+)" cannot (?P<verb>\w+) resource "(?P<plural>[^"]+)"'
    r' in API group "(?P<group>[^"]*)"'
)
"""How RBAC says no (k8s.io/apiserver, responsewriters.forbiddenMessage)."""

MOST_BYTES = 16 << 20
"""Bytes of one answer, and of one event of a watch: etcd takes objects of 1.5 MB (its
``--max-request-bytes``), and a page of such is more than anybody has."""
_MOST_SAID = 300
_KINDS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
"""Types of the events of a watch; ERROR is another."""


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


def in_words(error: Exception) -> str:
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


class Lines:
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
                raise too_large(self._what, MOST_BYTES)
            part = await self._content.readany()
            if not part:
                end = seen - 1
                break
            self._rest += part
        line = bytes(self._rest[: end + 1])
        del self._rest[: end + 1]
        return line


def too_large(what: str, limit: int) -> ClusterError:
    """Return the error for an answer of more than `limit` bytes."""
    return ClusterError(
        f"{what} has more than {limit >> 20} MB",
        hint="is it the API server? otherwise declare the split with --expect",
    )


def said_of(text: object) -> str:
    """Return what a server or a library said, without secrets: it may quote what was asked."""
    return without_secrets(str(text)[: 4 * _MOST_SAID])[:_MOST_SAID]


def event_of(line: bytes, resource: Resource) -> tuple[str, dict[str, Any]]:
    """Read a line of a watch.

    Raises
    ------
    GoneError, ForbiddenError, AbsentError, UsageError, ClusterError
        If it is an error, as `refuse`, or no event at all.
    """
    try:
        event = msgspec.json.decode(line)
        kind, body = event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise nonsense(f"a watch of {resource.plural}", line[:1000]) from error
    if kind == "ERROR" and isinstance(body, dict):
        status = body.get("code")
        refuse(
            status if isinstance(status, int) else 500,
            json.dumps(body).encode(),
            f"watch of {resource.plural}",
        )
    if kind not in _KINDS:
        raise nonsense(f"a watch of {resource.plural}", line[:1000])
    return kind, item_of(body, resource)


def items_of(page: Mapping[str, Any], resource: Resource) -> tuple[list[dict[str, Any]], str, str]:
    """Read a page of a list: its objects, the version of the list, and how to go on."""
    items, metadata = page.get("items") or [], page.get("metadata") or {}
    if not isinstance(items, list) or not isinstance(metadata, dict):
        raise nonsense(f"a list of {resource.plural}", str(page).encode())
    return (
        [item_of(each, resource) for each in items],
        str(metadata.get("resourceVersion", "")),
        str(metadata.get("continue") or ""),
    )


def item_of(body: Any, resource: Resource) -> dict[str, Any]:
    """Return an object, with the kind and version that lists leave out."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise nonsense(f"one of the {resource.plural}", str(body).encode())
    return resource.complete(body)


def nonsense(what: str, given: bytes) -> ClusterError:
    """Return the error for an answer that no API server gives."""
    said = said_of(given[:1000].decode("utf-8", "replace"))[:60]
    return ClusterError(
        f"{what} is not what an API server gives: {said!r}",
        hint="is there a proxy between? kubectl get --raw shows what comes",
    )


def refuse(status: int, body: bytes, path: str) -> None:
    """Raise what a status means, with what the server said."""
    try:
        message = said_of(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = said_of(body[:1000].decode("utf-8", "replace"))[:80]
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
