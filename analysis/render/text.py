"""The report as text: the verdict and why in the first line, then what it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.render import grid, health, table
from analysis.render.grid import Grid, Tone
from analysis.render.printable import HOLD, cells, name_of, pad, sentence, visible, wrap
from analysis.text import rounding
from analysis.text.wording import automatic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.data.report import Report

_GUTTER = 6
_ARROW = "    →"
_NARROWEST = 40
_HEADLINE_LABELS = 3
_HEADLINE_LABEL_ROOM = 24

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
_COLOUR_OF_VERDICT = {
    Verdict.PASS: f"{_BOLD};{_GREEN}",
    Verdict.FAIL: f"{_BOLD};{_RED}",
    Verdict.INCONCLUSIVE: f"{_BOLD};{_YELLOW}",
}
_COLOUR_OF_TONE = {Tone.PLAIN: "", Tone.GOOD: _GREEN, Tone.BAD: _RED, Tone.OPEN: _YELLOW}
_OUTCOMES = {
    "unlabelled": "answered without a label",
    "connect_failed": "connection failed",
    "connect_timeout": "connection timed out",
    "timeout": "timed out",
    "reset": "reset by peer",
    "closed": "closed early",
    "stale": "connection was stale",
    "protocol": "not HTTP/1",
    "too_large": "response too large",
    "client_limit": "not sent: limit of this machine",
    "aborted": "aborted when sending stopped",
    "surplus": "on connections that sent more than was asked for",
    "lost": "with a vantage that was lost",
}


def to_text(report: Report, *, colour: bool = False, width: int = 100) -> str:
    """Render a report for people.

    Parameters
    ----------
    report : Report
    colour : bool, default False
        Add ANSI colours (SGR sequences, ECMA-48 section 8.3.117). They repeat what the
        words say.
    width : int, default 100
        Cells of a line, at least 40. Numbers, paths and URLs are never cut for it.

    Returns
    -------
    str
        Lines, each ended by a newline. Characters of labels, hosts and messages that
        would not be drawn, or would steer a terminal, appear as escapes.
    """
    paint = _Paint(on=colour)
    return grid.plain(
        "\n".join(_table(part, paint)) if isinstance(part, Grid) else part
        for part in parts(report, colour=colour, width=width)
    )


def parts(report: Report, *, colour: bool = False, width: int = 100) -> Iterator[str | Grid]:
    """Yield the paragraphs of a text and its table, the verdict first.

    Parameters are those of `to_text`. A terminal shows the first part before it draws the table.
    """
    paint = _Paint(on=colour)
    room = max(width, _NARROWEST)
    yield "\n".join(_headline(report, paint, room))
    yield replace(table.shares(report, room - _GUTTER), indent=_GUTTER)
    for told in (_measured, _health, _advice):
        yield "\n".join(told(report, paint, room))
    yield "\n".join(_run(report, paint))


class _Paint:
    """Wraps text into SGR sequences, or leaves it."""

    __slots__ = ("_on",)

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and code and text else text


def _headline(report: Report, paint: _Paint, room: int) -> Iterator[str]:
    text = headline(report)
    if report.verdict is not None:
        tag, code = report.verdict.value, _COLOUR_OF_VERDICT[report.verdict]
    else:
        tag, code = ("MEASURED" if report.observed.counts else "NOT MEASURED"), _BOLD
    yield from _tagged(tag, code, text, paint, room)


def headline(report: Report) -> str:
    """Return the sentence behind the verdict: the first reason, or else what was measured."""
    if _leads_with_a_reason(report):
        return sentence(report.reasons[0].message)
    return _shares_in_words(report)


def _leads_with_a_reason(report: Report) -> bool:
    """Return whether the first reason is in the first line; a measurement leads with itself."""
    is_told = report.verdict is not None or not report.observed.counts
    return is_told and bool(report.reasons)


def _shares_in_words(report: Report) -> str:
    """Return what was measured: the largest shares with their intervals, and n."""
    observed = report.observed
    n = sum(observed.counts.values())
    if not n:
        launched = rounding.counted(report.samples.launched, "request")
        return f"none of {launched} gave a label"
    ranked = sorted(observed.counts, key=lambda label: -observed.counts[label])
    parts = [_share_in_words(report, label, n) for label in ranked[:_HEADLINE_LABELS]]
    more = len(ranked) - len(parts)
    others = f" and {rounding.amount(more)} more" if more else ""
    return f"{', '.join(parts)}{others}, of {rounding.counted(n, 'labelled response')}"


def _share_in_words(report: Report, label: str, n: int) -> str:
    interval = report.observed.intervals.get(label)
    places = rounding.share_decimals(interval, n)
    share = rounding.percent(table.share_of(report, label), places)
    text = f"{name_of(label, _HEADLINE_LABEL_ROOM)} {share} %"
    if interval is None:
        return text
    return f"{text} {rounding.bracketed(interval, places)}"


def _table(shares: Grid, paint: _Paint) -> Iterator[str]:
    """Yield the lines of the table: marks are coloured, what is not a label is dim."""
    colours = [_COLOUR_OF_TONE[tone] for tone in shares.tones]
    for number, line in enumerate(grid.lines(shares)):
        if 0 < number <= len(shares.rows):
            mark = shares.rows[number - 1][-1]
            start = len(line) - len(mark)
            yield line[:start] + paint(line[start:], colours[number - 1])
        else:
            yield " " * _GUTTER + paint(line[_GUTTER:], _DIM)


def _measured(report: Report, paint: _Paint, room: int) -> Iterator[str]:
    for name, zone in report.observed.by_zone.items():
        told = f"{zone.verdict} in zone {name_of(name, _HEADLINE_LABEL_ROOM)}: {zone.message}"
        yield from _tagged("", "", sentence(told), paint, room)
    for told in _zones(report):
        yield from _tagged("", "", told, paint, room)
    yield from _tagged("", "", decision_in_words(report), paint, room)
    yield from _tagged("", "", load_in_words(report), paint, room)
    for text in (terms_in_words(report), losses_in_words(report), _replicas(report)):
        if text:
            yield from _tagged("", "", text, paint, room)


def _zones(report: Report) -> Iterator[str]:
    """Tell what each zone gave, where none is judged; a proven difference is a note."""
    apart = report.observed.zones_differ
    if apart is None:
        return
    for name, counts in () if report.observed.by_zone else apart.counts.items():
        n = sum(counts.values())
        shares = ", ".join(
            f"{name_of(label, _HEADLINE_LABEL_ROOM)} {rounding.percent(count / n, 1)} %"
            for label, count in counts.items()
        )
        zone = name_of(name, _HEADLINE_LABEL_ROOM)
        yield f"zone {zone}: {shares or 'nothing'} of {rounding.counted(n, 'answer')}"
    if not apart.proven:
        yield apart.message


def decision_in_words(report: Report) -> str:
    """Return when it was decided, and with which error rates."""
    decision = report.decision
    took = rounding.duration(report.performance.duration_s)
    if decision is None:
        launched = rounding.counted(report.samples.launched, "request")
        connections = rounding.counted(report.samples.connections, "connection")
        draws = draws_in_words(report)
        worth = f" ({draws})" if draws else ""
        return f"{launched} on {connections}{worth}, {took}; not judged"
    verb = "undecided" if report.verdict is Verdict.INCONCLUSIVE else "decided"
    effective = report.samples.effective
    is_one_each = effective is not None and round(effective) == decision.decided_after
    draws = "" if is_one_each else draws_in_words(report)
    return (
        f"{verb} after {judged_in_words(report)}"
        f"{f' ({draws})' if draws else ''}, {took}; "
        f"alpha = {decision.alpha:.4g}, beta = {decision.beta:.4g}, valid at every look"
        f"{'' if decision.calibrated is None else ' within the budget'}"
    )


def judged_in_words(report: Report) -> str:
    """Return how many connections were judged, of how many: those in flight come later."""
    judged = 0 if report.decision is None else report.decision.decided_after
    every = report.samples.connections
    if every <= judged:
        return rounding.counted(judged, "connection")
    return f"{rounding.amount(judged)} of {rounding.counted(every, 'connection')}"


def draws_in_words(report: Report) -> str:
    """Return how many independent draws the counts are worth; empty where that is not known."""
    effective = report.samples.effective
    return "" if effective is None else rounding.counted(round(effective), "independent draw")


def terms_in_words(report: Report) -> str:
    """Return what was stated or asked beyond the defaults, and what `auto` made of the weights."""
    decision = report.decision
    if decision is None:
        return ""
    terms = []
    if decision.missing_ratio is not None:
        ratio = f"{decision.missing_ratio:.4g}"
        terms.append(
            "missing labels are ignored, assuming that all versions lose them equally often"
            if decision.missing_ratio == 1
            else f"assuming that no version loses labels more than {ratio} times as often as "
            "another"
        )
    if decision.inner < 1:
        terms.append(f"FAIL begins at {decision.inner * 100:.4g} % of the tolerance")
    if decision.calibrated is not None:
        terms.append(
            "calibrated: the error rates hold for independent draws of one share and the budget of "
            f"{rounding.counted(decision.calibrated, 'connection')}, fixed beforehand"
        )
    if report.expected is not None and decision.tolerance == "auto":
        terms.append(automatic(report.expected.weights))
    return "; ".join(filter(None, terms))


def load_in_words(report: Report) -> str:
    """Return how requests were sent, and how fast."""
    performance = report.performance
    if performance.transport == "recorded":
        recorded = rounding.counted(report.samples.launched, "recorded request")
        return f"{recorded}, nothing was sent"
    life = performance.connection
    parts = [
        f"{visible(performance.transport)} transport",
        f"concurrency {rounding.amount(performance.concurrency)}",
        f"{life} connections" if life in {"fresh", "reuse"} else f"{visible(life)} per connection",
    ]
    if performance.workers:
        parts.insert(0, rounding.counted(len(performance.workers), "vantage"))
    achieved = rounding.significant(performance.rate_per_s, 3)
    if performance.offered_per_s is None:
        parts.append(f"{achieved} requests/s")
    else:
        offered = rounding.significant(performance.offered_per_s, 3)
        parts.append(f"{achieved} of {offered} requests/s offered")
    if report.samples.shed:
        parts.append(f"{rounding.amount(report.samples.shed)} shed")
    if performance.client_saturated:
        parts.append("this client was the bottleneck")
    held = [part.replace(" ", HOLD) for part in parts]
    return f"{HOLD}· ".join(held)


def losses_in_words(report: Report) -> str:
    """Return how many requests were not ok, and why; empty if all were."""
    lost = {key: n for key, n in report.samples.outcomes.items() if key != "ok" and n}
    if not lost:
        return ""
    ranked = sorted(lost, key=lambda key: -lost[key])
    parts = [
        f"{rounding.amount(lost[key])} {_OUTCOMES.get(key, name_of(key, 32))}" for key in ranked
    ]
    launched = rounding.counted(report.samples.launched, "request")
    return f"{rounding.amount(sum(lost.values()))} of {launched} not ok: {', '.join(parts)}"


def _replicas(report: Report) -> str:
    known = table.replicas_of(report)
    parts = [
        f"{name_of(label, _HEADLINE_LABEL_ROOM)} from {_spread(list(pods.values()))}"
        for label, pods in list(known.items())[: table.MOST_ROWS]
    ]
    more = len(known) - len(parts)
    told = ", ".join(parts) + (f" and {rounding.amount(more)} more" if more else "")
    return f"{_whose(report, known)}{told}"


def _whose(report: Report, known: Mapping[str, Mapping[str, int]]) -> str:
    """Return what the replicas are of, if more answers came in than were judged."""
    answers = sum(sum(pods.values()) for pods in known.values())
    if report.decision is None:
        return ""
    # In a cluster, what came while things moved is not judged.
    if answers <= min(report.decision.decided_after, report.samples.independent):
        return ""
    return f"all {rounding.amount(answers)} answers: "


def _spread(counts: Sequence[int]) -> str:
    replicas = rounding.counted(len(counts), "replica")
    low, high = rounding.amount(min(counts)), rounding.amount(max(counts))
    return f"{replicas} ({low})" if low == high else f"{replicas} ({low} to {high} each)"


def _health(report: Report, paint: _Paint, room: int) -> Iterator[str]:
    for number, text in enumerate(health.sentences(report)):
        yield from _tagged("" if number else "health", _DIM, text, paint, room)


def _advice(report: Report, paint: _Paint, room: int) -> Iterator[str]:
    is_first_told = _leads_with_a_reason(report)
    for number, reason in enumerate(report.reasons):
        if number or not is_first_told:
            yield from _tagged("also", _BOLD, sentence(reason.message), paint, room)
        if reason.remedy:
            yield from _tagged(_ARROW, "", sentence(reason.remedy), paint, room)
    for note in report.notes:
        yield from _tagged("note", _DIM, sentence(note), paint, room)


def _run(report: Report, paint: _Paint) -> Iterator[str]:
    """Return what was asked and where the run is kept; not wrapped, so that both can be copied."""
    run = report.run
    where = f", label from {visible(run.label)}" if run.label else ""
    yield f"{paint('asked', _DIM)} {visible(run.target)}{where}"
    if run.path is not None:
        yield f"{paint('run', _DIM)}   {visible(run.path)}"


def _tagged(tag: str, code: str, text: str, paint: _Paint, room: int) -> Iterator[str]:
    """Yield a paragraph behind a tag; its further lines hang below the gutter."""
    gutter = pad(tag, max(_GUTTER, cells(tag) + (1 if tag == _ARROW else 2)))
    head, *tail = wrap(text, room - _GUTTER, taken=cells(gutter) - _GUTTER) or [""]
    # The blanks of the gutter stay unpainted.
    yield (paint(tag, code) + gutter[len(tag) :] + head).rstrip()
    for line in tail:
        yield " " * _GUTTER + line
