"""A door: an aiohttp application behind the guards that all of our doors have.

How it works. `Door` makes an application whose middleware asks for the token, turns every error
into a problem document; routes are added to `Door.app`. `open` binds
the address, `close` lets go of it gently. Connections are accepted by our own protocol,
which bounds the time in which a request has to come, and their number: where there are too many,
the one goes of which no request has come for the longest time, as clients leave behind some that
they use no more. aiohttp bounds the lengths of lines, headers and bodies.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from sampler.base.errors import UsageError
from sampler.web.address import is_loopback
from sampler.web.log import SHOWN_PATH, TOKEN, AccessLog, shown_path
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from sampler.web.address import Address
    from sampler.web.tls import Tls
    from sampler.web.tokens import Tokens

MOST_BODY_BYTES = 64 << 10
MOST_CONNECTIONS = 1000
REQUEST_S = 10.0
"""Time for the first request of a connection to come whole, and for a body [s]."""
IDLE_S = 75.0
"""Time between two requests of a connection [s]."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="weighbridge", Basic realm="weighbridge"'}
_LOG = logging.getLogger("weighbridge.web")


class Door:
    """A server of one application.

    Parameters
    ----------
    address : Address
        Where to listen.
    tokens : Tokens or None
        Who may call; None asks nobody for a token.
    tls : Tls or None
        None speaks plain HTTP.

    Attributes
    ----------
    app : aiohttp.web.Application
        Takes routes until `open`. A route whose path has a part ``{token}`` takes the
        token there as well. ``/healthz`` and ``/readyz`` are there, and need none.
    unready : str
        Why ``/readyz`` says 503; empty: it says 200.
    is_closed : bool
        Whether it accepts nothing more.
    connections : int
        How many are open.
    idle : dict
        Those of which no request is being answered.
    """

    def __init__(
        self, address: Address, tokens: Tokens | None = None, tls: Tls | None = None
    ) -> None:
        self._address, self._tokens, self._tls = address, tokens, tls
        self.unready = "starting"
        self.is_closed = False
        self.connections = 0
        self.idle: dict[_Connection, None] = {}  # the one that has been so for longest first
        self.app = web.Application(
            middlewares=[self._guard], client_max_size=MOST_BODY_BYTES, logger=_LOG
        )
        self.app.on_response_prepare.append(_harden)
        self.app.router.add_get("/healthz", self._healthz)
        self.app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(
            self.app, handle_signals=False, access_log=None, shutdown_timeout=5.0
        )
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the door is, once it is open."""
        if self._server is None:
            raise RuntimeError("the door is not open")
        port = self._server.sockets[0].getsockname()[1]
        return f"http{'' if self._tls is None else 's'}://{self._address.at(port)}"

    async def open(self) -> None:
        """Listen from now on; ``/readyz`` says 503 until `unready` is emptied.

        Raises
        ------
        UsageError
            If the address cannot be taken.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._accept,
                self._address.host or None,
                self._address.port,
                ssl=None if self._tls is None else self._tls.context,
                ssl_handshake_timeout=None if self._tls is None else REQUEST_S,
                # Subtle: every address of one family; with both, port 0 would be two ports.
                family=socket.AF_UNSPEC if self._address.host else socket.AF_INET,
                backlog=512,
            )
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(
                f"--listen {self._address.at(self._address.port)}: {error.strerror or error}",
                hint="choose another port; 0 takes a free one",
            ) from error

    async def close(self) -> None:
        """Accept nothing more, let requests in flight end, and close every connection."""
        self.is_closed = True
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        """Make the protocol of a connection, before any byte or handshake of it."""
        if self._tls is not None:
            self._tls.refresh()
        server = cast("web.Server", self._runner.server)
        return _Connection(self, server, asyncio.get_running_loop())

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        connection = cast("_Connection", request.protocol)
        connection.is_busy(True)
        request[SHOWN_PATH] = shown_path(request)
        try:
            self._require_allowed(request)
            response: web.StreamResponse = await handler(request)
        except Problem as problem:
            return problem.response()
        except web.HTTPException as error:
            kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return Problem(error.status, error.reason, headers=kept).response()
        except Exception:  # noqa: BLE001 - a caller of one request is told; the others go on
            _LOG.exception("a bug in weighbridge")
            return Problem(500, "this is a bug in weighbridge, not in your service").response()
        finally:
            connection.is_busy(False)
        return response

    def _require_allowed(self, request: web.Request) -> None:
        if request.match_info.handler in {self._healthz, self._readyz}:
            return
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in {"none", "same-origin"} and not (is_link and _only_reads(request)):
            raise Problem(403, "a page of another site asked, in a browser")
        if self._tokens is None:
            # A name of a stranger's that leads here makes his page look like one of ours.
            if self._address.is_loopback and not is_loopback(_host_of(request)):
                raise Problem(403, "expected localhost, or a loopback address, as Host")
            return
        in_path = request.match_info.get(TOKEN)
        header = request.headers.get("Authorization", "")
        is_allowed = self._tokens.allows_header(header)
        if in_path is not None:
            is_allowed |= self._tokens.allows(in_path)
        if not is_allowed:
            raise Problem(
                401,
                "expected a token" if not header else "the token is not one of ours",
                "send Authorization: Bearer TOKEN, with a line of --token-file",
                _CHALLENGE,
            )

    async def _healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:  # noqa: ARG002 - as above
        if self.unready:
            raise Problem(503, self.unready, headers={"Retry-After": "2"})
        return web.Response(text="ready\n")


async def read_body(request: web.Request) -> bytes:
    """Return the body of a request.

    Raises
    ------
    Problem
        408 if it does not come in time, 413 if it is too long, 415 if it is packed.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "expected a body without Content-Encoding")
    try:
        async with asyncio.timeout(REQUEST_S):
            return await request.read()
    except TimeoutError as error:
        raise Problem(408, f"the body did not come within {REQUEST_S:g} s") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise Problem(413, f"expected a body of at most {MOST_BODY_BYTES >> 10} KiB") from error


def _only_reads(request: web.Request) -> bool:
    """Whether a request begins nothing: then its route takes HEAD as well."""
    resource = request.match_info.route.resource
    return resource is not None and any(each.method == "HEAD" for each in resource)


def _host_of(request: web.Request) -> str:
    try:
        return request.url.host or ""
    except ValueError as error:
        raise Problem(400, "expected HOST or HOST:PORT as Host") from error


async def _harden(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001
    """Add what every response has, unless its handler said otherwise."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "weighbridge"


class _Connection(web.RequestHandler):
    """A connection that is closed when no request comes in time, or if there are too many."""

    __slots__ = ("_door", "_limit")

    def __init__(self, door: Door, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=IDLE_S,
            logger=_LOG,
            access_log_class=AccessLog,
            access_log=_LOG,
            max_line_size=8190,
            max_headers=100,
            auto_decompress=False,
        )
        self._door = door
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        door = self._door
        door.connections += 1
        self._expect(REQUEST_S)
        if door.is_closed:
            self._end()
        elif door.connections > MOST_CONNECTIONS:
            next(iter(door.idle))._end()  # noqa: SLF001 - of the same class; may be this one

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.connections -= 1
        self._expect(None)
        super().connection_lost(exc)

    def is_busy(self, busy: bool) -> None:  # noqa: FBT001 - a state
        """Let time count only while no request is being answered."""
        self._expect(None if busy else IDLE_S)

    def _expect(self, seconds: float | None) -> None:
        """Wait for a request for so long; None while one is being answered."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = None
        self._door.idle.pop(self, None)
        if seconds is not None and self.transport is not None:
            self._limit = self._loop.call_later(seconds, self._end)
            self._door.idle[self] = None

    def _end(self) -> None:
        """Close at once, even if the client takes nothing of what it was sent."""
        transport = self.transport
        self._expect(None)
        self.force_close()
        if transport is not None:
            transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; what aiohttp refuses before our guard is a problem document, too."""
        if isinstance(resp, web.HTTPException):
            resp = Problem(resp.status, resp.reason).response()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Answer what is no HTTP."""
        _LOG.info("a request cannot be read", extra={"fields": {"remote": request.remote}})
        with suppress(AttributeError):
            if request.writer.output_size > 0:
                raise ConnectionError("a part of the response is sent already") from exc
        response = Problem(status, "the request is no valid HTTP/1.1").response()
        response.headers.update(_HEADERS)
        response.force_close()
        return response
