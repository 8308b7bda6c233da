"""How long a user waits: ``weighbridge --help``, and ``check`` on the embedded Service.

Wall time of the whole process, from its start to its end, as a shell would see it; the median
of eleven runs each. ``check`` runs against nine pods of v1 and one of v2 on loopback, with the
default error rates: about one run in fifty may end with another verdict than PASS, and the
report says how many did.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.startup``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from sampler.demo.process import EmbeddedService
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, spread, write

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

WEIGHTS = {"v1": 9, "v2": 1}
AIMS_S = {"--help": 0.2, "check": 1.5}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both commands and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=11, help="runs of each command")
    runs = parser.parse_args(arguments).runs
    made = provenance({})
    helps = [_timed(["--help"], {0})[0] for _ in range(runs)]
    expect = ",".join(f"{label}={weight}" for label, weight in WEIGHTS.items())
    with EmbeddedService(WEIGHTS) as service:
        command = ["check", service.url, "--expect", expect, "--json", "-"]
        checks = [_timed(command, {0, 1, 3}) for _ in range(runs)]
    reports = [json.loads(printed) for _, printed in checks]
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "runs": runs,
        "wall_s": {"--help": spread(helps), "check": spread([wall_s for wall_s, _ in checks])},
        "decided_after": spread([report["decision"]["decided_after"] for report in reports]),
        "verdicts": Counter(report["verdict"] for report in reports),
        "each_s": {"--help": helps, "check": [wall_s for wall_s, _ in checks]},
    }
    write("startup", figures, _markdown(figures))


def _timed(arguments: Sequence[str], expected: Collection[int]) -> tuple[float, str]:
    """Wall time [s] of one run that ends with an `expected` exit code, and what it printed."""
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sampler.cli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            timeout=60,
        )
        wall_s = time.perf_counter() - began
    if done.returncode not in expected:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return wall_s, done.stdout


def _markdown(figures: dict[str, Any]) -> str:
    rows = [
        f"| `weighbridge {name}` | {wall['median']:.3f} | {wall['min']:.3f} | {wall['max']:.3f} "
        f"| {AIMS_S[name]} |"
        for name, wall in figures["wall_s"].items()
    ]
    decided = figures["decided_after"]
    verdicts = ", ".join(f"{count} {name}" for name, count in figures["verdicts"].items())
    return f"""\
# How long a user waits

Wall time of the whole process [s], {figures["runs"]} runs each.

| command | median | least | greatest | aim |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

`check` of 9:1 ended with {verdicts}, after {decided["median"]:,.0f} requests
[{decided["min"]:,.0f}, {decided["max"]:,.0f}].

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
