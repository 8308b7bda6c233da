"""What people read on stdout or stderr: tables and bars on a terminal, plain text in a pipe.

A document comes as parts (`analysis.render.grid`). The first one, the verdict, is printed
before rich is imported, so that nobody waits for a table to learn it.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, Self

from sampler.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from analysis.render.grid import Grid, Span

WIDEST = 100
"""Cells of a line of text; longer ones are hard to read."""

_BAR = 26
_STYLES = {"plain": "", "good": "green", "bad": "red", "open": "yellow"}


def is_terminal(stream: object) -> bool:
    """Return whether a stream is a terminal that can draw."""
    has_cursor = os.environ.get("TERM") != "dumb"
    return bool(getattr(stream, "isatty", lambda: False)()) and has_cursor


def wants_colour(stream: object) -> bool:
    """Return whether a stream is a terminal whose user did not ask for plain text (NO_COLOR)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


class LiveScreen:
    """What is drawn anew on stderr while something goes on, where that is a terminal.

    Parameters
    ----------
    is_transient : bool
        Whether what was drawn last is removed at the end.

    Attributes
    ----------
    live : rich.live.Live or None
        None where lines are printed.
    stack : ExitStack
        What ends with it.
    """

    def __init__(self, *, is_transient: bool) -> None:
        self._is_transient = is_transient
        self.stack = ExitStack()
        self.live: Live | None = None

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from rich.console import Console  # noqa: PLC0415 - only for a terminal
            from rich.live import Live  # noqa: PLC0415

            console = Console(stderr=True, no_color=not wants_colour(sys.stderr), highlight=False)
            view = Live(console=console, transient=self._is_transient, auto_refresh=False)
            self.live = self.stack.enter_context(view)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Draw nothing more."""
        self.stack.close()
        self.live = None

    def draw(self, lines: Iterable[Text]) -> None:
        """Draw lines in place of those before, if this is a terminal."""
        if self.live is not None:
            from rich.console import Group  # noqa: PLC0415 - only for a terminal

            self.live.update(Group(*lines), refresh=True)


def fitted(lines: list[Text], columns: int) -> list[Text]:
    """Cut lines to the columns of a terminal: none is broken."""
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(columns, overflow="ellipsis")
    return lines


def width_of(stream: object) -> int:
    """Return the cells of a line: those of a terminal, but at most `WIDEST`."""
    isatty = bool(getattr(stream, "isatty", lambda: False)())
    return min(WIDEST, shutil.get_terminal_size().columns) if isatty else WIDEST


def show(
    parts: Callable[..., Iterable[str | Grid]], *, err: bool = False, is_dense: bool = False
) -> None:
    """Print a document.

    Parameters
    ----------
    parts : callable
        Yields its parts; takes ``colour`` and ``width``.
    err : bool
        To stderr, because stdout carries data.
    is_dense : bool
        Without blank lines between the parts.
    """
    from analysis.render.grid import plain  # noqa: PLC0415 - heavy imports wait for a command

    stream = sys.stderr if err else sys.stdout
    width = width_of(stream)
    told = parts(colour=wants_colour(stream), width=width)
    if not is_terminal(stream):
        between, end = ("\n", "") if is_dense else ("\n\n", "\n")
        say(plain(told, width, between=between) + end, err=err, nl=False)
        return
    for part in told:
        if isinstance(part, str) and part:
            say(part if is_dense else f"{part}\n", err=err)
        elif not isinstance(part, str) and part.rows:
            _draw(part, stream)


def bars(spans: Mapping[str, Span], room: int = _BAR) -> list[Text]:
    """Draw a bar for each share, on one scale, of `room` cells each."""
    from analysis.render.grid import largest_share  # noqa: PLC0415 - as in `show`

    scale = largest_share(list(spans.values()))
    return [_bar(span, scale, "cyan", room) for span in spans.values()]


def _draw(grid: Grid, stream: Any) -> None:
    """Draw a table with rich, with a bar in each row where there is room for one."""
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.padding import Padding  # noqa: PLC0415

    from analysis.render.printable import wrap  # noqa: PLC0415

    columns = shutil.get_terminal_size().columns
    table, needed = _table(grid, columns)
    is_folded = needed + grid.indent > columns and bool(grid.head)
    console = Console(
        file=stream, force_terminal=True, width=max(columns, needed + grid.indent),
        highlight=False, no_color=not wants_colour(stream),
    )  # fmt: skip
    blanks = " " * grid.indent
    for line in wrap(grid.title, width_of(stream) - grid.indent):
        console.print(f"{blanks}{line}", style="bold", markup=False)
    for line in wrap(grid.caption, width_of(stream) - grid.indent):
        console.print(f"{blanks}{line}", markup=False)
    if is_folded:
        for number, row in enumerate(_folded(grid, columns - grid.indent)):
            style = _STYLES[grid.tones[number].value] if grid.tones else ""
            for line in row:
                console.print(f"{blanks}{line}", style=style, markup=False, soft_wrap=True)
    else:
        console.print(Padding(table, (0, 0, 0, grid.indent), expand=False))
    if grid.more:
        console.print(f"{blanks}{grid.more}", style="dim", markup=False)
    if grid.head:
        console.print()


def _folded(grid: Grid, columns: int) -> list[list[str]]:
    """Lay out each row over several lines, each value behind its heading: none is broken."""
    from analysis.render.printable import cells, pad  # noqa: PLC0415 - as above

    room = max(cells(row[0]) for row in grid.rows) + 2
    if room > columns // 3:  # long names stand alone
        room = 4
    rows = []
    for name, *values in grid.rows:
        lines, is_start = [pad(name, room)], True
        if cells(name) + 2 > room:
            lines.append(" " * room)
        for head, cell in zip(grid.head[1:], values, strict=True):
            told = f"{head} {cell}".strip()
            if not is_start and cells(lines[-1]) + 3 + cells(told) > columns:
                lines, is_start = [*lines, " " * room], True
            lines[-1] += told if is_start else f" · {told}"
            is_start = False
        rows.append(lines)
    return rows


def _table(grid: Grid, columns: int) -> tuple[Table, int]:
    """Build the table, and return the cells that it needs: numbers are never cut."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from analysis.render.grid import largest_share, lines  # noqa: PLC0415
    from analysis.render.printable import cells  # noqa: PLC0415

    needed = max(map(cells, lines(grid))) + 3 * len(grid.rows[0])
    has_bars = bool(grid.spans) and needed + _BAR + 3 <= columns
    table = Table(
        box=SIMPLE_HEAD if grid.head else None, show_header=bool(grid.head), show_edge=False,
        header_style="dim", pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for place, head in enumerate(grid.head or grid.rows[0]):
        side: Literal["right", "left"] = "right" if place in grid.right else "left"
        table.add_column(Text(head), justify=side, no_wrap=True)
    scale = largest_share(grid.spans)
    if has_bars:
        table.add_column(f"0 to {100 * scale:.3g} %", no_wrap=True)
    for number, row in enumerate(grid.rows):
        style = _STYLES[grid.tones[number].value] if grid.tones else ""
        drawn = [*map(Text, row[:-1]), Text(row[-1], style)]
        extra = [_bar(grid.spans[number], scale, style)] if has_bars else []
        table.add_row(*drawn, *extra)
    return table, needed


def _bar(span: Span, scale: float, style: str, room: int = _BAR) -> Text:
    """Draw what is accepted between brackets, the interval as a thick line, the share as a dot."""
    from rich.text import Text  # noqa: PLC0415 - as above

    inner = room - 2

    def place(share: float) -> int:
        return min(round(share / scale * (inner - 1)), inner - 1)

    signs, styles = ["·"] * inner, ["dim"] * inner
    if span.interval is not None:
        for cell in range(place(span.interval[0]), place(span.interval[1]) + 1):
            signs[cell], styles[cell] = "━", style
    if span.band is not None:
        for end, sign in zip(map(place, span.band), "[]", strict=True):
            signs[end], styles[end] = sign, ""
    signs[place(span.share)], styles[place(span.share)] = "●", style
    # One part for each change of style: the live view draws this ten times a second.
    parts = groupby(zip(signs, styles, strict=True), key=itemgetter(1))
    drawn = (("".join(sign for sign, _ in part), colour) for colour, part in parts)
    return Text.assemble(("▕", "dim"), *drawn, ("▏", "dim"))
