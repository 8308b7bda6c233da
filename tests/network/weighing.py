"""Weigh a data plane with the real command line, and ask it twice without it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow.parquet import read_table

from tests.network.planes.base import Unit
from tests.processes import WEIGHBRIDGE, completed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from tests.network.planes.base import Running

RIGHT = {"v1": 9, "v2": 1}
WRONG = {"v1": 8, "v2": 2}
"""One pod off. The tolerance is half a pod, so this is off by twice the tolerance."""

RARE = "1e-8"
# Real chance is at work: at the default error rates one run in a hundred would end otherwise,
# and some fifty runs of the tests are to end as expected but for once in a million.
RARELY_WRONG = ("--alpha", RARE, "--beta", RARE, "--max-samples", "50000")
# Many requests, few connections.
KEPT = ("--connection", "reuse", "--concurrency", "8", "--max-samples", "800")

_TIMEOUT_S = 90
_CONNECTIONS = 100

# Two requests on each of so many connections; prints the hosts, connection by connection.
_TWICE = """
import http.client, json, sys, urllib.parse
place, seen = urllib.parse.urlsplit(sys.argv[1]).netloc, []
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPConnection(place, timeout=60)
    hosts = []
    for _ in range(2):
        connection.request("GET", "/")
        hosts.append(json.load(connection.getresponse())["host"])
    connection.close()
    seen.append(hosts)
print(json.dumps(seen))
"""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What ``check`` made of a data plane.

    Parameters
    ----------
    exit_code : int
        0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE.
    report : dict
        The JSON report.
    labels : list of str
        Of every request, in send order.
    printed : str
        Standard output and error, for the message of a test that fails.
    """

    exit_code: int
    report: dict[str, Any]
    labels: list[str]
    printed: str

    @property
    def verdict(self) -> str:
        """``PASS``, ``FAIL`` or ``INCONCLUSIVE``."""
        return str(self.report["verdict"])


def weigh(running: Running, folder: Path, *options: str) -> Weighed:
    """Let ``weighbridge check`` expect 9:1 of a data plane.

    Parameters
    ----------
    running : Running
        What is asked.
    folder : Path
        Where the run is written.
    *options : str
        Further ones of the command line.
    """
    command = [
        *(*WEIGHBRIDGE, "check", running.url, "--expect", "v1=9,v2=1"),
        *("--json", "-", *RARELY_WRONG, *options),
    ]
    done = _as_client(running, command, folder)
    printed = done.stdout + done.stderr
    if done.returncode not in {0, 1, 3}:
        raise RuntimeError(f"check ended with {done.returncode}: {printed}")
    report = json.loads(done.stdout)
    table = read_table(folder / report["run"]["path"] / "samples.parquet")
    return Weighed(done.returncode, report, table["label"].to_pylist(), printed)


def measure(running: Running, folder: Path, requests: int, *options: str) -> list[str]:
    """Let ``weighbridge sample`` send `requests`; return the label of each, in send order."""
    command = [
        *(*WEIGHBRIDGE, "sample", running.url, "--json", "-"),
        *("--max-samples", str(requests), "--max-time", f"{_TIMEOUT_S // 2}s", *options),
    ]
    done = _as_client(running, command, folder)
    if done.returncode != 0:
        raise RuntimeError(f"sample ended with {done.returncode}: {done.stdout}{done.stderr}")
    path = json.loads(done.stdout)["run"]["path"]
    labels: list[str] = read_table(folder / path / "samples.parquet")["label"].to_pylist()
    return labels


def unit_of_choice(running: Running) -> Unit:
    """Find out by two requests on each of 100 connections what one choice holds for.

    At 9:1 of two pods, a plane that chooses for each request gives the same pod twice on all
    100 connections with a chance of 0.82 ** 100, that is 2e-9.
    """
    command = [sys.executable, "-I", "-S", "-c", _TWICE, running.url, str(_CONNECTIONS)]
    done = _as_client(running, command, running.bed.folder)
    if done.returncode != 0:
        raise RuntimeError(f"asking twice ended with {done.returncode}: {done.stderr}")
    kept = all(first == second for first, second in json.loads(done.stdout))
    return Unit.CONNECTION if kept else Unit.REQUEST


def _as_client(
    running: Running, command: Sequence[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return completed([*running.prefix, *command], folder, timeout_s=_TIMEOUT_S)
