"""What a run leaves on disk: its plan before the start, its samples meanwhile, then its report."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from analysis.bets.sizing import required_samples
from sampler.base.clock import NS_PER_S
from sampler.engine.preflight import LocalLimits, files_needed
from sampler.plan.document import to_document
from sampler.store.expectation_history import to_document as expectation_document
from sampler.store.runs import keep_newest
from sampler.store.writer import FLUSH_NS, RunWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from analysis import Batch, Report, Tally
    from analysis.data.report import Expected
    from analysis.weighing.history import History
    from sampler.plan.run import RunPlan

_USUAL_RATE = 10_000  # of one process without a cap, with fresh connections [1/s]


class Recording:
    """Keeps one run in its folder, or nothing if the plan names no place.

    Parameters
    ----------
    plan : RunPlan
        Of the run.
    started_at : datetime
        Start of the run.

    Raises
    ------
    UsageError
        If the folder cannot be made.

    Notes
    -----
    Every method raises StorageError if the disk is full, or fails.
    """

    def __init__(self, plan: RunPlan, started_at: datetime) -> None:
        self._plan = plan
        self._started_at = started_at
        self._writer = None if plan.out is None else RunWriter(plan.out, plan.name, started_at)

    @property
    def path(self) -> Path | None:
        """The run's folder."""
        return None if self._writer is None else self._writer.path

    def begin(self, expected: Expected | None, history: History | None = None) -> None:
        """Write down what is about to be done; a killed run is read with its help."""
        if self._writer is None:
            return
        plan = self._plan
        document = to_document(plan, self._started_at.isoformat(timespec="milliseconds"))
        self._writer.begin(document, expectation_document(expected, history))
        is_short_of_files = LocalLimits.here().files < files_needed(plan.load.concurrency)
        if is_short_of_files or likely_duration_s(plan) * NS_PER_S >= FLUSH_NS:
            # What a stream imports would stall the run in its midst, and show as slow answers.
            self._writer.open_stream()

    def expect(self, expected: Expected | None, history: History | None) -> None:
        """Write down that the expectation moved."""
        document = expectation_document(expected, history)
        if self._writer is not None and document is not None:
            self._writer.expect(document)

    async def write(self, batch: Batch, elapsed_ns: Callable[[], int]) -> None:
        """Take samples; once a second they go to the disk, from a thread: sending goes on."""
        if self._writer is None:
            return
        self._writer.write(batch)
        if self._writer.is_due(elapsed_ns()):
            await asyncio.to_thread(self._writer.flush, elapsed_ns())

    def finish(self, report: Report, tally: Tally, history: History | None = None) -> None:
        """Write the report, and what is left of the samples; then older runs may go."""
        if self._writer is None:
            return
        self._writer.finish(report, tally, expectation_document(report.expected, history))
        if self._plan.keep is not None and self._plan.out is not None:
            keep_newest(self._plan.out, self._plan.keep)


def likely_duration_s(plan: RunPlan) -> float:
    """Guess how long a run will last, from what it needs and how fast it may send [s]."""
    limits = plan.limits
    needed = inf if limits.max_samples is None else float(limits.max_samples)
    if plan.split is not None:
        needed = min(needed, required_samples(plan.split, plan.deciding_policy).mean)
    rate = min(plan.load.rate or inf, plan.load.max_rate or _USUAL_RATE)
    return min(needed / rate, inf if limits.max_time_s is None else limits.max_time_s)
