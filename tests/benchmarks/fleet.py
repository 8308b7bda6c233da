"""What several clients cost: the coordinator of many vantages, and workers against one process.

    python -m tests.benchmarks.fleet

Writes ``reports/fleet.md``. CPU times are those that the system counts for processes, since wall
time on a machine with other work says little.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

from analysis import Batch, Policy, Split, Tolerance
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.merging import SLICE_NS, Merger
from sampler import ConnectionLife, Limits, Load, Target
from sampler.demo.process import EmbeddedService
from sampler.fleet import processes
from sampler.fleet.dask import DaskWorkers, survey
from sampler.fleet.fleet import Crew, Fleet
from sampler.fleet.forks import ForkServer
from sampler.fleet.messages import Sealed, pack, unpack
from sampler.fleet.processes import Processes
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from sampler.store.wire import from_bytes, to_bytes
from tests.benchmarks.provenance import REPOSITORY, provenance
from tests.dask_cluster import DaskCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.fleet.forks import Child

SPLIT = Split.parse("v1=9,v2=1")
POLICY = Policy(tolerance=Tolerance.parse("0.1pp"))
RATE_PER_S = 20
SECONDS = 10
SHORT, LONG = 2_000, 8_000
FULL = {"fresh": 200_000, "reuse": 400_000}
IDLE_S = 5.0
ALONE, WORKERS, DASK = "this process", "--workers 2", "--dask, 2 workers"
APART = "the same, a session for each"
ROUNDS = 5


def recorded(vantages: int, rate_per_s: int, seconds: int) -> list[list[bytes]]:
    """Return the messages of each slice: one of each vantage, as it arrives."""
    random = np.random.default_rng(1)
    slices = seconds * 1_000_000_000 // SLICE_NS
    each = round(rate_per_s * SLICE_NS / 1e9)
    messages = []
    for number in range(slices):
        row = []
        for _ in range(vantages):
            labels = np.where(random.random(each) < 0.1, "v2", "v1").tolist()
            first = number * each
            batch = Batch.of_labels(labels, first=first)
            planned = number * SLICE_NS + np.sort(random.integers(0, SLICE_NS, each))
            batch = replace(batch, scheduled_ns=planned, sent_ns=planned, done_ns=planned + 10**6)
            row.append(pack(Sealed(number + 1, to_bytes(batch))))
        messages.append(row)
    return messages


def coordinator(vantages: int) -> str:
    """Feed recorded messages to a merger and a fold, and return a row."""
    messages = recorded(vantages, RATE_PER_S, SECONDS)
    merger, fold = Merger(vantages), Fold(Fixed(SPLIT, POLICY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parts = {"unpacking": 0.0, "merging": 0.0, "judging": 0.0}
    for row in messages:
        began = time.process_time()
        sealed = [word for data in row for word in unpack(data)]
        batches = [from_bytes(each.data) for each in sealed if isinstance(each, Sealed)]
        unpacked = time.process_time()
        for number, (each, batch) in enumerate(zip(sealed, batches, strict=True)):
            if isinstance(each, Sealed):
                merger.seal(number, each.slices, batch)
        merged = merger.take()
        taken = time.process_time()
        if merged is not None:
            fold.take(merged)
            fold.look()
        parts["unpacking"] += unpacked - began
        parts["merging"] += taken - unpacked
        parts["judging"] += time.process_time() - taken
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    share = {name: 100 * spent / SECONDS for name, spent in parts.items()}
    return (
        f"| {vantages} | {vantages * RATE_PER_S} | "
        f"{' | '.join(f'{each:.0f} %' for each in share.values())} | {sum(share.values()):.0f} % | "
        f"{grown / 1024:.0f} MB |"
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of a run: of all that sends and judges, and of Dask above idle [s]."""

    sending_s: float
    dask_s: float
    rate_per_s: float


def cost(plan: RunPlan, crew: Crew | None, cluster: DaskCluster, idle: float) -> Cost:
    """Measure a run, given the share of a core that Dask's processes take when idle."""
    weighing = (
        Weighing(plan) if crew is None else Weighing(plan, sampling=partial(Fleet, crew=crew))
    )
    before, began = cluster.cpu_s(), time.perf_counter()
    report = asyncio.run(weighing.run())
    took_s = time.perf_counter() - began
    performance, launched = report.performance, report.samples.launched
    return Cost(
        performance.cpu_us_per_request * launched / 1e6,
        cluster.cpu_s() - before - idle * took_s,
        launched / max(performance.duration_s, 1e-9),
    )


def idle_share(cluster: DaskCluster) -> float:
    """Return what Dask's processes take when they have nothing to do; 1 is a core."""
    before = cluster.cpu_s()
    time.sleep(IDLE_S)
    return float(cluster.cpu_s() - before) / IDLE_S


def parted(short_s: float, long_s: float) -> str:
    """Return two cells: the part of each request [us], and that of each run [ms]."""
    each = (long_s - short_s) / (LONG - SHORT)
    return f"{each * 1e6:.0f} | {(short_s - each * SHORT) * 1e3:.0f}"


def first_request(cluster: DaskCluster) -> float:
    """Return the time from the start of a check to its first request [s]."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        began = time.perf_counter()
        command = [sys.executable, "-m", "sampler.cli", "check", url, "--expect", "v1=1"]
        process = subprocess.Popen(
            [*command, "--dask", cluster.address, "--out", "none"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            listening.settimeout(60)
            listening.accept()[0].close()
            return time.perf_counter() - began
        finally:
            # Of a check that is killed, workers keep the tasks until they hear nothing for a while.
            process.terminate()
            process.wait(60)


class _Apart:
    """A server for each child, as on workers of Dask: the kernel divides cores by session."""

    is_live = True

    def __init__(self) -> None:
        self._servers: dict[int, ForkServer] = {}

    def fork(self) -> Child:
        """Start a child, with its server."""
        server = ForkServer()
        child = server.fork()
        self._servers[child.pid] = server
        return child

    def kill(self, child: Child) -> None:
        """Kill a child that does not end."""
        self._servers[child.pid].kill(child)

    def close(self) -> None:
        """End the servers."""
        for server in self._servers.values():
            server.close()


def in_turns(
    cluster: DaskCluster, lengths: Sequence[int], senders: Sequence[str], load: Load
) -> dict[tuple[str, int], list[Cost]]:
    """Measure runs of some lengths by each sender that is named, in turns."""
    vantages = [replace(each, source="") for each in asyncio.run(survey(cluster.address))[:2]]
    idle, costs = idle_share(cluster), dict[tuple[str, int], list[Cost]]()
    crews: dict[str, Callable[[], Crew | None]] = {
        ALONE: lambda: None,
        WORKERS: lambda: Processes(2),
        APART: lambda: Processes(2),
        DASK: lambda: DaskWorkers(cluster.address, vantages),
    }
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        target, policy = Target(service.url), replace(POLICY, max_samples=10**7)
        for _, requests, name in product(range(ROUNDS), lengths, senders):
            limits = Limits(max_samples=requests)
            plan = RunPlan(target, load, limits, split=SPLIT, policy=policy)
            with patch.object(processes, "ForkServer", _Apart if name == APART else ForkServer):
                run = cost(plan, crews[name](), cluster, idle)
            costs.setdefault((name, requests), []).append(run)
    return costs


def compared(cluster: DaskCluster, connection: str) -> list[str]:
    """Run one process, two workers and two Dask workers at a rate; return a row of each."""
    load = Load(connection=ConnectionLife.parse(connection), rate=1000.0, concurrency=64)
    senders = (ALONE, WORKERS, DASK)
    costs = in_turns(cluster, (SHORT, LONG), senders, load)
    rows = []
    for name in senders:
        short, long = costs[name, SHORT], costs[name, LONG]
        sending = parted(*(median(each.sending_s for each in runs) for runs in (short, long)))
        dask = parted(*(median(each.dask_s for each in runs) for runs in (short, long)))
        rate = median(each.rate_per_s for each in long)
        shown = dask if name == DASK else "- | -"
        rows.append(f"| {connection} | {name} | {sending} | {shown} | {rate:.0f} |")
    return rows


def at_full_rate(cluster: DaskCluster, connection: str) -> list[str]:
    """Run two workers, two in sessions of their own, and two of Dask; return a row each."""
    requests = FULL[connection]
    load = Load(connection=ConnectionLife.parse(connection), max_rate=None, concurrency=64)
    rows = []
    for (name, _), runs in in_turns(cluster, (requests,), (WORKERS, APART, DASK), load).items():
        sending = median(each.sending_s for each in runs) / requests * 1e6
        dask = median(each.dask_s for each in runs) / requests * 1e6 if name == DASK else 0.0
        rate = median(each.rate_per_s for each in runs)
        figures = f"{sending:.1f} | {dask:.1f} | {sending + dask:.1f} | {rate:.0f}"
        rows.append(f"| {connection} | {name} | {figures} |")
    return rows


def main() -> None:
    """Measure, and write the page."""
    made = provenance({})
    limits = [coordinator(vantages) for vantages in (10, 100, 300)]
    with tempfile.TemporaryDirectory() as folder:
        cluster = DaskCluster(folder)
        cluster.heal()
        try:
            firsts = [first_request(cluster) for _ in range(ROUNDS + 1)][1:]
            rows = [
                row for connection in ("fresh", "reuse") for row in compared(cluster, connection)
            ]
            full = [row for connection in FULL for row in at_full_rate(cluster, connection)]
        finally:
            cluster.close()
    text = "\n".join([
        "# Several clients", "",
        f"By `make fleet`, at {made['measured_at']}, commit {made['commit']}.", "",
        "## One coordinator", "",
        (f"Messages of vantages that each seal {RATE_PER_S} samples a second were recorded and fed "
        f"to the merger and the fold for {SECONDS} s of their time. Shares are CPU time per second "
        "of the run: 100 % is one core. Memory is what the process grew by."), "",
        "| vantages | samples/s | unpacking | merging | judging | all | memory |",
        "| --- | --- | --- | --- | --- | --- | --- |", *limits, "",
        "## Workers against one process", "",
        (f"At 1000/s to the embedded Service on this machine. CPU is that of the processes that "
        "send, merge and judge; of a worker it includes its start-up from the first lease on. That "
        "of Dask is of its scheduler and three workers, above what they take when idle. Runs of "
        f"{SHORT} and of {LONG} requests tell the part of each request from that of each run. The "
        f"rate of the long ones says whether the client kept up. Medians of {ROUNDS} rounds, in "
        "turns."), "",
        ("| connections | sent from | a request [us] | a run [ms] | of Dask, a request [us] | "
        "of Dask, a run [ms] | requests/s |"),
        "| --- | --- | --- | --- | --- | --- | --- |", *rows, "",
        "### As fast as answers come", "",
        (f"{FULL['fresh']} requests with fresh connections, {FULL['reuse']} with kept ones; two "
        "workers and the Service share two cores. The kernel divides cores by session, and each "
        "worker of Dask is a session of its own; so are the processes of the second row. CPU per "
        f"request, start-up included. Medians of {ROUNDS} rounds, in turns."), "",
        "| connections | sent from | sending, judging | of Dask | all [us] | requests/s |",
        "| --- | --- | --- | --- | --- | --- |", *full, "",
        "## The first request", "",
        ("From the start of `weighbridge check --dask` to its first connection, with scheduler and "
        f"three workers running: {median(firsts):.2f} s (median of {ROUNDS}; "
        f"{min(firsts):.2f} to {max(firsts):.2f} s)."), "",
    ])  # fmt: skip
    Path(REPOSITORY / "reports" / "fleet.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
