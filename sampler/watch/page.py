"""What a watch serves over HTTP: its page, the stream of events, the state and the metrics.

Read only: nothing here starts, stops or changes anything. `sampler.web.door` listens, and keeps
strangers out.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from analysis.data.live import to_line
from analysis.render.live import UnknownViewError, View, to_live_page
from sampler.show.drawing import style_sheet
from sampler.watch.metrics import exposition
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from sampler.watch.metrics import Metrics
    from sampler.watch.stream import Stream

MOST_READERS = 64
"""Clients of the stream at once; the next one is refused with 503 until one leaves."""
PATIENCE_S = 15.0
"""After so long without an event a comment is sent, so that no proxy takes the stream for dead."""
STALLED_S = 60.0
"""A client that reads nothing for so long is left."""
_POLICY = {"Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'"}
"""Of pages, whose own text says the rest."""
_STREAMED = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_RETRY = b"retry: 2000\n\n"
_COMMENT = b": no news\n\n"
_MOST_PAGES = 16
_EFFORT = 4
_AT_ONCE = 256


class _Made(NamedTuple):
    """A page as it is after an event, plain and compressed."""

    place: int
    text: bytes
    packed: bytes


class LivePages:
    """Answers for one process.

    Parameters
    ----------
    stream : Stream
    metrics : Metrics
    """

    def __init__(self, stream: Stream, metrics: Metrics) -> None:
        self._stream = stream
        self._metrics = metrics
        self._readers = 0
        self._colours = style_sheet(".live")
        self._pages: dict[View, _Made] = {}

    def add_to(self, app: web.Application) -> None:
        """Add what is served to an application; its end lets the readers of the stream leave."""
        for path, handler in (
            ("/", self._page),
            ("/report.html", self._snapshot),
            ("/events", self._events),
            ("/api/state", self._state),
            ("/metrics", self._scraped),
        ):
            app.router.add_get(path, handler)
        app.on_shutdown.append(self._leave)

    async def _leave(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp's
        self._stream.close()

    async def _page(self, request: web.Request) -> web.Response:
        return self._rendered(request, is_live=True)

    async def _snapshot(self, request: web.Request) -> web.Response:
        return self._rendered(request, is_live=False)

    def _rendered(self, request: web.Request, *, is_live: bool) -> web.Response:
        query = request.query
        view = View(query.get("target"), query.get("span"), is_live=is_live, colours=self._colours)
        chronicle, place = self._stream.chronicle, self._stream.place
        made = self._pages.get(view)
        if made is None or made.place != place:
            # Of many who look at the same second, one pays for the page.
            try:
                text = to_live_page(chronicle, view).encode()
            except UnknownViewError as error:
                raise Problem(404, str(error)) from error
            if len(self._pages) >= _MOST_PAGES and made is None:
                self._pages.pop(next(iter(self._pages)))
            made = self._pages[view] = _Made(place, text, gzip.compress(text, _EFFORT))
        headers = _POLICY | {"Content-Type": "text/html; charset=utf-8", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=made.text, headers=headers)
        return web.Response(body=made.packed, headers=headers | {"Content-Encoding": "gzip"})

    async def _state(self, request: web.Request) -> web.Response:
        states = {state.target: state for state in self._stream.states()}
        name = request.query.get("target") or next(iter(states), None)
        if name is None:
            raise Problem(503, "there is no state yet", headers={"Retry-After": "1"})
        if name not in states:
            raise Problem(404, f"expected one of the targets {', '.join(states)}, got {name}")
        return web.Response(body=to_line(states[name]), content_type="application/json")

    async def _scraped(self, request: web.Request) -> web.Response:
        self._metrics.show(self._stream.states())
        body, content_type = exposition(self._metrics, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._readers >= MOST_READERS:
            raise Problem(
                503,
                f"{MOST_READERS} clients follow the stream already",
                "ask for /api/state now and then, or come back when one has left",
                {"Retry-After": "10"},
            )
        response = web.StreamResponse(headers=_STREAMED)
        self._readers += 1
        try:
            await response.prepare(request)
            await response.write(_RETRY)
            await self._follow(response, _last_of(request, self._stream.origin))
        except (ConnectionError, TimeoutError):
            pass  # it has left, or does not read
        finally:
            self._readers -= 1
        return response

    async def _follow(self, response: web.StreamResponse, seq: int | None) -> None:
        stream = self._stream
        place, lines = stream.place, stream.begin(seq)
        while not stream.is_over:
            # Subtle: taken before looking, or what is told in between would wait for the next.
            news = stream.news()
            for first in range(0, len(lines), _AT_ONCE):
                frames = (line.frame(stream.origin) for line in lines[first : first + _AT_ONCE])
                await _write(response, b"".join(frames))
            lines = stream.since(place)
            if lines:
                place = lines[-1].place
                continue
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await news.wait()
            except TimeoutError:
                await _write(response, _COMMENT)


async def _write(response: web.StreamResponse, frames: bytes) -> None:
    async with asyncio.timeout(STALLED_S):
        await response.write(frames)


def _last_of(request: web.Request, origin: str) -> int | None:
    """Return what a client was last given, by its header; None for a new one.

    What another process gave, or nobody, is -1.
    """
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return None
    found, _, text = given.partition("-")
    is_ours = found == origin and text.isascii() and text.isdecimal() and len(text) < 19
    return int(text) if is_ours else -1
