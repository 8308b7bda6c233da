"""The page of a continuous weighing: one target at one moment, with what led there.

The page is a function of a `Chronicle` and nothing else, no clock included: the one that a watch
serves, its snapshot, and the one that is made again of the events on disk are the same text. The
script of the served page draws nothing by itself. It is told by the stream of events that there is
something new, asks for the page once more, and takes over the parts of it that differ: so places,
numbers and words are said here alone, and who runs no script sees the same by loading it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from analysis.data.live import State
from analysis.data.live_events import AlarmTold, ChangeTold
from analysis.data.report import Verdict
from analysis.render import health, table
from analysis.render.axes import clock, day
from analysis.render.grid import Span
from analysis.render.over_time import TONES, chart_of, places_of, share_in_words
from analysis.render.page import KINDS, SIGNS, bands_of, kind_of, render_page
from analysis.render.printable import name_of, sentence, visible
from analysis.review.chronicle import Told
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.data.live import LiveLabel, LiveState, Part
    from analysis.review.chronicle import Chronicle, Happening

_LABEL_ROOM = 32
_MOST_HAPPENINGS = 40
_VIEWS = ("declared", "configured", "endpoints")
_LEAST_LIVE_S, _LEAST_S = 60.0, 2.0
"""Shortest time that a chart shows: one that goes on has room for what comes [s]."""
_KINDS_OF_CHANGE = {"weight": "weights", "endpoints": "endpoints", "settled": "settled"}
SPANS = {"10m": 600.0, "3h": 10_800.0, "14d": 1_209_600.0}
"""Times that the chart can show [s], by their names in an address."""
_SPAN_WORDS = {"10m": "10 minutes", "3h": "3 hours", "14d": "14 days"}


class UnknownViewError(ValueError):
    """There is no such target, or no such span."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a chronicle a page shows.

    Parameters
    ----------
    target : str or None
        Its name; None is the first one.
    span : str or None
        A name of `SPANS`; None is the shortest that holds everything since the start.
    is_live : bool
        Whether the page follows a stream of events, beside which it is served.
    colours : str
        Style sheet of the series, for the class ``live``.
    """

    target: str | None = None
    span: str | None = None
    is_live: bool = False
    colours: str = ""


class Happened(NamedTuple):
    """A row of the table of what happened."""

    number: int
    at: str
    kind: str
    tone: str
    text: str
    more: str


class _Version(NamedTuple):
    """A row of the table of versions, in words."""

    label: str
    mark: table.Mark
    views: tuple[str, ...]
    expected: str
    accepted: str
    share: str
    interval: str
    recent: str
    recent_interval: str
    connections: str
    total: str


class _Piece(NamedTuple):
    """A row of the tables of replicas and zones."""

    name: str
    label: str
    connections: str
    shares: tuple[str, ...]
    part: float


def to_live_page(chronicle: Chronicle, view: View | None = None) -> str:
    """Render what a chronicle knows of a target as a page.

    Raises
    ------
    UnknownViewError
        If it knows no such target, or there is no such span.
    """
    view = view or View()
    name, told = _chosen(chronicle, view)
    state = told.state
    if state is None:
        return render_page("waiting.html.jinja", (), (), script="live.js", view=view)
    if view.span is not None and view.span not in SPANS:
        raise UnknownViewError(f"expected one of {', '.join(SPANS)} as span, got {view.span!r}")
    span = view.span or _fitting(state)
    beginning = max(state.started, state.at - SPANS[span])
    numbers = list(range(1, len(told.happenings) + 1))
    rows = [_version(each, state) for each in state.labels]
    spans = [Span(e.share, e.interval if e.connections else None, e.band) for e in state.labels]
    bands, scale = bands_of(
        spans,
        [
            (row.label, share_in_words(each, state), table.TONES[row.mark], each.expected)
            for row, each in zip(rows, state.labels, strict=True)
        ],
    )
    happened = happenings(told)
    return render_page(
        "live.html.jinja",
        (),
        (),
        script="live.js",
        styles=("page.css", "live.css"),
        colours=view.colours,
        view=view,
        state=state,
        target=name,
        name=name_of(name, _LABEL_ROOM),
        sign=SIGNS[state.verdict],
        kind=kind_of(state.verdict),
        tone=KINDS[TONES[state.state]],
        since=f"for {rounding.duration(max(state.at - state.since, 0.1))}",
        at=_moment(state.at),
        started=_moment(state.started),
        headline=_headline(state),
        why=sentence(state.why),
        subject=f"{sentence(state.url)}, since {_moment(state.started)}",
        others=_others(chronicle, name),
        bands=[
            band if each.connections else replace(band, share=None)
            for band, each in zip(bands, state.labels, strict=True)
        ],
        scale=scale,
        rows=rows,
        heads=[e for e in _VIEWS if any(getattr(each, e) is not None for each in state.labels)],
        spans=_links(view, span),
        chart=chart_of(told, beginning, numbers, _LEAST_LIVE_S if view.is_live else _LEAST_S),
        happened=happened[::-1][:_MOST_HAPPENINGS],
        hidden=max(len(happened) - _MOST_HAPPENINGS, 0),
        lag=_lag(state),
        lags=[f"{rounding.significant(each, 2)} s" for each in reversed(state.lags_s)],
        nats=f"{state.detector.evidence:.1f} of {state.detector.threshold:.1f} nats",
        meter=_meter(state),
        promise=sentence(state.detector.words),
        judged=_judged(state),
        health=health.table(state.health),
        replicas=_pieces(state.replicas, state),
        zones=_pieces(state.zones, state),
        requests=rounding.amount(state.requests),
        outcomes=[
            (name_of(key, 32), rounding.amount(n))
            for key, n in sorted(state.outcomes.items(), key=lambda item: -item[1])
        ],
        cost=list(_cost(state)),
        run=visible(state.run),
    )


def _chosen(chronicle: Chronicle, view: View) -> tuple[str, Told]:
    if view.target is None:
        return next(iter(chronicle.targets.items()), ("", Told()))
    told = chronicle.targets.get(view.target)
    if told is None:
        known = ", ".join(name_of(each, _LABEL_ROOM) for each in chronicle.targets)
        raise UnknownViewError(f"expected one of the targets {known}, got {visible(view.target)}")
    return view.target, told


def _moment(at: float) -> str:
    return f"{day(at)} {clock(at)} UTC"


def _fitting(state: LiveState) -> str:
    age = state.at - state.started
    return next((name for name, span in SPANS.items() if span >= age), next(reversed(SPANS)))


def _links(view: View, span: str) -> list[tuple[str, str, bool]]:
    """Return name, words and whether it is chosen, of each span of a page that is served."""
    if not view.is_live:
        return []
    return [(each, words, each == span) for each, words in _SPAN_WORDS.items()]


def _others(chronicle: Chronicle, name: str) -> list[tuple[str, str, str, str, bool]]:
    """Return key, sign, name, state and whether it is shown, of each of several targets."""
    if len(chronicle.targets) < 2:
        return []
    return [
        (
            each,
            "·" if told.state is None else SIGNS[told.state.verdict],
            name_of(each, _LABEL_ROOM),
            "" if told.state is None else told.state.state.value,
            each == name,
        )
        for each, told in chronicle.targets.items()
    ]


def _headline(state: LiveState) -> str:
    """Return the sentence that stands behind the state."""
    stretch = state.stretch
    judged = (
        f"{rounding.counted(stretch.connections, 'connection')} judged since {clock(stretch.since)}"
    )
    match state.state:
        case State.DRIFT if state.last_alarm is not None:
            return sentence(state.last_alarm.text)
        case State.OK if stretch.passed_after is not None:
            after = rounding.counted(stretch.passed_after, "connection")
            return f"Every share is inside its band: proven after {after}, {judged}."
        case State.RECOVERING:
            return f"Inside the band again, not proven yet: {judged}."
        case State.CHANGING | State.BLIND:
            return sentence(state.why) or "Nothing is judged."
    return f"Not proven yet: {judged}."


def _mark(label: LiveLabel, state: LiveState) -> table.Mark:
    """Judge one label for display: by the verdict where it speaks of it, else by its interval."""
    if label.expected is None or (not label.expected and label.connections):
        return table.Mark.UNEXPECTED if label.connections else table.Mark.NONE
    if state.verdict is Verdict.PASS:
        return table.Mark.WITHIN
    if state.state in {State.BLIND, State.CHANGING}:  # what came before says nothing of now
        return table.Mark.UNDECIDED
    point = None if state.last_alarm is None else state.last_alarm.change
    if state.state is State.DRIFT and point is not None and point.label:
        is_either = sum(each.expected is not None for each in state.labels) == 2
        if is_either or label.label == point.label:
            return table.Mark.OUTSIDE
    return table.compare(label.interval if label.connections else None, label.band)


def _version(label: LiveLabel, state: LiveState) -> _Version:
    places = places_of(label)

    def share(value: float | None) -> str:
        return "" if value is None else f"{rounding.percent(value, places)} %"

    def exact(value: float | None) -> str:
        return "" if value is None else f"{rounding.exact_percent(value)} %"

    def ends(value: tuple[float, float] | None) -> str:
        return "" if value is None else rounding.bracketed(value, places)

    return _Version(
        label=name_of(label.label, _LABEL_ROOM),
        mark=_mark(label, state),
        views=tuple(exact(getattr(label, each)) for each in _VIEWS),
        expected=exact(label.expected),
        accepted=ends(label.band),
        share=share(label.share) if label.connections else "",
        interval=ends(label.interval) if label.connections else "",
        recent=share(label.recent),
        recent_interval=ends(label.recent_interval),
        connections=rounding.amount(label.connections),
        total=rounding.amount(label.total),
    )


def happenings(told: Told) -> list[Happened]:
    """Return what happened to a target, in words, the oldest first."""
    return [_happened(each, number) for number, each in enumerate(told.happenings, 1)]


def _happened(event: Happening, number: int) -> Happened:
    if isinstance(event, AlarmTold):
        alarm = event.alarm
        more = [sentence(alarm.cause)] if alarm.cause else []
        if alarm.change is not None:
            low, high = alarm.change.range
            more.append(
                f"It began at {clock(alarm.change.at)}, between {clock(low)} and {clock(high)}, "
                f"{rounding.counted(alarm.change.connections, 'connection')} before."
            )
        return Happened(
            number, clock(alarm.at), "alarm", "fail", sentence(alarm.text), " ".join(more)
        )
    if isinstance(event, ChangeTold):
        change = event.change
        kind = _KINDS_OF_CHANGE.get(change.kind, name_of(change.kind, 16))
        return Happened(number, clock(change.at), kind, "quiet", sentence(change.text), "")
    return Happened(
        number,
        clock(event.at),
        name_of(event.kind, 16),
        "open" if event.kind == "warning" else "quiet",
        sentence(event.text),
        "",
    )


def _lag(state: LiveState) -> str:
    lags = state.lags_s
    if not lags:
        return ""
    told = f"The last change reached the answers after {rounding.significant(lags[-1], 2)} s"
    if len(lags) == 1:
        return f"{told}."
    middle, most = (rounding.significant(each, 2) for each in (median(lags), max(lags)))
    return f"{told}; of the last {len(lags)} the median was {middle} s, the longest {most} s."


def _meter(state: LiveState) -> float:
    """Return how much of the evidence that raises an alarm there is, in percent."""
    threshold = state.detector.threshold
    part = state.detector.evidence / threshold if threshold > 0 else 0.0
    return round(100 * min(max(part, 0.0), 1.0), 1)


def _judged(state: LiveState) -> str:
    stretch = state.stretch
    told = (
        f"{rounding.counted(stretch.connections, 'connection')} judged since {clock(stretch.since)}"
    )
    if stretch.passed_after is not None:
        told += f", proven after {rounding.amount(stretch.passed_after)}"
    if stretch.unlabelled:
        told += f", {rounding.amount(stretch.unlabelled)} without a label"
    return f"{told}; {100 * stretch.confidence:g} % intervals, valid at every look"


def _pieces(parts: Iterable[Part], state: LiveState) -> list[_Piece]:
    parts = list(parts)
    most = max((each.connections for each in parts), default=0) or 1
    return [
        _Piece(
            name_of(each.name, 64),
            name_of(each.label, _LABEL_ROOM) if each.label else "",
            rounding.amount(each.connections),
            tuple(
                f"{100 * each.shares[label.label]:.1f} %" if label.label in each.shares else ""
                for label in state.labels
            ),
            round(100 * each.connections / most, 1),
        )
        for each in parts
    ]


def _cost(state: LiveState) -> Iterable[tuple[str, str]]:
    cost = state.cost
    asked = f"{rounding.significant(cost.asked_per_s, 3)}"
    yield "rate", f"{rounding.significant(cost.rate_per_s, 3)} of {asked} connections/s"
    yield "processor", f"{100 * cost.cpu_share:.2g} % of one core, all targets"
    yield "memory", f"{rounding.amount(cost.memory_bytes / 2**20)} MiB"
    yield "disk", f"{rounding.amount(cost.disk_bytes / 2**20)} MiB of runs"
    if cost.shed:
        yield "not sent", f"{rounding.counted(cost.shed, 'request')}: all slots were busy"
    if cost.pauses:
        yield "paused", f"{rounding.counted(cost.pauses, 'time')}, as the target asked for it"
    if cost.is_saturated:
        yield "saturated", "yes: times are those of this client"
