"""Labels inside connections: whether a connection sticks to one version."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import ABSENT
from analysis.figures.style import FONT, LIGHT, SMALL, Sheet, boxes, finish, styled
from analysis.render.printable import name_of
from analysis.review.timeline import ordered_labels
from analysis.text import rounding

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report
    from analysis.figures.style import Theme

MOST_ROWS = 40
"""Connections drawn, spread evenly over the run."""
MOST_COLUMNS = 60
"""Requests of a connection that are drawn."""

_COLOURS = 6
_EMPTY = -1
_ROW = 0.075
_COLUMNS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Labels by connection and position.

    Parameters
    ----------
    cells : (r, c) int
        Position of the label in the order of the documents; -1 where nothing was sent, and
        ``k`` where a request gave no label.
    shared : int
        Connections of the whole run with two labels read on them, or more.
    sticky : int
        Those of them on which all labels were the same.
    total : int
        Connections of the whole run.
    """

    cells: NDArray[np.int64]
    shared: int
    sticky: int
    total: int


def connections(batch: Batch, report: Report, theme: Theme = LIGHT) -> Figure:
    """Draw which label answered inside each connection.

    Parameters
    ----------
    batch : Batch
        All samples of a run whose connections carry several requests.
    report : Report
        Of the same run.
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        A row a connection, at most `MOST_ROWS` of them spread evenly over the run; a cell a
        request, at most the first `MOST_COLUMNS`. Rows of one colour mean that the choice
        is made once for each connection. The heading counts over the whole run.
    """
    labels, rows = ordered_labels(batch, report)
    raster = rasterise(batch, rows)
    height = max(len(raster.cells) * _ROW, 0.6)
    with styled(theme):
        keys = _keys(raster, labels, theme)
        sheet = Sheet(height + 1.25 + ceil(len(keys) / _COLUMNS) * 0.175)
        sheet.text(0.08, 0.06, _heading(raster), fontsize=FONT, weight="bold")
        sheet.text(0.08, 0.26, _subject(raster), fontsize=SMALL, color=theme.quiet)
        axes = sheet.axes(0.56, height, left=0.5)
        axes.set_gid("connections")
        for code in np.unique(raster.cells[raster.cells != _EMPTY]).tolist():
            at, position = np.nonzero(raster.cells == code)
            is_label = code < len(labels)
            boxes(
                axes, position, position + 0.86, at - 0.4, at + 0.4,
                facecolor=_colour(code, len(labels), theme),
                hatch=None if is_label else "xxxx",
                edgecolor=theme.paper,
                gid=f"cells-{code}" if is_label else "cells-none",
            )  # fmt: skip
        width = max(raster.cells.shape[1], 5)
        axes.set_xlim(-0.3, width)
        axes.set_ylim(max(len(raster.cells), 1) - 0.4, -0.6)
        ticks = sorted({1, *range(10, width + 1, 10 if width <= 40 else 20), width})
        ticks = [tick for tick in ticks if tick == width or width - tick > 0.12 * width]
        axes.set_xticks([tick - 0.57 for tick in ticks], list(map(str, ticks)))
        axes.set_yticks([])
        axes.set_xlabel("request within its connection")
        axes.set_ylabel("connection")
        sheet.legend(height + 1.12, keys, columns=_COLUMNS)
        return finish(sheet.figure)


def rasterise(batch: Batch, rows: NDArray[np.int64]) -> Raster:
    """Lay a run out by connection.

    Parameters
    ----------
    batch : Batch
        All samples.
    rows : (codes + 1,) int
        Position of each label code, from `analysis.review.timeline.ordered_labels`.
    """
    if not len(batch):
        return Raster(np.full((0, 0), _EMPTY, dtype=np.int64), 0, 0, 0)
    # Workers number their connections on their own.
    key = batch.worker.astype(np.int64) * (int(batch.connection.max()) + 1) + batch.connection
    known, place = np.unique(key, return_inverse=True)
    labelled = batch.label != ABSENT
    reads = np.bincount(place[labelled], minlength=len(known))
    least = np.full(len(known), np.iinfo(np.int64).max)
    most = np.full(len(known), -1)
    codes = batch.label[labelled].astype(np.int64)
    np.minimum.at(least, place[labelled], codes)
    np.maximum.at(most, place[labelled], codes)
    shared = reads >= 2
    count = min(len(known), MOST_ROWS)
    chosen = np.linspace(0, len(known) - 1, count).astype(np.int64)
    row_of = np.full(len(known), _EMPTY)
    row_of[chosen] = np.arange(count)
    width = min(int(batch.ordinal.max()) + 1, MOST_COLUMNS)
    cells = np.full((count, width), _EMPTY, dtype=np.int64)
    drawn = (row_of[place] != _EMPTY) & (batch.ordinal < width)
    cells[row_of[place[drawn]], batch.ordinal[drawn]] = rows[batch.label[drawn]]
    return Raster(
        cells=cells,
        shared=int(np.count_nonzero(shared)),
        sticky=int(np.count_nonzero(shared & (least == most))),
        total=len(known),
    )


def _heading(raster: Raster) -> str:
    if not raster.shared:
        return "No connection carried two labels"
    sticky, shared = rounding.amount(raster.sticky), rounding.amount(raster.shared)
    return f"{sticky} of {shared} connections stayed with one label"


def _subject(raster: Raster) -> str:
    drawn = len(raster.cells)
    if drawn == raster.total:
        return f"all {rounding.counted(raster.total, 'connection')} of the run"
    return f"{drawn} of {rounding.counted(raster.total, 'connection')}, spread over the run"


def _colour(code: int, k: int, theme: Theme) -> str:
    if code == k:
        return theme.failed
    return theme.colour(code) if code < _COLOURS else theme.unlabelled


def _keys(raster: Raster, labels: tuple[str, ...], theme: Theme) -> list[Any]:
    from matplotlib.patches import Patch  # noqa: PLC0415 - heavy

    seen = np.unique(raster.cells[raster.cells != _EMPTY]).tolist()
    keys: list[Any] = [
        Patch(color=theme.colour(code), lw=0, label=name_of(labels[code], 14))
        for code in seen
        if code < min(_COLOURS, len(labels))
    ]
    if any(_COLOURS <= code < len(labels) for code in seen):
        keys.append(Patch(color=theme.unlabelled, lw=0, label="other labels"))
    if len(labels) in seen:
        keys.append(
            Patch(
                facecolor=theme.failed, hatch="xxxx", edgecolor=theme.paper, lw=0, label="no label"
            )
        )
    return keys
