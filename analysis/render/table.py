"""The table of a report: one row per label, with its share, what is expected, and a mark."""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING

from analysis.data.report import Verdict, labels_in_order
from analysis.render.grid import GAP, Grid, Span, Tone
from analysis.render.printable import cells, name_of
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.report import Expected, Report

MOST_ROWS = 20
"""Labels shown; the others are counted in one line."""

_SHORTEST_LABEL = 8
_LONGEST_LABEL = 48


@unique
class Mark(Enum):
    """Verdict on one label: a sign and a word, so that colour is never needed."""

    NONE = ""
    WITHIN = "✓ within"
    OUTSIDE = "✗ outside"
    UNDECIDED = "? undecided"
    UNEXPECTED = "✗ unexpected"


TONES = {
    Mark.NONE: Tone.PLAIN,
    Mark.WITHIN: Tone.GOOD,
    Mark.OUTSIDE: Tone.BAD,
    Mark.UNDECIDED: Tone.OPEN,
    Mark.UNEXPECTED: Tone.BAD,
}
"""How each mark is coloured."""

_MARK_OF_VERDICT = {
    Verdict.PASS: Mark.WITHIN,
    Verdict.FAIL: Mark.OUTSIDE,
    Verdict.INCONCLUSIVE: Mark.UNDECIDED,
}


def tone_of(verdict: Verdict | None) -> Tone:
    """Return how a verdict is coloured, as the marks that stand for it are."""
    return Tone.PLAIN if verdict is None else TONES[_MARK_OF_VERDICT[verdict]]


def mark_of(report: Report, label: str) -> Mark:
    """Judge one label for display, by the check that decided about it.

    Of two labels only one has a check, since the other's share is its complement. Where no
    check speaks of the label, its interval is compared with the accepted band.
    """
    expected = report.expected
    if expected is None:
        return Mark.NONE
    if label not in expected.weights:
        return Mark.UNEXPECTED
    checks = report.decision.checks if report.decision is not None else []
    verdicts = {check.label: check.verdict for check in checks if check.label is not None}
    either = expected.weights if len(expected.weights) == 2 else ()
    for arm in (label, *either):
        verdict = verdicts.get(arm)
        if verdict is not None:
            return _MARK_OF_VERDICT[verdict]
    if not expected.weights[label] and report.observed.counts.get(label, 0):
        return Mark.UNEXPECTED
    return compare(report.observed.intervals.get(label), expected.tolerance.get(label))


def compare(interval: tuple[float, float] | None, band: tuple[float, float] | None) -> Mark:
    """Return where the interval of a share lies: in its band, outside, or across an edge."""
    if interval is None or band is None:
        return Mark.UNDECIDED
    if band[0] <= interval[0] and interval[1] <= band[1]:
        return Mark.WITHIN
    apart = interval[1] < band[0] or band[1] < interval[0]
    return Mark.OUTSIDE if apart else Mark.UNDECIDED


def share_of(report: Report, label: str) -> float:
    """Return the observed share of a label, in [0, 1]; 0 if it was never seen."""
    observed = report.observed
    if label in observed.shares:
        return observed.shares[label]
    return observed.counts.get(label, 0) / max(sum(observed.counts.values()), 1)


def shares(report: Report, room: int) -> Grid:
    """Lay out the table of a report: at most `MOST_ROWS` labels, and what was left out.

    Parameters
    ----------
    report : Report
    room : int
        Cells for a line; long labels give way, numbers do not.

    Returns
    -------
    Grid
        Without rows if no label was seen. The last column has the marks.
    """
    every = labels_of(report)
    marks = {label: mark_of(report, label) for label in every}
    shown = _choose(report, every, marks)
    if not shown:
        return Grid([])
    columns = [*_views(report, shown), _counts(report, shown), _shares(report, shown)]
    if report.expected is not None:
        columns.append(_expectations(report.expected, shown))
    columns.append(["", *(marks[label].value for label in shown)])
    names = ["label", *_names(shown, columns, room)]
    head, *rows = zip(names, *columns, strict=True)
    return Grid(
        rows,
        head,
        right=frozenset(range(1, len(view_names(report)) + 2)),
        tones=[TONES[marks[label]] for label in shown],
        spans=list(spans_of(report).values()),
        more=_left_out(report, every, shown),
    )


def _names(shown: Sequence[str], columns: Sequence[Sequence[str]], room: int) -> list[str]:
    """Cut labels to what the other columns leave of a line."""
    taken = sum(len(GAP) + max(map(cells, column)) for column in columns)
    label_room = min(max(room - taken, _SHORTEST_LABEL), _LONGEST_LABEL)
    return [name_of(label, label_room) for label in shown]


def _span(report: Report, label: str) -> Span:
    expected = report.expected
    band = None if expected is None else expected.tolerance.get(label)
    return Span(share_of(report, label), report.observed.intervals.get(label), band)


def spans_of(report: Report) -> dict[str, Span]:
    """Return what a bar shows of each label that a table shows."""
    return {label: _span(report, label) for label in shown_labels(report)}


def labels_of(report: Report) -> list[str]:
    """Return all labels of a report, in the order of its documents.

    None at all if no answer carried one: there is nothing to compare with the expectation.
    """
    if not any(report.observed.counts.values()):
        return []
    return labels_in_order(report.expected, report.observed.counts)


def replicas_of(report: Report) -> dict[str, dict[str, int]]:
    """Return samples by label and replica, the labels in the order of the documents."""
    observed = report.observed
    every = labels_in_order(report.expected, observed.counts)
    late = sorted(set(observed.replicas).difference(every))
    return {label: pods for label in (*every, *late) if (pods := observed.replicas.get(label))}


def shown_labels(report: Report) -> list[str]:
    """Return the labels that a table shows, at most `MOST_ROWS`, in its order."""
    every = labels_of(report)
    return _choose(report, every, {label: mark_of(report, label) for label in every})


def _choose(report: Report, every: Sequence[str], marks: dict[str, Mark]) -> list[str]:
    """Return the labels to show, in their order: those that are off first, then by count."""
    if len(every) <= MOST_ROWS:
        return list(every)

    def importance(label: str) -> tuple[bool, bool, int]:
        # An expected label that is off goes before any number of unexpected ones.
        return (
            marks[label] is not Mark.OUTSIDE,
            marks[label] not in {Mark.UNDECIDED, Mark.WITHIN},
            -report.observed.counts.get(label, 0),
        )

    chosen = set(sorted(every, key=importance)[:MOST_ROWS])
    return [label for label in every if label in chosen]


def _left_out(report: Report, every: Sequence[str], shown: Sequence[str]) -> str:
    hidden = set(every).difference(shown)
    if not hidden:
        return ""
    total = sum(report.observed.counts.get(label, 0) for label in hidden)
    return f"and {rounding.amount(len(hidden))} more, with {rounding.counted(total, 'response')}"


def _aligned(values: Sequence[str]) -> list[str]:
    widest = max(map(len, values))
    return [value.rjust(widest) for value in values]


def views_of(report: Report, label: str) -> list[str]:
    """Return the share of a label in each view of the expectation, ready to show."""
    views = () if report.expected is None else report.expected.views
    return [
        f"{rounding.exact_percent(view.shares[label])} %" if label in view.shares else ""
        for view in views
    ]


def view_names(report: Report) -> list[str]:
    """Return the heading of each view: what is declared, what is configured."""
    return [] if report.expected is None else [name_of(e.name, 16) for e in report.expected.views]


def _views(report: Report, shown: Sequence[str]) -> list[list[str]]:
    shares = [views_of(report, label) for label in shown]
    return [
        [name, *(each[place] for each in shares)] for place, name in enumerate(view_names(report))
    ]


def _counts(report: Report, shown: Sequence[str]) -> list[str]:
    counts = [rounding.amount(report.observed.counts.get(label, 0)) for label in shown]
    return [count_heading(report), *counts]


def count_heading(report: Report) -> str:
    """Return what the counts of a table are of: of a check, the judged connections only."""
    return "count" if report.decision is None else "judged"


def _shares(report: Report, shown: Sequence[str]) -> list[str]:
    observed = report.observed
    n = sum(observed.counts.values())
    intervals = [observed.intervals.get(label) for label in shown]
    places = [places_of(report, label, n) for label in shown]
    shares = [
        rounding.percent(share_of(report, label), digits)
        for label, digits in zip(shown, places, strict=True)
    ]
    ends = [
        ("", "") if interval is None else rounding.percent_interval(interval, digits)
        for interval, digits in zip(intervals, places, strict=True)
    ]
    heading = "share [interval]" if any(intervals) else "share"
    return [heading, *_with_ranges(shares, ends)]


def places_of(report: Report, label: str, n: int) -> int:
    """Return the decimals of a label's share: those of its band, else what its interval supports.

    A share and its band have the same decimals, so that one inside the other is so in print.
    """
    expected = report.expected
    if expected is not None and label in expected.shares and label in expected.tolerance:
        return rounding.band_decimals(expected.shares[label], expected.tolerance[label])
    supported = rounding.share_decimals(report.observed.intervals.get(label), n)
    return supported if expected is None else max(supported, 1)


def _expectations(expected: Expected, shown: Sequence[str]) -> list[str]:
    shares = [expected.shares.get(label) for label in shown]
    bands = [expected.tolerance.get(label) for label in shown]
    middles = ["" if share is None else rounding.exact_percent(share) for share in shares]
    ends = [
        ("", "")
        if share is None or band is None
        else rounding.percent_interval(band, rounding.band_decimals(share, band))
        for share, band in zip(shares, bands, strict=True)
    ]
    return ["expected [accepted]", *_with_ranges(middles, ends)]


def _with_ranges(middles: Sequence[str], ends: Sequence[tuple[str, str]]) -> list[str]:
    """Align ``10.2 % [8.9, 11.6]`` in a column; empty parts stay empty."""
    lows, highs = (_aligned([end[side] for end in ends]) for side in (0, 1))
    return [
        (f"{middle} %" if middle.strip() else "") + (f" [{low}, {high}]" if low.strip() else "")
        for middle, low, high in zip(_aligned(middles), lows, highs, strict=True)
    ]
