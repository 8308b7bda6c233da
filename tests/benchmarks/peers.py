"""Other load generators, as they are run for a comparison; those that are installed take part.

Each is given the same target, connections and time. What a tool got done is read from the
pods' own counts, not from what it prints: half of them cannot say which version answered, and
several count otherwise (responses only, retries hidden, requests in flight dropped).

``make peers`` installs locust and autocannon beside the project's environment; hey, ab and
h2load come from Debian (hey, apache2-utils, nghttp2-client).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
HOMES = (
    REPOSITORY / ".venv" / "peers" / "bin",
    REPOSITORY / ".venv" / "npm" / "node_modules" / ".bin",
)
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


@dataclass(frozen=True, slots=True)
class Peer:
    """One load generator.

    Parameters
    ----------
    program : str
        Its name on the path.
    command : callable
        Takes program, URL, mode, connections and seconds, and gives the command.
    version : tuple of str
        Arguments that print its version.
    by_number : bool
        Whether it sends a number of requests instead of for a time.
    """

    program: str
    command: Callable[[str, str, str, int, int], list[str]]
    version: tuple[str, ...]
    by_number: bool = False


def _hey(program: str, url: str, mode: str, connections: int, seconds: int) -> list[str]:
    fresh = ["-disable-keepalive"] if mode == "fresh" else []
    return [program, "-z", f"{seconds}s", "-c", str(connections), "-cpus", "1", *fresh, url]


def _ab(program: str, url: str, mode: str, connections: int, seconds: int) -> list[str]:
    keep = ["-k"] if mode == "reuse" else []
    # -t alone implies 50 000 requests; -n after it lifts that.
    return [
        *(program, "-q", "-l", "-t", str(seconds), "-n", "100000000"),
        *("-c", str(connections), *keep, url),
    ]


def _h2load(program: str, url: str, mode: str, connections: int, seconds: int) -> list[str]:
    close = ["-H", "Connection: close"] if mode == "fresh" else []
    # By number: with -D it does not end where the server closes the connections.
    requests = seconds * (8_000 if mode == "fresh" else 40_000)
    return [program, "--h1", "-t1", f"-c{connections}", f"-n{requests}", *close, url]


def _autocannon(program: str, url: str, mode: str, connections: int, seconds: int) -> list[str]:
    close = ["-H", "Connection=close"] if mode == "fresh" else []
    return [program, "-n", "-c", str(connections), "-d", str(seconds), *close, url]


def _locust(program: str, url: str, mode: str, connections: int, seconds: int) -> list[str]:
    return [
        *(
            program,
            "-f",
            str(LOCUSTFILE),
            "--headless",
            "--only-summary",
            "--host",
            url.rstrip("/"),
        ),
        *("-u", str(connections), "-r", str(connections), "-t", f"{seconds}s"),
        *(["--fresh"] if mode == "fresh" else []),
    ]


PEERS: Mapping[str, Peer] = {
    "hey": Peer("hey", _hey, ("-h",)),
    "ab": Peer("ab", _ab, ("-V",)),
    "h2load": Peer("h2load", _h2load, ("--version",), by_number=True),
    "autocannon": Peer("autocannon", _autocannon, ("--version",)),
    "locust": Peer("locust", _locust, ("--version",)),
}
"""By name; wrk, which the others are compared with, is run by `sampler_vs_wrk` itself."""


def path_of_peer(peer: Peer) -> str | None:
    """Find a peer on the path, or where ``make peers`` puts it."""
    for home in HOMES:
        if (home / peer.program).exists():
            return str(home / peer.program)
    return shutil.which(peer.program)
