"""Where, when and by what a figure was measured, and how it is written down."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.base.version import __version__
from sampler.exchange.transport.choice import is_compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
REPORTS = REPOSITORY / "reports" / "benchmarks"
_PACKAGES = ("aiohttp", "httptools", "numpy", "pyarrow", "uvloop")


def provenance(programs: dict[str, Sequence[str]]) -> dict[str, Any]:
    """Describe this run.

    Parameters
    ----------
    programs : dict of str to sequence of str
        Name of each other program that takes part, and the command that prints its version.
    """
    return {
        "command": shlex.join([Path(sys.executable).name, *_as_typed(sys.orig_argv[1:])]),
        "commit": _commit(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "processors": os.cpu_count(),
            "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        },
        "versions": {
            "weighbridge": f"{__version__} ({'' if is_compiled() else 'not '}compiled)",
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            **{name: _number(_output(command)) for name, command in programs.items()},
        },
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest of `values`, which are not empty."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def write(name: str, figures: dict[str, Any], markdown: str) -> None:
    """Write ``reports/benchmarks/NAME.json`` and ``NAME.md``, and print the latter."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    as_json = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
    (REPORTS / f"{name}.json").write_text(as_json, encoding="utf-8")
    (REPORTS / f"{name}.md").write_text(markdown, encoding="utf-8")
    print(markdown)


def paragraph(made: dict[str, Any]) -> str:
    """Say in Markdown where the figures come from."""
    machine = made["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return (
        f"Made by `{made['command']}` on {made['measured_at']}, commit {made['commit']}.\n"
        f"{machine['processors']} processors ({machine['processor']}), {machine['system']}, "
        f"kernel {machine['kernel']}; {versions}.\n"
    )


def _as_typed(arguments: Sequence[str]) -> list[str]:
    """Arguments without the folders that tell only about one machine."""
    return [Path(each).name if each.startswith("/") else each for each in arguments]


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    commit = _output([*git, "rev-parse", "--short", "HEAD"])[0]
    # The reports themselves are what changes here.
    changed = any(_output([*git, "status", "--porcelain", "--", ".", ":!reports"]))
    return f"{commit} with changes" if changed else commit


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _number(printed: Sequence[str]) -> str:
    """First version number in what a program printed."""
    found = re.search(r"\d+(\.\d+)+\S*", " ".join(printed))
    return found[0] if found else "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _output(command: Sequence[str]) -> list[str]:
    """Lines that `command` printed on both streams; one empty line if it printed nothing."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=30,
    )
    if done.returncode not in {0, 1}:  # wrk -v ends with 1
        return ["unknown"]
    return done.stdout.strip().splitlines() or [""]
