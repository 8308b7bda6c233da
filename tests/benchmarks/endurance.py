"""A long run: resident memory, and the rate of its last million samples against its first.

``weighbridge check`` with a tolerance so small that it never decides asks the network bed over
kept connections until the asked number of samples is in; its resident memory is read a few
times a second. The rates come from the samples that it wrote.

Run from the repository, as root: ``.venv/bin/python -m tests.benchmarks.endurance``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, write
from tests.network.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE = 1_000_000
LOOK_EVERY_S = 0.2
NS_PER_S = 1e9


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=20_000_000, help="length of the run")
    options = parser.parse_args(arguments)
    made = provenance({"nginx": ["nginx", "-v"]})
    processors = sorted(os.sched_getaffinity(0))
    with (
        Cluster.start({"v1": 9, "v2": 1}, pod_cpu=processors[-1]) as cluster,
        tempfile.TemporaryDirectory(prefix="wb-") as folder,
    ):
        os.sched_setaffinity(0, {processors[0]})
        peak_mib = _watch(
            [
                *cluster.prefix,
                *("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "sampler.cli"),
                *("check", cluster.url, "--expect", "v1=9,v2=1", "--tolerance", "0.01pp"),
                *("--concurrency", "64", "--connection", "reuse", "--max-rate", "none"),
                *("--max-samples", str(options.samples), "--max-time", "1h"),
            ],
            Path(folder),
        )
        (run,) = (Path(folder) / "reports").iterdir()
        figures = {
            "schema": "weighbridge.benchmark/1",
            "made": made,
            "samples": options.samples,
            "peak_rss_mib": peak_mib,
            **_rates(run / "samples.parquet"),
        }
    write("endurance", figures, _markdown(figures))


def _watch(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Run a command to its end; give the greatest resident memory while it sends and at all."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    sending = whole = 0.0
    while True:
        try:
            process.wait(LOOK_EVERY_S)
            break
        except subprocess.TimeoutExpired:
            rss = _rss_mib(process.pid)
            whole = max(whole, rss)
            if not list(folder.glob("reports/*/samples.parquet*")):
                sending = max(sending, rss)
    if process.returncode != 3:
        raise RuntimeError(f"weighbridge ended with {process.returncode}")
    return {"while_sending": sending, "at_all": whole}


def _rss_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else 0.0


def _rates(path: Path) -> dict[str, Any]:
    file = pq.ParquetFile(path)
    sent = file.read(columns=["sent_ns"])["sent_ns"]
    edge = min(EDGE, len(sent) // 2)
    first, last = (
        edge / ((pc.max(part).as_py() - pc.min(part).as_py()) / NS_PER_S)
        for part in (sent.slice(0, edge), sent.slice(len(sent) - edge))
    )
    return {
        "written": len(sent),
        "bytes_per_sample": path.stat().st_size / len(sent),
        "first_rate_per_s": first,
        "last_rate_per_s": last,
        "last_over_first": last / first,
    }


def _markdown(figures: dict[str, Any]) -> str:
    peak = figures["peak_rss_mib"]
    return f"""\
# A long run

| what | figure | aim |
| --- | ---: | ---: |
| samples written | {figures["written"]:,} | |
| resident memory while sending, at most [MiB] | {peak["while_sending"]:.0f} | 200 |
| resident memory at all, at most [MiB] | {peak["at_all"]:.0f} | 200 |
| rate of the first million [1/s] | {figures["first_rate_per_s"]:,.0f} | |
| rate of the last million [1/s] | {figures["last_rate_per_s"]:,.0f} | |
| last over first | {figures["last_over_first"]:.3f} | 0.95 to 1.05 |
| room on disk [B/sample] | {figures["bytes_per_sample"]:.1f} | |

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
