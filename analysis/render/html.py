"""The report as one HTML page that asks nothing of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.render import health, summary, table
from analysis.render.grid import Span
from analysis.render.page import SIGNS, bands_of, kind_of, render_page
from analysis.render.printable import name_of, sentence, visible
from analysis.review.classical import classical_test
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.report import Report, Verdict
    from analysis.render.page import Band, Drawing

_LONGEST_COMMAND = 4000
_LABEL_ROOM = 32
_MOST_EVENTS = 200
_MOST_IN_SIGHT = 24


def _bands(report: Report) -> tuple[list[Band], str, list[str]]:
    """Return the chart, the share at its right end, and the label of each row.

    Zones that are judged by themselves follow the versions, each with its smallest share.
    """
    spans = table.spans_of(report)
    zones = [
        (name, each, min((label for label in each.expected), key=lambda it: each.expected[it]))
        for name, each in report.observed.by_zone.items()
    ]
    expected = {} if report.expected is None else report.expected.shares
    rows = [
        (
            row.label,
            f"{row.share} {row.interval}".strip(),
            table.TONES[row.mark],
            expected.get(name),
        )
        for row, name in zip(summary.rows(report), spans, strict=True)
    ]
    rows += [
        (
            f"{visible(name)}: {name_of(label, _LABEL_ROOM)}",
            f"{100 * each.shares.get(label, 0.0):.3g} % {each.verdict}",
            table.tone_of(each.verdict),
            each.expected[label],
        )
        for name, each, label in zones
    ]
    of_zones = [
        Span(each.shares.get(label, 0.0), each.intervals.get(label), each.tolerance.get(label))
        for _, each, label in zones
    ]
    laid, scale = bands_of([*spans.values(), *of_zones], rows)
    return laid, scale, [*spans, *(label for _, _, label in zones)]


def to_html(report: Report, drawings: Sequence[Drawing] = ()) -> str:
    """Render a report as a page.

    Parameters
    ----------
    report : Report
    drawings : sequence of Drawing
        Figures of the run, in their order; without them the page has tables only.

    Returns
    -------
    str
        HTML 5, encodable as UTF-8.
    """
    rows, every = summary.rows(report), table.labels_of(report)
    positions = [every.index(label) for label in table.shown_labels(report)]
    names = [name_of(row.label, _LABEL_ROOM) for row in rows]
    bands, scale, labels = _bands(report)
    places = [every.index(label) if label in every else -1 for label in labels]
    return render_page(
        "report.html.jinja",
        drawings,
        list(zip(positions, names, strict=True)),
        report=report,
        tag=summary.tag(report),
        identity=visible(report.run.id),
        version=visible(report.run.version),
        sign=SIGNS[report.verdict],
        kind=kind_of(report.verdict),
        why=summary.why(report),
        subject=summary.subject(report),
        others=summary.other_reasons(report),
        remedies=summary.remedies(report),
        notes=[sentence(note) for note in report.notes],
        bands=bands,
        scale=scale,
        rows=rows,
        counted=table.count_heading(report),
        views=table.view_names(report),
        positions=positions,
        places=places,
        hidden=summary.hidden_rows(report),
        facts=summary.facts(report),
        health=health.table(report.health),
        events=_events(report),
        hidden_events=max(len(report.events) - _MOST_EVENTS, 0),
        checks=_checks(report),
        classical=classical_test(report),
        replicas=_replicas(report),
        hidden_replicas=_hidden_replicas(report),
        is_long=sum(map(len, report.observed.replicas.values())) > _MOST_IN_SIGHT,
        outcomes=_outcomes(report),
        launched=f"{rounding.counted(report.samples.launched, 'request')} on "
        f"{rounding.counted(report.samples.connections, 'connection')}",
        provenance=summary.provenance(report),
        command=visible(report.run.command[:_LONGEST_COMMAND]),
    )


def _events(report: Report) -> list[tuple[str, str, str]]:
    return [
        (f"{event.at_s:.1f} s", name_of(event.kind, 32), sentence(event.text))
        for event in report.events[:_MOST_EVENTS]
    ]


def _checks(report: Report) -> list[tuple[str, Verdict, str]]:
    """Return the checks, without texts that the page already has."""
    said, rows = {summary.why(report)}, []
    for name, verdict, message in summary.checks(report):
        rows.append((name, verdict, "See above." if message in said else message))
        said.add(message)
    return rows


def _replicas(report: Report) -> list[tuple[str, str, str, str]]:
    rows = []
    for label, pods in table.replicas_of(report).items():
        n = max(sum(pods.values()), 1)
        for replica, count in sorted(pods.items(), key=lambda item: -item[1]):
            share = f"{100 * count / n:.1f} %"
            rows.append((name_of(label, 32), name_of(replica, 64), rounding.amount(count), share))
            if len(rows) >= summary.MOST_REPLICAS:
                return rows
    return rows


def _hidden_replicas(report: Report) -> int:
    every = sum(map(len, report.observed.replicas.values()))
    return max(every - summary.MOST_REPLICAS, 0)


def _outcomes(report: Report) -> list[tuple[str, str, str]]:
    launched = max(report.samples.launched, 1)
    ranked = sorted(report.samples.outcomes.items(), key=lambda item: -item[1])
    return [
        (name_of(key, 32), rounding.amount(n), f"{100 * n / launched:.2f} %") for key, n in ranked
    ]
