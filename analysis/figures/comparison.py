"""Two runs side by side: shares, their differences and response times, each on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.figures.split import MOST_PANELS, split_over_time
from analysis.figures.style import FONT, LIGHT, Sheet, finish, log_times, percent, styled
from analysis.render.printable import name_of
from analysis.review.compared import QUANTILES
from analysis.review.timeline import ordered_labels
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.figures.style import Theme
    from analysis.review.compared import Comparison, LabelDifference, TimesDifference
    from analysis.review.comparison import RunRecord

MOST_ROWS = 24
"""Labels that are drawn; the others are counted in the heading."""

_NAMES = ("A", "B")
_SHAPES = ("o", "s")
_ROW = 0.30
_LEFT = 1.35
_NAME_ROOM = 18
_APART = 0.17


def shares_compared(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """Draw the shares of two runs and, below, how much they differ.

    Parameters
    ----------
    comparison : Comparison
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        A row a label: circle and square are the shares of the first and the second run, with the
        intervals of their reports; short bars across are what was expected. Below, second minus
        first with an interval that holds although each run chose its own end; a difference
        whose interval leaves out zero is filled.
    """
    shown = comparison.shares[:MOST_ROWS]
    height = max(len(shown), 2) * _ROW
    with styled(theme):
        sheet = Sheet(2 * height + 2.05)
        sheet.text(0.08, 0.06, _heading(comparison), fontsize=FONT, weight="bold")
        upper = sheet.axes(0.42, height, left=_LEFT)
        upper.set_gid("shares")
        lower = sheet.axes(height + 1.02, height, left=_LEFT)
        lower.set_gid("differences")
        for row, each in enumerate(shown):
            _draw_shares(upper, row, each, theme)
            _draw_difference(lower, row, each, theme)
        lower.axvline(0.0, color=theme.ink, lw=0.9, ls=(0, (4, 3)), gid="no-difference")
        for axes, label in (
            (upper, "share"),
            (lower, "difference, B minus A, in percentage points"),
        ):
            _rows(axes, [each.label for each in shown])
            _share_axis(axes, label, signed=axes is lower)
        sheet.legend(2 * height + 1.68, _keys(shown, theme), columns=3)
        return finish(sheet.figure)


def splits_compared(
    runs: tuple[RunRecord, RunRecord], theme: Theme = LIGHT
) -> tuple[Figure, Figure]:
    """Draw the split over time of two runs, each label on one scale in both.

    Parameters
    ----------
    runs : (RunRecord, RunRecord)
        With their samples.
    theme : Theme, default LIGHT
        Colours.

    Raises
    ------
    ValueError
        If the samples of a run are not there.
    """
    drawn, panels = [], []
    for run in runs:
        if run.batch is None:
            raise ValueError(f"the samples of the run {run.report.run.id} are not there")
        figure = split_over_time(run.batch, run.report, theme)
        by_gid = {str(axes.get_gid()): axes for axes in figure.axes}
        labels = ordered_labels(run.batch, run.report)[0][:MOST_PANELS]
        drawn.append(figure)
        panels.append({label: by_gid[f"panel-{place}"] for place, label in enumerate(labels)})
    for label, axes in panels[0].items():
        other = panels[1].get(label)
        if other is not None:
            ends = [*axes.get_ylim(), *other.get_ylim()]
            for each in (axes, other):
                each.set_ylim(min(ends), max(ends))
    return drawn[0], drawn[1]


def times_compared(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """Draw the quantiles of the response times of two runs.

    Parameters
    ----------
    comparison : Comparison
        With samples of both runs.
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        A pair of lines a label on one logarithmic axis: from p50 over p90 to p99, circles of the
        first run above squares of the second.
    """
    shown = comparison.times[:MOST_ROWS]
    height = max(len(shown), 2) * (_ROW + 0.06)
    hidden = len(comparison.times) - len(shown)
    more = f" (and {rounding.counted(hidden, 'more label')})" if hidden else ""
    with styled(theme):
        sheet = Sheet(height + 1.22)
        sheet.text(0.08, 0.06, f"Response times: p50, p90, p99{more}", fontsize=FONT, weight="bold")
        axes = sheet.axes(0.42, height, left=_LEFT)
        axes.set_gid("times")
        for row, each in enumerate(shown):
            _draw_times(axes, row, each, theme)
        _rows(axes, [each.label for each in shown])
        _time_axis(axes, shown)
        keys = _run_keys(theme)
        sheet.legend(height + 0.98, keys, columns=2)
        return finish(sheet.figure)


def _heading(comparison: Comparison) -> str:
    proven = sum(each.is_proven for each in comparison.shares)
    hidden = len(comparison.shares) - MOST_ROWS
    more = f" (and {rounding.counted(hidden, 'more label')})" if hidden > 0 else ""
    if not proven:
        return f"No share is proven to differ{more}"
    differ = "differs" if proven == 1 else "differ"
    return f"{proven} of {rounding.counted(len(comparison.shares), 'share')} {differ}{more}"


def _draw_shares(axes: Axes, row: int, each: LabelDifference, theme: Theme) -> None:
    for number, share in enumerate((each.first, each.second)):
        at, colour = row + (-_APART, _APART)[number], theme.colour(number)
        name = f"{'ab'[number]}-{row}"
        if share.interval is not None:
            axes.plot(share.interval, [at, at], color=colour, lw=1.6, gid=f"interval-{name}")
        axes.plot(
            [share.share], [at], ls="none", marker=_SHAPES[number], ms=4.5, mew=0,
            color=colour, gid=f"share-{name}",
        )  # fmt: skip
        if share.expected is not None:
            axes.plot(
                [share.expected] * 2, [at - 0.15, at + 0.15], color=theme.ink, lw=1.4,
                gid=f"expected-{name}",
            )  # fmt: skip


def _draw_difference(axes: Axes, row: int, each: LabelDifference, theme: Theme) -> None:
    colour = theme.ink if each.is_proven else theme.quiet
    if each.interval is not None:
        axes.plot(each.interval, [row, row], color=colour, lw=1.6, gid=f"range-{row}")
    axes.plot(
        [each.difference], [row], ls="none", marker="D", ms=4.5, mew=1.2, mec=colour,
        mfc=colour if each.is_proven else theme.paper, gid=f"difference-{row}",
    )  # fmt: skip


def _draw_times(axes: Axes, row: int, each: TimesDifference, theme: Theme) -> None:
    for number, times in enumerate((each.first_s, each.second_s)):
        if not times:
            continue
        at, colour = row + (-_APART, _APART)[number], theme.colour(number)
        values = [1e3 * times[name] for name in QUANTILES]
        axes.plot(
            values, [at] * len(values), color=colour, lw=1.2, marker=_SHAPES[number], ms=4,
            mew=0, gid=f"times-{'ab'[number]}-{row}",
        )  # fmt: skip


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [name_of(label, _NAME_ROOM) for label in labels])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(labels), 2) - 0.4, -0.6)


def _share_axis(axes: Axes, label: str, *, signed: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - heavy

    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -1.02 if signed else -0.02), min(high, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(
        FuncFormatter(
            (lambda value, _: f"{100 * value:+.4g}" if value else "0")
            if signed
            else (lambda value, _: percent(value))
        )
    )
    axes.set_xlabel(label)
    axes.grid(axis="x")


def _time_axis(axes: Axes, shown: Sequence[TimesDifference]) -> None:
    every = [1e3 * s for each in shown for times in (each.first_s, each.second_s)
             for s in times.values()]  # fmt: skip
    low, high = (min(every), max(every)) if every else (1.0, 10.0)
    log_times(axes, low, high)
    axes.set_xlim(low / 1.2, max(high * 1.2, low * 4))
    axes.grid(axis="x")


def _run_keys(theme: Theme) -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy

    return [
        Line2D([], [], color=theme.colour(number), lw=1.6, marker=_SHAPES[number], ms=4.5, mew=0,
               label=_NAMES[number])
        for number in range(2)
    ]  # fmt: skip


def _keys(shown: Sequence[LabelDifference], theme: Theme) -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy

    keys = _run_keys(theme)
    if any(share.expected is not None for each in shown for share in (each.first, each.second)):
        keys.append(
            Line2D([], [], ls="none", marker="|", ms=7, mew=1.4, color=theme.ink, label="expected")
        )
    for is_proven, text in ((True, "differs"), (False, "not proven")):
        if any(each.is_proven is is_proven for each in shown):
            colour = theme.ink if is_proven else theme.quiet
            keys.append(
                Line2D([], [], color=colour, lw=1.6, marker="D", ms=4.5, mew=1.2,
                       mfc=colour if is_proven else theme.paper, label=text)
            )  # fmt: skip
    return keys
