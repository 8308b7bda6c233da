"""Where a request's processor time goes: its parts in this process, and its system calls.

The parts are driven without a network and without a loop, each by itself, so that they can be told
apart to some ten nanoseconds, on a busy machine too: processor time of this thread, the least of
many rounds. System calls are counted by strace during a whole run of each tool against the same
pods; what the start and the end of a process take is left out by the difference of two lengths.

Run from the repository, as root: ``.venv/bin/python -m tests.benchmarks.request_cost``.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from analysis import Batch, Policy, Split, Tolerance
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from sampler.engine.engine import Engine
from sampler.exchange.transport.connection import CHUNK, IDLE, Connection
from sampler.exchange.transport.fast import FastTransport
from sampler.exchange.transport.poller import READABLE, EpollPoller
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import ConnectionLife, Limits, Load
from sampler.plan.target import Target
from sampler.store.writer import RunWriter
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, write
from tests.network.cluster import Cluster
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IN_FLIGHT = 64
ROUNDS = 60
TURNS = 100  # of all slots: about what comes in during one tick of a full run on kept connections
ROWS = {"fresh": 1_000, "reuse": IN_FLIGHT * TURNS}
BATCHES = {"fresh": 192, "reuse": 48}
FLUSHED = 16  # ticks of 50 ms between two writes to the disk
SPLIT = Split.parse("v1=9,v2=1")
POLICY = Policy(alpha=1e-9, beta=1e-9, tolerance=Tolerance.parse("0.01pp"), max_samples=10**9)
LENGTHS = (4_000, 16_000)
WRK_SECONDS = (1, 3)
MODES = ("fresh", "reuse")
_BODY = b'{"label":"v1","host":"pod-1"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 30 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
) % (len(_BODY), _BODY)


def main() -> None:
    """Measure, and write the report."""
    made = provenance({"wrk": ["wrk", "-v"], "strace": ["strace", "-V"]})
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "parts_ns": {**_sending(), **{mode: _taking(mode) for mode in MODES}},
        "system_calls": _system_calls(),
    }
    write("request_cost", figures, _markdown(figures))


# Parts


class _Wire:
    """A socket on which the same answer is always there."""

    __slots__ = ("_number", "recv", "send")

    def __init__(self, number: int) -> None:
        self._number = number
        self.recv = {CHUNK: _ANSWER}.__getitem__
        self.send = len

    def fileno(self) -> int:
        return self._number


def _sending() -> dict[str, float]:
    """Measure transport and engine, then the recorder, on kept connections [ns a request]."""
    load = Load(concurrency=IN_FLIGHT, connection=ConnectionLife.parse("reuse"), max_rate=None)
    reader = LabelReader(LabelRule.parse("/label"), LabelRule.parse("/host"))
    reader.labels.code("v1")
    limits = Limits(max_samples=10**9)
    engine = Engine(Target("http://127.0.0.1/"), load, limits, reader, transport=FastTransport)
    engine.allow(10**9)  # a label is known: nothing is held back
    transport = engine.transport
    assert isinstance(transport, FastTransport)
    loop = asyncio.new_event_loop()
    transport._poller = EpollPoller(loop, transport._on_ready)
    for slot in range(IN_FLIGHT):
        conn = Connection(cast("Any", _Wire(1_000 + slot)), slot, slot, -1)
        conn.state = IDLE
        transport._slots[slot] = transport._connections[conn.fd] = conn
        engine._launch_next(slot)
    events = [(descriptor, READABLE) for descriptor in transport._connections]

    def exchange() -> None:
        for _ in range(TURNS):
            transport._on_ready(events)

    def seal() -> None:
        engine.recorder.let_go()
        engine.recorder.seal()

    engine.recorder.remotes = None  # their look-up has not taken place
    exchanged, sealed = _least(exchange, seal)
    transport._poller.close()
    loop.close()
    return {"transport and engine, nothing compiled": exchanged, "recorder": sealed}


def _least(*steps: Callable[[], object]) -> list[float]:
    """Give the least processor time of steps that are taken in turn [ns a request]."""
    took: list[list[int]] = [[] for _ in steps]
    gc.disable()
    for _ in range(ROUNDS):
        for step, times in zip(steps, took, strict=True):
            began = time.thread_time_ns()
            step()
            times.append(time.thread_time_ns() - began)
    gc.enable()
    return [min(times) / ROWS["reuse"] for times in took]


def _taking(mode: str) -> dict[str, float]:
    """Measure what becomes of batches: folds of `sample` and `check`, and the disk [ns a row]."""
    made = [_batch(mode, number) for number in range(BATCHES[mode])]
    is_reuse = mode == "reuse"
    health = HealthEvidence.start(SPLIT, HealthPolicy(), 1)
    sample = Fold(None, has_connections=is_reuse)
    check = Fold(Fixed(SPLIT, POLICY, 1), health=health, has_connections=is_reuse)
    took: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        writer = RunWriter(Path(folder), "cost", datetime.now(UTC))
        writer.open_stream()

        def judge(batch: Batch) -> None:
            check.take(batch)
            check.look()

        steps = {"fold of sample": sample.take, "fold of check": judge}
        for number, batch in enumerate(made, 1):
            for name, step in steps.items():
                began = time.thread_time_ns()
                step(batch)
                took.setdefault(name, []).append(time.thread_time_ns() - began)
            writer.write(batch)
            if number % FLUSHED == 0:
                began = time.thread_time_ns()
                writer.flush(0)
                took.setdefault("stream", []).append((time.thread_time_ns() - began) // FLUSHED)
        began = time.thread_time_ns()
        writer._write_samples()
        parquet = (time.thread_time_ns() - began) / (ROWS[mode] * BATCHES[mode])
    least = {name: min(times) / ROWS[mode] for name, times in took.items()}
    return {**least, "samples.parquet, at the end": parquet}


def _batch(mode: str, number: int) -> Batch:
    random, rows = np.random.default_rng(number), ROWS[mode]
    launched = np.arange(number * rows, (number + 1) * rows)
    is_canary = random.random(rows) < SPLIT.shares[1]
    sent = launched * 8_000
    done = sent + random.integers(300_000, 700_000, rows)
    is_reuse = mode == "reuse"
    return Batch(
        first=number * rows,
        scheduled_ns=sent,
        sent_ns=sent,
        first_byte_ns=done,
        done_ns=done,
        connection=launched % IN_FLIGHT if is_reuse else launched,
        ordinal=(launched // IN_FLIGHT * is_reuse).astype(np.int32),
        label=is_canary.astype(np.int32),
        replica=np.where(is_canary, 9, random.integers(0, 9, rows)).astype(np.int32),
        status=np.full(rows, 200, dtype=np.int16),
        outcome=np.zeros(rows, dtype=np.uint8),
        worker=np.zeros(rows, dtype=np.uint16),
        planned=np.full(rows, -1 if is_reuse else 1, dtype=np.int32),
        labels=SPLIT.arms,
        replicas=tuple(f"pod-{pod}" for pod in range(10)),
    )


# System calls


def _system_calls() -> dict[str, dict[str, dict[str, float]]]:
    with Cluster.start({"v1": 9, "v2": 1}) as cluster:
        return {
            mode: {
                "check": calls_of_a_request(
                    [weighed(cluster, "check", mode, length) for length in LENGTHS]
                ),
                "sample": calls_of_a_request(
                    [weighed(cluster, "sample", mode, length) for length in LENGTHS]
                ),
                "wrk": calls_of_a_request(
                    [_wrk(cluster, mode, seconds) for seconds in WRK_SECONDS]
                ),
            }
            for mode in MODES
        }


Counted = tuple[int, dict[str, int]]


def calls_of_a_request(runs: Sequence[Counted]) -> dict[str, float]:
    """Give the calls of a request, by name, from a shorter and a longer run."""
    (few, short), (many, long) = runs
    each = {name: (calls - short.get(name, 0)) / (many - few) for name, calls in long.items()}
    return {name: calls for name, calls in sorted(each.items()) if calls >= 0.01}


def weighed(cluster: Cluster, command: str, mode: str, length: int) -> Counted:
    """Count the system calls of a whole run of weighbridge."""
    split = ["--expect", "v1=9,v2=1", "--tolerance", "0.01pp"] if command == "check" else []
    return _counted(
        cluster,
        [
            *("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "sampler.cli", command),
            *(cluster.url, *split, "--max-samples", str(length), "--max-time", "120"),
            *("--concurrency", str(IN_FLIGHT), "--max-rate", "none", "--connection", mode),
            *("--out", "none", "--transport", "fast"),
        ],
    )


def _wrk(cluster: Cluster, mode: str, seconds: int) -> Counted:
    close = ["--header", "Connection: close"] if mode == "fresh" else []
    return _counted(
        cluster,
        [path_of("wrk") or "wrk", "-t1", f"-c{IN_FLIGHT}", f"-d{seconds}s", *close, cluster.url],
    )


def _counted(cluster: Cluster, command: list[str]) -> Counted:
    """Run a command under strace; return the requests that the pods counted, and its calls."""
    before = cluster.counts().total()
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        table = Path(folder) / "calls"
        done = cluster.run_in_client(
            [path_of("strace") or "strace", "-f", "-c", "-o", str(table), *command],
            cwd=Path(folder),
            timeout_s=300,
        )
        lines = table.read_text(encoding="utf-8").splitlines()
    if done.returncode not in {0, 3}:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    row = re.compile(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)")
    calls = {found[2]: int(found[1]) for line in lines if (found := row.fullmatch(line))}
    calls.pop("total", None)
    return cluster.counts().total() - before, calls


def _markdown(figures: dict[str, Any]) -> str:
    parts = figures["parts_ns"]
    rows = [f"| {name} | | {parts[name]:.0f} |" for name in ("transport and engine", "recorder")]
    rows += [
        f"| {name} | {parts['fresh'][name]:.0f} | {reuse:.0f} |"
        for name, reuse in parts["reuse"].items()
    ]
    called = [
        f"| {mode} | {tool} | {sum(calls.values()):.2f} | "
        + ", ".join(f"{name} {count:.2f}" for name, count in calls.items())
        + " |"
        for mode, tools in figures["system_calls"].items()
        for tool, calls in tools.items()
    ]
    return f"""\
# Where a request's processor time goes

Parts of weighbridge, each by itself and without the kernel, ns a request: the least of many rounds,
{ROWS["fresh"]} (fresh) or {ROWS["reuse"]} (reuse) requests at once, as in a tick of a full run,
{IN_FLIGHT} in flight. `check` with a tolerance that never decides.

| part | fresh | reuse |
| --- | ---: | ---: |
{chr(10).join(rows)}

System calls of a request, counted by strace on the network bed.

| connections | tool | all | calls |
| --- | --- | ---: | --- |
{chr(10).join(called)}

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
