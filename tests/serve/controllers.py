"""What Argo Rollouts and Flagger do with an answer: their counters and their ticks, in our words.

Argo: ``utils/analysis`` and ``analysis/analysis.go`` (`runMeasurements`, `assessMetricStatus`),
``metricproviders/webmetric``. Flagger: ``pkg/controller/scheduler.go`` and ``webhook.go``. Time is
left out: a measurement follows the one before.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = tuple[int, str] | None
    """Status and body; None if nothing came back."""
    Ask = Callable[[str], Awaitable[Answer]]
    """Calls a path of a door."""


@dataclass
class Analysis:
    """One metric of an AnalysisRun with the ``web`` provider.

    The conditions are those of the templates in ``examples/argo-rollouts``: on ``{$.line}``,
    success if it starts with PASS, failure if it starts with FAIL.
    """

    count: int
    inconclusive_limit: int
    failure_limit: int = 0
    success_limit: int = 1
    """``consecutiveSuccessLimit``; 0 is off, as before v1.8."""
    error_limit: int = 4
    seen: Counter[str] = field(default_factory=Counter)
    errors_in_a_row: int = 0
    successes_in_a_row: int = 0

    async def run(self, ask: Ask, path: str) -> str:
        """Measure until the run is over; give its phase."""
        while (phase := self._phase()) == "Running":
            self._count(_measured(await ask(path)))
        return phase

    def _count(self, result: str) -> None:
        self.seen[result] += 1
        self.errors_in_a_row = self.errors_in_a_row + 1 if result == "Error" else 0
        self.successes_in_a_row = self.successes_in_a_row + 1 if result == "Successful" else 0

    def _phase(self) -> str:
        """Weigh the counters; of limits that are passed, the last in this order wins."""
        phase = ""
        if self.seen["Failed"] > self.failure_limit:
            phase = "Failed"
        if self.seen["Inconclusive"] > self.inconclusive_limit:
            phase = "Inconclusive"
        if self.errors_in_a_row > self.error_limit:
            phase = "Error"
        if phase:
            return phase
        if self.success_limit and self.successes_in_a_row >= self.success_limit:
            return "Successful"
        if self.seen.total() - self.seen["Error"] < self.count:  # errors are measured again
            return "Running"
        return "Inconclusive" if self.success_limit else "Successful"


def _measured(answer: Answer) -> str:
    """Return the phase of one measurement."""
    if answer is None or not 200 <= answer[0] < 300:
        return "Error"
    try:
        value = json.loads(answer[1])["line"]
    except (ValueError, KeyError, TypeError):
        return "Error"
    if not isinstance(value, str):
        return "Error"  # startsWith of another type is an error of the expression
    if value.startswith("FAIL"):
        return "Failed"
    return "Successful" if value.startswith("PASS") else "Inconclusive"


@dataclass
class Canary:
    """A Canary of Flagger with the hooks ``confirm-traffic-increase`` and ``rollback``.

    Parameters
    ----------
    weights : list of int
        The canary's weights after 0, the last of which is held until it is promoted.
    set_weight : callable
        Puts a weight into force.
    retries : int
        How often a hook is called again after 429, 5xx (but 501) or no answer.
    """

    weights: list[int]
    set_weight: Callable[[int], None]
    retries: int = 0
    weight: int = 0
    phase: str = "Progressing"
    raised_from: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """Bodies of the answers that were no success, as people see them."""

    async def run(self, ask: Ask, ticks: int) -> str:
        """Tick until the roll-out is over, or so many times; give the phase."""
        self.set_weight(0)
        for _ in range(ticks):
            if self.phase != "Progressing":
                break
            await self._tick(ask)
        return self.phase

    async def _tick(self, ask: Ask) -> None:
        if await self._call(ask, "rollback"):
            self.phase = "Failed"
            return
        if self.weight == self.weights[-1]:
            if await self._call(ask, "confirm-promotion"):
                self.raised_from.append(self.weight)
                self.phase = "Promoting"
            return
        if await self._call(ask, "confirm-traffic-increase"):
            self.raised_from.append(self.weight)
            self.weight = next(each for each in self.weights if each > self.weight)
            self.set_weight(self.weight)

    async def _call(self, ask: Ask, hook: str) -> bool:
        for _ in range(self.retries + 1):
            answer = await ask(hook)
            if answer is None or answer[0] == 429 or (answer[0] >= 500 and answer[0] != 501):
                continue
            status, body = answer
            if status > 202:
                self.events.append(body)
            return status <= 202
        self.events.append("")  # giving up has its own text; the body is lost
        return False
