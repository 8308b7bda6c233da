"""Python and the command line in processes of their own, as tests and benchmarks start them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent
WEIGHBRIDGE = (sys.executable, "-m", "sampler.cli")
"""The command line of this repository, with the Python that runs the tests."""


def surroundings(**more: str) -> dict[str, str]:
    """Give the environment in which a process imports this repository, wherever it starts."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY)} | more


def completed(
    command: Sequence[str], folder: Path | str, *, timeout_s: float = 240, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end, whatever its exit code is.

    `variables` are added to its environment.
    """
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=surroundings(**variables),
        timeout=timeout_s,
    )


def started(folder: Path, *arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start the command line in a folder, for a test that watches it or ends it."""
    return subprocess.Popen(
        [*WEIGHBRIDGE, *arguments],
        cwd=folder,
        env=surroundings(),
        stdout=output,
        stderr=output,
        text=True,
    )


def limited(kind: str, soft: int, hard: int) -> tuple[str, ...]:
    """Give the words in front of a command that lower a limit of its process."""
    code = (
        f"import os, resource, sys; resource.setrlimit(resource.{kind}, ({soft}, {hard})); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    return (sys.executable, "-c", code)


def program_in(folder: Path) -> str:
    """Write a program `weighbridge` that is ours; give a PATH on which it comes first."""
    folder.mkdir(exist_ok=True)
    program = folder / "weighbridge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sampler.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def only_run(folder: Path) -> Path:
    """Give the one run that was written below a folder, where `--out` is left to its default."""
    (run,) = (path for path in (folder / "reports").iterdir() if path.is_dir())
    return run


def children(process: subprocess.Popen[Any]) -> list[int]:
    """Give the ids of the children of a process, whichever of its threads started them."""
    return [each.pid for each in psutil.Process(process.pid).children()]


def still_running(processes: Iterable[int]) -> list[int]:
    """Give those of the process ids that run; one that ended and was not collected does not."""
    found = []
    for pid in processes:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found
