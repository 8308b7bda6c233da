"""The operating characteristic: what becomes of a check, by the true share of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.figures.style import FONT, LIGHT, SMALL, Sheet, Theme, finish, percent, styled
from analysis.planning.outlook import characteristic
from analysis.render.printable import name_of
from analysis.text import rounding
from analysis.text.wording import decimals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.planning.outlook import Outlook, Prospect

MOST_PANELS = 6
"""Versions that have panels of their own."""

_CHANCES, _MEAN, _GAP, _LEFT, _NAME_ROOM = 1.35, 0.75, 0.55, 0.75, 32
_TOP, _KEYS = 0.50, 0.62


def operating_characteristic(outlook: Outlook, theme: Theme = LIGHT) -> Figure:
    """Draw the chances of the verdicts and the need, against each tested version's true share.

    Parameters
    ----------
    outlook : Outlook
        From `analysis.planning.outlook.foresee`.
    theme : Theme, default LIGHT

    Returns
    -------
    matplotlib.figure.Figure
        For each version a panel with the chances of PASS, FAIL and INCONCLUSIVE within the
        budget and one with the mean number of connections; the accepted band is shaded, and
        dotted lines stand at the nearest shares that end in FAIL with a chance of 95 %.
    """
    shown = outlook.distinctions[:MOST_PANELS]
    each = 0.22 + _CHANCES + 0.12 + _MEAN + _GAP
    total = _TOP + each * len(shown) + _KEYS
    with styled(theme):
        sheet = Sheet(total)
        sheet.text(
            0.08, 0.06, "What becomes of a check, by the true share", fontsize=FONT, weight="bold"
        )
        sheet.text(0.08, 0.24, _heading(outlook, len(shown)), fontsize=SMALL, color=theme.quiet)
        for position, found in enumerate(shown):
            top = _TOP + position * each
            curve = characteristic(outlook, found.arm, 61 if len(shown) == 1 else 31)
            chances = sheet.axes(top + 0.22, _CHANCES, left=_LEFT)
            mean = sheet.axes(top + 0.22 + _CHANCES + 0.12, _MEAN, left=_LEFT, share=chances)
            sheet.text(0.08, top, _title(outlook, found.arm), fontsize=SMALL)
            _chances(chances, curve, position, theme)
            _mean(mean, curve, position, theme)
            for axes in (chances, mean):
                _landmarks(axes, outlook, found.arm, theme)
            mean.set_xlabel(f"true share of {name_of(found.arm, _NAME_ROOM)}")
        sheet.legend(total - _KEYS, _keys(theme), columns=2)
        return finish(sheet.figure)


def characteristic_in_words(outlook: Outlook) -> str:
    """Return the alternative text of the figure."""
    need = rounding.counted(outlook.samples.mean, "connection")
    parts = [f"A correct split passes after {need} on average."]
    for found in outlook.distinctions[:MOST_PANELS]:
        sides = [
            f"{percent(share)} or {word}"
            for share, word in ((found.below, "less"), (found.above, "more"))
            if share is not None
        ]
        if sides:
            parts.append(f"{name_of(found.arm, _NAME_ROOM)} at {' and at '.join(sides)} is failed.")
    return " ".join(parts)


def _heading(outlook: Outlook, shown: int) -> str:
    budget = f"within {rounding.counted(outlook.budget, 'connection')}"
    how = outlook.method.value
    hidden = len(outlook.distinctions) - shown
    return f"{budget}, {how}" + (f"; {hidden} more versions" if hidden else "")


def _title(outlook: Outlook, arm: str) -> str:
    band = next(band for band in outlook.bands if band.arm == arm)
    accepted = rounding.bracketed(band.clipped, decimals(band))
    share = rounding.exact_percent(band.expected)
    return f"{name_of(arm, _NAME_ROOM)}: expected {share} %, accepted {accepted}"


def _chances(axes: Axes, curve: tuple[Prospect, ...], position: int, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 - heavy

    axes.set_gid(f"chances-{position}")
    shares = [each.share for each in curve]
    for name, _, style in _verdicts(theme):
        axes.plot(
            shares, [getattr(each, name) for each in curve], gid=f"{name}-{position}", **style
        )
    axes.set_xlim(shares[0], shares[-1])
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axes.tick_params(labelbottom=False)
    axes.set_ylabel("chance")
    axes.grid(axis="y")


def _mean(axes: Axes, curve: tuple[Prospect, ...], position: int, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - heavy

    axes.plot(
        [each.share for each in curve], [each.mean for each in curve],
        color=theme.ink, lw=1.4, gid=f"mean-{position}",
    )  # fmt: skip
    axes.set_ylim(0.0, max(each.mean for each in curve) * 1.1)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rounding.amount(round(value))))
    axes.set_ylabel("mean need")
    axes.grid(axis="y")


def _landmarks(axes: Axes, outlook: Outlook, arm: str, theme: Theme) -> None:
    band = next(band for band in outlook.bands if band.arm == arm)
    found = next(each for each in outlook.distinctions if each.arm == arm)
    axes.axvspan(*band.clipped, color=theme.accepted, lw=0, zorder=0)
    axes.axvline(band.expected, color=theme.ink, lw=0.9, ls=(0, (4, 3)))
    for share in (found.below, found.above):
        if share is not None:
            axes.axvline(share, color=theme.ink, lw=1.0, ls=":")


def _verdicts(theme: Theme) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    return (
        ("passed", "PASS", {"color": theme.colour(0), "lw": 1.8, "ls": "-"}),
        ("failed", "FAIL", {"color": theme.colour(1), "lw": 1.8, "ls": "--"}),
        ("undecided", "INCONCLUSIVE", {"color": theme.quiet, "lw": 1.4, "ls": "-."}),
    )


def _keys(theme: Theme) -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy
    from matplotlib.patches import Patch  # noqa: PLC0415

    return [
        *(Line2D([], [], label=name, **style) for _, name, style in _verdicts(theme)),
        Line2D([], [], color=theme.ink, lw=0.9, ls=(0, (4, 3)), label="expected"),
        Patch(color=theme.accepted, lw=0, label="accepted"),
        Line2D([], [], color=theme.ink, lw=1.0, ls=":", label="told apart (95 % FAIL)"),
    ]
