"""Targets that give no label, each in its own way; for a test and for a script of many runs."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from sampler.cli.execute import exit_code
from sampler.plan.load import Limits, Load, TransportKind
from sampler.run.door import check
from tests.conformance.scripted import Act, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.conformance.scripted import Request, Step

TIMEOUT_S = 0.5
"""Of requests that may hang: they need not hang for long."""


def response(status: str, body: bytes = b"no", *fields: str) -> bytes:
    """Return the bytes of an answer on a connection that ends with it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


ANSWERS = {
    "503": response("503 Service Unavailable"),
    "301": response("301 Moved Permanently", b"", "Location: https://elsewhere.test/"),
    "401": response("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'),
    "429": response("429 Too Many Requests"),
    "no label": response("200 OK", b"hello"),
}
HANGING = {"one of ten hangs": 0.1, "half hang": 0.5, "all hang": 1.0}
NAMES = ("dead", *ANSWERS, *HANGING, "first hangs")
STARTING = "slow to start, --wait-for"
"""Answers after a few requests that get none; it is waited for, and then it is not poor."""


@asynccontextmanager
async def poor_target(name: str, seed: int) -> AsyncIterator[str]:
    """Serve one of `NAMES`; give its URL."""
    random = Random(seed)

    late = 1 + seed % 5

    def script(request: Request) -> Sequence[Step]:
        if name == STARTING:
            answer = response("200 OK", b'{"label": "v1"}')
            return [Act.CLOSE] if request.number < late else [answer, Act.CLOSE]
        hangs = (
            request.number == 0 if name == "first hangs" else random.random() < HANGING.get(name, 0)
        )
        return [Act.SILENCE] if hangs else [ANSWERS.get(name, ANSWERS["no label"]), Act.CLOSE]

    if name == "dead":
        with socket.socket() as taken:  # nobody comes to listen there
            taken.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
    else:
        async with ScriptedServer(script) as server:
            yield f"http://127.0.0.1:{server.port}/"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a check of a poor target ended."""

    code: int
    sent: int
    duration_s: float


def ending(name: str, seed: int, *, transport: str = "fast", concurrency: int = 16) -> Ending:
    """Check a poor target once."""

    async def run() -> Ending:
        given = Load(transport=TransportKind(transport), concurrency=concurrency)
        short = replace(given, timeout_s=TIMEOUT_S, connect_timeout_s=TIMEOUT_S)
        load = given if name == STARTING else short
        async with poor_target(name, seed) as url:
            report = await check(
                url,
                "v1=1" if name == STARTING else "v1=9,v2=1",
                load=load,
                limits=Limits(max_time_s=90),
                seed=seed,
                wait_for_s=60 if name == STARTING else 0,
            )
        return Ending(exit_code(report), report.samples.launched, report.performance.duration_s)

    return asyncio.run(run())
