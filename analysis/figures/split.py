"""The split over time: one panel a label, and what went wrong below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.report import Verdict
from analysis.figures.marks import draw_events, height_of
from analysis.figures.style import FONT, LEFT, LIGHT, SMALL, Sheet, boxes, finish, percent, styled
from analysis.render import table
from analysis.render.printable import cells, name_of
from analysis.review.timeline import Timeline
from analysis.text import rounding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report
    from analysis.figures.style import Theme
    from analysis.review.timeline import Looks

MOST_PANELS = 12
"""Labels with a panel of their own; the others are counted in one line."""

MILLISECONDS_BELOW_S = 1.0
"""Length of a run [s] below which its time is told in milliseconds."""

_TITLE_ROOM = 62
_LEAST_NAME, _MOST_NAME = 16, 32
_HEAD, _GAP, _STRIP, _FOOT = 0.30, 0.30, 0.42, 0.42
_ROW = 0.18
_LATER = 2.0
"""Times as many connections as were judged from which a title says what all of them showed."""


def split_over_time(
    batch: Batch, report: Report, theme: Theme = LIGHT, *, timeline: Timeline | None = None
) -> Figure:
    """Draw the share of each label over the run.

    Parameters
    ----------
    batch : Batch
        All samples of the run, in send order.
    report : Report
        Of the same run.
    theme : Theme, default LIGHT
        Colours.
    timeline : Timeline or None
        Of the same run, if it is known already.

    Returns
    -------
    Figure
        For each of at most `MOST_PANELS` labels: the share in windows that adapt to the number
        of samples, the share so far with its anytime-valid interval, thinner where it goes on
        after the decision, the expected share and the accepted band, and the moment of the
        decision; below, the share of requests that failed or carried no label, if any did.
        Times are those of sending.
    """
    timeline = timeline or Timeline.of(batch, report)
    panels = timeline.labels[:MOST_PANELS]
    height = 1.15 if len(panels) <= 3 else 0.62
    end_s = float(timeline.edges_s[-1])
    above, below = height_of(report.events, end_s)
    has_strip = timeline.has_losses or not panels
    losses = _GAP + _STRIP if has_strip else _GAP - 0.08
    with styled(theme):
        keys = _keys(timeline, report, theme)
        foot = _HEAD + above + len(panels) * (height + _GAP) + losses
        words = foot + _FOOT + -(-len(keys) // 2) * _ROW + 0.06
        total = words + below
        sheet = Sheet(total)
        sheet.text(0.08, 0.06, _heading(timeline, report), fontsize=FONT, weight="bold")
        top = _HEAD + above
        axes: list[Axes] = []
        for position in range(len(panels)):
            top += _GAP
            panel = sheet.axes(top, height, share=axes[0] if axes else None)
            _panel(panel, timeline, position, report, theme)
            title = _title(timeline, position, report)
            sheet.text(LEFT, top - 0.22, title, fontsize=SMALL, gid=f"name-{position}")
            axes.append(panel)
            top += height
        if has_strip:
            axes.append(_strip(sheet, top, axes[0] if axes else None, timeline, theme))
        for each in axes[:-1]:
            each.tick_params(labelbottom=False)
        _mark_decision(axes, timeline, report, theme)
        _time_axis(axes[-1], end_s)
        losses_at = top + 0.08 if has_strip else foot + 0.24
        sheet.text(LEFT, losses_at, _losses(timeline), fontsize=SMALL)
        draw_events(sheet, axes, report.events, end_s, (_HEAD - 0.02, words), theme)
        sheet.legend(foot + _FOOT, keys, columns=2)
        return finish(sheet.figure)


def _heading(timeline: Timeline, report: Report) -> str:
    hidden = len(timeline.labels) - MOST_PANELS
    more = f" (and {rounding.counted(hidden, 'more label')})" if hidden > 0 else ""
    if report.verdict is None or report.decision is None:
        return f"Shares over time{more}"
    after = rounding.counted(report.decision.decided_after, "connection")
    where = f" in zone {name_of(timeline.zone, _MOST_NAME)}" if timeline.zone else ""
    return f"{report.verdict.value} after {after}{where}{more}"


def _title(timeline: Timeline, position: int, report: Report) -> str:
    label = timeline.labels[position]
    told, more = _told(timeline, position, report), _of_all(timeline, position)
    if len(told) + len(more) + min(cells(name_of(label, _MOST_NAME)), _LEAST_NAME) <= _TITLE_ROOM:
        told += more
    room = min(max(_TITLE_ROOM - len(told), _LEAST_NAME), _MOST_NAME)
    return name_of(label, room) + told


def _told(timeline: Timeline, position: int, report: Report) -> str:
    label, observed = timeline.labels[position], report.observed
    if label not in observed.shares or not any(observed.counts.values()):
        return ": never seen"
    ends = observed.intervals.get(label)
    places = max(table.places_of(report, label, sum(observed.counts.values())), 1)
    text = f": {rounding.percent(observed.shares[label], places)} %"
    if ends is not None:
        text += f" {rounding.bracketed(ends, places)}"
    if report.expected is None:
        return text
    share = report.expected.shares.get(label)
    if share is None:
        return f"{text}, not expected"
    return f"{text}, expected {rounding.exact_percent(share)} %"


def _of_all(timeline: Timeline, position: int) -> str:
    """Return what all connections showed, if the decision fell on few of them."""
    later, judged = timeline.later, timeline.looks.judged
    if not len(later.judged) or later.judged[-1] < _LATER * judged[-1]:
        return ""
    share = float(_so_far(later, position)[-1])
    sent = rounding.amount(int(later.judged[-1]))
    return f"; {rounding.percent(share, 1)} % of {sent} sent"


def _so_far(looks: Looks, position: int) -> NDArray[np.float64]:
    """Share of one label among the labelled connections, at each look; NaN before there is one."""
    labelled = looks.judged - looks.missing
    shares = np.full(len(labelled), np.nan)
    np.divide(looks.counts[position], labelled, out=shares, where=labelled > 0)
    return shares


def _panel(axes: Axes, timeline: Timeline, position: int, report: Report, theme: Theme) -> None:
    axes.set_gid(f"panel-{position}")
    colour, label = theme.colour(position), timeline.labels[position]
    shares, looks = timeline.shares(position), timeline.looks
    seen = [shares[np.isfinite(shares)]]
    if report.expected is not None and label in report.expected.shares:
        low, high = report.expected.tolerance[label]
        axes.axhspan(low, high, color=theme.accepted, lw=0, gid=f"accepted-{position}")
        share = report.expected.shares[label]
        axes.axhline(share, color=theme.ink, lw=0.9, ls=(0, (4, 3)), gid=f"expected-{position}")
        seen.append(np.array([low, high]))
    if len(looks.judged):
        ends = timeline.band(position, report)
        _course(axes, looks, ends, position, colour)
        seen.append(ends[:, -1])
    if len(timeline.later.judged):
        later = timeline.later_band(position, report)
        _course(axes, timeline.later, later, position, colour, is_late=True)
    middle = (timeline.edges_s[:-1] + timeline.edges_s[1:]) / 2
    axes.plot(
        middle, shares, ls="none", marker="o", ms=2.4, mew=0, color=theme.ink,
        gid=f"windows-{position}",
    )  # fmt: skip
    _scale(axes, np.concatenate(seen))


def _course(
    axes: Axes,
    looks: Looks,
    ends: NDArray[np.float64],
    position: int,
    colour: str,
    *,
    is_late: bool = False,
) -> None:
    """Draw the share so far and its interval, where there is one; what came too late is thinner."""
    prefix, width, alpha = ("later-", 0.9, 0.12) if is_late else ("", 1.6, 0.25)
    if ends.shape[1]:
        axes.fill_between(
            looks.at_s, ends[0], ends[1], color=colour, alpha=alpha, lw=0,
            gid=f"{prefix}band-{position}",
        )  # fmt: skip
    share = _so_far(looks, position)
    axes.plot(looks.at_s, share, color=colour, lw=width, gid=f"{prefix}share-{position}")


def _scale(axes: Axes, seen: NDArray[np.float64]) -> None:
    """Show what matters: the band, the windows and the interval at the end."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - heavy

    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    room = max((high - low) * 0.12, 0.004)
    axes.set_ylim(max(low - room, -0.02), min(high + room, 1.02))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axes.grid(axis="y")


def _losses(timeline: Timeline) -> str:
    launched = int(timeline.launched.sum())
    lost = int(timeline.failed.sum()), int(timeline.unlabelled.sum())
    if not any(lost):
        return f"all {rounding.counted(launched, 'request')} gave a label"
    failed, unlabelled = map(rounding.amount, lost)
    return f"of {rounding.counted(launched, 'request')}: {failed} failed, {unlabelled} unlabelled"


def _strip(sheet: Sheet, top: float, share: Axes | None, timeline: Timeline, theme: Theme) -> Axes:
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 - heavy

    axes = sheet.axes(top + _GAP, _STRIP, share=share)
    axes.set_gid("losses")
    launched = np.maximum(timeline.launched, 1)
    failed, unlabelled = timeline.failed / launched, timeline.unlabelled / launched
    starts, ends = timeline.edges_s[:-1], timeline.edges_s[1:]
    if failed.any():
        boxes(axes, starts, ends, 0 * failed, failed, facecolor=theme.failed, gid="failed")
    if unlabelled.any():
        boxes(
            axes, starts, ends, failed, failed + unlabelled, facecolor=theme.unlabelled,
            hatch="////", edgecolor=theme.paper, gid="unlabelled",
        )  # fmt: skip
    top = max(float((failed + unlabelled).max(initial=0.0)), 0.01)
    axes.set_ylim(0.0, top * 1.1)
    axes.set_yticks([0.0, top])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    return axes


def _time_axis(axes: Axes, end_s: float) -> None:
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 - heavy

    axes.set_xlim(0.0, end_s)
    in_milliseconds = end_s < MILLISECONDS_BELOW_S
    per_s = 1e3 if in_milliseconds else 1.0
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * per_s:.6g}"))
    unit = "milliseconds" if in_milliseconds else "seconds"
    axes.set_xlabel(f"sent, {unit} since the run began")


def _mark_decision(axes: list[Axes], timeline: Timeline, report: Report, theme: Theme) -> None:
    if report.verdict not in {Verdict.PASS, Verdict.FAIL} or not len(timeline.looks.at_s):
        return
    for position, each in enumerate(axes):
        at_s = timeline.looks.at_s[-1]
        each.axvline(at_s, color=theme.ink, lw=1.0, ls=":", gid=f"decision-{position}")


def _keys(timeline: Timeline, report: Report, theme: Theme) -> list[Any]:
    """Explain the marks that are drawn, and no others."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy
    from matplotlib.patches import Patch  # noqa: PLC0415

    keys: list[Any] = [
        Line2D([], [], ls="none", marker="o", ms=3, mew=0, color=theme.ink,
               label=f"share in windows of {_width(timeline)}"),
    ]  # fmt: skip
    colour = theme.colour(0)
    if len(timeline.looks.judged):
        keys += [
            Line2D([], [], color=colour, lw=1.6, label="share so far"),
            Patch(color=colour, alpha=0.25, lw=0, label=_level(report)),
        ]
    if len(timeline.later.judged):
        keys.append(Line2D([], [], color=colour, lw=0.9, label="thin: after the decision"))
    if report.expected is not None:
        keys += [
            Line2D([], [], color=theme.ink, lw=0.9, ls=(0, (4, 3)), label="expected"),
            Patch(color=theme.accepted, lw=0, label="accepted"),
        ]
    if report.verdict in {Verdict.PASS, Verdict.FAIL} and len(timeline.looks.at_s):
        keys.append(Line2D([], [], color=theme.ink, lw=1.0, ls=":", label="decided"))
    return keys


def _width(timeline: Timeline) -> str:
    if timeline.edges_s[-1] < MILLISECONDS_BELOW_S:
        return f"{rounding.significant(1e3 * timeline.width_s, 2)} ms"
    return rounding.duration(timeline.width_s)


def _level(report: Report) -> str:
    if report.decision is None:
        return "99 % interval, at every look"
    level = report.decision.alpha if report.verdict is Verdict.FAIL else report.decision.beta
    return f"{100 * (1 - level):.4g} % interval, at every look"
