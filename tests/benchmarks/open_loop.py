"""How well an open workload keeps to its rate: asked, due, launched, shed and late.

nginx with one worker answers on loopback; ``sample`` runs in a process of its own, as a user
runs it. A closed workload measures the capacity, then arrivals are asked for at a part of it.
The number of Poisson arrivals that fall into a run is itself random, with a standard deviation
of its square root; so *due* is compared with what was asked for in those units, and *launched*
with *due*.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.open_loop``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.provenance import paragraph, provenance, write
from tests.processes import WEIGHBRIDGE, completed
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONCURRENCY = 256
PARTS = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
MODES = ("fresh", "reuse")
AIM = 0.01
CONFIGURATION = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/json; return 200 '{{"label": "v1"}}'; }}
  }}
}}
"""
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5, help="length of one run [s]")
    seconds = parser.parse_args(arguments).seconds
    made = provenance({"nginx": ["nginx", "-v"]})
    with _nginx() as url:
        modes = {mode: [_row(url, mode, part, seconds) for part in PARTS] for mode in MODES}
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "seconds": seconds,
        "concurrency": CONCURRENCY,
        "modes": modes,
    }
    write("open_loop", figures, _markdown(figures))


@contextmanager
def _nginx() -> Iterator[str]:
    """Serve on a free port, on a processor of its own where there are two; give the URL."""
    allowed = sorted(os.sched_getaffinity(0))
    client_cpu, pod_cpu = (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port), encoding="ascii")
        command = [
            path_of("nginx") or "nginx",
            "-e",
            f"{folder}/error.log",
            "-c",
            str(configuration),
        ]
        _pin(pod_cpu)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _pin(client_cpu)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(10)


def _pin(processor: int | None) -> None:
    """Keep this process, and what it starts from now on, on one processor."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start to listen")


def _row(url: str, mode: str, part: float, seconds: float) -> Row:
    # Measured again for each row: on a shared machine it does not stay what it was.
    capacity = _sample(url, mode, seconds / 2)["performance"]["rate_per_s"]
    rate = round(part * capacity)
    report = _sample(url, mode, seconds, "--rate", str(rate))
    performance, samples = report["performance"], report["samples"]
    # Launched over the achieved rate is the length of the time of sending.
    sending_s = samples["launched"] / performance["rate_per_s"]
    due = samples["launched"] + samples["shed"]
    row = {
        "part": part,
        "capacity_per_s": capacity,
        "asked_per_s": rate,
        "due_per_s": due / sending_s,
        "deviations": (due - rate * sending_s) / math.sqrt(rate * sending_s),
        "launched_per_s": performance["rate_per_s"],
        "shed": samples["shed"],
        "kept": samples["launched"] / due,
        "lateness_ms": performance["lateness_ms"],
        "cpu_share": performance["cpu_share"],
        "client_saturated": performance["client_saturated"],
        "not_ok": samples["launched"] - samples["outcomes"].get("ok", 0),
    }
    print(f"{mode}: {row}", file=sys.stderr)
    return row


def _sample(url: str, mode: str, seconds: float, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        command = [
            *(*WEIGHBRIDGE, "sample", url, "--json", "-"),
            *("--concurrency", str(CONCURRENCY), "--connection", mode),
            *("--max-rate", "none", "--max-time", f"{seconds:g}s", *more),
        ]
        done = completed(command, folder, timeout_s=60 + 2 * seconds)
    if done.returncode != 0:
        raise RuntimeError(f"weighbridge ended with {done.returncode}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _markdown(figures: dict[str, Any]) -> str:
    rows = []
    for mode, measured in figures["modes"].items():
        for row in measured:
            late = row["lateness_ms"]
            rows.append(
                f"| {mode} | {row['capacity_per_s']:,.0f} | {row['part']:.0%} "
                f"| {row['asked_per_s']:,} "
                f"| {row['due_per_s']:,.0f} ({row['deviations']:+.1f}) "
                f"| {row['launched_per_s']:,.0f} | {row['kept']:.2%} | {row['shed']} "
                f"| {late['p50']:.2f} / {late['p99']:.1f} / {late['max']:.0f} "
                f"| {row['cpu_share']:.0%} |"
            )
    return f"""\
# How well an open workload keeps to its rate

Poisson arrivals for {figures["seconds"]:g} s at parts of the capacity that a closed workload with
the same {figures["concurrency"]} slots reaches, nginx on the same machine. *Due* is the rate of the
arrivals that fell into the run, and in brackets by how many standard deviations of a Poisson count
it differs from the rate that was asked for. *Kept* is launched over due; the aim is to lose at most
{AIM:.0%} up to 80 % of the capacity. *Late* is the median, 99th percentile and maximum of launches.

| connections | capacity/s | part | asked/s | due/s | launched/s | kept | shed | late [ms] | CPU |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
