"""Two runs side by side as text, JSON, Markdown and a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from analysis.data.report import Verdict
from analysis.render import grid
from analysis.render.grid import Grid, Tone
from analysis.render.markdown import LARGEST, in_markdown
from analysis.render.page import kind_of, render_page
from analysis.render.printable import as_markdown as escape
from analysis.render.printable import in_json, name_of, pad, sentence, visible, wrap
from analysis.render.summary import moment
from analysis.review.compared import QUANTILES
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.render.page import Drawing
    from analysis.review.compared import (
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
_TONES = {True: Tone.OPEN, False: Tone.PLAIN}


def headline(comparison: Comparison) -> str:
    """Return in one sentence which labels differ, the greatest difference first."""
    proven = sorted(
        (each for each in comparison.shares if each.is_proven),
        key=lambda each: -abs(each.difference),
    )
    measured = [each for each in comparison.shares if each.interval is not None]
    if not measured:
        return "The differences have no valid intervals: the notes say why"
    if not proven:
        widest = max(measured, key=lambda each: abs(each.difference))
        return (
            f"No share is proven to differ; the largest difference is that of "
            f"{name_of(widest.label, 24)}: {_difference(widest)}"
        )
    told = [f"{name_of(each.label, 24)} by {_difference(each)}" for each in proven[:3]]
    more = f" and {rounding.amount(len(proven) - 3)} more" if len(proven) > 3 else ""
    noun = "share differs" if len(proven) == 1 else "shares differ"
    return f"{len(proven)} of {len(comparison.shares)} {noun}: {', '.join(told)}{more}"


def to_comparison_json(comparison: Comparison) -> str:
    """Render as JSON: the fields of `analysis.review.compared.Comparison`, ``schema`` first."""
    document = {"schema": comparison.schema} | msgspec.to_builtins(comparison)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return in_json(text) + "\n"


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
    return grid.plain(comparison_parts(comparison, colour=colour, width=width))


def comparison_parts(
    comparison: Comparison, *, colour: bool = False, width: int = 100
) -> Iterator[str | Grid]:
    """Yield the paragraphs and tables of a comparison; parameters as for `to_comparison_text`."""
    room = max(width, 40)
    bold, end = ("\x1b[1m", "\x1b[0m") if colour else ("", "")
    first, *rest = wrap(headline(comparison), room - _GUTTER, taken=4)
    yield "\n".join((f"{bold}COMPARED{end}  {first}", *(" " * _GUTTER + line for line in rest)))
    for name, run in zip(NAMES, comparison.runs, strict=True):
        yield _paragraph(name, _run_in_words(run), room)
    yield from tables(comparison)
    yield "\n".join(_paragraph("note", sentence(note), room) for note in comparison.notes)


def to_comparison_markdown(comparison: Comparison) -> str:
    """Render as Markdown, below 1 MB of UTF-8."""
    parts = [f"### Two runs compared\n\n{escape(headline(comparison))}"]
    parts.append(
        "\n".join(
            f"- **{NAMES[number]}** {escape(_run_in_words(run))}"
            for number, run in enumerate(comparison.runs)
        )
    )
    parts += map(in_markdown, tables(comparison))
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
            ("started", lambda run: moment(run.started_at)),
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
        kinds={verdict.value: kind_of(verdict) for verdict in Verdict},
        tables=[(table.title, table) for table in tables(comparison)],
        notes=[sentence(note) for note in comparison.notes],
        version=visible(version),
    )


def _tag(run: ComparedRun) -> str:
    return "MEASURED" if run.verdict is None else run.verdict.value


def tables(comparison: Comparison) -> list[Grid]:
    """Return the tables of a comparison: shares, times, outcomes, plan; none is empty."""
    all_tables = (
        _shares(comparison), _times(comparison), _outcomes(comparison), _plan(comparison),
    )  # fmt: skip
    return [table for table in all_tables if table.rows]


def _run_in_words(run: ComparedRun) -> str:
    tag, why = _tag(run), f" {sentence(run.why)}" if run.why else ""
    return f"{visible(run.id)}, {visible(run.started_at)}, {sentence(run.target)}: {tag}{why}"


def _shares(comparison: Comparison) -> Grid:
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
        f"Share of each label with the interval of its own run; difference B - A with its {level} "
        "interval, valid although each run chose when to stop."
    )
    head = ("label", "A (expected)", "B (expected)", "difference [pp]", "")
    return Grid(
        rows,
        head,
        tones=[_TONES[each.is_proven] for each in comparison.shares[:MOST_ROWS]],
        title="Shares",
        caption=caption,
        more=_more(len(comparison.shares), MOST_ROWS),
        indent=_GUTTER,
    )


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


def _times(comparison: Comparison) -> Grid:
    rows: list[tuple[str, ...]] = []
    for each in comparison.times[:MOST_ROWS]:
        label = name_of(each.label, _LABEL_ROOM)
        rows += [(label, name, *_ms_in_both(each, name)) for name in QUANTILES]
    caption = (
        "Response time from the scheduled start to the end; difference B - A with a bootstrap "
        "interval, which is approximate."
    )
    head = ("label", "quantile", "A [ms]", "B [ms]", "difference [ms]")
    more = _more(len(comparison.times), MOST_ROWS)
    return Grid(rows, head, title="Response times", caption=caption, more=more, indent=_GUTTER)


def _ms_in_both(each: TimesDifference, name: str) -> tuple[str, str, str]:
    """Return a quantile of both runs and its difference, with the decimals of the difference."""
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


def _outcomes(comparison: Comparison) -> Grid:
    one, other = comparison.runs
    names = sorted(
        {*one.outcomes, *other.outcomes}, key=lambda name: (-one.outcomes.get(name, 0), name)
    )
    rows: list[tuple[str, ...]] = [
        (name_of(name, _LABEL_ROOM), _part(one, name), _part(other, name)) for name in names
    ]
    head, caption = ("outcome", *NAMES), "How requests ended."
    return Grid(rows, head, title="Outcomes", caption=caption, indent=_GUTTER)


def _part(run: ComparedRun, name: str) -> str:
    n = run.outcomes.get(name, 0)
    return f"{rounding.amount(n)} ({100 * n / max(run.launched, 1):.2f} %)"


def _plan(comparison: Comparison) -> Grid:
    rows: list[tuple[str, ...]] = [
        tuple(name_of(text, 40) if text else "" for text in (each.name, each.first, each.second))
        for each in comparison.plan[:MOST_SETTINGS]
    ]
    head, caption = ("setting", *NAMES), "Settings that differ."
    more = _more(len(comparison.plan), MOST_SETTINGS)
    return Grid(rows, head, title="Plans", caption=caption, more=more, indent=_GUTTER)


def _paragraph(tag: str, text: str, room: int) -> str:
    first, *rest = wrap(text, room - _GUTTER) or [""]
    return "\n".join((pad(tag, _GUTTER) + first, *(" " * _GUTTER + line for line in rest)))


def _more(rows: int, most: int) -> str:
    return f"and {rounding.amount(rows - most)} more" if rows > most else ""
