"""The server: a desk, its doors, and what is asked of any server."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING

from aiohttp import web

from analysis.render.gates import Row, page_policy, to_html
from sampler.base.errors import ExitCode
from sampler.base.version import __version__
from sampler.serve import memory
from sampler.serve.argo import Argo
from sampler.serve.desk import Desk
from sampler.serve.document import document_of
from sampler.serve.flagger import Flagger
from sampler.serve.generic import Generic
from sampler.serve.metrics import CONTENT_TYPE, Metrics
from sampler.serve.outcome import Outcome
from sampler.serve.sessions import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sampler.serve.desk import Limits
    from sampler.serve.gates import Gate
    from sampler.serve.sessions import Session
    from sampler.web.door import Door

_LOOK_AGAIN_S = 5.0
_LOOK_S = 60.0
_MOST_ROWS = 100


class Server:
    """Gates behind doors.

    Parameters
    ----------
    door : Door
        Where to listen, and who may call.
    gates : mapping of str to Gate
    limits : Limits
    out : Path
        Folder of all runs.
    weigher : sequence of str
        What starts a process that weighs.
    targets : sequence of str
        Globs of URLs that requests to the generic door may name.
    """

    def __init__(
        self,
        door: Door,
        gates: Mapping[str, Gate],
        limits: Limits,
        out: Path,
        weigher: Sequence[str],
        targets: Sequence[str] = (),
    ) -> None:
        self._door, self._gates, self._out = door, gates, out
        self._metrics = Metrics()
        self.desk = Desk(gates, limits, out, weigher, self._metrics.count)
        self._metrics.watch(self.desk.sessions)
        router = door.app.router
        router.add_get("/", self._page)
        router.add_get("/metrics", self._show_metrics)
        router.add_get("/openapi.json", self._openapi)
        for each in (Generic(self.desk, targets), Argo(self.desk), Flagger(self.desk)):
            each.add_to(door.app)

    async def run(self, announce: Callable[[str], None]) -> ExitCode:
        """Serve until SIGTERM, SIGINT or SIGHUP.

        Parameters
        ----------
        announce : callable
            Called with the URL once requests are taken.

        Raises
        ------
        UsageError
            If the address or the folder of runs cannot be used.
        """
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, end.set)
        ending, serving = (asyncio.create_task(x) for x in (end.wait(), self._serve(announce)))
        # However far it has come: what earlier processes left may take long to recover.
        await asyncio.wait({ending, serving}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        return ExitCode.PASS

    async def _serve(self, announce: Callable[[str], None]) -> None:
        """Serve until it is cancelled."""
        to_html((), (), __version__)  # the first page loads its template: no request waits for it
        # What is there now stays: each look of the collector at it would hold up every request.
        gc.collect()
        gc.freeze()
        async with memory.locked(self._out) as lock:
            try:
                await self.desk.start(() if lock is None else (lock,))
                await self._door.open()
                announce(self._door.url)
                await self._get_ready()
                await asyncio.Event().wait()
            finally:
                self._door.unready = "the server ends"
                await self.desk.close()
                await self._door.close()

    async def _get_ready(self) -> None:
        """Be ready once the cluster of every live gate has answered."""
        for gate in self._gates.values():
            while gate.is_live and isinstance(seen := await self.desk.look(gate, _LOOK_S), Outcome):
                self._door.unready = f"gate {gate.name}: {seen.line}"
                await asyncio.sleep(_LOOK_AGAIN_S)
        self._door.unready = ""

    async def _page(self, _request: web.Request) -> web.Response:
        shown = list(self.desk.sessions)[: -_MOST_ROWS - 1 : -1]
        rows = [_row(session, document_of(session, self.desk.sessions)) for session in shown]
        gates = [(each.name, _expected_of(each)) for each in self._gates.values()]
        page = to_html(gates, rows, __version__)
        return web.Response(
            text=page,
            content_type="text/html",
            headers={"Content-Security-Policy": page_policy()},
        )

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _openapi(self, _request: web.Request) -> web.Response:
        document = openapi()
        return web.Response(body=json.dumps(document).encode(), content_type="application/json")


def openapi() -> dict[str, object]:
    """Load the description of the doors (OpenAPI 3.1)."""
    text = files("sampler.serve").joinpath("openapi.json").read_text(encoding="utf-8")
    document: dict[str, object] = json.loads(text)
    document["info"] = {"title": "weighbridge serve", "version": __version__}
    return document


def _expected_of(gate: Gate) -> str:
    if gate.is_live:
        return "read from the cluster"
    if gate.watch:
        return f"said by the watch at {gate.watch}"
    if not gate.weights:
        return "said by each request"
    return ", ".join(f"{label}={n}" for label, n in gate.weights.items())


def _row(session: Session, document: Mapping[str, object]) -> Row:
    return Row(
        gate=session.gate.name,
        key=session.key,
        verdict=str(document["verdict"]),
        state=session.state.value,
        line=str(document["line"]).partition(": ")[2],
        began=session.created_at,
        notes=tuple(session.notes),
        state_url=str(document["status_url"]),
        page_url=f"/v1/checks/{session.id}/report.html"
        if session.state is State.DONE and session.run
        else "",
    )
