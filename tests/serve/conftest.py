"""The controllers' calls as Go makes them, for whoever asks a server."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import REPOSITORY
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CACHE = REPOSITORY / ".venv" / "go-cache"


@pytest.fixture(scope="session")
def controllers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``controllers.go``; Go's own library is compiled once for all runs."""
    program = tmp_path_factory.mktemp("go") / "controllers"
    _CACHE.mkdir(exist_ok=True)
    surroundings = os.environ | {
        "GOCACHE": str(_CACHE), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-p=1",
        "GOENV": "off", "CGO_ENABLED": "0", "HOME": str(program.parent),
    }  # fmt: skip
    command = [str(path_of("go")), "build", "-gcflags=all=-l", "-ldflags=-s -w", "-o", str(program),
               str(REPOSITORY / "tests" / "serve" / "controllers.go")]  # fmt: skip
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker of pytest's may compile the same
        done = subprocess.run(
            command, env=surroundings, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    return program


class Caller:
    """Calls URLs as ``argo`` or ``flagger`` does, and says what became of it."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, text=True
        )

    def __call__(self, who: str, url: str, **how: Any) -> dict[str, Any]:
        """Call a URL; `how` are further members of a call in ``controllers.go``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        call = {"as": who, "method": "GET" if who == "argo" else "POST", "url": url, **how}
        print(json.dumps(call), file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        """Close its connections."""
        self._process.communicate()


@pytest.fixture
def call(controllers: Path) -> Iterator[Caller]:
    """One controller."""
    with closing(Caller(controllers)) as caller:
        yield caller
