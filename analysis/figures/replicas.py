"""Shares by replica, against an even share inside each label."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.report import labels_in_order
from analysis.figures.style import FONT, LIGHT, Sheet, boxes, finish, styled
from analysis.render.printable import name_of
from analysis.render.table import replicas_of
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.data.report import Report
    from analysis.figures.style import Theme

MOST_ROWS = 1000
"""Replicas drawn; the others are counted in the heading."""
LEVEL = 0.01
"""Chance that the range of an even share misses any replica of the run."""

_NAMED_ROWS = 24
_ROW, _DENSE_HEIGHT = 0.17, 4.2
_NAME_ROOM = 22
_NAMES = 1.62
_TEXT_ROWS = 34
_KEYS = 12
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One replica: times its even share, and the range that chance explains."""

    label: str
    replica: str
    count: int
    ratio: float
    low: float
    high: float

    @property
    def is_off(self) -> bool:
        """Whether chance does not explain it."""
        return not self.low <= self.ratio <= self.high


def shares_by_replica(report: Report, theme: Theme = LIGHT) -> Figure:
    """Draw what each replica received, as a multiple of an even share.

    Parameters
    ----------
    report : Report
        With ``observed.replicas``.
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        A row a replica; 1 is an even share among those of its label that answered. The bar
        behind is where all replicas of the run lie at once with 99 % chance if they share
        evenly and connections are drawn independently (binomial quantiles, Bonferroni). Replicas
        outside of it are rings and named first; a replica that never answered is not there.
    """
    rows = even_rows(report)[:MOST_ROWS]
    is_dense = len(rows) > _NAMED_ROWS
    height = _DENSE_HEIGHT if is_dense else max(len(rows), 2) * _ROW + 0.1
    with styled(theme):
        keys = _keys(rows, report, theme)
        sheet = Sheet(height + 1.05 + ceil(len(keys) / _COLUMNS) * 0.175)
        sheet.text(0.08, 0.06, _heading(rows), fontsize=FONT, weight="bold")
        axes = sheet.axes(0.42, height, left=_NAMES)
        axes.set_gid("replicas")
        _draw(axes, rows, report, theme)
        named = _spread(rows, height) if is_dense else list(range(len(rows)))
        names = [name_of(rows[row].replica, _NAME_ROOM) for row in named]
        axes.set_yticks(named, names)
        axes.tick_params(axis="y", length=0 if not is_dense else 2)
        axes.set_xlabel("times an even share of its label")
        sheet.legend(height + 0.95, keys, columns=_COLUMNS)
        return finish(sheet.figure)


def even_rows(report: Report) -> list[Row]:
    """Compare each replica with an even share; by label, the largest first."""
    replicas = replicas_of(report)
    every = sum(map(len, replicas.values()))
    rows = []
    for label, pods in replicas.items():
        n, share = sum(pods.values()), 1 / len(pods)
        low, high = binomial_range(n, share, LEVEL / max(every, 1))
        rows += [
            Row(label, replica, count, count / (n * share), low / (n * share), high / (n * share))
            for replica, count in sorted(pods.items(), key=lambda item: -item[1])
        ]
    return rows


def binomial_range(n: int, share: float, level: float) -> tuple[float, float]:
    """Return counts that a binomial leaves with probability at most `level`, half on each side."""
    if share >= 1:
        return float(n), float(n)
    # Beyond these counts are less than 1e-20, also where they are nearly those of Poisson's law.
    mean, reach = n * share, 12 * sqrt(n * share * (1 - share)) + 60
    counts = np.arange(max(floor(mean - reach), 0), min(ceil(mean + reach), n) + 1)
    ratios = (n - counts[:-1]) * share / (counts[1:] * (1 - share))
    nats = np.append(0.0, np.cumsum(np.log(ratios)))
    chances = np.exp(nats - nats.max())
    chances /= chances.sum()
    at_most, at_least = np.cumsum(chances), np.cumsum(chances[::-1])[::-1]
    low = counts[np.searchsorted(at_most, level / 2, side="right")]
    high = counts[np.count_nonzero(at_least > level / 2) - 1]
    return float(low), float(high)


def _heading(rows: Sequence[Row]) -> str:
    off = sum(row.is_off for row in rows)
    even = f"{off} beyond chance" if off else "differences are no larger than chance"
    return f"{rounding.counted(len(rows), 'replica')}, {even}"


def _draw(axes: Axes, rows: Sequence[Row], report: Report, theme: Theme) -> None:
    colours = _colours(report, theme)
    places = range(len(rows))
    thick = 1.0 if len(rows) > _NAMED_ROWS else 0.72
    at = np.arange(len(rows))
    boxes(
        axes,
        np.array([row.low for row in rows]),
        np.array([row.high for row in rows]),
        at - thick / 2,
        at + thick / 2,
        facecolor=theme.accepted,
        gid="even",
    )
    axes.axvline(1.0, color=theme.ink, lw=0.9, ls=(0, (4, 3)), gid="uniform")
    for is_off, name in ((False, "usual"), (True, "off")):
        chosen = [row for row in places if rows[row].is_off is is_off]
        axes.scatter(
            [rows[row].ratio for row in chosen],
            chosen,
            s=22 if is_off else 12,
            facecolors="none" if is_off else [colours[rows[row].label] for row in chosen],
            edgecolors=[colours[rows[row].label] for row in chosen],
            linewidths=1.4 if is_off else 0.0,
            zorder=3,
            gid=name,
        )
    most = max((max(row.ratio, row.high) for row in rows), default=1.0)
    axes.set_xlim(0.0, max(most * 1.06, 1.3))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x")


def _colours(report: Report, theme: Theme) -> dict[str, str]:
    """Colour of each label, as in the other figures: expected ones first."""
    order = labels_in_order(report.expected, report.observed.counts)
    late = sorted(set(report.observed.replicas).difference(order))
    return {label: theme.colour(position) for position, label in enumerate([*order, *late])}


def _spread(rows: Sequence[Row], height: float) -> list[int]:
    """Choose the rows to name so that no two names touch: the most remarkable first."""
    apart = len(rows) / (height / 0.155)
    order = sorted(
        range(len(rows)), key=lambda row: (not rows[row].is_off, -abs(rows[row].ratio - 1))
    )
    named: list[int] = []
    for row in order:
        if all(abs(row - other) >= apart for other in named):
            named.append(row)
        if len(named) >= _TEXT_ROWS:
            break
    return sorted(named)


def _keys(rows: Sequence[Row], report: Report, theme: Theme) -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy
    from matplotlib.patches import Patch  # noqa: PLC0415

    colours = _colours(report, theme)
    labels = list(dict.fromkeys(row.label for row in rows))
    keys: list[Any] = [Patch(color=theme.accepted, lw=0, label="99 % range if even")]
    dot: dict[str, Any] = {"ls": "none", "marker": "o"}
    marks = [
        Line2D([], [], **dot, ms=4, mew=0, color=colours[label], label=name_of(label, 14))
        for label in labels[:_KEYS]
    ]
    if len(labels) > _KEYS:
        marks.append(Line2D([], [], **dot, ms=0, label=f"and {len(labels) - _KEYS} more labels"))
    if any(row.is_off for row in rows):
        marks.append(
            Line2D([], [], **dot, ms=5, mfc="none", color=theme.ink, label="beyond chance")
        )
    return [*keys, *marks]
