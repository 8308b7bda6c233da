"""The values of a figure as texts, for the readers of a page who point at them."""

from __future__ import annotations

from math import floor, inf, log10
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT
from analysis.figures.response import MOST_LINES, limits_ms
from analysis.figures.split import MILLISECONDS_BELOW_S, MOST_PANELS
from analysis.render.page import Reading, Row
from analysis.render.printable import name_of
from analysis.review.timeline import ordered_labels
from analysis.text import rounding
from analysis.text.wording import odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report
    from analysis.review.timeline import Looks, Timeline
    from analysis.review.trace import Trace

_NAME_ROOM = 24
_TIMES = 81
_MOST_ROWS = 12


def split_reading(timeline: Timeline, report: Report) -> Reading:
    """Return the windows of the split over time, and what was known by then.

    Parameters
    ----------
    timeline : Timeline
        Of the run that is drawn.
    report : Report
        Of the same run.
    """
    middle = (timeline.edges_s[:-1] + timeline.edges_s[1:]) / 2
    heads = [
        f"{_moment(float(at), timeline)}: {rounding.counted(int(n), 'request')}, {failed} failed, "
        f"{unlabelled} unlabelled"
        for at, n, failed, unlabelled in zip(
            middle, timeline.launched, timeline.failed, timeline.unlabelled, strict=True
        )
    ]
    rows = [
        Row(position, tuple(_windows(timeline, position, report, middle)))
        for position in range(min(len(timeline.labels), MOST_PANELS))
    ]
    end = float(timeline.edges_s[-1])
    return Reading(
        "panel-0",
        "losses" if timeline.has_losses else f"panel-{len(rows) - 1}",
        "Values at",
        tuple((middle / end).tolist()),
        tuple(heads),
        tuple(rows),
    )


def _moment(at_s: float, timeline: Timeline) -> str:
    """Write the middle of a window, so that two neighbours differ."""
    in_milliseconds = timeline.edges_s[-1] < MILLISECONDS_BELOW_S
    per_s, unit = (1e3, "ms") if in_milliseconds else (1.0, "s")
    places = max(1 - floor(log10(timeline.width_s * per_s)), 0)
    return f"{at_s * per_s:.{places}f} {unit}"


def _windows(
    timeline: Timeline, position: int, report: Report, at_s: NDArray[np.float64]
) -> list[str]:
    name = name_of(timeline.labels[position], _NAME_ROOM)
    labelled = timeline.by_label.sum(axis=0)
    known = [
        (timeline.looks, timeline.band(position, report)),
        (timeline.later, timeline.later_band(position, report)),
    ]
    texts = []
    for window, at in enumerate(at_s.tolist()):
        count, n = int(timeline.by_label[position][window]), int(labelled[window])
        share = f"{100 * count / n:.1f} %" if n else "nothing"
        so_far = [text for looks, ends in known if (text := _so_far(looks, ends, position, at))]
        texts.append(", ".join([f"{name}: {share} ({count} of {n})", *so_far[-1:]]))
    return texts


def _so_far(looks: Looks, ends: NDArray[np.float64], position: int, at_s: float) -> str:
    """Return what was known of a label at a time; empty before the first look."""
    look = int(np.searchsorted(looks.at_s, at_s, side="right")) - 1
    if look < 0:
        return ""
    known = int(looks.judged[look] - looks.missing[look])
    if not known:
        return "so far nothing"
    text = f"so far {rounding.percent(int(looks.counts[position, look]) / known, 1)} %"
    if not ends.shape[1]:
        return text
    return f"{text} {rounding.bracketed((ends[0, look], ends[1, look]), 1)}"


def times_reading(batch: Batch, report: Report) -> Reading | None:
    """Return the shares of answers within some times, by label; None without an answer."""
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
    return Reading("responses", "responses", "Values at", tuple(at.tolist()), heads, tuple(rows))


def evidence_reading(traced: Trace, report: Report) -> Reading:
    """Return the evidence at the looks that are drawn.

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
            f"{name}: not too low {odds(a)}, not too high {odds(b)}"
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
        f"inside {odds(least)}" + ("" if against == -inf else f", outside {odds(against)}")
        for least, against in zip(traced.weakest.tolist(), failing, strict=True)
    )
