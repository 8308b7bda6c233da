"""What sending a run takes, and what it took: the seam between a run and who sends for it.

`sampler.engine.engine.Engine` sends from this process; `sampler.fleet` has others send.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress, zip_longest
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path

    from analysis import Batch, Outcome
    from analysis.data.report import Worker
    from sampler.base.clock import Clock
    from sampler.engine.saturation import Strain
    from sampler.exchange.failure import Failure
    from sampler.labels.parts import Headers
    from sampler.plan.run import RunPlan


@dataclass(frozen=True, slots=True)
class Effort:
    """What those who sent a run did, and went through; a value.

    Parameters
    ----------
    transport : str
        Its name.
    strains : tuple of Strain
        How hard each client had to work.
    launched, shed : int
        Requests launched, and arrivals that were not.
    duration_ns : int
        From the first request to the end of the drain [ns].
    closings : tuple of int
        Connections by who ended them, in the order of `sampler.exchange.transport.base.Closing`.
    failures : mapping of Outcome to list of Failure
        The first few of each.
    example : (int, sequence of (bytes, bytes), bytes) or None
        Status, header and body of the first response.
    surplus, failed_lookups, pauses : int
        Connections that sent more than was asked for, look-ups without an address, and pauses that
        the target asked for.
    overload : str or None
        What the target could not take more of.
    reached_max_time : bool
        Whether the time was up.
    cpu_s : float
        CPU time of other processes than the one that reports [s].
    workers : tuple of Worker
        Each of those who sent, where it was not this process.
    """

    transport: str
    strains: tuple[Strain, ...]
    launched: int
    shed: int
    duration_ns: int
    closings: tuple[int, ...] = ()
    failures: Mapping[Outcome, Sequence[Failure]] = field(default_factory=dict)
    example: tuple[int, Headers, bytes] | None = None
    surplus: int = 0
    failed_lookups: int = 0
    pauses: int = 0
    overload: str | None = None
    reached_max_time: bool = False
    cpu_s: float = 0.0
    workers: tuple[Worker, ...] = ()

    @property
    def strain(self) -> Strain:
        """How hard the client had to work that was at its limit, or closest to it."""
        return max(self.strains, key=lambda each: (each.is_saturated, each.cpu_share))

    def of_zone(self, zone: str, zone_of: Sequence[str]) -> Self:
        """Return what the clients in a zone did, given the zone of each."""
        here = [each == zone for each in zone_of]
        return replace(
            self,
            workers=tuple(compress(self.workers, here)),
            strains=tuple(compress(self.strains, here)),
        )

    @classmethod
    def of_all(cls, efforts: Sequence[Self], duration_ns: int, workers: tuple[Worker, ...]) -> Self:
        """Add up what several clients did; there is at least one."""
        failures: dict[Outcome, Sequence[Failure]] = {}
        for each in efforts:
            failures = {**each.failures, **failures}
        return cls(
            transport=max(efforts, key=lambda each: each.launched).transport,
            strains=tuple(strain for each in efforts for strain in each.strains),
            launched=sum(each.launched for each in efforts),
            shed=sum(each.shed for each in efforts),
            duration_ns=duration_ns,
            closings=tuple(
                sum(counts) for counts in zip_longest(*(e.closings for e in efforts), fillvalue=0)
            ),
            failures=failures,
            example=next((each.example for each in efforts if each.example is not None), None),
            surplus=sum(each.surplus for each in efforts),
            failed_lookups=sum(each.failed_lookups for each in efforts),
            pauses=sum(each.pauses for each in efforts),
            overload=next((each.overload for each in efforts if each.overload is not None), None),
            reached_max_time=any(each.reached_max_time for each in efforts),
            cpu_s=sum(each.cpu_s for each in efforts),
            workers=workers,
        )


class Sampling(Protocol):
    """Sends a run and hands out what it sampled, in send order."""

    is_stopping: bool
    """Whether sending has ended."""

    @property
    def launched(self) -> int:
        """Requests launched, as far as that is known."""

    @property
    def silent(self) -> frozenset[int]:
        """Numbers of the vantages that send nothing more; empty if there are none."""

    def batches(self) -> AsyncGenerator[Batch, None]:
        """Run, and yield the samples in send order until all are in."""

    def stop(self) -> None:
        """Launch nothing more; what is in flight is drained."""

    def abort(self) -> None:
        """Stop, and give up what is in flight."""

    def slow_down(self, rate_per_s: float | None, *, is_waiting: bool = False) -> None:
        """Send no more than this, or what the plan says again if None [1/s]."""

    def elapsed_ns(self) -> int:
        """Time since the run began to send [ns]."""

    def effort(self) -> Effort:
        """Return what it took, after the last batch."""


class SamplingFactory(Protocol):
    """Makes what sends a run."""

    def __call__(
        self,
        plan: RunPlan,
        *,
        folder: Callable[[], Path | None],
        clock: Clock,
        on_tick: Callable[[], None] | None,
    ) -> Sampling:
        """Get ready to send a run.

        Parameters
        ----------
        plan : RunPlan
            What is sent, and until when.
        folder : callable
            Returns where the run is written, once it has begun.
        clock : Clock
            Monotonic time.
        on_tick : callable or None
            Called a few dozen times a second; given where what is expected may change.
        """
