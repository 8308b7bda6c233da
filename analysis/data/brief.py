"""A report in little room: lines for a prompt or a traceback, and a table for a notebook."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_ROWS = 12
"""Rows of a table; the others are counted."""


def one_line(text: str, room: int = 1_000) -> str:
    """Put text from strangers on one line of at most `room` characters, without control codes."""
    shown = "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in islice(text, room + 1)
    )
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"


def percent(share: float | tuple[float, float] | None) -> str:
    """Write a share or an interval of shares; nothing for None."""
    if isinstance(share, tuple):
        return f"[{share[0] * 100:.3g}, {share[1] * 100:.3g}] %"
    return "" if share is None else f"{share * 100:.3g} %"


def html_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML, its texts escaped; of many rows the first `MOST_ROWS`."""
    shown = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append(f'<td colspan="{len(names)}">and {len(rows) - MOST_ROWS} more</td>')
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in shown)}</table>"


def html_list(texts: Iterable[str]) -> str:
    """Return a list as HTML, its texts escaped; nothing for no texts."""
    items = "".join(f"<li>{escape(one_line(text))}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
