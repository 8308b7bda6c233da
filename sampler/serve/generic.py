"""The generic door: for scripts, Kargo, Spinnaker and ``weighbridge check --via``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from sampler.base.own_process import command_of, environment
from sampler.serve.replies import json_response, reply, require_measured, settled
from sampler.serve.requests import Asked, asked_of, current_session_of, gate_of, json_of, wait_of
from sampler.serve.sessions import INTERRUPTED, State
from sampler.show.documents import HTML
from sampler.store.layout import JUNIT, REPORT
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.serve.desk import Desk
    from sampler.serve.sessions import Session

_ID = "/v1/checks/{id:[0-9a-f]{16}}"
# The page of a run forbids everything by itself, but for the style and the script that it brings.
_OF_A_PAGE = {"Content-Security-Policy": "frame-ancestors 'none'"}


class Generic:
    """The door.

    Parameters
    ----------
    desk : Desk
    targets : sequence of str
        Globs of URLs that requests may name.
    """

    def __init__(self, desk: Desk, targets: Sequence[str]) -> None:
        self._desk, self._targets = desk, targets
        self._drawing = asyncio.Lock()

    def add_to(self, app: web.Application) -> None:
        """Add the routes of this door."""
        router = app.router
        router.add_get("/v1/gates", self._gates)
        router.add_post("/v1/gates/{gate}/checks", self._begin)
        router.add_get(_ID, self._show)
        router.add_delete(_ID, self._end)
        router.add_get(f"{_ID}/report", self._report)
        router.add_get(f"{_ID}/junit", self._junit)
        router.add_get(f"{_ID}/report.html", self._page)
        router.add_get(f"{_ID}.html", self._page)

    async def _gates(self, _request: web.Request) -> web.Response:
        gates = [
            {
                "name": gate.name,
                "weights": dict(gate.weights),
                "live": gate.is_live,
                "canary": gate.canary_of(gate.weights),
                "alpha": gate.alpha,
                "beta": gate.beta,
                "permit": sorted(gate.permit),
                "url": f"/v1/gates/{gate.name}/checks",
            }
            for gate in self._desk.gates.values()
        ]
        return json_response({"gates": gates})

    async def _begin(self, request: web.Request) -> web.Response:
        gate = gate_of(request, self._desk)
        given = await json_of(request)
        header = request.headers.get("Idempotency-Key")
        if header is not None and given.setdefault("key", header) != header:
            raise Problem(400, "key and Idempotency-Key differ", "send one of both")
        asked = asked_of(gate, given, targets=self._targets)
        session = await current_session_of(self._desk, gate, asked)
        headers = await settled(self._desk, session, asked)
        require_measured(session)
        if session.state is State.DONE:
            return reply(self._desk, session, 200, headers)
        later = {"Location": f"/v1/checks/{session.id}", "Retry-After": "5"}
        return reply(self._desk, session, 202, headers | later)

    async def _show(self, request: web.Request) -> web.Response:
        session = self._session(request)
        if set(request.query) - {"wait"}:
            raise Problem(400, "expected nothing but wait")
        asked = Asked(session.ask, wait_of(request.query.get("wait", "0")))
        headers = await settled(self._desk, session, asked)
        return reply(self._desk, session, 200, headers)

    async def _end(self, request: web.Request) -> web.Response:
        session = self._session(request)
        self._desk.sessions.stop(session, INTERRUPTED)
        return reply(self._desk, session, 202)

    async def _report(self, request: web.Request) -> web.Response:
        data = await self._artifact(request, REPORT)
        return web.Response(body=data, content_type="application/json")

    async def _junit(self, request: web.Request) -> web.Response:
        data = await self._artifact(request, JUNIT)
        return web.Response(body=data, content_type="application/xml")

    async def _page(self, request: web.Request) -> web.Response:
        folder = self._folder(request)
        async with self._drawing:  # one at a time: figures take a second of a processor
            if not (folder / HTML).exists() and (folder / REPORT).exists():
                await _draw(folder)
        data = await self._artifact(request, HTML)
        return web.Response(
            body=data, content_type="text/html", charset="utf-8", headers=_OF_A_PAGE
        )

    def _session(self, request: web.Request) -> Session:
        session = self._desk.sessions.find(request.match_info["id"])
        if session is None:
            raise Problem(
                404, "there is no check of this id, or it is forgotten", "its run may be on disk"
            )
        return session

    def _folder(self, request: web.Request) -> Path:
        session = self._session(request)
        if session.state is not State.DONE:
            raise Problem(409, "the check is not over", "ask again later", {"Retry-After": "5"})
        if not session.run:
            raise Problem(404, "the check wrote no run: it ended before it began")
        return Path(session.run)

    async def _artifact(self, request: web.Request, name: str) -> bytes:
        file = self._folder(request) / name
        try:
            return await asyncio.to_thread(file.read_bytes)
        except OSError as error:
            raise Problem(404, f"the run has no {name}, or was removed (--keep)") from error


async def _draw(folder: Path) -> None:
    """Have the page of a run drawn, beside the event loop; the run keeps it."""
    page = folder.absolute() / HTML  # noqa: ASYNC240 - it asks for the working directory alone
    process = await asyncio.create_subprocess_exec(
        *command_of("sampler.cli", "report", str(page.parent), "--html", str(page)),
        env=environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()
