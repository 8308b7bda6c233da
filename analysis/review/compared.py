"""What was found between two runs, in the shape of the document ``weighbridge.comparison/1``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.data.report import Verdict

SCHEMA = "weighbridge.comparison/1"
LEVEL = 0.01
"""Chance that the interval of a label's difference misses it, at whatever looks the runs ended."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""Quantiles of response times, by name."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of the two runs.

    Parameters
    ----------
    id, target, started_at, version : str
        As in its report.
    verdict : Verdict or None
        None where it measured without judging.
    why : str
        Message of its first reason; empty where there is none.
    independent, launched : int
        Independent draws, and requests.
    outcomes : dict of str to int
        Requests by how they ended.
    """

    id: str
    target: str
    started_at: str
    version: str
    verdict: Verdict | None
    why: str
    independent: int
    launched: int
    outcomes: dict[str, int]


@dataclass(frozen=True, slots=True)
class ComparedShare:
    """The share of a label in one run.

    Parameters
    ----------
    count : int
        Judged connections with the label.
    share : float
        Of those with any label, in [0, 1].
    interval : (float, float) or None
        Of its report; None where there is none.
    expected : float or None
        Share that was expected; None where the label was not.
    """

    count: int
    share: float
    interval: tuple[float, float] | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """One label in both runs.

    Parameters
    ----------
    label : str
    first, second : ComparedShare
    difference : float
        Second minus first, in [-1, 1].
    interval : (float, float) or None
        Of the difference, at level `LEVEL`; None where the samples of a run are dependent, or
        there are none.
    """

    label: str
    first: ComparedShare
    second: ComparedShare
    difference: float
    interval: tuple[float, float] | None

    @property
    def is_proven(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class TimesDifference:
    """Response times of one label in both runs: done minus scheduled.

    Parameters
    ----------
    label : str
    first_s, second_s : dict of str to float
        Quantiles by the names of `QUANTILES` [s], to 0.3 %; empty where the label never answered.
    differences_s : dict of str to (float, float)
        Interval of second minus first [s], bootstrapped with confidence ``1 - LEVEL``, as for a
        single look; a quantile is left out where there are too few answers for one.
    """

    label: str
    first_s: dict[str, float]
    second_s: dict[str, float]
    differences_s: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """One setting that is not the same in both plans; empty where a plan does not have it."""

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side, in the shape of the document ``weighbridge.comparison/1``.

    Parameters
    ----------
    runs : (ComparedRun, ComparedRun)
    level : float
        Of the intervals of differences, each label for itself.
    shares : list of LabelDifference
        Labels that were expected or seen in either run.
    times : list of TimesDifference
        Labels that answered in either run; empty where the samples are not known.
    plan : list of PlanDifference
        Settings that differ.
    notes : list of str
        What a reader should know before believing it.
    """

    runs: tuple[ComparedRun, ComparedRun]
    level: float
    shares: list[LabelDifference]
    times: list[TimesDifference]
    plan: list[PlanDifference]
    notes: list[str] = field(default_factory=list)
    schema: str = SCHEMA
