"""What each means of the fast transport is worth: the same run with one of them taken away.

Each variant runs in a process of its own, in turns, with 64 requests in flight against the
network bed. CPU is read around the run inside the process: the start of the interpreter is
not in it.

Run from the repository, as root: ``.venv/bin/python -m tests.benchmarks.speed_steps``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

import uvloop

from sampler.engine.engine import Engine
from sampler.exchange.transport import fast
from sampler.exchange.transport.choice import PURE, make_transport
from sampler.exchange.transport.poller import LoopPoller
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
from sampler.plan.target import Target
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance, spread, write
from tests.network.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIANTS = {
    "as it is": "",
    "nothing compiled": "python",
    "the same, on uvloop": "python uvloop",
    "nothing compiled, each socket watched by the loop, no epoll of our own": "python loop-poller",
    "that, on uvloop": "python loop-poller uvloop",
    "nothing compiled, no memory of whole answers": "python no-memo",
    "nothing compiled, acknowledgements when the kernel likes": "python kernel-acks",
    "the full transport (aiohttp), on uvloop as it is": "full uvloop",
    "the full transport, on asyncio's loop": "full",
}
MODES = {"fresh": 20_000, "reuse": 60_000}
SLOW = {"fresh": 4_000, "reuse": 8_000}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all variants in turns and write the report, or be one variant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each variant")
    parser.add_argument("--variant", nargs=3, metavar=("TRAITS", "URL", "MODE"), default=None)
    options = parser.parse_args(arguments)
    if options.variant is not None:
        print(json.dumps(_be(*options.variant)))
        return
    made = provenance({"nginx": ["nginx", "-v"]})
    processors = sorted(os.sched_getaffinity(0))
    turns: list[dict[str, Any]] = []
    with Cluster.start({"v1": 9, "v2": 1}, pod_cpu=processors[-1]) as cluster:
        os.sched_setaffinity(0, {processors[0]})
        for number in range(options.rounds):
            names = list(VARIANTS) if number % 2 == 0 else list(reversed(VARIANTS))
            for mode in MODES:
                turns += [_turn(cluster, name, mode) for name in names]
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": made,
        "rounds": options.rounds,
        "turns": turns,
    }
    write("speed_steps", figures, _markdown(figures))


def _turn(cluster: Cluster, name: str, mode: str) -> dict[str, Any]:
    done = cluster.run_in_client(
        [
            *("env", f"PYTHONPATH={REPOSITORY}", sys.executable),
            *("-m", "tests.benchmarks.speed_steps"),
            *("--variant", VARIANTS[name], cluster.url, mode),
        ]
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr}")
    turn = {"variant": name, "mode": mode, **json.loads(done.stdout)}
    print(turn, file=sys.stderr)
    return turn


def _be(traits: str, url: str, mode: str) -> dict[str, float]:
    wanted = set(traits.split())
    if "python" in wanted:
        os.environ[PURE] = "1"
    if "no-memo" in wanted:
        fast._LARGEST_ANSWER = -1
    if "kernel-acks" in wanted:
        fast.FastTransport._quick_ack = None
    if "loop-poller" in wanted:
        setattr(fast, "EpollPoller", LoopPoller)  # noqa: B010 - not a public name of it
    runner = uvloop.run if "uvloop" in wanted else asyncio.run
    figures: dict[str, float] = runner(_sample(url, mode, is_full="full" in wanted))
    return figures


async def _sample(url: str, mode: str, *, is_full: bool) -> dict[str, float]:
    load = Load(
        concurrency=64,
        connection=ConnectionLife.parse(mode),
        transport=TransportKind.FULL if is_full else TransportKind.FAST,
        max_rate=None,
    )
    reader = LabelReader(LabelRule.parse("/label"), LabelRule.parse("/host"))
    most = (SLOW if is_full else MODES)[mode]
    engine = Engine(
        Target(url), load, Limits(max_samples=most), reader, transport=make_transport, seed=1
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    async for _ in engine.batches():
        pass
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rate_per_s": engine.launched / (engine.sending_ns / 1e9),
        "user_us": (after.ru_utime - before.ru_utime) / engine.launched * 1e6,
        "sys_us": (after.ru_stime - before.ru_stime) / engine.launched * 1e6,
    }


def _markdown(figures: dict[str, Any]) -> str:
    rows = []
    for mode in MODES:
        for name in VARIANTS:
            mine = [t for t in figures["turns"] if (t["variant"], t["mode"]) == (name, mode)]
            cells = (
                format(spread([turn[key] for turn in mine])["median"], form)
                for key, form in (("rate_per_s", ",.0f"), ("user_us", ".1f"), ("sys_us", ".1f"))
            )
            rows.append(f"| {mode} | {name} | {' | '.join(cells)} |")
    return f"""\
# What each means of the fast transport is worth

64 requests in flight, medians of {figures["rounds"]} turns.

| connections | variant | requests/s | user µs/request | system µs/request |
| --- | --- | ---: | ---: | ---: |
{chr(10).join(rows)}

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
