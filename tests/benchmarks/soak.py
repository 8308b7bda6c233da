"""A soak: an embedded Service watched at 2 000 connections per second, memory and descriptors read.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.soak``. SOAK_S sets its length in
seconds (20 minutes by default), SOAK_RATE its rate. Runs rotate ten times.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from analysis import Split
from analysis.data.live_events import StateTold
from analysis.watching.asked import WatchPolicy
from sampler.demo.process import EmbeddedService
from sampler.plan.load import Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.watch.session import Rotation, Session
from sampler.watch.telling import Teller
from tests.benchmarks.provenance import paragraph, provenance, write

LENGTH_S = float(os.environ.get("SOAK_S", "1200"))
RATE = float(os.environ.get("SOAK_RATE", "2000"))
ROTATE_S = LENGTH_S / 10
SLOTS = 64
MOST_ROWS = 24
MIB = 1 << 20


def main() -> None:
    """Soak, and write the report; ends with 1 if memory or descriptors grew."""
    made = provenance({})
    with (
        EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service,
        tempfile.TemporaryDirectory(prefix="wb-soak-") as folder,
    ):
        rows, session = _watch(service.url, Path(folder))
    # The first quarter fills rings and caches.
    settled = rows[len(rows) // 4 :]
    growth = max(row["memory"] for row in settled) / settled[0]["memory"]
    files = {row["descriptors"] for row in settled}
    is_flat = growth < 1.1 and max(files) - min(files) <= SLOTS + 16
    figures = {"schema": "weighbridge.benchmark/1", "made": made, "rate_per_s": RATE,
               "length_s": LENGTH_S, "rows": rows, "is_flat": is_flat}  # fmt: skip
    write("soak", figures, _text(made, rows, session, growth=growth, is_flat=is_flat))
    sys.exit(0 if is_flat else 1)


def _watch(url: str, folder: Path) -> tuple[list[dict[str, Any]], Session]:
    """Watch for the whole length; return what was read each ten seconds."""
    plan = RunPlan(
        Target(url), Load(rate=RATE, concurrency=SLOTS), split=Split.parse("v1=9,v2=1"), seed=1,
        out=folder, name="watch-soak",
    )  # fmt: skip
    teller, rows = Teller(), []

    def read(event: object) -> None:
        if isinstance(event, StateTold):
            state = event.state
            rows.append({
                "at_s": state.at - state.started,
                "connections": state.connections,
                "memory": state.cost.memory_bytes,
                "disk": state.cost.disk_bytes,
                "cpu": state.cost.cpu_share,
                "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - of Linux
                "state": str(state.state),
                "alarms": sum(state.alarms.values()),
            })  # fmt: skip

    async def run() -> Session:
        teller.listeners.append(read)
        asked = WatchPolicy(plan.policy, 30 * 86_400, RATE)
        rotation = Rotation(time_s=ROTATE_S, keep=3)
        session = Session("soak", plan, asked, teller, rotation=rotation, max_time_s=LENGTH_S)
        await session.run()
        return session

    return rows, asyncio.run(run())


def _text(
    made: dict[str, Any], rows: list[dict[str, Any]], session: Session, *,
    growth: float, is_flat: bool,
) -> str:  # fmt: skip
    step = max(len(rows) // MOST_ROWS, 1)
    lines = [
        f"| {row['at_s']:.0f} | {row['connections']} | {row['memory'] / MIB:.0f} | "
        f"{row['descriptors']} | {row['disk'] / MIB:.1f} | {100 * row['cpu']:.0f} % | "
        f"{row['state']} | {row['alarms']} |"
        for row in rows[::step]
    ]
    table = "\n".join(lines)
    return f"""\
# A soak of continuous weighing

{paragraph(made)}
{RATE:g} connections per second for {LENGTH_S:g} s on an embedded Service of 9:1, fresh connections,
a run rotated every {ROTATE_S:g} s of which three are kept; CPU is that of the sampler.

| s | connections | memory [MiB] | descriptors | disk [MiB] | CPU | state | alarms |
| --- | --- | --- | --- | --- | --- | --- | --- |
{table}

{rows[-1]["connections"] / LENGTH_S:.0f} connections per second were sent; a machine that
is busy with other things sends less than was asked for.

After the first quarter, memory was at most {growth:.2f} times what it was then: it is
{"flat" if is_flat else "NOT flat"}. The last state is {session.lookout.course.state}.
"""


if __name__ == "__main__":
    main()
