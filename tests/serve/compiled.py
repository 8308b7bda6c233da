"""Compiles ``controllers.go``: ``python -m tests.serve.compiled PROGRAM``.

The first time, Go compiles its own library: half a minute of a processor. `make test` has that
done before the first test; it stays in ``.venv/go-cache``.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.processes import REPOSITORY
from tests.requirements import path_of

_CACHE = REPOSITORY / ".venv" / "go-cache"


def compile_controllers(program: Path) -> None:
    """Write the program of ``controllers.go``; nothing is fetched.

    Raises
    ------
    subprocess.CalledProcessError
        If it cannot be compiled; Go says why on stderr.
    """
    _CACHE.mkdir(exist_ok=True)
    surroundings = os.environ | {
        "GOCACHE": str(_CACHE), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOENV": "off",
        "GOFLAGS": "", "CGO_ENABLED": "0", "HOME": str(_CACHE),
    }  # fmt: skip
    command = [str(path_of("go")), "build", "-gcflags=all=-l", "-ldflags=-s -w", "-o", str(program),
               str(REPOSITORY / "tests" / "serve" / "controllers.go")]  # fmt: skip
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker of pytest's may compile the same
        subprocess.run(command, env=surroundings, check=True)


if __name__ == "__main__":
    compile_controllers(Path(sys.argv[1]))
