"""How many rows ``weighbridge judge`` reads in a second of processor time, of each kind of log.

The recordings of the tests are repeated until a log is large enough; a CSV of fresh connections is
made up. Each log is read in a process of its own (which is what its resident memory is that of),
without the decision; the CSV is judged too, by the command line. The median of the runs is told.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.logs``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.provenance import paragraph, provenance, spread, write
from tests.recordings.make import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDINGS = {
    "nginx-weighbridge.log": {},
    "nginx-weighbridge.json.log": {},
    "envoy.log": {},
    "envoy.json.log": {},
    "traefik.log": {},
    "traefik.json.log": {},
    "k6.json.gz": {"metric": "answers"},
    "k6.csv.gz": {"metric": "answers"},
}
_READER = """
import json, resource, sys, time
from sampler.logs import ForeignLog, Reading
path, more = sys.argv[1], json.loads(sys.argv[2])
began = time.process_time()
log = ForeignLog(path, Reading(**more))
rows = sum(len(batch) for batch in log.batches())
took = time.process_time() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows_per_s": rows / took, "peak_mib": peak}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read each kind of log several times and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the CSV")
    parser.add_argument("--bytes", type=int, default=50_000_000, help="of each repeated recording")
    parser.add_argument("--runs", type=int, default=3, help="times that each is read")
    options = parser.parse_args(arguments)
    each: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="weighbridge-logs-") as place:
        table = Path(place) / "made.csv"
        _make_csv(table, options.rows)
        each["CSV, with connections"] = _read(table, {}, options.runs)
        judged = [options.rows / _judged_s(table) for _ in range(options.runs)]
        for name, more in RECORDINGS.items():
            log = Path(place) / name.removesuffix(".gz")
            _repeat(HERE / name, log, options.bytes)
            # Repeated, the times begin anew; nothing is refused for it here.
            each[name] = _read(log, {**more, "reorder": 10**9}, options.runs)
            log.unlink()
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": provenance({}),
        "rows": options.rows,
        "judged_rows_per_s": spread(judged),
        "read": each,
    }
    write("logs", figures, _markdown(figures))


def _make_csv(path: Path, rows: int) -> None:
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write("time,label,connection\n")
        file.writelines(
            f"{1769860800 + at / 1000:.3f},{'v2' if draw.random() < 0.1 else 'v1'},{at}\n"
            for at in range(rows)
        )


def _repeat(recording: Path, path: Path, size: int) -> None:
    data = recording.read_bytes()
    if recording.suffix == ".gz":
        data = gzip.decompress(data)
    with path.open("wb") as file:
        for _ in range(size // len(data) + 1):
            file.write(data)


def _read(path: Path, more: dict[str, Any], runs: int) -> dict[str, Any]:
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", _READER, str(path), json.dumps(more)],
                check=True,
                capture_output=True,
                text=True,
                timeout=600,
            ).stdout
        )
        for _ in range(runs)
    ]
    return {
        "rows_per_s": spread([one["rows_per_s"] for one in found]),
        "peak_mib": max(one["peak_mib"] for one in found),
    }


def _judged_s(path: Path) -> float:
    """Processor time of the whole command [s]."""
    command = [sys.executable, "-m", "sampler.cli", "judge", str(path), "--expect", "v1=9,v2=1"]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    after = os.times()
    return (
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def _markdown(figures: dict[str, Any]) -> str:
    csv = figures["read"]["CSV, with connections"]
    whole = (
        f"`weighbridge judge` on a CSV of {figures['rows']:,} rows, from the start of the process "
        f"to its end: {figures['judged_rows_per_s']['median']:,.0f} rows for each second of "
        f"processor time. Reading it took {csv['peak_mib']:.0f} MiB.\n"
    )
    lines = [
        "# Reading logs\n",
        whole,
        "Reading alone, rows for each second of processor time:\n",
        "| log | median | least | greatest |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, one in figures["read"].items():
        rate = one["rows_per_s"]
        lines.append(
            f"| {name} | {rate['median']:,.0f} | {rate['min']:,.0f} | {rate['max']:,.0f} |"
        )
    lines += ["", "A row of k6 is a request, about 14 lines.", "", paragraph(figures["made"])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
