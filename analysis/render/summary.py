"""What several documents say about a report in the same words: headline, rows, facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.render import health, table
from analysis.render.grid import Grid
from analysis.render.printable import name_of, sentence, visible
from analysis.render.text import (
    decision_in_words,
    headline,
    load_in_words,
    losses_in_words,
    terms_in_words,
)
from analysis.text import rounding

if TYPE_CHECKING:
    from analysis.data.report import Report, Verdict

MOST_REPLICAS = 400
"""Replicas in a table; the others are counted."""
LABEL_ROOM = 48
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
INSECURE = "--insecure: "
"""What the note begins with of a run that verified no certificate."""


@dataclass(frozen=True, slots=True)
class Row:
    """One label of a report, in words.

    Parameters
    ----------
    label, count, share, interval, expected, accepted : str
        Ready to show, but not escaped for any markup; empty where there is nothing to say.
    mark : Mark
        What became of it.
    views : tuple of str
        Its share in each view of the expectation, as `table.view_names` calls them.
    """

    label: str
    count: str
    share: str
    interval: str
    expected: str
    accepted: str
    mark: table.Mark
    views: tuple[str, ...] = ()


def tag(report: Report) -> str:
    """Return the word that a document begins with."""
    if report.verdict is not None:
        return report.verdict.value
    return "MEASURED" if report.observed.counts else "NOT MEASURED"


def why(report: Report) -> str:
    """Return the sentence that stands behind the verdict."""
    return headline(report)


def subject(report: Report) -> str:
    """Return what was asked, and when: of many reports, this one."""
    return f"{sentence(report.run.target)}, {moment(report.run.started_at)}"


def moment(started_at: str) -> str:
    """Return a time stamp as people write it, to the second; as it is, if it is none."""
    found = _STAMP.fullmatch(started_at)
    if found is None:
        return visible(started_at)
    day, time, zone = found.groups()
    return f"{day} {time} {'UTC' if zone in {'Z', '+00:00'} else zone}"


def rows(report: Report) -> list[Row]:
    """Return a row for each label, at most `table.MOST_ROWS`: expected ones first."""
    return [_row(report, label) for label in table.shown_labels(report)]


def hidden_rows(report: Report) -> int:
    """Count the labels that `rows` leaves out."""
    return len(table.labels_of(report)) - len(table.shown_labels(report))


def grid(report: Report) -> Grid | None:
    """Return the rows as a table; None if no label was seen."""
    every = rows(report)
    if not every:
        return None
    views = table.view_names(report)
    head = (
        "label",
        *views,
        table.count_heading(report),
        "share",
        "interval",
        "expected",
        "accepted",
        "",
    )
    shown = [
        (row.label, *row.views, row.count, row.share, row.interval, row.expected, row.accepted)
        for row in every
    ]
    hidden, n = hidden_rows(report), len(views)
    return Grid(
        [(*cells, row.mark.value) for cells, row in zip(shown, every, strict=True)],
        head,
        right=frozenset((*range(1, n + 3), n + 4)),
        more=f"and {rounding.amount(hidden)} more" if hidden else "",
    )


def _row(report: Report, label: str) -> Row:
    observed, expected = report.observed, report.expected
    places = table.places_of(report, label, sum(observed.counts.values()))
    ends = observed.intervals.get(label)
    share = None if expected is None else expected.shares.get(label)
    band = None if expected is None else expected.tolerance.get(label)
    return Row(
        label=name_of(label, LABEL_ROOM),
        count=rounding.amount(observed.counts.get(label, 0)),
        share=f"{rounding.percent(table.share_of(report, label), places)} %",
        interval="" if ends is None else rounding.bracketed(ends, places),
        expected="" if share is None else f"{rounding.exact_percent(share)} %",
        accepted=""
        if share is None or band is None
        else rounding.bracketed(band, rounding.band_decimals(share, band)),
        mark=table.mark_of(report, label),
        views=tuple(table.views_of(report, label)),
    )


def in_words(report: Report) -> str:
    """Return the verdict and the first shares, as the alternative text of a figure."""
    parts = [f"{row.label} {row.share} {row.interval}".strip() for row in rows(report)[:4]]
    return f"{tag(report)}. {'; '.join(parts)}."


def facts(report: Report) -> list[str]:
    """Return sentences about how it was decided, how it was sent, and what was lost."""
    decided = decision_in_words(report)
    told = (
        decided,
        terms_in_words(report),
        load_in_words(report),
        losses_in_words(report),
        *health.sentences(report),
    )
    return [text for text in told if text]


def other_reasons(report: Report) -> list[str]:
    """Return the messages of the reasons that `why` has not told."""
    told = why(report)
    messages = [sentence(reason.message) for reason in report.reasons]
    return [message for message in messages if message != told]


def trust(report: Report) -> list[str]:
    """Return the notes that say that nobody knows who answered: every document shows them."""
    return [sentence(note) for note in report.notes if note.startswith(INSECURE)]


def remedies(report: Report) -> list[str]:
    """Return what to do, each once."""
    return list(dict.fromkeys(sentence(each.remedy) for each in report.reasons if each.remedy))


def checks(report: Report) -> list[tuple[str, Verdict, str]]:
    """Return name, verdict and sentence of each part of the decision."""
    parts = [] if report.decision is None else report.decision.checks
    return [(name_of(each.name, 64), each.verdict, sentence(each.message)) for each in parts]


def provenance(report: Report) -> list[tuple[str, str]]:
    """Return what was run, when, by what: names and texts."""
    run, expected = report.run, report.expected
    source = [] if expected is None else [
        ("expectation", sentence(f"{expected.source.kind}: {expected.source.name}, "
                                 f"{expected.source.where}")),
    ]  # fmt: skip
    return [
        ("run", visible(run.id)),
        ("target", sentence(run.target)),
        ("label", sentence(run.label)),
        *source,
        ("started", moment(run.started_at)),
        ("seed", str(run.seed)),
        ("weighbridge", visible(run.version)),
    ]
