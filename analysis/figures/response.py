"""Response time by label: distribution functions on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT
from analysis.figures.style import (
    FONT,
    LIGHT,
    LINE_STYLES,
    Sheet,
    finish,
    log_times,
    percent,
    styled,
)
from analysis.render.printable import name_of
from analysis.review.timeline import log_histogram, ordered_labels, quantiles
from analysis.text import rounding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report
    from analysis.figures.style import Theme

MOST_LINES = 12
"""Labels that are drawn; the others are counted in the heading."""
MOST_CROSSING = 4
"""Labels whose lines can be followed where they cross; more get a row each."""
LEVELS = (0.5, 0.9, 0.99)
"""Quantiles that are marked."""

_BINS = 400
_NAME_ROOM = 18
_ROW = 0.175
_NS_PER_MS = 1e6
_ROOM = 1.15
_SHAPES = "osD"
_ROWS_LEFT = 1.55


def response_times(batch: Batch, report: Report, theme: Theme = LIGHT) -> Figure:
    """Draw how long each label took to answer.

    Parameters
    ----------
    batch : Batch
        All samples of the run.
    report : Report
        Of the same run.
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        For each of at most `MOST_LINES` labels, the share of its labelled answers that had
        come within a time: done minus scheduled, waiting in this client included. Circle,
        square and diamond mark the quantiles of `LEVELS`. Of more than `MOST_CROSSING` labels,
        each has a row with these marks in place of a curve. Resolution is a 400th of the axis.
        Requests that were never answered are not in it.
    """
    labels, rows = ordered_labels(batch, report)
    answered = (batch.label != ABSENT) & (batch.done_ns != ABSENT)
    row = rows[batch.label[answered]]
    took_ns = (batch.done_ns - batch.scheduled_ns)[answered]
    seen = np.flatnonzero(np.bincount(row, minlength=len(labels) + 1)).tolist()
    shown = seen[:MOST_LINES]
    hidden = len(seen) - len(shown)
    more = f" (and {rounding.counted(hidden, 'more label')})" if hidden else ""
    if len(shown) > MOST_CROSSING:
        return _rows(
            [(place, labels[place], took_ns[row == place]) for place in shown], more, theme
        )
    with styled(theme):
        sheet = Sheet(3.25 + max(len(shown), 1) * _ROW)
        sheet.text(0.08, 0.06, f"Response time{more}", fontsize=FONT, weight="bold")
        axes = sheet.axes(0.42, 2.2)
        axes.set_gid("responses")
        keys = [_line(axes, place, labels[place], took_ns[row == place], theme) for place in shown]
        _scale(axes, took_ns)
        axes.set_ylim(0.0, 1.04)
        axes.set_yticks([0.0, *LEVELS], list(map(percent, [0.0, *LEVELS])))
        if not shown:
            axes.text(0.5, 0.5, "no labelled answer", transform=axes.transAxes, ha="center")
        sheet.legend(3.12, keys, columns=1)
        return finish(sheet.figure)


def _rows(told: list[tuple[int, str, NDArray[np.int64]]], more: str, theme: Theme) -> Figure:
    """Draw a row for each label: its quantiles, on one axis."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy

    height = 0.22 * len(told)
    with styled(theme):
        sheet = Sheet(height + 1.25)
        sheet.text(0.08, 0.06, f"Response time{more}", fontsize=FONT, weight="bold")
        axes = sheet.axes(0.42, height, left=_ROWS_LEFT)
        axes.set_gid("responses")
        for y, (place, _, took_ns) in enumerate(told):
            upper_ns, share = log_histogram(took_ns, _BINS)
            marks = quantiles(upper_ns / _NS_PER_MS, share, LEVELS)
            colour = theme.colour(place)
            axes.plot([marks[0], marks[-1]], [y, y], color=colour, lw=1.2, gid=f"times-{place}")
            for mark, level, shape in zip(marks, LEVELS, _SHAPES, strict=True):
                axes.plot(
                    [mark], [y], marker=shape, ms=4.5, mew=0.8, mec=theme.paper, color=colour,
                    gid=f"p{100 * level:.0f}-{place}",
                )  # fmt: skip
        _scale(axes, np.concatenate([took_ns for _, _, took_ns in told]))
        axes.set_ylim(len(told) - 0.4, -0.6)
        axes.set_yticks(range(len(told)), [name_of(label, _NAME_ROOM) for _, label, _ in told])
        axes.grid(axis="y", visible=False)
        keys = [
            Line2D([], [], ls="none", marker=shape, ms=4.5, color=theme.ink,
                   label=f"{100 * level:.0f} % within")
            for level, shape in zip(LEVELS, _SHAPES, strict=True)
        ]  # fmt: skip
        sheet.legend(height + 1.02, keys, columns=3)
        return finish(sheet.figure)


def _line(axes: Axes, place: int, label: str, took_ns: NDArray[np.int64], theme: Theme) -> Line2D:
    """Draw one label; its key tells the quantiles, too."""
    upper_ns, share = log_histogram(took_ns, _BINS)
    upper = upper_ns / _NS_PER_MS
    marks = quantiles(upper, share, LEVELS)
    spoken = ", ".join(
        f"p{100 * level:.0f} {rounding.significant(mark, 2)}"
        for level, mark in zip(LEVELS, marks, strict=True)
    )
    (line,) = axes.step(
        np.concatenate([upper[:1], upper]),
        np.concatenate([[0.0], share]),
        where="post",
        color=theme.colour(place),
        lw=1.5,
        ls=LINE_STYLES[place // len(theme.series) % len(LINE_STYLES)],
        gid=f"times-{place}",
        label=f"{name_of(label, _NAME_ROOM)}: {spoken} ms",
    )
    for mark, level, shape in zip(marks, LEVELS, _SHAPES, strict=True):
        axes.plot(
            [mark], [level], marker=shape, ms=4.5, mew=0.8, mec=theme.paper,
            color=theme.colour(place), gid=f"p{100 * level:.0f}-{place}",
        )  # fmt: skip
    return line


def limits_ms(took_ns: NDArray[np.int64]) -> tuple[float, float]:
    """Return the ends of the axis of times [ms]."""
    ends = (int(took_ns.min()), int(took_ns.max())) if len(took_ns) else (1_000_000, 10_000_000)
    low, high = (max(end, 1) / _NS_PER_MS for end in ends)
    return low / _ROOM, max(high * _ROOM, low * 4)


def _scale(axes: Axes, took_ns: NDArray[np.int64]) -> None:
    low, high = limits_ms(took_ns)
    log_times(axes, low, high / _ROOM**2)
    axes.set_xlim(low, high)
    axes.grid(axis="both")
