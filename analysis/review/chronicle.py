"""What the events of a continuous weighing have told so far, within bounds.

The page of a `watch` is made from it, live and again: the process that samples folds each event as
it tells it, and ``weighbridge report`` folds the lines that were written. Of the same events both
make the same chronicle, so both make the same page.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analysis.data.live_events import BucketTold, StateTold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.data.live import LiveState, State
    from analysis.data.live_events import AlarmTold, ChangeTold, Event, NoteTold

    Happening = AlarmTold | ChangeTold | NoteTold

KEPT = {1.0: 600, 10.0: 1080, 300.0: 4032}
"""Buckets that are kept, by their width [s]: ten minutes, three hours, two weeks."""
MOST_HAPPENINGS = 200
_MOST_TURNS = 500
_COLUMNS = 120
"""Columns that a chart over time has, at most one more."""
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800)
_ENOUGH = 100
"""Answers that a point of a chart stands for, on average [1]: fewer scatter too much."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was expected from a moment on.

    Parameters
    ----------
    since : float
    shares : dict of str to (float, (float, float))
        Expected share and accepted band by label.
    """

    since: float
    shares: dict[str, tuple[float, tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Column:
    """A part of the time axis of a chart.

    Parameters
    ----------
    since, until : float
    counts : Counter of str
        First answers by label; the empty string for those without one.
    share, interval : dict
        As they stood at its end, by label; empty where nothing was judged.
    is_judged : bool
        Whether any of it was judged.
    """

    since: float
    until: float
    counts: Counter[str]
    share: dict[str, float]
    interval: dict[str, tuple[float, float]]
    is_judged: bool

    @property
    def labelled(self) -> int:
        """First answers with a label."""
        return self.counts.total() - self.counts[""]


@dataclass(slots=True)
class Told:
    """What was told of one target.

    Parameters
    ----------
    state : LiveState or None
        The newest.
    buckets : dict of float to deque of BucketTold
        By width [s], the oldest first; `KEPT` bounds them.
    happenings : deque of AlarmTold, ChangeTold or NoteTold
        The newest `MOST_HAPPENINGS`, the oldest first.
    turns : deque of (float, State)
        When each state began.
    accepted : deque of Accepted
    """

    state: LiveState | None = None
    buckets: dict[float, deque[BucketTold]] = field(
        default_factory=lambda: {width: deque(maxlen=most) for width, most in KEPT.items()}
    )
    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=MOST_HAPPENINGS))
    turns: deque[tuple[float, State]] = field(default_factory=lambda: deque(maxlen=_MOST_TURNS))
    accepted: deque[Accepted] = field(default_factory=lambda: deque(maxlen=_MOST_TURNS))

    def take(self, event: Event) -> None:
        """Fold one event."""
        if isinstance(event, StateTold):
            self._turn(event.state)
        elif isinstance(event, BucketTold):
            if event.width_s in self.buckets:  # a reader ignores what it does not know
                self.buckets[event.width_s].append(event)
        else:
            self.happenings.append(event)

    def _turn(self, state: LiveState) -> None:
        self.state = state
        if not self.turns or self.turns[-1] != (state.since, state.state):
            self.turns.append((state.since, state.state))
        shares = {
            each.label: (each.expected, each.band)
            for each in state.labels
            if each.expected is not None and each.band is not None
        }
        if not self.accepted or self.accepted[-1].shares != shares:
            since = state.stretch.since if self.accepted else state.started
            self.accepted.append(Accepted(since, shares))

    def show(self, state: LiveState) -> bool:
        """Take a state that no event told: it is the newest, and leaves no trace."""
        is_newer = self.state is None or state.at > self.state.at
        if is_newer:
            self.state = state
        return is_newer

    def within(self, since: float, until: float) -> list[BucketTold]:
        """Return what was sent in a time: finer buckets where coarser ones are not over yet."""
        reach = (w for w, kept in self.buckets.items() if _reaches(kept, since))
        wanted = min(reach, default=max(self.buckets))
        found: list[BucketTold] = []
        end = since
        for width in sorted((w for w in self.buckets if w <= wanted), reverse=True):
            rest = [each for each in self.buckets[width] if end <= each.since < until]
            if rest:
                found += rest
                end = rest[-1].since + width
        return found

    def columns(self, since: float, until: float) -> list[Column]:
        """Return the columns of a chart over a time, about `_COLUMNS` of them.

        They begin at multiples of their width, so that none changes as time goes on.
        """
        buckets = self.within(since, until)
        coarsest = max((each.width_s for each in buckets), default=1.0)
        least = max((until - since) / _COLUMNS, coarsest)
        width = next((float(each) for each in _WIDTHS if each >= least), float(_WIDTHS[-1]))
        return _columns(buckets, width)


def _reaches(kept: deque[BucketTold], since: float) -> bool:
    """Whether no bucket from a moment on is forgotten."""
    return len(kept) < (kept.maxlen or 0) or kept[0].since <= since


def points(columns: list[Column]) -> list[Column]:
    """Join columns until a point stands for enough answers, as far as there are any."""
    if not columns:
        return []
    mean = sum(each.labelled for each in columns) / len(columns)
    factor = 1
    while factor * mean < _ENOUGH and 2 * factor <= len(columns) / 6:
        factor *= 2
    width = factor * (columns[0].until - columns[0].since)
    joined: dict[int, Column] = {}
    for each in columns:
        place = int(each.since // width)
        before = joined.get(place)
        joined[place] = each if before is None else _join(before, each)
    return list(joined.values())


def _join(one: Column, other: Column) -> Column:
    return Column(
        one.since,
        other.until,
        one.counts + other.counts,
        other.share or one.share,
        other.interval or one.interval,
        one.is_judged or other.is_judged,
    )


def _columns(buckets: Iterable[BucketTold], width: float) -> list[Column]:
    columns: dict[int, Column] = {}
    for each in buckets:
        place = int(each.since // width)
        made = Column(
            place * width,
            (place + 1) * width,
            Counter(each.counts),
            each.share,
            each.interval,
            each.is_judged,
        )
        before = columns.get(place)
        columns[place] = made if before is None else _join(before, made)
    return list(columns.values())


class Chronicle:
    """All targets of a stream.

    Attributes
    ----------
    targets : dict of str to Told
        In the order in which they were first heard of.
    seq : int
        Of the newest event; 0 before the first.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.targets: dict[str, Told] = {}
        self.seq = 0
        for each in events:
            self.take(each)

    def show(self, state: LiveState) -> bool:
        """Take a state that no event told; return whether it is newer than the last one."""
        return self.targets.setdefault(state.target, Told()).show(state)

    def take(self, event: Event) -> None:
        """Fold one event."""
        self.targets.setdefault(event.target, Told()).take(event)
        self.seq = event.seq
