"""The values of a figure as texts, for the readers of a page who point at them."""

from __future__ import annotations

from math import exp, inf, log
from typing import TYPE_CHECKING

import numpy as np

from analysis.batch import ABSENT
from analysis.figures.response import MOST_LINES, limits_ms
from analysis.figures.split import MOST_PANELS
from analysis.render import rounding
from analysis.render.html import Reading, Row
from analysis.render.printable import name_of
from analysis.timeline import ordered_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.batch import Batch
    from analysis.report import Report
    from analysis.timeline import Timeline
    from analysis.trace import Trace

_NAME_ROOM = 24
_TIMES = 81
_MOST_ROWS = 12
_MOST_NATS = 14.0  # more than a million to one says no more


def split_reading(timeline: Timeline, report: Report) -> Reading:
    """Give the windows of the split over time, and what was known by then.

    Parameters
    ----------
    timeline : Timeline
        Of the run that is drawn.
    report : Report
        Of the same run.
    """
    middle = (timeline.edges_s[:-1] + timeline.edges_s[1:]) / 2
    heads = [
        f"{float(at):.2f} s: {rounding.counted(int(n), 'request')}, {failed} failed, "
        f"{unlabelled} unlabelled"
        for at, n, failed, unlabelled in zip(
            middle, timeline.launched, timeline.failed, timeline.unlabelled, strict=True
        )
    ]
    look = np.searchsorted(timeline.looks.at_s, middle, side="right") - 1
    rows = [
        Row(position, tuple(_windows(timeline, position, report, look)))
        for position in range(min(len(timeline.labels), MOST_PANELS))
    ]
    end = float(timeline.edges_s[-1])
    return Reading(
        "panel-0",
        "losses",
        "Read at a time",
        tuple((middle / end).tolist()),
        tuple(heads),
        tuple(rows),
    )


def _windows(
    timeline: Timeline, position: int, report: Report, look: NDArray[np.intp]
) -> list[str]:
    name = name_of(timeline.labels[position], _NAME_ROOM)
    labelled, looks = timeline.by_label.sum(axis=0), timeline.looks
    ends = timeline.band(position, report) if len(looks.judged) else np.empty((2, 0))
    texts = []
    for window, at in enumerate(look.tolist()):
        count, n = int(timeline.by_label[position][window]), int(labelled[window])
        share = f"{100 * count / n:.1f} %" if n else "nothing"
        text = f"{name}: {share} ({count} of {n})"
        if at >= 0:
            known = max(int(looks.judged[at] - looks.missing[at]), 1)
            low, high = rounding.percent_interval((ends[0, at], ends[1, at]), 1)
            so_far = 100 * int(looks.counts[position, at]) / known
            text += f", so far {so_far:.1f} % [{low}, {high}]"
        texts.append(text)
    return texts


def times_reading(batch: Batch, report: Report) -> Reading | None:
    """Give the shares of answers within some times, by label; None without an answer."""
    labels, rows_of = ordered_labels(batch, report)
    answered = (batch.label != ABSENT) & (batch.done_ns != ABSENT)
    row = rows_of[batch.label[answered]]
    took_ns = (batch.done_ns - batch.scheduled_ns)[answered]
    if not len(took_ns):
        return None
    low, high = limits_ms(took_ns)
    at_ms = np.geomspace(low, high, _TIMES)
    seen = np.flatnonzero(np.bincount(row, minlength=len(labels) + 1)).tolist()
    step = np.searchsorted(at_ms * 1e6, took_ns)
    grid = np.bincount(row * (_TIMES + 1) + step, minlength=(len(labels) + 1) * (_TIMES + 1))
    shares = grid.reshape(len(labels) + 1, _TIMES + 1).cumsum(axis=1)
    rows = [
        Row(
            place,
            tuple(
                f"{name_of(labels[place], _NAME_ROOM)}: {100 * n / shares[place, -1]:.1f} % within"
                for n in shares[place, :_TIMES].tolist()
            ),
        )
        for place in seen[:MOST_LINES]
    ]
    heads = tuple(f"{rounding.significant(float(ms), 3)} ms" for ms in at_ms)
    at = np.linspace(0.0, 1.0, _TIMES)
    return Reading(
        "responses", "responses", "Read at a time", tuple(at.tolist()), heads, tuple(rows)
    )


def evidence_reading(traced: Trace, report: Report) -> Reading:
    """Give the evidence at the looks that are drawn.

    Parameters
    ----------
    traced : Trace
    report : Report
        Of the same run.
    """
    labels = list(report.expected.weights) if report.expected is not None else list(traced.arms)
    heads = tuple(f"after {rounding.counted(int(n), 'connection')}" for n in traced.judged)
    rows = [Row(None, _verdicts(traced))]
    half = len(traced.arms)
    for row, arm in enumerate(traced.arms[:_MOST_ROWS]):
        name = name_of(arm, _NAME_ROOM)
        low, high = traced.passing[row], traced.passing[row + half]
        texts = [
            f"{name}: not too low {odds_of(a)}, not too high {odds_of(b)}"
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]
        rows.append(Row(labels.index(arm), tuple(texts)))
    last = "failing" if len(traced.failing) else "passing"
    at = traced.judged / max(int(traced.judged[-1]) * 1.02, 2)
    return Reading(
        "passing", last, "Read after connections", tuple(at.tolist()), heads, tuple(rows)
    )


def _verdicts(traced: Trace) -> tuple[str, ...]:
    failing = traced.failing.tolist() or [-inf] * len(traced.judged)
    return tuple(
        f"inside {odds_of(least)}" + ("" if against == -inf else f", outside {odds_of(against)}")
        for least, against in zip(traced.weakest.tolist(), failing, strict=True)
    )


def odds_of(nats: float) -> str:
    """Write log evidence as odds for people: ``12 to 1``, ``1 to 3.1``."""
    if nats >= _MOST_NATS:
        return f"10^{int(nats / log(10))} to 1"
    if nats >= 0:
        return f"{rounding.significant(exp(nats), 2)} to 1"
    if nats <= -_MOST_NATS:
        return "1 to a million or more"
    return f"1 to {rounding.significant(exp(-nats), 2)}"
