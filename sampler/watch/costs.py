"""What the sampling of a target costs, over all of its runs: rate, processor, memory, disk."""

from __future__ import annotations

import os
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.data.live import Cost
from sampler.engine.saturation import SATURATED_CPU_SHARE, cpu_s
from sampler.store.writer import folder_name

if TYPE_CHECKING:
    from sampler.plan.run import RunPlan
    from sampler.watch.segment import Segment

_STATM = Path("/proc/self/statm")
_EVERY_S = 1.0
_MINUTE = 60


class Costs:
    """Adds up what the runs of a target sent, and measures what that takes.

    Parameters
    ----------
    plan : RunPlan
        Of the first run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._past: Counter[str] = Counter()
        self._shed = self._pauses = 0
        self._disk = 0
        self._minute: deque[tuple[float, int, float]] = deque(maxlen=_MINUTE)

    def follow_clock(self) -> None:
        """Forget when what was measured, as the wall clock was set."""
        self._minute.clear()

    def add(self, segment: Segment) -> None:
        """Add what a run counted that is over, as the next one takes its place."""
        self._past = self.outcomes(segment)
        self._shed += segment.engine.shed
        self._pauses += segment.engine.effort().pauses

    def measure(self, segment: Segment, now: float) -> None:
        """Note how much was sent by now [s since 1970], and what it took."""
        if not self._minute or now - self._minute[-1][0] >= _EVERY_S:
            sent = self._past.total() + segment.engine.launched
            self._minute.append((now, sent, cpu_s()))

    def measure_disk(self) -> None:
        """Look at the disk, which takes longer."""
        self._disk = disk_bytes(self._plan.out, self._plan.name)

    def outcomes(self, segment: Segment) -> Counter[str]:
        """Return how the requests ended, those of the present run included."""
        found = Counter(self._past)
        for outcome, n in segment.tally.outcomes.items():
            found[outcome.key] += n
        return found

    def now(self, segment: Segment) -> Cost:
        """Return the costs as they were measured last."""
        (then, before, cpu_before), (last, sent, cpu) = self._minute[0], self._minute[-1]
        passed_s = max(last - then, 1e-9)
        share = (cpu - cpu_before) / passed_s
        return Cost(
            rate_per_s=(sent - before) / passed_s,
            asked_per_s=self._plan.load.rate or 0.0,
            cpu_share=share,
            memory_bytes=memory_bytes(),
            disk_bytes=self._disk,
            shed=self._shed + segment.engine.shed,
            pauses=self._pauses + segment.engine.effort().pauses,
            is_saturated=share >= SATURATED_CPU_SHARE,
        )


def memory_bytes() -> int:
    """Return the resident memory of this process; 0 where that is not known."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def disk_bytes(base: Path | None, name: str) -> int:
    """Return the size of all runs of one name in a folder."""
    total = 0
    if base is None:
        return total
    for folder in base.glob(f"*Z-{folder_name(name)}"):
        for file in folder.glob("*"):
            with suppress(OSError):  # removed meanwhile
                total += file.stat().st_size
    return total
