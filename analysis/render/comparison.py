"""Two runs side by side as text, JSON and Markdown; the page is in `analysis.render.html`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from analysis.render.html import render_page
from analysis.render.markdown import LARGEST, code, escape
from analysis.render.printable import cells, name_of, pad, sentence, visible, wrap
from analysis.review.comparison import QUANTILES
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.render.html import Drawing
    from analysis.review.comparison import (
        ComparedRun,
        ComparedShare,
        Comparison,
        LabelDifference,
        TimesDifference,
    )

MOST_ROWS = 40
"""Labels in a table; the others are counted."""
MOST_SETTINGS = 60
NAMES = ("A", "B")
"""What the runs are called, the first one first."""

_GUTTER = 6
_LABEL_ROOM = 32
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Table:
    """A table in words, ready to show, but not escaped for any markup.

    Parameters
    ----------
    title, caption : str
    head : tuple of str
        The first column names the row.
    rows : list of tuple of str
    hidden : int
        Rows that are left out.
    """

    title: str
    caption: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    hidden: int = 0


def headline(comparison: Comparison) -> str:
    """Say in one sentence which labels differ, the greatest difference first."""
    proven = sorted(
        (each for each in comparison.shares if each.is_proven),
        key=lambda each: -abs(each.difference),
    )
    measured = [each for each in comparison.shares if each.interval is not None]
    if not measured:
        return "No interval of a difference holds: the notes say why"
    if not proven:
        widest = max(measured, key=lambda each: abs(each.difference))
        return (
            f"No share is proven to differ; the greatest difference is that of "
            f"{name_of(widest.label, 24)}: {_difference(widest)}"
        )
    told = [f"{name_of(each.label, 24)} by {_difference(each)}" for each in proven[:3]]
    more = f" and {rounding.amount(len(proven) - 3)} more" if len(proven) > 3 else ""
    noun = "share differs" if len(proven) == 1 else "shares differ"
    return f"{len(proven)} of {len(comparison.shares)} {noun}: {', '.join(told)}{more}"


def to_comparison_json(comparison: Comparison) -> str:
    """Render as JSON: the fields of `analysis.review.comparison.Comparison`, ``schema`` first."""
    document = {"schema": comparison.schema} | msgspec.to_builtins(comparison)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def to_comparison_text(comparison: Comparison, *, colour: bool = False, width: int = 100) -> str:
    """Render for people.

    Parameters
    ----------
    comparison : Comparison
    colour : bool, default False
        Add ANSI colours; they repeat what the words say.
    width : int, default 100
        Cells of a line, at least 40; tables are not cut for it.
    """
    room = max(width, 40)
    bold, end = ("\x1b[1m", "\x1b[0m") if colour else ("", "")
    parts = [
        [
            f"{bold}COMPARED{end}  {line}" if not number else f"{' ' * _GUTTER}{line}"
            for number, line in enumerate(wrap(headline(comparison), room - _GUTTER, taken=4))
        ]
    ]
    parts += [
        list(_paragraph(NAMES[number], _run_in_words(run), room))
        for number, run in enumerate(comparison.runs)
    ]
    parts += [list(_laid_out(table)) for table in tables(comparison)]
    notes = [_paragraph("note", sentence(note), room) for note in comparison.notes]
    parts.append([line for lines in notes for line in lines])
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def to_comparison_markdown(comparison: Comparison) -> str:
    """Render as Markdown, below 1 MB of UTF-8."""
    parts = [f"### Two runs compared\n\n{escape(headline(comparison))}"]
    parts.append(
        "\n".join(
            f"- **{NAMES[number]}** {escape(_run_in_words(run))}"
            for number, run in enumerate(comparison.runs)
        )
    )
    parts += map(_table_in_markdown, tables(comparison))
    if comparison.notes:
        parts.append("\n".join(f"- {escape(sentence(note))}" for note in comparison.notes))
    while len("\n\n".join(parts).encode()) > LARGEST - 100:
        parts.pop()
    return "\n\n".join(parts) + "\n"


def to_comparison_html(
    comparison: Comparison, drawings: Sequence[Drawing] = (), version: str = ""
) -> str:
    """Render as a page that asks nothing of the network.

    Parameters
    ----------
    comparison : Comparison
    drawings : sequence of Drawing
        Figures, in their order.
    version : str
        Of this weighbridge, for the foot of the page.
    """
    one, other = comparison.runs
    runs = [
        (name, tell(one), tell(other))
        for name, tell in (
            ("verdict", _tag),
            ("why", lambda run: sentence(run.why)),
            ("run", lambda run: visible(run.id)),
            ("target", lambda run: sentence(run.target)),
            ("started", lambda run: visible(run.started_at)),
            ("judged", lambda run: rounding.counted(run.independent, "connection")),
            ("weighbridge", lambda run: visible(run.version)),
        )
    ]
    return render_page(
        "comparison.html.jinja",
        drawings,
        [],
        headline=headline(comparison),
        identities=[visible(run.id) for run in comparison.runs],
        runs=runs,
        tables=[(table.title, table) for table in tables(comparison)],
        notes=[sentence(note) for note in comparison.notes],
        version=visible(version),
    )


def _tag(run: ComparedRun) -> str:
    return "MEASURED" if run.verdict is None else run.verdict.value


def tables(comparison: Comparison) -> list[Table]:
    """Give the tables of a comparison: shares, times, outcomes, plan; none is empty."""
    all_tables = (
        _shares(comparison), _times(comparison), _outcomes(comparison), _plan(comparison),
    )  # fmt: skip
    return [table for table in all_tables if table.rows]


def _run_in_words(run: ComparedRun) -> str:
    tag, why = _tag(run), f" {sentence(run.why)}" if run.why else ""
    return f"{visible(run.id)}, {visible(run.started_at)}, {sentence(run.target)}: {tag}{why}"


def _shares(comparison: Comparison) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            name_of(each.label, _LABEL_ROOM),
            _share(each.first),
            _share(each.second),
            _difference(each).replace(" pp", ""),
            _mark(each),
        )
        for each in comparison.shares[:MOST_ROWS]
    ]
    level = f"{100 * (1 - comparison.level):g} %"
    caption = (
        f"Share of each label, with the interval of its own run; difference B - A with its {level} "
        "interval, valid although each run chose its own end."
    )
    head = ("label", "A (expected)", "B (expected)", "difference [pp]", "")
    return Table("Shares", caption, head, rows, max(len(comparison.shares) - MOST_ROWS, 0))


def _share(share: ComparedShare) -> str:
    places = max(rounding.share_decimals(share.interval, share.count), 1)
    text = f"{rounding.percent(share.share, places)} %"
    if share.interval is not None:
        text += f" {rounding.bracketed(share.interval, places)}"
    if share.expected is not None:
        text += f" ({rounding.exact_percent(share.expected)} %)"
    return text


def _difference(each: LabelDifference) -> str:
    if each.interval is None:
        return f"{100 * each.difference:+.1f} pp"
    places = max(rounding.decimals(50 * (each.interval[1] - each.interval[0])), 1)
    low, high = rounding.percent_interval(each.interval, places)
    signed = [text if text.startswith("-") else f"+{text}" for text in (low, high)]
    return f"{100 * each.difference:+.{places}f} pp [{', '.join(signed)}]"


def _mark(each: LabelDifference) -> str:
    if each.interval is None:
        return ""
    return "≠ differs" if each.is_proven else "not proven"


def _times(comparison: Comparison) -> Table:
    rows: list[tuple[str, ...]] = []
    for each in comparison.times[:MOST_ROWS]:
        label = name_of(each.label, _LABEL_ROOM)
        rows += [(label, name, *_ms_in_both(each, name)) for name in QUANTILES]
    caption = (
        "Response time, done minus scheduled; difference B - A with a bootstrapped interval, "
        "which is approximate."
    )
    head = ("label", "quantile", "A [ms]", "B [ms]", "difference [ms]")
    return Table("Response times", caption, head, rows, max(len(comparison.times) - MOST_ROWS, 0))


def _ms_in_both(each: TimesDifference, name: str) -> tuple[str, str, str]:
    """Give a quantile of both runs and its difference, with the decimals that the latter has."""
    one, other = each.first_s.get(name), each.second_s.get(name)
    known = [1e3 * seconds for seconds in (one, other) if seconds is not None]
    ends = each.differences_s.get(name)
    half = 500 * (ends[1] - ends[0]) if ends is not None else max(known, default=1.0) / 50
    places = rounding.decimals(half)
    shown = ["" if value is None else f"{1e3 * value:.{places}f}" for value in (one, other)]
    if one is None or other is None:
        return shown[0], shown[1], ""
    difference = f"{1e3 * (other - one):+.{places}f}"
    if ends is not None:
        difference += f" [{', '.join(f'{1e3 * end:+.{places}f}' for end in ends)}]"
    return shown[0], shown[1], difference


def _outcomes(comparison: Comparison) -> Table:
    one, other = comparison.runs
    names = sorted(
        {*one.outcomes, *other.outcomes}, key=lambda name: (-one.outcomes.get(name, 0), name)
    )
    rows: list[tuple[str, ...]] = [
        (name_of(name, _LABEL_ROOM), _part(one, name), _part(other, name)) for name in names
    ]
    return Table("Outcomes", "How requests ended.", ("outcome", "A", "B"), rows)


def _part(run: ComparedRun, name: str) -> str:
    n = run.outcomes.get(name, 0)
    return f"{rounding.amount(n)} ({100 * n / max(run.launched, 1):.2f} %)"


def _plan(comparison: Comparison) -> Table:
    rows: list[tuple[str, ...]] = [
        tuple(name_of(text, 40) if text else "" for text in (each.name, each.first, each.second))
        for each in comparison.plan[:MOST_SETTINGS]
    ]
    hidden = max(len(comparison.plan) - MOST_SETTINGS, 0)
    return Table("Plans", "What of the plan differs.", ("setting", "A", "B"), rows, hidden)


def _paragraph(tag: str, text: str, room: int) -> Iterator[str]:
    for number, line in enumerate(wrap(text, room - _GUTTER)):
        yield (pad(tag, _GUTTER) if not number else " " * _GUTTER) + line


def _laid_out(table: Table) -> Iterator[str]:
    widths = [
        max(cells(row[column]) for row in (table.head, *table.rows))
        for column in range(len(table.head))
    ]
    yield from _paragraph("", table.caption, 100)
    for row in (table.head, *table.rows):
        yield (" " * _GUTTER + _joined(row, widths)).rstrip()
    if table.hidden:
        yield f"{' ' * _GUTTER}and {rounding.amount(table.hidden)} more"


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(pad(text, room) for text, room in zip(row, widths, strict=True))


def _table_in_markdown(table: Table) -> str:
    lines = [escape(table.caption), ""]
    lines.append(f"| {' | '.join(map(escape, table.head))} |")
    lines.append(f"|{' :-- |' * len(table.head)}")
    for name, *others in table.rows:
        lines.append(f"| {code(name)} | {' | '.join(map(_cell, others))} |")
    if table.hidden:
        lines.append(f"| and {table.hidden} more |{' |' * (len(table.head) - 1)}")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return escape(text).replace("\n", " ")
