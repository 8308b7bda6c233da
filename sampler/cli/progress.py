"""The live view on a terminal: what was seen so far, and how much is still needed."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Self

from analysis.evidence.intervals import shares_with_intervals
from analysis.planning.forecast import remaining
from analysis.render.grid import Span
from analysis.render.printable import name_of
from analysis.text.rounding import amount, bracketed, counted, percent, significant
from sampler.cli.screen import bars, is_terminal, wants_colour

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live

    from sampler.plan.run import RunPlan
    from sampler.run.gate import Progress

_REFRESH_S = 0.1
_MOST_LABELS = 4
_LABEL_ROOM = 20


class ProgressLine:
    """Redraws a line, and a bar for each label, on stderr; on a terminal only.

    Parameters
    ----------
    plan : RunPlan
        The run that is shown.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._live: Live | None = None
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from rich.console import Console  # noqa: PLC0415 - only for a terminal
            from rich.live import Live  # noqa: PLC0415

            self._live = self._stack.enter_context(
                Live(
                    console=Console(stderr=True, no_color=not wants_colour(sys.stderr)),
                    transient=True,
                    auto_refresh=False,
                )
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def close(self) -> None:
        """Remove the view, to make room for the report."""
        self._stack.close()
        self._live = None

    def show(self, progress: Progress) -> None:
        """Redraw, unless the last time was a moment ago."""
        if self._live is None:
            return
        now = monotonic()
        if now - self._shown_at < _REFRESH_S:
            return
        self._shown_at = now
        from rich.console import Group  # noqa: PLC0415 - only for a terminal
        from rich.text import Text  # noqa: PLC0415

        line = Text(describe(progress), no_wrap=True, overflow="ellipsis")
        self._live.update(Group(line, *bars(spans(progress))), refresh=True)


def describe(progress: Progress) -> str:
    """Return the state of a run in one line; what a narrow terminal cuts off comes last."""
    rate = progress.launched / max(progress.elapsed_s, 1e-9)
    evidence, tally = progress.evidence, progress.tally
    parts = [f"{counted(progress.launched, 'request')}{_outlook(progress)}"]
    if tally.launched > tally.labelled:
        parts.append(f"{amount(tally.launched - tally.labelled)} without a label")
    if evidence is not None and evidence.judged:
        table = shares_with_intervals(evidence)
        shown = sorted(table.items(), key=lambda item: item[1][0])
        parts += [
            f"{name_of(label, _LABEL_ROOM)} {percent(share, 1)} % {bracketed((low, high), 1)}"
            for label, (share, low, high) in shown[:_MOST_LABELS]
        ]
    elif tally.labelled:
        common = tally.labels.most_common(_MOST_LABELS)
        parts += [
            f"{name_of(label, _LABEL_ROOM)} {percent(n / tally.labelled, 1)} %"
            for label, n in common
        ]
    parts.append(f"{amount(round(rate))}/s")
    return " · ".join(parts)


def spans(progress: Progress) -> dict[str, Span]:
    """Return what the bars show, the smallest shares first; empty if nothing is judged yet."""
    evidence = progress.evidence
    if evidence is None or not evidence.judged:
        return {}
    bands = {band.arm: band.clipped for band in evidence.bands}
    table = sorted(shares_with_intervals(evidence).items(), key=lambda item: item[1][0])
    return {
        name_of(label, _LABEL_ROOM): Span(share, (max(low, 0.0), min(high, 1.0)), bands.get(label))
        for label, (share, low, high) in table[:_MOST_LABELS]
    }


def _outlook(progress: Progress) -> str:
    """Return what is still to come, as far as it is known."""
    if progress.is_draining:
        return ", waiting for requests in flight"
    needed = None if progress.evidence is None else remaining(progress.evidence)
    return "" if needed is None else f", about {significant(needed, 2)} more needed"
