"""weighbridge against wrk, on a Service behind kube-proxy's rules, in turns within one run.

Both sample the same ten nginx pods through the same iptables rules from the same network
namespace, with 64 requests in flight, and tally the label of every response: wrk with one
thread and `tally.lua`, weighbridge with ``sample``. nginx has one processor, the client has
the other. Each round runs both tools in both modes and turns their order around, so that a
machine that gets slower or faster favours neither; ratios are taken within a round.

CPU is user + system time of the whole process, the start of the interpreter included, over
the requests that it completed. Tallies are compared with nginx's own count: ours has to be
equal, wrk forgets at most the requests that are in flight when it stops.

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

from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, spread, write
from tests.network.cluster import Cluster
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS = {"v1": 9, "v2": 1}
CONCURRENCY = 64
MODES = ("fresh", "reuse")
TOOLS = ("weighbridge", "wrk")
SCRIPT = Path(__file__).with_name("tally.lua")
Turn = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rounds and write the report."""
    options = _options(arguments)
    made = provenance({"nginx": ["nginx", "-v"], "wrk": ["wrk", "-v"]})
    client_cpu, pod_cpu = _processors()
    turns: list[Turn] = []
    with Cluster.start(WEIGHTS, pod_cpu=pod_cpu) as cluster:
        if client_cpu is not None:
            os.sched_setaffinity(0, {client_cpu})
        for number in range(options.rounds):
            for mode in MODES:
                for tool in TOOLS if number % 2 == 0 else reversed(TOOLS):
                    turn = _turn(cluster, tool, mode, options.seconds)
                    turns.append({"round": number, "tool": tool, "mode": mode, **turn})
                    print(_line(turns[-1]), file=sys.stderr)
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "pinned": {"client": client_cpu, "nginx": pod_cpu},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "concurrency": CONCURRENCY,
        "modes": {mode: _compare(turns, mode) for mode in MODES},
        "turns": turns,
    }
    write("sampler_vs_wrk", figures, _markdown(figures))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=6, help="turns of each tool and mode")
    parser.add_argument("--seconds", type=int, default=3, help="length of one turn [s]")
    return parser.parse_args(arguments)


def _processors() -> tuple[int | None, int | None]:
    """One processor for the client and another for nginx, where there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


def _turn(cluster: Cluster, tool: str, mode: str, seconds: int) -> Turn:
    before, used_s, began = cluster.counts(), _children_s(), time.perf_counter()
    measured = (_wrk if tool == "wrk" else _weighbridge)(cluster, mode, seconds)
    wall_s, used_s = time.perf_counter() - began, _children_s() - used_s
    served = cluster.counts()
    served.subtract(before)
    requests = sum(measured["counts"].values())
    return {
        **measured,
        "served": dict(served),
        "requests": requests,
        "wall_s": wall_s,
        "rate_per_s": requests / measured["duration_s"],
        "cpu_us_per_request": 1e6 * used_s / requests,
        "uncounted": sum(served.values()) - requests,
        "same_counts": dict(served) == {**dict.fromkeys(served, 0), **measured["counts"]},
    }


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wrk(cluster: Cluster, mode: str, seconds: int) -> Turn:
    close = ["--header", "Connection: close"] if mode == "fresh" else []
    done = cluster.run_in_client(
        [
            *(path_of("wrk") or "wrk", "-t1", f"-c{CONCURRENCY}", f"-d{seconds}s"),
            *("-s", str(SCRIPT), *close, cluster.url),
        ]
    )
    tally = [line for line in done.stdout.splitlines() if line.startswith("TALLY ")]
    if done.returncode != 0 or len(tally) != 1:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    read: Turn = json.loads(tally[0].removeprefix("TALLY "))
    return {name: read[name] for name in ("counts", "duration_s", "errors")}


def _weighbridge(cluster: Cluster, mode: str, seconds: int) -> Turn:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        done = cluster.run_in_client(
            [
                *("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "sampler.cli"),
                *("sample", cluster.url, "--concurrency", str(CONCURRENCY)),
                *("--connection", mode, "--max-time", str(seconds), "--json", "-"),
            ],
            cwd=Path(folder),
        )
    if done.returncode != 0:
        raise RuntimeError(f"weighbridge ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    outcomes = Counter(report["samples"]["outcomes"])
    return {
        "counts": report["observed"]["counts"],
        "duration_s": report["performance"]["duration_s"],
        "errors": outcomes.total() - outcomes["ok"],
        "own_cpu_us_per_request": report["performance"]["cpu_us_per_request"],
        "transport": report["performance"]["transport"],
        "client_saturated": report["performance"]["client_saturated"],
    }


def _compare(turns: Sequence[Turn], mode: str) -> dict[str, Any]:
    ours, theirs = (
        [turn for turn in turns if turn["tool"] == tool and turn["mode"] == mode] for tool in TOOLS
    )
    pairs = list(zip(ours, theirs, strict=True))
    return {
        **{
            tool: {
                "rate_per_s": spread([turn["rate_per_s"] for turn in mine]),
                "cpu_us_per_request": spread([turn["cpu_us_per_request"] for turn in mine]),
                "errors": sum(turn["errors"] for turn in mine),
                "most_uncounted": max(turn["uncounted"] for turn in mine),
                "same_counts": all(turn["same_counts"] for turn in mine),
            }
            for tool, mine in zip(TOOLS, (ours, theirs), strict=True)
        },
        "rate_ratio": spread([a["rate_per_s"] / b["rate_per_s"] for a, b in pairs]),
        "cpu_ratio": spread([a["cpu_us_per_request"] / b["cpu_us_per_request"] for a, b in pairs]),
    }


def _line(turn: Turn) -> str:
    return (
        f"round {turn['round']} {turn['mode']:5} {turn['tool']:11} {turn['rate_per_s']:9,.0f}/s "
        f"{turn['cpu_us_per_request']:6.1f} us/request, {turn['errors']} errors, "
        f"{turn['uncounted']} served but not counted"
    )


def _markdown(figures: dict[str, Any]) -> str:
    rows = []
    for mode, compared in figures["modes"].items():
        for tool in TOOLS:
            one = compared[tool]
            kept = "none" if one["same_counts"] else f"{one['most_uncounted']} at most"
            rows.append(
                f"| {mode} | {tool} | {_range(one['rate_per_s'], ',.0f')} "
                f"| {_range(one['cpu_us_per_request'], '.1f')} | {one['errors']} "
                f"| {kept} |"
            )
        rows.append(
            f"| {mode} | **ratio** | **{_range(compared['rate_ratio'], '.2f')}** "
            f"| **{_range(compared['cpu_ratio'], '.2f')}** | | |"
        )
    return f"""\
# weighbridge and wrk on a Service behind kube-proxy's rules

Ten nginx pods at 9:1, {figures["concurrency"]} requests in flight, {figures["rounds"]} rounds of
{figures["seconds"]} s in turns, with a fresh connection for each request or with connections that
are kept; median [least, greatest]; ratios are weighbridge over wrk within a round.

| connections | tool | responses/s | CPU µs/request | errors | served, not counted |
| --- | --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

wrk stops without its requests in flight; weighbridge waits for them.

{paragraph(figures["made"])}"""


def _range(spreads: dict[str, float], form: str) -> str:
    low, high = format(spreads["min"], form), format(spreads["max"], form)
    return f"{spreads['median']:{form}} [{low}, {high}]"


if __name__ == "__main__":
    main()
