"""The evidence over the connections, with the boundaries that decide."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.report import Verdict
from analysis.figures.style import FONT, LEFT, LIGHT, LINE_STYLES, SMALL, Sheet, finish, styled
from analysis.render.printable import name_of
from analysis.review.trace import EXACT
from analysis.text import rounding
from analysis.text.wording import odds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.data.report import Report
    from analysis.figures.style import Theme
    from analysis.review.trace import Trace

_PASS_HEIGHT, _FAIL_HEIGHT = 1.7, 1.0
_HEAD, _GAP, _FOOT = 0.30, 0.34, 0.62
_ROW = 0.175
_NAME_ROOM = 16
_LEAST_DECADES = -3.0
_MOST_NAMED = 3
_DECADE = log(10)


def evidence_over_connections(traced: Trace, report: Report, theme: Theme = LIGHT) -> Figure:
    """Draw how the evidence grew until the decision.

    Parameters
    ----------
    traced : Trace
        Of `analysis.review.trace.trace`.
    report : Report
        Of the same run, which has been judged.
    theme : Theme, default LIGHT
        Colours.

    Returns
    -------
    Figure
        Above, the evidence that each share is not too low (full line) and not too high
        (dashed), as the highest so far, with the least of all as the thick line: PASS falls
        where that crosses its boundary 1/beta with all shares inside. Below, the evidence that a
        share is outside, with the boundary 1/alpha of FAIL. Evidence is in times to one on a
        logarithmic axis, against the connections judged; a dotted line marks the decision.
    """
    labels = tuple(report.expected.weights) if report.expected is not None else traced.arms
    with styled(theme):
        keys = _keys(traced, report, labels, theme)
        fails = len(traced.failing) > 0
        below = _FAIL_HEIGHT + _GAP if fails else 0.0
        total = _HEAD + _GAP + _PASS_HEIGHT + below + _FOOT + -(-len(keys) // 2) * _ROW
        sheet = Sheet(total)
        sheet.text(0.08, 0.06, _heading(traced, report), fontsize=FONT, weight="bold")
        top = _HEAD + _GAP
        above = sheet.axes(top, _PASS_HEIGHT)
        sheet.text(LEFT, top - 0.22, _title("inside", "PASS", traced.pass_at), fontsize=SMALL)
        _passing(above, traced, labels, theme)
        axes = [above]
        if fails:
            top += _PASS_HEIGHT + _GAP
            lower = sheet.axes(top, _FAIL_HEIGHT, share=above)
            sheet.text(LEFT, top - 0.22, _title("outside", "FAIL", traced.fail_at), fontsize=SMALL)
            _failing(lower, traced, theme)
            above.tick_params(labelbottom=False)
            axes.append(lower)
        _finish_axes(axes, traced, report, theme)
        sheet.legend(total - 0.1 - -(-len(keys) // 2) * _ROW, keys, columns=2)
        return finish(sheet.figure)


def _heading(traced: Trace, report: Report) -> str:
    n = rounding.counted(int(traced.judged[-1]), "connection")
    told = "" if report.verdict is None else f": {report.verdict.value}"
    rough = "" if traced.is_exact else f" (by counts alone after {rounding.amount(EXACT)})"
    return f"Evidence over {n}{rough}{told}"


def _title(where: str, verdict: str, boundary: float) -> str:
    what = "every share is inside" if where == "inside" else "a share is outside"
    return f"evidence that {what}; {verdict} needs {odds(boundary)}"


def _passing(axes: Axes, traced: Trace, labels: tuple[str, ...], theme: Theme) -> None:
    axes.set_gid("passing")
    half = len(traced.arms)
    is_many = half > _MOST_NAMED  # colours would not tell them apart: one crowd, and the weakest
    for row, values in enumerate(traced.passing):
        position = labels.index(traced.arms[row % half])
        axes.plot(
            traced.judged, values / _DECADE, lw=0.6 if is_many else 1.0,
            color=theme.unlabelled if is_many else theme.colour(position),
            ls=LINE_STYLES[row // half], gid=f"{'low' if row < half else 'high'}-{position}",
        )  # fmt: skip
    axes.plot(
        traced.judged, traced.weakest / _DECADE, color=theme.ink, lw=2.0, alpha=0.75, gid="weakest"
    )
    _boundary(axes, traced.pass_at, "pass", theme)
    # Proof beyond the boundary says nothing more: what matters is the line that lags behind.
    axes.set_ylim(-0.15, 1.35 * traced.pass_at / _DECADE)


def _failing(axes: Axes, traced: Trace, theme: Theme) -> None:
    axes.set_gid("failing")
    axes.plot(traced.judged, traced.failing / _DECADE, color=theme.failed, lw=1.6, gid="outside")
    _boundary(axes, traced.fail_at, "fail", theme)
    least = float(np.min(traced.failing)) / _DECADE
    axes.set_ylim(max(min(least, -0.5), _LEAST_DECADES) - 0.2, 1.35 * traced.fail_at / _DECADE)


def _boundary(axes: Axes, at: float, name: str, theme: Theme) -> None:
    axes.axhline(at / _DECADE, color=theme.ink, lw=0.9, ls=(0, (4, 3)), gid=f"boundary-of-{name}")


def _finish_axes(axes: list[Axes], traced: Trace, report: Report, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - heavy

    decided = report.verdict in {Verdict.PASS, Verdict.FAIL}
    for number, each in enumerate(axes):
        each.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        each.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _times(value)))
        each.grid(axis="y")
        if decided:
            each.axvline(
                traced.judged[-1], color=theme.ink, lw=1.0, ls=":",
                gid=f"{'passing' if number == 0 else 'failing'}-decided",
            )  # fmt: skip
    last = axes[-1]
    n = int(traced.judged[-1])
    last.set_xlim(0, max(n * 1.02, 2))
    last.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    last.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rounding.amount(round(value))))
    last.set_xlabel("connections judged")


def _times(decades: float) -> str:
    """Write a tick: times to one."""
    whole = round(decades)
    if whole >= 0:
        return rounding.amount(10**whole) if whole <= 4 else f"1e{whole}"
    return f"1/{rounding.amount(10**-whole)}"


def _keys(traced: Trace, report: Report, labels: tuple[str, ...], theme: Theme) -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy

    keys: list[Any] = [
        Line2D([], [], color=theme.ink, lw=2.0, alpha=0.75, label="weakest evidence, decides PASS"),
        Line2D([], [], color=theme.ink, lw=0.9, ls=(0, (4, 3)), label="boundary"),
    ]
    named = [(theme.colour(labels.index(arm)), name_of(arm, _NAME_ROOM)) for arm in traced.arms]
    if len(named) > _MOST_NAMED:
        named = [(theme.unlabelled, "a label")]
    for colour, name in named:
        keys += [
            Line2D([], [], color=colour, lw=1.0, ls="-", label=f"{name} not too low"),
            Line2D([], [], color=colour, lw=1.0, ls="--", label=f"{name} not too high"),
        ]
    if len(traced.failing):
        keys.append(Line2D([], [], color=theme.failed, lw=1.6, label="a share is outside"))
    if report.verdict in {Verdict.PASS, Verdict.FAIL}:
        keys.append(Line2D([], [], color=theme.ink, lw=1.0, ls=":", label="decided"))
    return keys


def evidence_in_words(traced: Trace) -> str:
    """Return the alternative text: how far the evidence came."""
    n = rounding.counted(int(traced.judged[-1]), "connection")
    least = odds(float(traced.weakest[-1]))
    told = [
        (
            f"after {n} the least evidence that every share is inside is {least}, and PASS "
            f"asks for {odds(traced.pass_at)}"
        ),
    ]
    if len(traced.failing):
        most = odds(float(traced.failing.max()))
        told.append(
            f"the highest evidence that a share is outside is {most}, and FAIL asks for "
            f"{odds(traced.fail_at)}"
        )
    text = "; ".join(told)
    return f"{text[0].upper()}{text[1:]}."
