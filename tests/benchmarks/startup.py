"""How long a user waits: for help, for the first request of a check, for its verdict, for its end.

Wall times from the start of the process, as a shell would see them. ``check`` runs against nine
pods of v1 and one of v2 on loopback, with the default error rates: about one run in fifty may
end with another verdict than PASS, and the report says how many did. Its first request is timed
at a listening socket of our own. Modules are compiled, as they are where pip installed them.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.startup``.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sampler.demo.process import EmbeddedService
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, spread, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WEIGHTS = {"v1": 9, "v2": 1}
EXPECT = ",".join(f"{label}={weight}" for label, weight in WEIGHTS.items())
HELP, FIRST, VERDICT, END = "help", "first request", "verdict", "end"
AIMS_S = {HELP: 0.2, FIRST: 0.3, VERDICT: 0.6, END: 1.5}
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
_TIMEOUT_S = 60


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, in turns, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=11, help="runs of each command")
    runs = parser.parse_args(arguments).runs
    made = provenance({})
    waits: dict[str, list[float]] = {name: [] for name in AIMS_S}
    verdicts: list[str] = []
    decided: list[int] = []
    with EmbeddedService(WEIGHTS) as service:
        for number in range(runs + 1):
            helped_s = _help()
            first_s = _first_request()
            verdict_s, end_s, line = _check(service.url)
            if number == 0:
                continue  # compiles the modules
            for name, wait_s in zip(AIMS_S, (helped_s, first_s, verdict_s, end_s), strict=True):
                waits[name].append(wait_s)
            verdicts.append(line.split()[0])
            decided.append(int(re.sub(r"\D", "", line.split(" of ")[1].split("connections")[0])))
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "runs": runs,
        "wait_s": {name: spread(each) for name, each in waits.items()},
        "decided_after": spread(decided),
        "verdicts": Counter(verdicts),
        "each_s": waits,
    }
    write("startup", figures, _markdown(figures))


@contextmanager
def _started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[], float]]]:
    """Start a command in an empty folder; give it, and a clock that began with it [s]."""
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "sampler.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=ENVIRONMENT | {"PYTHONPATH": str(REPOSITORY)},
        )
        with process:
            try:
                yield process, lambda: time.perf_counter() - began
                process.communicate(timeout=_TIMEOUT_S)
            finally:
                process.kill()


def _help() -> float:
    with _started("--help") as (process, clock):
        _, complaint = process.communicate(timeout=_TIMEOUT_S)
        wait_s = clock()
    if process.returncode != 0:
        raise RuntimeError(f"--help ended with {process.returncode}: {complaint}")
    return wait_s


def _first_request() -> float:
    """Time until the first request of a check is here."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(_TIMEOUT_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with _started("check", url, "--expect", EXPECT) as (_, clock):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_TIMEOUT_S)
                request = connection.recv(65_536)
                wait_s = clock()
            listener.close()
    if not request.startswith(b"GET "):
        raise RuntimeError(f"expected a request, got {request!r}")
    return wait_s


def _check(url: str) -> tuple[float, float, str]:
    """Time until the verdict is printed, until the process has ended, and the verdict's line."""
    with _started("check", url, "--expect", EXPECT) as (process, clock):
        assert process.stdout is not None  # a pipe
        line = process.stdout.readline()
        verdict_s = clock()
        _, complaint = process.communicate(timeout=_TIMEOUT_S)
        end_s = clock()
    if process.returncode not in {0, 1, 3}:
        raise RuntimeError(f"check ended with {process.returncode}: {complaint}")
    return verdict_s, end_s, line


def _markdown(figures: dict[str, Any]) -> str:
    what = {
        HELP: "`weighbridge --help`, all of it",
        FIRST: "`weighbridge check`, its first request",
        VERDICT: "`weighbridge check` of 9:1, its verdict",
        END: "`weighbridge check` of 9:1, the run written and the process gone",
    }
    rows = [
        f"| {what[name]} | {wait['median']:.3f} | {wait['min']:.3f} | {wait['max']:.3f} "
        f"| {AIMS_S[name]} |"
        for name, wait in figures["wait_s"].items()
    ]
    decided = figures["decided_after"]
    verdicts = ", ".join(f"{count} {name}" for name, count in figures["verdicts"].items())
    return f"""\
# How long a user waits

From the start of the process [s], {figures["runs"]} runs each.

| what for | median | least | greatest | aim |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

`check` of 9:1 ended with {verdicts}, after {decided["median"]:,.0f} connections
[{decided["min"]:,.0f}, {decided["max"]:,.0f}]; it sends at most 2000 requests/s.

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
