"""What people see of a continuous weighing: a live view in a terminal, else a line a minute."""

from __future__ import annotations

import shutil
from collections import Counter, deque
from typing import TYPE_CHECKING, Self

from analysis.data.live import State
from analysis.data.live_events import AlarmTold, ChangeTold, NoteTold, StateTold
from analysis.render.grid import Span
from analysis.render.printable import cells, pad, visible
from analysis.review.chronicle import Chronicle, Told
from sampler.cli.progress import numbers
from sampler.cli.screen import LiveScreen, bars, fitted
from sampler.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from analysis.data.live import LiveState
    from analysis.data.live_events import BucketTold, Event
    from sampler.watch.session import Session
    from sampler.watch.several import Watching

PLAIN_EVERY_S = 60.0
"""Between two lines of a target where nobody watches a terminal [s]."""
_REFRESH_S = 0.2
_MOST_LABELS = 6
_MOST_EVENTS = 6
_BAR = 40
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARK_S = 60
_TENS_S = 10.0
_MOST_SPARKS = 60
_STYLES = {
    State.OK: "bold green",
    State.DRIFT: "bold red",
    State.RECOVERING: "yellow",
    State.STARTING: "yellow",
    State.CHANGING: "cyan",
    State.BLIND: "bold magenta",
}


class LiveView(LiveScreen):
    """Shows the sessions of a process on stderr.

    Parameters
    ----------
    watching : Watching
    """

    def __init__(self, watching: Watching) -> None:
        super().__init__(is_transient=False)
        self._watching = watching
        self._chronicle = Chronicle()
        self._shown: dict[str, float] = {}
        self._drawn_at = 0.0
        self._events: deque[str] = deque(maxlen=_MOST_EVENTS)

    def __enter__(self) -> Self:
        super().__enter__()
        self._watching.teller.listeners.append(self.take)
        self.stack.callback(self._watching.teller.listeners.remove, self.take)
        return self

    def take(self, event: Event) -> None:
        """Show an event, as far as it is worth a line; draw the state when it is due."""
        told = in_words(event)
        if told and self.live is None:
            say(f"{event.target}: {told}", err=True)
        elif told:
            self._events.append(f"{event.target}: {told}")
        if self.live is not None:
            self._chronicle.take(event)
            self._show(event.at, is_urgent=bool(told))
        elif isinstance(event, StateTold):
            self._say(event.state)

    def _say(self, state: LiveState) -> None:
        """Say the state in a line, once a minute."""
        if state.at - self._shown.get(state.target, 0.0) >= PLAIN_EVERY_S:
            self._shown[state.target] = state.at
            say(f"{visible(state.target)}: {visible(state.line)}", err=True)

    def _show(self, now: float, *, is_urgent: bool) -> None:
        if not is_urgent and now - self._drawn_at < _REFRESH_S:
            return
        self._drawn_at = now
        columns = shutil.get_terminal_size().columns
        lines: list[Text] = []
        for session in self._watching.sessions.values():
            lines += drawn(session, self._chronicle.targets.get(session.name, Told()), columns)
        self.draw([*lines, *_told(self._events, columns)])


def in_words(event: Event) -> str:
    """Return what an event is worth in a line; nothing for buckets and states."""
    match event:
        case AlarmTold():
            return visible(f"ALARM {event.alarm.text} {event.alarm.cause}".rstrip())
        case ChangeTold():
            return visible(event.change.text)
        case NoteTold():
            return visible(f"{event.kind}: {event.text}")
        case _:
            return ""


def drawn(session: Session, told: Told, columns: int) -> list[Text]:
    """Draw one target: its state, a bar for each version, and the canary's share by minutes."""
    from rich.text import Text  # noqa: PLC0415 - only for a terminal

    state = session.latest
    if state is None:
        return [Text(f"{visible(session.name)}: begins")]
    lines = [
        Text.assemble(
            f"{visible(state.target)} ",
            (f" {state.state} ", f"reverse {_STYLES[state.state]}"),
            f" {state.verdict} · {state.connections:,} connections".replace(",", " "),
            f" · evidence {state.detector.evidence:.1f} of {state.detector.threshold:.1f}"
            f" · {state.cost.rate_per_s:.3g}/s",
        )
    ]
    if state.why:
        lines.append(Text(f"  {visible(state.why)}", _STYLES[state.state]))
    # In one order, whatever comes: the canary, which has the smallest part, first.
    known = sorted(
        (each for each in state.labels if each.total or each.expected is not None),
        key=lambda each: (each.expected is None, each.expected, each.label),
    )
    spans = {
        visible(each.label): Span(each.share, each.interval, each.band)
        for each in known[:_MOST_LABELS]
    }
    if spans:
        room = max(map(cells, spans))
        bar = max(min(columns - room - 24, _BAR), 12)
        for (label, span), shape in zip(spans.items(), bars(spans, bar), strict=True):
            lines.append(Text.assemble(f"  {pad(label, room)} ", shape, f" {numbers(span)}"))
        canary = known[0].label
        spark = sparkline(told.buckets[_TENS_S], canary)
        if spark:
            lines.append(Text(f"  {visible(canary)} by the minute {spark}"))
    return fitted(lines, columns)


def sparkline(buckets: Iterable[BucketTold], label: str) -> str:
    """Return the share of a label in each of the last minutes, from 0 to the highest."""
    minutes: dict[int, Counter[str]] = {}
    for bucket in buckets:
        minutes.setdefault(int(bucket.since // _SPARK_S), Counter()).update(bucket.counts)
    shares = []
    for counts in minutes.values():
        labelled = counts.total() - counts[""]
        shares.append(counts[label] / labelled if labelled else None)
    shares = shares[-_MOST_SPARKS:]
    highest = max((share for share in shares if share is not None), default=0.0)
    top = len(_SPARKS) - 1
    return "".join(
        " " if share is None else _SPARKS[round(top * share / highest) if highest else 0]
        for share in shares
    )


def _told(events: deque[str], columns: int) -> list[Text]:
    from rich.text import Text  # noqa: PLC0415 - as above

    return fitted([Text(f"  {event}", "dim") for event in events], columns)
