"""The report as Markdown: a note of GitLab, a step summary of GitHub.

Labels and messages come from strangers. A label stands in a code span, in which nothing is
markup; a sentence is escaped, and what the two forges would turn into a mention, a reference
or a link is broken by an invisible joiner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.render import summary
from analysis.render.printable import as_code as code
from analysis.render.printable import as_markdown as escape
from analysis.render.printable import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.report import Report
    from analysis.render.grid import Grid

LARGEST = 1_000_000
"""Bytes of a document, at most: GitHub takes 1 MiB (1 048 576) for each step."""

_SIGNS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔"}
_LONGEST_NOTES = 20
_ALIGNED = {False: ":--", True: "--:"}


def to_markdown(report: Report, limit: int = LARGEST) -> str:
    """Render a report as Markdown (GitHub Flavored Markdown 0.29).

    Parameters
    ----------
    report : Report
    limit : int, default 1 000 000
        Bytes of UTF-8 that it may take; the last parts are left out for it, all if need be.

    Returns
    -------
    str
        Verdict and why in the heading, what to do, a table of the labels, the facts, and the
        command that repeats the run.
    """
    parts = [part for part in map("\n".join, _parts(report)) if part]
    text = "\n\n".join(parts) + "\n"
    while len(text.encode()) > limit and parts:
        parts.pop()
        text = "\n\n".join([*parts, "_Cut: the report.json of the run has everything._"]) + "\n"
    return text if len(text.encode()) <= limit else ""


def _parts(report: Report) -> Iterator[list[str]]:
    sign = "" if report.verdict is None else f"{_SIGNS[report.verdict]} "
    yield [f"### {sign}{summary.tag(report)}", "", escape(summary.why(report))]
    yield [code(summary.subject(report))]
    yield [f"- {escape(text)}" for text in summary.other_reasons(report)]
    yield [f"→ **{escape(text)}**  " for text in summary.remedies(report)]
    if rows := summary.grid(report):
        yield [in_markdown(rows)]
    notes = (visible(note[:1000]) for note in report.notes[:_LONGEST_NOTES])
    yield [f"- {escape(told)}" for told in (*summary.facts(report), *notes)]
    yield list(_provenance(report))


def in_markdown(table: Grid) -> str:
    """Render a table: labels as code, as nobody knows what is in them, the rest escaped."""
    lines = [escape(table.caption), ""] if table.caption else []
    lines.append(f"| {' | '.join(map(escape, table.head))} |")
    lines.append(
        f"| {' | '.join(_ALIGNED[place in table.right] for place in range(len(table.head)))} |"
    )
    for name, *others in table.rows:
        lines.append(f"| {code(name)} | {' | '.join(map(escape, others))} |")
    if table.more:
        lines.append(f"| {escape(table.more)} |{' |' * (len(table.head) - 1)}")
    return "\n".join(lines)


def _provenance(report: Report) -> Iterator[str]:
    yield "<details><summary>Run</summary>"
    yield ""
    for name, text in summary.provenance(report):
        yield f"- {name}: {code(text)}"
    if report.run.command:
        yield f"- again: {code(visible(report.run.command[:4000]))}"
    yield ""
    yield "</details>"
