"""One type for every table that people read: laid out as text here, drawn by the terminal's side.

A renderer yields its document as parts: paragraphs, and grids between them. `plain` makes
text of them, for pipes, files and logs; `sampler.cli.screen` draws the grids on a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING

from analysis.render.printable import cells, pad, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = "  "
"""Between two columns."""


@unique
class Tone(Enum):
    """How a row is coloured, where there are colours; its words say the same."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Span:
    """A share with its interval, and the shares that are accepted, for a bar.

    Parameters
    ----------
    share : float
        In [0, 1].
    interval, band : (float, float) or None
        In [0, 1]; None where there is none.
    """

    share: float
    interval: tuple[float, float] | None = None
    band: tuple[float, float] | None = None


def largest_share(spans: Sequence[Span]) -> float:
    """Return the share at the right end of bars that share a scale: the largest, rounded up."""
    ends = [
        end for span in spans for end in (span.share, *(span.interval or ()), *(span.band or ()))
    ]
    most = max(ends, default=1.0)
    return next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if step >= most), 1.0)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table in words, ready to show, but not escaped for any markup.

    Parameters
    ----------
    rows : sequence of tuple of str
        Cells of each row; the first one names the row.
    head : tuple of str
        A heading for each column; empty for a table without headings.
    right : frozenset of int
        Places of the columns that are aligned to the right.
    tones : sequence of Tone
        One for each row, or none at all.
    spans : sequence of Span
        A bar for each row, or none at all; only a terminal draws them.
    title, caption, more : str
        What it shows; a sentence on how to read it; how many rows are left out. Empty for none.
    indent : int
        Blanks before each line of the plain layout.
    """

    rows: Sequence[tuple[str, ...]]
    head: tuple[str, ...] = ()
    right: frozenset[int] = frozenset()
    tones: Sequence[Tone] = ()
    spans: Sequence[Span] = ()
    title: str = ""
    caption: str = ""
    more: str = ""
    indent: int = 0


def lines(grid: Grid) -> list[str]:
    """Lay a grid out as text: columns aligned, two blanks between them, what is left out below."""
    every = [grid.head, *grid.rows] if grid.head else list(grid.rows)
    if not every:
        return []
    widths = [max(map(cells, column)) for column in zip(*every, strict=True)]
    more = [" " * grid.indent + grid.more] if grid.more else []
    return [_line(row, widths, grid) for row in every] + more


def _line(row: Sequence[str], widths: Sequence[int], grid: Grid) -> str:
    filled = [
        pad(text, width, right=place in grid.right)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return (" " * grid.indent + GAP.join(filled)).rstrip()


def plain(parts: Iterable[str | Grid], width: int = 100, *, between: str = "\n\n") -> str:
    """Join the parts of a document as text.

    Parameters
    ----------
    parts : iterable of str or Grid
        Paragraphs, wrapped already, and tables.
    width : int, default 100
        Cells of a line of a caption; tables are not cut for it.
    between : str
        Between two parts, a blank line if not given.

    Returns
    -------
    str
        Ended by a newline.
    """
    texts = (_with_caption(part, width) if isinstance(part, Grid) else part for part in parts)
    return between.join(filter(None, texts)) + "\n"


def _with_caption(grid: Grid, width: int) -> str:
    blanks = " " * grid.indent
    caption = [blanks + line for line in wrap(grid.caption, width - grid.indent)]
    return "\n".join((*caption, *lines(grid)))
