"""An alarm in words and numbers: what departed, since when, and what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import OTHER, Batch
from analysis.data.live import Alarm, ChangePoint
from analysis.data.report import ReasonCode
from analysis.data.tally import Tally
from analysis.text.rounding import counted
from analysis.verdict.causes import likely_causes
from analysis.verdict.decision import SETTLED
from analysis.watching.departure import LOST, Departure, locate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.evidence.state import Evidence

    Codes = NDArray[np.int16]
    Floats = NDArray[np.float64]

KINDS = frozenset(
    {ReasonCode.OUTSIDE_TOLERANCE, ReasonCode.UNEXPECTED_LABEL, ReasonCode.TOO_MANY_UNLABELLED}
)
"""What settles the evidence of a stretch as an alarm; anything else is a doubt."""


def alarm_of(evidence: Evidence, times: Floats, arms: Codes, at: float) -> Alarm:
    """Describe an alarm.

    Parameters
    ----------
    evidence : Evidence
        Settled by one of `KINDS`.
    times, arms : (m,) float, int
        When its draws were sent [s since 1970], the last m of them, and the arm of each: the
        number of arms for an unexpected label, negative without one.
    at : float
        When the last one was sent.
    """
    code = evidence.settled or ReasonCode.OUTSIDE_TOLERANCE
    text = SETTLED[code][1](evidence).message
    found = None if code is ReasonCode.UNEXPECTED_LABEL else locate(evidence, arms)
    if found is None:
        return Alarm(at=at, kind=code.value, text=text)
    point = _change_point(evidence, found, times, arms, at)
    connections = counted(point.connections, "connection")
    if found.arm == LOST:
        text = f"{_percent(point.after)} of {connections} gave no label; accepted are at most "
        text += f"{_percent(evidence.policy.max_unlabelled)}."
    else:
        low, high = evidence.bands[found.arm].clipped
        text = f"{point.label} received {_percent(point.after)} of {connections}; accepted are "
        text += f"{_percent(low)} to {_percent(high)}."
    return Alarm(
        at=at,
        kind=code.value,
        text=text,
        cause="" if found.arm == LOST else _cause(evidence, arms[found.first :]),
        change=point,
        delay_s=max(at - point.at, 0.0),
    )


def _cause(evidence: Evidence, arms: Codes) -> str:
    """Name what the draws since the change look like."""
    names = (*evidence.split.arms, OTHER)
    labels = [None if arm < 0 else names[arm] for arm in arms.tolist()]
    causes = likely_causes(evidence, Tally.of(Batch.of_labels(labels), has_windows=False))
    return causes[0].message if causes else ""


def _change_point(
    evidence: Evidence, found: Departure, times: Floats, arms: Codes, at: float
) -> ChangePoint:
    def time_of(place: int) -> float:
        return float(times[place]) if place < len(times) else at

    def share(part: Codes) -> float | None:
        if found.arm == LOST:
            return float(np.mean(part < 0)) if len(part) else None
        labelled = part[part >= 0]
        return float(np.mean(labelled == found.arm)) if len(labelled) else None

    return ChangePoint(
        at=time_of(found.first),
        range=(time_of(found.range[0]), time_of(found.range[1])),
        label="" if found.arm == LOST else evidence.split.arms[found.arm],
        before=share(arms[: found.first]),
        after=share(arms[found.first :]),
        connections=len(arms) - found.first,
    )


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.3g} %"
