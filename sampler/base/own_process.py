"""Modules of ours in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command_of(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module, whatever the working directory contains (-P)."""
    return sys.executable, "-P", "-m", module, *arguments


def environment() -> dict[str, str]:
    """Return the environment in which such a process finds this very package."""
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
