"""How far a run is: a live view on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from math import ceil, exp, floor
from time import monotonic
from typing import TYPE_CHECKING

from analysis.evidence.intervals import shares_with_intervals
from analysis.planning.forecast import nearer_boundary, remaining
from analysis.render.grid import Span
from analysis.render.printable import cells, name_of, pad
from analysis.text.rounding import amount, band_decimals, counted, duration, percent
from sampler.cli.screen import LiveScreen, bars, fitted
from sampler.cli.streams import say

if TYPE_CHECKING:
    from rich.text import Text

    from sampler.plan.run import RunPlan
    from sampler.run.gate import Progress

_REFRESH_S = 0.1
PLAIN_EVERY_S = 10.0
"""Between two lines where nothing can be drawn anew, such as in the log of a CI job [s]."""

_SMOOTHING_S = 2.0
"""Time in which the forecast follows a change to two thirds [s]: it would jump otherwise."""

_MOST_LABELS = 4
_LABEL_ROOM = 20
_METER = 12
_LEAST_BAR, _MOST_BAR = 14, 64
_NUMBERS = 24
"""Cells for a share and what is accepted, behind a bar."""


class ProgressLine(LiveScreen):
    """Shows a run that goes on, on stderr.

    Parameters
    ----------
    plan : RunPlan
        The run that is shown.
    """

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(is_transient=True)
        self._limit_s = plan.limits.max_time_s
        self._shown_at = monotonic()
        self._to_go_s: float | None = None

    def tell(self, text: str) -> None:
        """Print a line above the view, which stays whole."""
        if self.live is None:
            say(text, err=True)
        else:
            self.live.console.print(text, markup=False)

    def show(self, progress: Progress) -> None:
        """Tell how far the run is, unless that was told a moment ago."""
        now = monotonic()
        passed = now - self._shown_at
        if passed < (PLAIN_EVERY_S if self.live is None else _REFRESH_S):
            return
        self._shown_at = now
        self._forecast(progress, passed)
        state = State.of(progress, self._limit_s, self._to_go_s)
        if self.live is None:
            say(state.line(), err=True)
        else:
            self.draw(drawn(state, shutil.get_terminal_size().columns))

    def _forecast(self, progress: Progress, passed: float) -> None:
        """Follow the forecast of the time to go, without its jumps."""
        evidence = progress.evidence
        needed = None if evidence is None or progress.is_draining else remaining(evidence)
        if evidence is None or needed is None or not evidence.judged:
            self._to_go_s = None
            return
        told = needed * progress.elapsed_s / evidence.judged
        if self._to_go_s is None:
            self._to_go_s = told
            return
        before = max(self._to_go_s - passed, 0.0)
        self._to_go_s = told + (before - told) * exp(-passed / _SMOOTHING_S)


@dataclass(frozen=True, slots=True)
class State:
    """What is told of a run that goes on.

    Parameters
    ----------
    facts : tuple of str
        What a line tells; what a narrow terminal cuts off comes last.
    nearer : str
        The verdict that is nearer; empty where nothing is judged.
    part : float
        How near it is, in [0, 1].
    spans : dict of str to Span
        By label, the smallest shares first.
    hidden : int
        Labels for which there is no room.
    """

    facts: tuple[str, ...]
    nearer: str
    part: float
    spans: dict[str, Span]
    hidden: int = 0

    @classmethod
    def of(cls, progress: Progress, limit_s: float | None, to_go_s: float | None) -> State:
        """Sum up a run, given the limit of its time and the forecast of its rest [s]."""
        tally, evidence = progress.tally, progress.evidence
        elapsed = _whole(floor(progress.elapsed_s))
        facts = [
            counted(progress.launched, "request"),
            elapsed if limit_s is None else f"{elapsed} of {_whole(limit_s)}",
        ]
        if progress.is_draining:
            facts.append("waiting for requests in flight")
        elif to_go_s is not None:
            facts.append(f"about {_whole(max(to_go_s, 1.0))} to go")
        if tally.launched > tally.labelled:
            facts.append(f"{amount(tally.launched - tally.labelled)} without a label")
        facts.append(f"{amount(round(progress.launched / max(progress.elapsed_s, 1e-9)))}/s")
        if evidence is None or not evidence.judged:
            common = tally.labels.most_common(_MOST_LABELS)
            shares = {label: Span(n / max(tally.labelled, 1)) for label, n in reversed(common)}
            hidden = len(tally.labels) - len(common)
            return cls(tuple(facts), "", 0.0, _named(shares), hidden)
        verdict, part = nearer_boundary(evidence)
        bands = {band.arm: band.clipped for band in evidence.bands}
        table = sorted(shares_with_intervals(evidence).items(), key=lambda item: item[1][0])
        judged = {
            label: Span(share, (max(low, 0.0), min(high, 1.0)), bands.get(label))
            for label, (share, low, high) in table[:_MOST_LABELS]
        }
        return cls(tuple(facts), verdict.value, part, _named(judged), len(table) - len(judged))

    def line(self) -> str:
        """Return everything in one line of text."""
        parts = [*self.facts[:-1]]
        parts += [f"{label} {numbers(span)}" for label, span in self.spans.items()]
        if self.nearer:
            parts.append(self.meter_text)
        return " · ".join([*parts, self.facts[-1]])

    @property
    def meter_text(self) -> str:
        """How far the evidence is, in words."""
        return f"{self.part:.0%} of the way to {self.nearer}".replace("%", " %", 1)


def drawn(state: State, columns: int) -> list[Text]:
    """Draw a run that goes on, for a terminal of that many columns: a few lines, none broken."""
    from rich.text import Text  # noqa: PLC0415 - only for a terminal

    lines = [Text(" · ".join(state.facts))]
    if state.nearer:
        full = min(int(state.part * _METER), _METER)
        style = {"PASS": "green", "FAIL": "red"}[state.nearer]
        lines.append(
            Text.assemble(
                ("▰" * full, style), ("▱" * (_METER - full), "dim"), f" {state.meter_text}"
            )
        )
    room = max(map(cells, state.spans), default=0)
    bar = min(max(columns - room - _NUMBERS - 3, _LEAST_BAR), _MOST_BAR)
    for (label, span), shape in zip(state.spans.items(), bars(state.spans, bar), strict=True):
        lines.append(Text.assemble(f"{pad(label, room)} ", shape, f" {numbers(span)}"))
    if state.hidden:
        lines.append(Text(f"and {counted(state.hidden, 'more label')}", "dim"))
    return fitted(lines, columns)


def _named(spans: dict[str, Span]) -> dict[str, Span]:
    return {name_of(label, _LABEL_ROOM): span for label, span in spans.items()}


def numbers(span: Span) -> str:
    """Return a share, and what is accepted: ``9.8 % (5-14)``, with a dash between."""
    share = f"{percent(span.share, 1)} %"
    if span.band is None:
        return share
    low, high = span.band
    places = band_decimals((low + high) / 2, span.band)
    return f"{share} ({percent(low, places)}\N{EN DASH}{percent(high, places)})"


def _whole(seconds: float) -> str:
    """Return a forecast in whole seconds, or minutes: more would be noise."""
    return f"{ceil(seconds)} s" if seconds < 120 else duration(seconds).removesuffix(" 0 s")
