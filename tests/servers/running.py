"""Real HTTP servers, two of each: one answers with v1, the other with v2, and both count.

A `Server` is a command and the files that it reads, below ``conf`` and ``apps``. In all of them
these words stand for what is known only when it starts: ``@address@``, ``@port@``, ``@folder@``
(empty, its own), ``@label@``, ``@root@`` (files with the answer at every path), ``@origin@`` (the
port of a server of aiohttp behind a proxy, started if it is named), ``@apps@``, ``@own@`` (our
Python), and ``@python@``, ``@bin@`` and ``@modules@`` (of what ``make servers`` installed apart).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ports import free_ports
from tests.processes import REPOSITORY
from tests.requirements import SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = {"v1": "127.0.0.2", "v2": "127.0.0.3"}
"""Where each version listens: every address in 127.0.0.0/8 is this machine's."""
HOST = "answers.test"
COMBINATIONS = tuple(
    f"{transport}-{life}" for transport in ("fast", "full") for life in ("fresh", "reuse")
)
INSTALLED = REPOSITORY / ".venv" / "servers"
"""An environment of Python with what `make servers` installs, and ``node_modules``."""
_HERE = Path(__file__).parent
_PATH = re.compile(r"/((?:length|chunked|close)/(?:fast|full)-(?:fresh|reuse))\b")
_START_S, _STOP_S = 120, 10


@dataclass(frozen=True, slots=True)
class Server:
    """A server, how it is had and started, and where its own count is.

    Parameters
    ----------
    name : str
        For people.
    command : str
        With the words of this module's text.
    version : str
        Command whose first number is the version.
    files : tuple of str
        In ``conf``; they are filled in and put into the folder.
    log : str
        In the folder: a line with the path of each request. Programs of ours write it themselves.
    framings : tuple of str
        What it can answer with: ``length`` (Content-Length), ``chunked``, and ``close`` (it ends
        the connection although the client would keep it).
    by : str
        What counts: its access log, the program that it runs, or the origin behind it.
    note : str
        What is peculiar about it.
    """

    name: str
    command: str
    version: str
    files: tuple[str, ...] = ()
    log: str = "log"
    framings: tuple[str, ...] = ("length", "chunked", "close")
    by: str = "its program"
    note: str = ""

    @property
    def has_origin(self) -> bool:
        """Whether it is a proxy, in front of an origin of aiohttp."""
        texts = (self.command, *((_HERE / "conf" / name).read_text() for name in self.files))
        return any("@origin@" in text for text in texts)

    def lack(self) -> str:
        """Return which program is missing, empty if none is."""
        program = _filled(self.command.split()[0], _words())
        return "" if shutil.which(program, path=SEARCH_PATH) else program

    def told_version(self) -> str:
        """Return the version that it tells; empty if it tells none."""
        command = _filled(self.version, _words())
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, check=False, timeout=60,
            env=_surroundings(),
        )  # fmt: skip
        found = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Running:
    """Two of a server, which answer.

    Parameters
    ----------
    port : int
        The same on both addresses.
    """

    port: int
    folders: dict[str, Path]
    log: str

    def counts(self, combination: str) -> dict[str, int]:
        """Count what each version answered at a path; complete once they have ended."""
        return {label: self._places(label)[combination] for label in VERSIONS}

    def _places(self, label: str) -> Counter[str]:
        log = self.folders[label] / self.log
        return Counter(_PATH.findall(log.read_text(errors="replace")) if log.exists() else ())


@contextmanager
def running(server: Server, folder: Path, origin: Server | None = None) -> Iterator[Running]:
    """Start two of a server; they have ended with the block, and their logs are whole.

    Raises
    ------
    TimeoutError
        If one does not answer; its output is told.
    """
    port, behind = free_ports(2, *VERSIONS.values())
    folders = {label: folder / f"{server.name.replace(' ', '-')}-{label}" for label in VERSIONS}
    with ExitStack() as stack:
        started = []
        for label, address in VERSIONS.items():
            words = _words() | {
                "address": address, "port": str(port), "origin": str(behind), "label": label,
                "folder": str(folders[label]), "root": str(folders[label] / "root"),
            }  # fmt: skip
            _lay(server, words)
            if server.has_origin and origin is not None:
                # First: some proxies give up an origin that is not there yet.
                at = words | {"port": str(behind)}
                _wait(stack.enter_context(_process(origin, at, "origin")), at)
            started.append((stack.enter_context(_process(server, words)), words))
        for process, words in started:
            _wait(process, words)
        yield Running(port, folders, _filled(server.log, {"port": str(port)}))


def _words() -> dict[str, str]:
    """Return what can be filled in before anything was started."""
    at = INSTALLED / "bin"
    return {
        "apps": str(_HERE / "apps"),
        "bin": str(at),
        "python": str(at / "python" if at.exists() else sys.executable),
        "modules": str(INSTALLED / "node_modules"),
        "own": sys.executable,
    }


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda match: words.get(match[1], match[0]), text)


def _lay(server: Server, words: dict[str, str]) -> None:
    """Write the files of a server, and those that it serves."""
    folder, root = Path(words["folder"]), Path(words["root"])
    folder.mkdir(parents=True)
    for each in (folder, folder.parent):
        each.chmod(0o777)  # some servers give up root's rights
    for name in server.files:
        text = (_HERE / "conf" / name).read_text(encoding="utf-8")
        (folder / name).write_text(_filled(text, words), encoding="utf-8")
    for framing in ("length", "chunked", "close"):
        (root / framing).mkdir(parents=True)
        for combination in (*COMBINATIONS, "ready"):
            (root / framing / combination).write_text(json.dumps({"label": words["label"]}))


@contextmanager
def _process(
    server: Server, words: dict[str, str], role: str = "server"
) -> Iterator[subprocess.Popen[bytes]]:
    folder = Path(words["folder"])
    log = folder / ("log" if role == "server" else f"{role}.log")
    with (folder / f"{role}.out").open("wb") as out:
        process = subprocess.Popen(
            [_filled(each, words) for each in server.command.split()],
            cwd=folder,
            stdin=subprocess.PIPE,  # a shell of Erlang ends with it
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_surroundings() | {"LABEL": words["label"], "COUNTS": str(log)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # workers that outlive their master
            os.killpg(process.pid, signal.SIGKILL)


def _surroundings() -> dict[str, str]:
    return os.environ | {
        "PATH": SEARCH_PATH,
        "PYTHONPATH": str(_HERE / "apps"),
        "MODULES": str(INSTALLED / "node_modules"),
        "HOME": str(INSTALLED),
        "GOCACHE": str(INSTALLED / "go-cache"),
        "DENO_NO_UPDATE_CHECK": "1",
    }


def _wait(process: subprocess.Popen[bytes], words: dict[str, str]) -> None:
    url = f"http://{words['address']}:{words['port']}/length/ready"
    until, last = time.monotonic() + _START_S, "nothing was tried"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < until and process.poll() is None:
        try:
            with opener.open(url, timeout=10) as response:
                if words["label"].encode() in response.read():
                    return
        except OSError as error:
            last = str(error)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
        time.sleep(0.05)
    out = (Path(words["folder"]) / "server.out").read_text(errors="replace")[-500:]
    raise TimeoutError(f"no answer from {url} ({last}): {out.strip()}")
