"""What several clients cost: the coordinator of many vantages, and workers against one process.

    python -m tests.benchmarks.fleet

Writes ``reports/fleet.md``. CPU times are those that the system counts for processes, since wall
time on a machine with other work says little.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from analysis import Batch, Policy, Split, Tolerance
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.merging import SLICE_NS, Merger
from sampler import ConnectionLife, Limits, Load, Target
from sampler.demo.process import EmbeddedService
from sampler.fleet.dask import DaskWorkers, survey
from sampler.fleet.fleet import Fleet
from sampler.fleet.messages import Sealed, pack, unpack
from sampler.fleet.processes import Processes
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from sampler.store.wire import from_bytes, to_bytes
from tests.benchmarks.provenance import REPOSITORY, provenance
from tests.dask_cluster import DaskCluster

SPLIT = Split.parse("v1=9,v2=1")
POLICY = Policy(tolerance=Tolerance.parse("0.1pp"))
RATE_PER_S = 20
SECONDS = 10
REQUESTS = 5_000


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
            row.append(pack(Sealed(number + 1, to_bytes([batch]))))
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
        sealed = [unpack(data) for data in row]
        batches = [from_bytes(each.data) for each in sealed if isinstance(each, Sealed)]
        unpacked = time.process_time()
        for number, (each, batch) in enumerate(zip(sealed, batches, strict=True)):
            if isinstance(each, Sealed):
                merger.seal(number, each.slices, *batch)
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


def cost(plan: RunPlan, crew: Processes | DaskWorkers | None) -> tuple[float, float]:
    """Return CPU time of all that sends and judges, and requests per second."""
    weighing = (
        Weighing(plan) if crew is None else Weighing(plan, sampling=partial(Fleet, crew=crew))
    )
    report = asyncio.run(weighing.run())
    return report.performance.cpu_us_per_request, report.samples.launched / max(
        report.performance.duration_s, 1e-9
    )


def compared(cluster: DaskCluster) -> list[str]:
    """Run one process, two workers and two Dask workers against one Service; return rows."""
    rows = []
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        for connection in ("fresh", "reuse"):
            plan = RunPlan(
                Target(service.url),
                Load(connection=ConnectionLife.parse(connection), rate=1000.0, concurrency=64),
                Limits(max_samples=REQUESTS),
                split=SPLIT,
                policy=replace(POLICY, max_samples=10**7),
            )
            vantages = asyncio.run(survey(cluster.address))[:2]
            vantages = [replace(each, source="") for each in vantages]
            for name, crew in (
                ("this process", None),
                ("--workers 2", Processes(2)),
                ("--dask, 2 workers", DaskWorkers(cluster.address, vantages)),
            ):
                cpu, rate = cost(plan, crew)
                rows.append(f"| {connection} | {name} | {cpu:.0f} | {rate:.0f} |")
    return rows


def main() -> None:
    """Measure, and write the page."""
    made = provenance({})
    limits = [coordinator(vantages) for vantages in (10, 100, 300)]
    with tempfile.TemporaryDirectory() as folder:
        cluster = DaskCluster(folder)
        cluster.heal()
        try:
            rows = compared(cluster)
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
        (f"{REQUESTS} requests at 1000/s to the embedded Service on the same machine. CPU is that "
        "of the processes that send, merge and judge, per request; of a worker it includes its "
        "start-up from the first lease on, and of Dask not its own processes. The rate says "
        "whether the client kept up."), "",
        "| connections | sent from | CPU per request [us] | requests/s |",
        "| --- | --- | --- | --- |", *rows, "",
    ])  # fmt: skip
    Path(REPOSITORY / "reports" / "fleet.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
