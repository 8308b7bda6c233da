"""The chart of shares over time of a live page, as numbers and texts that a template sets.

A panel a label: the accepted band, the expected share, the share so far with its interval, and the
share of short times as points. Above them a strip of states, with alarms and changes as numbered
lines. All places are in thousandths of the panel, from its left and upper edge; the page stretches
them to whatever room it has. Paths are steps, since a column stands for its whole width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.data.live import State
from analysis.data.live_events import AlarmTold, ChangeTold
from analysis.render.axes import Scale, Tick, clock, shares, times
from analysis.render.grid import Tone
from analysis.render.printable import hold, name_of
from analysis.review.chronicle import points
from analysis.text import rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analysis.data.live import LiveLabel, LiveState
    from analysis.review.chronicle import Accepted, Column, Told

MOST_PANELS = 6
"""Labels with a panel; the tables have the others."""
MOST_ROWS = 30
"""Times in the table beside the chart: the newest."""
_LABEL_ROOM = 32
_NUMBER_ROOM = 40.0

TONES = {
    State.STARTING: Tone.OPEN,
    State.OK: Tone.GOOD,
    State.DRIFT: Tone.BAD,
    State.RECOVERING: Tone.OPEN,
    State.CHANGING: Tone.PLAIN,
    State.BLIND: Tone.PLAIN,
}
"""How each state is coloured; its name stands beside it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An alarm or a change on the time axis.

    Parameters
    ----------
    at : float
    kind : str
        ``alarm`` or ``change``.
    began : (float, float) or None
        Left end and width of the time in which the departure began.
    """

    at: float
    kind: str
    began: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Spell:
    """A state on the strip: place, width, and words."""

    at: float
    width: float
    state: str
    tone: str
    told: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of a column, for who points at it."""

    at: float
    width: float
    told: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One label over time.

    Parameters
    ----------
    position : int
        Of the label in the state, which decides its colour.
    name, told : str
        The label, and its present share, interval and expectation in words.
    accepted, expected, interval, share, dots : str
        Paths; empty where there is nothing.
    ticks : list of Tick
        Of the shares.
    readings : list of Reading
    """

    position: int
    name: str
    told: str
    accepted: str
    expected: str
    interval: str
    share: str
    dots: str
    ticks: list[Tick]
    readings: list[Reading]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything of the chart.

    Parameters
    ----------
    panels : list of Panel
    ticks : list of Tick
        Of the times.
    idle : str
        Path of what was not judged.
    strip : list of Spell
    marks : list of Mark
    numbers : list of Tick
        The rows of the marks in the table of what happened; neighbours are told together.
    point : str
        What a point stands for, in words.
    head : tuple of str
    rows : list of tuple of str
        The table beside the chart, the newest time first.
    """

    panels: list[Panel]
    ticks: list[Tick]
    idle: str
    strip: list[Spell]
    marks: list[Mark]
    numbers: list[Tick]
    point: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def places_of(label: LiveLabel) -> int:
    """Return the decimals of a label's share in percent, as a report chooses them."""
    if label.expected is None or label.band is None:
        return max(rounding.decimals(50 * (label.interval[1] - label.interval[0])), 1)
    return rounding.band_decimals(label.expected, label.band)


def chart_of(
    told: Told, since: float, numbers: Sequence[int], least_s: float = 60.0
) -> Chart | None:
    """Lay out the chart of a target.

    Parameters
    ----------
    told : Told
        With a state.
    since : float
        Where it begins; it ends at the state.
    numbers : sequence of int
        The row of each happening of `told` in its table.
    least_s : float
        Shortest time that is shown [s].

    Returns
    -------
    Chart or None
        None as long as no bucket is over.
    """
    state = told.state
    if state is None:
        return None
    until = max(state.at, since + least_s)
    columns = told.columns(since, until)
    if not columns:
        return None
    scale = Scale(since, until)
    marks = list(_marks(told, numbers, scale))
    shown = _shown(state)
    dots = points(columns)
    return Chart(
        panels=[_panel(each, state, told, columns, dots, scale) for each in shown],
        ticks=list(times(scale)),
        idle="".join(
            _box(scale(each.since), scale(each.until), 0, 1000)
            for each in columns
            if not each.is_judged
        ),
        strip=list(_strip(told, scale, state.at)),
        marks=[mark for mark, _ in marks],
        numbers=_numbers(marks),
        point=rounding.duration(dots[0].until - dots[0].since),
        head=(
            "time, UTC",
            *(name_of(each.label, _LABEL_ROOM) for each in shown),
            "without a label",
        ),
        rows=[_row(each, shown) for each in reversed(dots[-MOST_ROWS:])],
    )


def _box(left: float, right: float, top: float, bottom: float) -> str:
    return f"M{left:g} {top:g}H{right:g}V{bottom:g}H{left:g}Z" if right > left else ""


def _panel(
    label: LiveLabel,
    state: LiveState,
    told: Told,
    columns: Sequence[Column],
    dots: Sequence[Column],
    scale: Scale,
) -> Panel:
    name = label.label
    bands = list(_bands(told.accepted, name, scale))
    seen = [each.counts[name] / each.labelled for each in dots if each.labelled]
    seen += [end for *_, band in bands for end in band]
    seen += label.interval if label.connections else ()
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = max(0.12 * (high - low), 0.004)
    low, high = max(low - room, -0.02), min(high + room, 1.02)

    def height(share: float) -> float:
        return round(1000 * (1 - (min(max(share, low), high) - low) / (high - low)), 1)

    return Panel(
        position=state.labels.index(label),
        name=name_of(name, _LABEL_ROOM),
        told=_told(label, state),
        accepted="".join(
            _box(left, right, height(band[1]), height(band[0])) for left, right, _, band in bands
        ),
        expected="".join(
            f"M{left:g} {height(share):g}H{right:g}" for left, right, share, _ in bands
        ),
        interval="".join(
            _box(scale(each.since), scale(each.until), height(ends[1]), height(ends[0]))
            for each in columns
            if (ends := each.interval.get(name)) is not None
        ),
        share=_steps(columns, name, scale, height),
        dots="".join(
            f"M{(scale(each.since) + scale(each.until)) / 2:.1f} "
            f"{height(each.counts[name] / each.labelled):g}h0"
            for each in dots
            if each.labelled
        ),
        ticks=list(shares(low, high, height)),
        readings=[
            Reading(
                scale(each.since),
                round(scale(each.until) - scale(each.since), 1),
                _read(each, label),
            )
            for each in dots
        ],
    )


def _bands(
    accepted: Sequence[Accepted], name: str, scale: Scale
) -> Iterator[tuple[float, float, float, tuple[float, float]]]:
    """Yield both ends, expected share and band of each time in which a label was expected."""
    ends = [*[each.since for each in accepted][1:], scale.until]
    for each, end in zip(accepted, ends, strict=True):
        if name in each.shares and end > scale.since:
            share, band = each.shares[name]
            yield scale(each.since), scale(end), share, (max(band[0], 0.0), min(band[1], 1.0))


def _steps(
    columns: Sequence[Column], name: str, scale: Scale, height: Callable[[float], float]
) -> str:
    """Return the line of the share so far: level within a column, joined where columns touch."""
    path, end = "", -1.0
    for each in columns:
        share = each.share.get(name)
        if share is None:
            continue
        left, right = scale(each.since), scale(each.until)
        path += f"V{height(share):g}" if left == end else f"M{left:g} {height(share):g}"
        path += f"H{right:g}"
        end = right
    return path


def share_in_words(label: LiveLabel, state: LiveState) -> str:
    """Return the share of a label in the stretch with its interval, or that there is none."""
    if label.connections:
        places = places_of(label)
        share = f"{rounding.percent(label.share, places)} %"
        return f"{share} {rounding.bracketed(label.interval, places)}"
    is_empty = state.stretch.connections <= state.stretch.unlabelled
    return f"no label since {clock(state.stretch.since)}" if is_empty else "not seen"


def _shown(state: LiveState) -> list[LiveLabel]:
    """Return the labels that have a panel, in their order.

    The one that departed is among them, and the one that came most often of those not expected.
    """
    point = None if state.last_alarm is None else state.last_alarm.change
    departed = point.label if point is not None and state.state is State.DRIFT else None
    expected = [each for each in state.labels if each.expected is not None]
    expected.sort(key=lambda each: each.label != departed)
    others = [each for each in state.labels if each.expected is None and each.connections]
    shown = [*expected[: MOST_PANELS - min(len(others), 1)], *others][:MOST_PANELS]
    return sorted(shown, key=state.labels.index)


def _told(label: LiveLabel, state: LiveState) -> str:
    text = share_in_words(label, state)
    if label.expected is None:
        return f"{text}, not expected"
    return f"{text}, expected {rounding.exact_percent(label.expected)} %"


def _read(column: Column, label: LiveLabel) -> str:
    n, count = column.labelled, column.counts[label.label]
    share = (
        f"{100 * count / n:.1f} % ({rounding.amount(count)} of {rounding.amount(n)})" if n else "-"
    )
    text = f"{clock(column.since)} to {clock(column.until)}: {share}"
    if label.label in column.share:
        places = places_of(label)
        text += f"; so far {rounding.percent(column.share[label.label], places)} %"
        if label.label in column.interval:
            text += f" {rounding.bracketed(column.interval[label.label], places)}"
    return hold(text if column.is_judged else f"{text}; not judged")


def _row(column: Column, labels: Sequence[LiveLabel]) -> tuple[str, ...]:
    n = column.labelled
    shares = (
        f"{100 * column.counts[each.label] / n:.1f} % of {rounding.amount(n)}" if n else ""
        for each in labels
    )
    return clock(column.since), *shares, rounding.amount(column.counts[""])


def _strip(told: Told, scale: Scale, now: float) -> Iterator[Spell]:
    ends = [*[since for since, _ in told.turns][1:], now]
    for (since, state), end in zip(told.turns, ends, strict=True):
        width = scale(end) - scale(since)
        if width > 0:
            words = (
                f"{state.value} for {rounding.duration(max(end - since, 0.1))} from {clock(since)}"
            )
            yield Spell(scale(since), round(width, 1), state.value, TONES[state].value, words)


def _numbers(marks: Sequence[tuple[Mark, int]]) -> list[Tick]:
    told: list[Tick] = []
    group: list[tuple[Mark, int]] = []
    for each in (*marks, None):
        if group and (each is None or each[0].at - group[0][0].at > _NUMBER_ROOM):
            numbers = [number for _, number in group]
            text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
            told.append(Tick(group[0][0].at, text))
            group = []
        if each is not None:
            group.append(each)
    return told


def _marks(told: Told, numbers: Sequence[int], scale: Scale) -> Iterator[tuple[Mark, int]]:
    for each, number in zip(told.happenings, numbers, strict=True):
        if isinstance(each, AlarmTold) and scale.shows(each.alarm.at):
            began = None
            if each.alarm.change is not None:
                left, right = map(scale, each.alarm.change.range)
                began = left, round(max(right - left, 1.0), 1)
            yield Mark(scale(each.alarm.at), "alarm", began), number
        elif isinstance(each, ChangeTold) and scale.shows(each.change.at):
            yield Mark(scale(each.change.at), "change"), number
