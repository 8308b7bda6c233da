"""What ``weighbridge serve`` adds to a check, and whether its memory stays flat.

How long callers wait: the demo Service is checked by the command in a process that is warm
already, and through the generic door, in turns; before each the Service begins its picks anew from
one seed, so that both see the same answers. Memory: a server whose checks are scripted (they
measure nothing) answers many sessions, each of its own key; its resident memory is read meanwhile.
What holds up the loop: while 200 callers poll five keys and read pages, a task of the server wakes
each millisecond and reads how long its thread has computed since, which no other process changes.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.serving``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import io
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import uvloop

from sampler.base.own_process import command_of
from sampler.cli.entry import main as command
from sampler.demo.process import EmbeddedService
from sampler.serve.desk import Limits
from sampler.serve.gates import Gate
from sampler.serve.server import Server
from sampler.web.address import Address
from sampler.web.door import Door
from tests.benchmarks.provenance import paragraph, provenance, spread, write
from tests.processes import REPOSITORY, started
from tests.serve.serving import gate, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS = {"v1": 9, "v2": 1}
EXPECT = "v1=9,v2=1"
AIM = 1.2
CALLERS, KEYS, STEPS = 200, 5, 4
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="checks of each kind")
    parser.add_argument("--sessions", type=int, default=10_000, help="sessions of one server")
    parser.add_argument("--poll", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.poll:
        asyncio.run(_poll(given.poll))
        return
    made = provenance({})
    waits = _waits(given.rounds)
    held = uvloop.run(_held())
    resident = asyncio.run(resident_kb(given.sessions, given.sessions // 20))
    median = {name: statistics.median(each) for name, each in waits.items()}
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "wait_s": {name: spread(each) for name, each in waits.items()},
        "ratio": median["serve"] / median["check"],
        "sessions": given.sessions,
        "resident_kb": resident,
        "loop_held_ms": held,
    }
    write("serving", figures, _markdown(figures))


def _waits(rounds: int) -> dict[str, list[float]]:
    """Return how long a check takes in a warm process, and through a server [s]."""
    waits: dict[str, list[float]] = {"check": [], "serve": []}
    with tempfile.TemporaryDirectory(prefix="wb-") as folder, EmbeddedService(WEIGHTS) as service:
        Path(folder, "weighbridge.toml").write_text(
            f'[gate.shop]\nurl = "{service.url}"\nexpect = "{EXPECT}"\n', encoding="utf-8"
        )
        process = started(
            Path(folder), "serve", "--listen", "127.0.0.1:0", "--no-access-log", "--sessions", "1",
            "--out", f"{folder}/served",
        )  # fmt: skip
        try:
            url = "" if process.stdout is None else process.stdout.readline().strip()
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
            for number in range(rounds + 1):
                for name, each in waits.items():
                    service.configure(WEIGHTS, seed=number)
                    began = time.perf_counter()
                    if name == "check":
                        _check(service.url, folder)
                    else:
                        _ask(connection)
                    if number:  # the first of each is the start
                        each.append(time.perf_counter() - began)
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    return waits


def _check(url: str, folder: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = command(["check", url, "--expect", EXPECT, "--out", f"{folder}/checked"])
    if code not in {0, 1, 3}:
        raise RuntimeError(f"the check ended with {code}")


def _ask(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/v1/gates/shop/checks", json.dumps({"wait": 25}))
    response = connection.getresponse()
    document = json.loads(response.read())
    if response.status != 200 or not document["final"]:
        raise RuntimeError(f"the server said {response.status}: {document}")


async def resident_kb(sessions: int, each: int) -> list[int]:
    """Return the resident memory of a server after each so many sessions [kB].

    Parameters
    ----------
    sessions : int
        How many there are, each of its own key and with a short lingering verdict.
    each : int
        After how many the memory is read.
    """
    seen = []
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        each_gate = gate("PASS", linger_s=0.0)
        async with serving(each_gate, out=Path(folder), limits=Limits(1)) as (_, client):
            for number in range(1, sessions + 1):
                path = f"/v1/argo/shop?key=ns/app-{number}/7d/1&wait=25"
                async with client.get(path) as response:
                    document = await response.json()
                if document["verdict"] != "PASS":
                    raise RuntimeError(f"the server said {document}")
                if number % each == 0:
                    seen.append(_resident_kb())
    return seen


async def _held() -> dict[str, float]:
    """Return how long the loop of a server that is polled has computed without a break [ms]."""
    seen: list[float] = []

    async def probe() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            seen.append((now - before) * 1000)
            before = now

    async def call(url: str) -> None:
        command = (sys.executable, "-m", "tests.benchmarks.serving", "--poll", url)
        calling = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY)
        failed = await calling.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        if failed:
            raise RuntimeError("the callers failed")

    with tempfile.TemporaryDirectory(prefix="wb-") as folder, EmbeddedService(WEIGHTS) as service:
        gates = {"shop": Gate("shop", {"url": service.url, "expect": EXPECT}, WEIGHTS)}
        weigher = command_of("sampler.cli.weigher")
        server = Server(Door(Address("127.0.0.1", 0)), gates, Limits(2), Path(folder), weigher)
        tasks: list[asyncio.Task[None]] = []

        def announce(url: str) -> None:
            tasks.extend(asyncio.create_task(each) for each in (call(url), probe()))

        await server.run(announce)
        await tasks[0]
        tasks[1].cancel()
    return spread(seen) | {"p99": statistics.quantiles(seen, n=100)[-1]}


async def _poll(url: str) -> None:
    """Ask as 200 callers of five keys do, four steps long, and read pages and documents."""

    async def call(client: aiohttp.ClientSession, number: int) -> None:
        for step in range(STEPS):
            path = f"/v1/argo/shop?key=ns/app-{number % KEYS}/7d/{step}&wait=10"
            document: dict[str, Any] = {"final": False}
            while not document["final"]:
                async with client.get(path) as response:
                    document = await response.json()
            state = document["status_url"]
            pages = ("/", "/metrics", f"{state}/report", f"{state}/junit", f"{state}/report.html")
            for page in pages[: 0 if number % 20 else None]:
                async with client.get(page) as response:
                    response.raise_for_status()
                    await response.read()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as client:
        await asyncio.gather(*(call(client, number) for number in range(CALLERS)))


def _resident_kb() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * _PAGE // 1024


def _markdown(figures: dict[str, Any]) -> str:
    waits, resident = figures["wait_s"], figures["resident_kb"]
    half, held = resident[len(resident) // 2 :], figures["loop_held_ms"]
    return f"""# From request to verdict through a server, and its memory

{paragraph(figures["made"])}

| demo Service, 9 + 1 pods, seconds | median | least | most |
| --- | ---: | ---: | ---: |
| `check` in a warm process, run written | {_row(waits["check"])} |
| `POST /v1/gates/shop/checks`, run written | {_row(waits["serve"])} |

Ratio of the medians: {figures["ratio"]:.2f}; the aim is at most {AIM}.

Resident memory of a server and its client in one process over {figures["sessions"]} sessions, each
of its own key, with scripted checks: {resident[0]} kB after the first twentieth, {half[0]} kB at
half, {resident[-1]} kB at the end.

While {CALLERS} callers poll {KEYS} keys through {STEPS} steps with real checks, and read pages,
metrics, reports and figures, the server's loop computes without a break for {held["p99"]:.1f} ms in
99 of 100 cases, and at most {held["max"]:.1f} ms; the aim is at most 50 ms.
"""


def _row(each: dict[str, float]) -> str:
    return " | ".join(f"{each[name]:.3f}" for name in ("median", "min", "max"))


if __name__ == "__main__":
    main(sys.argv[1:])
