"""Events as numbered marks on a time axis, so that no two labels touch however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.figures.style import LEFT, RIGHT, SMALL, WIDTH
from analysis.render.printable import cut, visible
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from analysis.data.events import Event
    from analysis.figures.style import Sheet, Theme

MOST_TOLD = 5
"""Events that are told in words below a figure; a page tells all of them."""

_DIGIT = 0.075
_APART = 0.06
_LINE = 0.165
_TEXT_ROOM = 66
_AXES = WIDTH - LEFT - RIGHT


@dataclass(frozen=True, slots=True)
class Mark:
    """One label on the axis: the events first to last, counted from 1, at some inches."""

    first: int
    last: int
    at: float

    @property
    def text(self) -> str:
        """What is written."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def half(self) -> float:
        """Half of its width [inch]."""
        return _DIGIT * len(self.text) / 2


def drawn(events: Sequence[Event], end_s: float) -> list[tuple[int, Event]]:
    """Return the events within a run with their numbers, counted from 1 over all of them."""
    return [(n, event) for n, event in enumerate(events, 1) if 0 <= event.at_s <= end_s]


def height_of(events: Sequence[Event], end_s: float) -> tuple[float, float]:
    """Return the room that marks take above the first panel and below the legend [inch]."""
    count = len(drawn(events, end_s))
    if not count:
        return 0.0, 0.0
    return 0.17, (min(count, MOST_TOLD) + (count > MOST_TOLD)) * _LINE + 0.06


def marks(events: Sequence[Event], end_s: float) -> list[Mark]:
    """Place the labels; those that would touch become one, such as ``3-5``."""
    placed: list[Mark] = []
    for number, event in drawn(events, end_s):
        mark = Mark(number, number, event.at_s / end_s * _AXES)
        while placed and placed[-1].at + placed[-1].half + _APART > mark.at - mark.half:
            before = placed.pop()
            mark = Mark(before.first, mark.last, (before.at + mark.at) / 2)
        placed.append(mark)
    return placed


def draw_events(
    sheet: Sheet,
    axes: Sequence[Axes],
    events: Sequence[Event],
    end_s: float,
    tops: tuple[float, float],
    theme: Theme,
) -> None:
    """Draw a line for each event through all axes, its number above, and what it was below.

    Parameters
    ----------
    sheet : Sheet
    axes : sequence of Axes
        With seconds on their horizontal axes.
    events : sequence of Event
        In the order of time; only those within the run are drawn.
    end_s : float
        End of the axis [s].
    tops : (float, float)
        Where the numbers and where the words begin [inch from above].
    theme : Theme
    """
    shown = drawn(events, end_s)
    for number, event in shown:
        for place, each in enumerate(axes):
            each.axvline(
                event.at_s, color=theme.quiet, lw=0.9, ls=(0, (1, 1, 4, 1)),
                gid=f"event_{number}_{place}",
            )  # fmt: skip
    for mark in marks(events, end_s):
        sheet.text(LEFT + mark.at, tops[0], mark.text, fontsize=SMALL, ha="center", weight="bold")
    lines = [_told(number, event) for number, event in shown[:MOST_TOLD]]
    if len(shown) > MOST_TOLD:
        lines.append(f"and {rounding.counted(len(shown) - MOST_TOLD, 'more event')}")
    for row, line in enumerate(lines):
        sheet.text(0.08, tops[1] + row * _LINE, line, fontsize=SMALL)


def _told(number: int, event: Event) -> str:
    at = rounding.significant(event.at_s, 3)
    return cut(visible(f"{number}  {at} s  {event.text[:1000]}"), _TEXT_ROOM)
