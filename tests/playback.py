"""A recorded cluster on loopback: an API server and a Service that play a recording.

Both follow one clock, `Playback.clock`, which runs `scale` times as fast as the real one from the
first connection to the Service on (before that, it stands at `since_s`). What was listed and
watched comes from `events.jsonl.gz`; who answers, refuses, resets or is silent comes from
`traffic.csv.gz`, each connection taking the next row that was sent then or later.
"""

from __future__ import annotations

import asyncio
import json
import threading
from bisect import bisect_left
from math import inf
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from analysis import Outcome
from sampler.base.clock import NS_PER_S
from tests.clusters import write_kubeconfig
from tests.replays import NAMESPACE, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.replays import Recording, Said

_TICK_S = 0.005
_SILENT_S = 2.0
_LAST_ROWS = 1000


class Playback:
    """Plays a recording in a thread of its own; a context.

    Parameters
    ----------
    recording : Recording
    scale : float
        Seconds of the recording in one real second.
    since_s : float
        Second of the recording at which it begins.
    watch_s : float
        Real seconds after which each watch is closed, as proxies do. It then forgets: a watch
        that goes on from an earlier version is answered 410 each second time.
    """

    def __init__(
        self, recording: Recording, scale: float, since_s: float = 0.2, watch_s: float = inf
    ) -> None:
        self.recording, self.scale, self._watch_s = recording, scale, watch_s
        self._closed = 0
        self.api_url = self.url = ""
        self.answered = 0
        self._since_ns = round(since_s * NS_PER_S)
        self._origin_ns: int | None = None
        self._row = bisect_left(recording.sent_s, since_s)
        self._at = 0
        self._objects: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in RESOURCES}
        self._versions = dict.fromkeys(RESOURCES, "0")
        self._told: dict[str, list[Said]] = {name: [] for name in RESOURCES}
        self._unreachable: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    def clock(self) -> int:
        """Time of the recording [ns]; it stands still until the first connection."""
        if self._origin_ns is None:
            return self._since_ns
        return self._since_ns + round((monotonic_ns() - self._origin_ns) * self.scale)

    def start(self) -> None:
        """Let the clock run."""
        if self._origin_ns is None:
            self._origin_ns = monotonic_ns()

    def kubeconfig(self, folder: Path, user: Mapping[str, Any] | None = None) -> Path:
        return write_kubeconfig(folder, self.api_url, user)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._play()
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.api_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        self._tasks.append(asyncio.create_task(self._go_on()))

    async def _close(self) -> None:
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _go_on(self) -> None:
        while True:
            self._play()
            await asyncio.sleep(_TICK_S)

    def _play(self) -> None:
        """Do what the API server had done by now."""
        now_s, said = self.clock() / NS_PER_S, self.recording.said
        while self._at < len(said) and said[self._at].at_s <= now_s:
            each = said[self._at]
            self._at += 1
            plural = each.resource.plural
            metadata = each.body.get("metadata") or {}
            if each.kind == "LIST":
                items = each.body.get("items") or ()
                self._objects[plural] = {item["metadata"]["name"]: item for item in items}
                self._unreachable.pop(plural, None)
            elif each.kind in {"UNREACHABLE", "HTTP"}:
                self._unreachable[plural] = each.body.get("code", 0)
            elif each.kind == "DELETED":
                self._objects[plural].pop(metadata["name"], None)
            elif each.kind in {"ADDED", "MODIFIED"}:
                self._objects[plural][metadata["name"]] = each.body
            self._versions[plural] = str(metadata.get("resourceVersion", self._versions[plural]))
            self._told[plural].append(each)

    # The API server

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plural = request.path.rpartition("/")[2]
        if request.path == "/apis":
            return web.json_response({"kind": "APIGroupList", "groups": []})
        if plural not in RESOURCES:
            return web.json_response({"kind": "Status", "code": 404, "message": plural}, status=404)
        status = self._unreachable.get(plural)
        if status is not None:
            if not status and request.transport is not None:
                request.transport.abort()
            return web.json_response({"message": "unavailable"}, status=status or 503)
        if "watch" in request.query:
            return await self._watch(request, plural)
        mine = f"/namespaces/{NAMESPACE}/" in request.path
        items = list(self._objects[plural].values()) if mine else []
        metadata = {"resourceVersion": self._versions[plural]}
        return web.json_response({"metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        """Tell what came after a version, until the recorded stream ended."""
        version, told = request.query["resourceVersion"], self._told[plural]
        place = next(
            (
                place + 1
                for place in range(len(told) - 1, -1, -1)
                if str((told[place].body.get("metadata") or {}).get("resourceVersion")) == version
            ),
            len(told),
        )
        if self._closed % 2 and request.query["resourceVersion"] != self._versions[plural]:
            self._closed += 1
            return web.json_response({"message": "too old resource version"}, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        until_ns = monotonic_ns() + min(self._watch_s, 3600) * NS_PER_S
        while not self._is_over and monotonic_ns() < until_ns:
            while place < len(told):
                each = told[place]
                place += 1
                if each.kind in {"CLOSED", "UNREACHABLE", "HTTP", "LIST"}:
                    return response
                line = json.dumps({"type": each.kind, "object": each.body})
                await response.write(line.encode() + b"\n")
            await asyncio.sleep(_TICK_S)
        self._closed += 1
        return response

    # The Service

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.start()
        sent_s = self.recording.sent_s
        now_s = self.clock() / NS_PER_S
        self._row = max(self._row, bisect_left(sent_s, now_s))
        row, self._row = self._row, self._row + 1
        if row >= len(sent_s):  # the recording is over: as in its last seconds
            row = len(sent_s) - 1 - row % min(len(sent_s), _LAST_ROWS)
        try:
            await self._reply(reader, writer, row)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _reply(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, row: int
    ) -> None:
        outcome = self.recording.outcomes[row]
        if outcome is Outcome.CONNECT_FAILED:
            return
        await reader.readuntil(b"\r\n\r\n")
        if outcome is Outcome.CONNECT_TIMEOUT:
            await asyncio.sleep(2 * _SILENT_S / self.scale)
        if outcome is not Outcome.OK:
            return
        body = json.dumps({"label": self.recording.labels[row], "host": "pod"}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        self.answered += 1
        writer.write_eof()
        await reader.read()
