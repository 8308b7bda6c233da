"""weighbridge against wrk and other load generators, in turns within one run.

All sample the same ten nginx pods through the rules that kube-proxy writes, from the same
network namespace, with 64 requests in flight. weighbridge runs ``check`` with a tolerance so
small that it never decides: every sample is recorded in full and weighed; and ``sample``, which
weighs nothing. wrk runs one thread and `tally.lua`, which tallies the label of every response.
Pinned, nginx has one processor and the client has the other; else the kernel places them. The
order turns around from round to round, so that a machine that gets slower or faster favours
nobody; ratios are taken to wrk's turn of the same round.

What was done is read from the pods' own counts. CPU is user + system time of the whole process
over those requests, the start of the interpreter included; for weighbridge also without it, as
it reports itself. Our tally has to be equal to the pods' count; wrk forgets at most the requests
that are in flight when it stops.

Run from the repository, as root: ``.venv/bin/python -m tests.benchmarks.sampler_vs_wrk``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExitCode
from sampler.exchange.transport.choice import PURE, is_compiled
from tests.benchmarks.peers import PEERS, path_of_peer
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, spread, write
from tests.network.cluster import Cluster
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS = {"v1": 9, "v2": 1}
CONNECTIONS = 64
MODES = ("fresh", "reuse")
CHECK = "weighbridge check"
SAMPLE = "weighbridge sample"
PYTHON = "weighbridge check, nothing compiled"
FULL = "weighbridge check, full transport"
TOOLS = (CHECK, SAMPLE, PYTHON, "wrk")
PINNED, UNPINNED = "pinned", "unpinned"
SCRIPT = Path(__file__).with_name("tally.lua")
Turn = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rounds and write the report."""
    options = _options(arguments)
    peers = {name: path for name, peer in PEERS.items() if (path := path_of_peer(peer))}
    versions = {name: [path, *PEERS[name].version] for name, path in peers.items()}
    if not is_compiled():
        raise SystemExit(
            "nothing is compiled here: install gcc and python3-dev, then make clean test"
        )
    made = provenance({"nginx": ["nginx", "-v"], "wrk": ["wrk", "-v"], **versions})
    processors = os.sched_getaffinity(0)
    turns: list[Turn] = []
    for placement in (PINNED, UNPINNED) if len(processors) > 1 else (UNPINNED,):
        is_pinned = placement == PINNED
        client, pods = sorted(processors)[:2] if is_pinned else (None, None)
        with Cluster.start(WEIGHTS, pod_cpu=pods) as cluster:
            os.sched_setaffinity(0, processors if client is None else {client})
            for number in range(options.rounds):
                has_peers = is_pinned and number < options.peer_rounds
                tools = (*TOOLS, FULL, *peers) if has_peers else TOOLS
                for mode in MODES:
                    for tool in tools if number % 2 == 0 else reversed(tools):
                        turn = _turn(cluster, tool, mode, options.seconds)
                        place = {"placement": placement, "round": number}
                        turns.append({**place, "tool": tool, "mode": mode, **turn})
                        print(_line(turns[-1]), file=sys.stderr)
    figures = {
        "schema": "weighbridge.benchmark/2",
        "made": made,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "concurrency": CONNECTIONS,
        "missing_peers": sorted(set(PEERS) - set(peers)),
        "placements": {
            placement: {
                mode: _compare([turn for turn in turns if turn["placement"] == placement], mode)
                for mode in MODES
            }
            for placement in dict.fromkeys(turn["placement"] for turn in turns)
        },
        "turns": turns,
    }
    write("sampler_vs_wrk", figures, _markdown(figures))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="turns of each tool and mode")
    parser.add_argument("--seconds", type=int, default=5, help="length of one turn [s]")
    parser.add_argument(
        "--peer-rounds", type=int, default=2, help="rounds in which the other peers take part"
    )
    return parser.parse_args(arguments)


def _turn(cluster: Cluster, tool: str, mode: str, seconds: int) -> Turn:
    before, used_s, began = cluster.counts(), _children_s(), time.perf_counter()
    measured = _run(cluster, tool, mode, seconds)
    wall_s, used_s = time.perf_counter() - began, _children_s() - used_s
    served = cluster.counts()
    served.subtract(before)
    requests = sum(served.values())
    counts = measured.get("counts")
    return {
        **measured,
        "served": dict(served),
        "requests": requests,
        "wall_s": wall_s,
        "rate_per_s": requests / measured.get("duration_s", wall_s),
        "cpu_us_per_request": 1e6 * used_s / requests,
        "uncounted": None if counts is None else requests - sum(counts.values()),
        "same_counts": counts is not None
        and dict(served) == {**dict.fromkeys(served, 0), **counts},
    }


def _run(cluster: Cluster, tool: str, mode: str, seconds: int) -> Turn:
    if tool == "wrk":
        return _wrk(cluster, mode, seconds)
    if tool in {CHECK, SAMPLE, PYTHON, FULL}:
        return _weighbridge(cluster, tool, mode, seconds)
    peer = PEERS[tool]
    command = peer.command(
        path_of_peer(peer) or peer.program, cluster.url, mode, CONNECTIONS, seconds
    )
    done = cluster.run_in_client(command, timeout_s=seconds + 60)
    # locust ends with 1 if a request failed; what it did is in the pods' counts all the same.
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{tool} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return {} if peer.by_number else {"duration_s": float(seconds)}


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wrk(cluster: Cluster, mode: str, seconds: int) -> Turn:
    close = ["--header", "Connection: close"] if mode == "fresh" else []
    done = cluster.run_in_client(
        [
            *(path_of("wrk") or "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"),
            *("-s", str(SCRIPT), *close, cluster.url),
        ]
    )
    tally = [line for line in done.stdout.splitlines() if line.startswith("TALLY ")]
    if done.returncode != 0 or len(tally) != 1:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    read: Turn = json.loads(tally[0].removeprefix("TALLY "))
    return {name: read[name] for name in ("counts", "duration_s", "errors")}


def _weighbridge(cluster: Cluster, tool: str, mode: str, seconds: int) -> Turn:
    split = ("--expect", "v1=9,v2=1", "--tolerance", "0.01pp")
    command = ("sample", cluster.url) if tool == SAMPLE else ("check", cluster.url, *split)
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        done = cluster.run_in_client(
            [
                *("env", f"PYTHONPATH={REPOSITORY}", f"{PURE}={'1' if tool == PYTHON else ''}"),
                *(sys.executable, "-m", "sampler.cli"),
                *(*command, "--max-samples", "1000000000", "--max-time", str(seconds)),
                *("--concurrency", str(CONNECTIONS), "--max-rate", "none", "--json", "-"),
                *("--connection", mode, "--transport", "full" if tool == FULL else "fast"),
            ],
            cwd=Path(folder),
        )
    if done.returncode != (ExitCode.PASS if tool == SAMPLE else ExitCode.INCONCLUSIVE):
        raise RuntimeError(f"weighbridge ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    outcomes = Counter(report["samples"]["outcomes"])
    replicas = report["observed"]["replicas"]
    return {
        "counts": {label: sum(counts.values()) for label, counts in replicas.items()},
        "duration_s": report["performance"]["duration_s"],
        "errors": outcomes.total() - outcomes["ok"],
        "own_cpu_us_per_request": report["performance"]["cpu_us_per_request"],
        "transport": report["performance"]["transport"],
    }


def _compare(turns: Sequence[Turn], mode: str) -> dict[str, Any]:
    of_mode = [turn for turn in turns if turn["mode"] == mode]
    wrk = {turn["round"]: turn for turn in of_mode if turn["tool"] == "wrk"}
    tools = dict.fromkeys(turn["tool"] for turn in of_mode)
    return {tool: _one([turn for turn in of_mode if turn["tool"] == tool], wrk) for tool in tools}


def _one(mine: Sequence[Turn], wrk: dict[int, Turn]) -> dict[str, Any]:
    """Sum one tool's turns up, beside wrk's turn of each round."""
    pairs = [(turn, wrk[turn["round"]]) for turn in mine]
    uncounted = [turn["uncounted"] for turn in mine if turn["uncounted"] is not None]
    own = [pair for pair in pairs if "own_cpu_us_per_request" in pair[0]]
    return {
        "rounds": len(mine),
        "rate_per_s": spread([turn["rate_per_s"] for turn in mine]),
        "cpu_us_per_request": spread([turn["cpu_us_per_request"] for turn in mine]),
        "rate_ratio": spread([a["rate_per_s"] / b["rate_per_s"] for a, b in pairs]),
        "cpu_ratio": spread([a["cpu_us_per_request"] / b["cpu_us_per_request"] for a, b in pairs]),
        "own_cpu_ratio": spread(
            [a["own_cpu_us_per_request"] / b["cpu_us_per_request"] for a, b in own]
        )
        if own
        else None,
        "most_uncounted": max(uncounted, default=None),
        "same_counts": all(turn["same_counts"] for turn in mine),
    }


def _line(turn: Turn) -> str:
    return (
        f"{turn['placement']:8} round {turn['round']} {turn['mode']:5} {turn['tool']:34} "
        f"{turn['rate_per_s']:9,.0f}/s "
        f"{turn['cpu_us_per_request']:6.1f} us/request, "
        f"served but not counted: {turn['uncounted']}"
    )


def _markdown(figures: dict[str, Any]) -> str:
    rows = [
        f"| {placement} | {mode} | {tool} | {_range(one['rate_per_s'], ',.0f')} "
        f"| {_range(one['rate_ratio'], '.2f')} | {_range(one['cpu_us_per_request'], '.1f')} "
        f"| {_range(one['cpu_ratio'], '.2f')} | {_range(one['own_cpu_ratio'], '.2f')} "
        f"| {_kept(one)} |"
        for placement, modes in figures["placements"].items()
        for mode, compared in modes.items()
        for tool, one in compared.items()
    ]
    missing = ", ".join(figures["missing_peers"])
    return f"""\
# weighbridge, wrk and others on a Service behind kube-proxy's rules

Ten nginx pods at 9:1, {figures["concurrency"]} requests in flight, {figures["rounds"]} rounds of
{figures["seconds"]} s in turns, with a fresh connection for each request or with connections that
are kept; median [least, greatest]. Requests are those that the pods counted; ratios are to wrk
with a Lua tally within a round. `check` decides after every connection and records every sample,
`sample` records; with nothing compiled, Python does all of it; "steady" leaves the start of the
interpreter out. Pinned: nginx has one processor, the client the other.

| CPUs | connections | tool | requests/s | ratio | CPU µs/request | ratio | steady | not tallied |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

wrk stops without its requests in flight; weighbridge waits for them. "—": the tool cannot tally a
field of the body by itself. CPU and rates of locust include its start.
{f"Not installed here: {missing}." if missing else ""}

{paragraph(figures["made"])}"""


def _kept(one: dict[str, Any]) -> str:
    if one["same_counts"]:
        return "none"
    return "—" if one["most_uncounted"] is None else f"{one['most_uncounted']} at most"


def _range(spreads: dict[str, float] | None, form: str) -> str:
    if spreads is None:
        return ""
    low, high = format(spreads["min"], form), format(spreads["max"], form)
    return f"{spreads['median']:{form}} [{low}, {high}]"


if __name__ == "__main__":
    main()
