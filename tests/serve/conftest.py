"""The controllers' calls as Go makes them, for whoever asks a server."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.serve.compiled import compile_controllers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def controllers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``controllers.go``."""
    program = tmp_path_factory.mktemp("go") / "controllers"
    compile_controllers(program)
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
