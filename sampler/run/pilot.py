"""``--connection auto``: find out what the balancer picks for, and go on with what is cheaper.

A few connections with several requests each go out before the run. If one of them has answers of
two versions, the balancer picks for each request: connections that are kept cost less, and their
means are judged. Otherwise it picks for each connection, and each request gets its own. Nothing of
the pilot is judged, and both ways keep their error rates whatever the balancer does, so that a
pilot that is mistaken costs time and no more.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from math import ceil, log
from typing import TYPE_CHECKING

from analysis import ABSENT
from analysis.text.rounding import counted
from sampler.engine.engine import Engine
from sampler.exchange.transport.choice import make_transport
from sampler.labels.reader import LabelReader
from sampler.plan.load import ConnectionLife, Limits
from sampler.run.gate import Weighing
from sampler.run.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis import Split
    from sampler.plan.run import RunPlan

EACH = 4
"""Requests on a connection of the pilot."""
KEPT = ConnectionLife(10, 30)
"""How long connections live if the balancer picks for each request."""
_MISSED = 0.01
"""Chance that a balancer that picks for each request looks as if it did not."""
_MOST = 400
"""Connections of a pilot; a rarer version would take more than the pilot can save."""
_UNKNOWN = 30
"""Connections where no split is expected."""
_AT_ONCE = 4
_LONGEST_S = 10.0


def connections_of(split: Split | None) -> int:
    """Return the connections that show, all but certainly, that versions change within one."""
    if split is None:
        return _UNKNOWN
    alike = float((split.shares**EACH).sum())  # chance that all answers of one are of one version
    return min(ceil(log(_MISSED) / log(alike)), _MOST) if alike < 1 else 1


def forecast(split: Split) -> str:
    """Say what a pilot will do, and what follows from what it finds."""
    connections = connections_of(split)
    return (
        f"--connection auto: check first sends {counted(connections, 'connection')} with {EACH} "
        "requests each, which are not judged. If the balancer picks for each connection, the run "
        f"goes on with a connection for each request, as below; if for each request, with "
        f"{KEPT.shortest} to {KEPT.longest} requests on each, and fewer of them than below"
    )


class Pilot:
    """Settles how long the connections of a run live.

    Parameters
    ----------
    plan : RunPlan
        Whose connections are to be chosen (``--connection auto``).

    Attributes
    ----------
    told : str
        What was found, and what follows from it.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.told = ""
        self._plan = plan
        self._waiting = Waiting(plan)
        connections = connections_of(plan.split)
        # In a few connections at a time, each of them whole: the requests are counted.
        load = replace(
            plan.load,
            rate=None,
            concurrency=min(plan.load.concurrency, connections, _AT_ONCE),
            connection=ConnectionLife(EACH, EACH),
        )
        self._engine = Engine(
            plan.target,
            load,
            Limits(EACH * connections, _LONGEST_S),
            LabelReader(plan.label),
            transport=make_transport,
            seed=plan.seed,
        )

    def interrupt(self) -> None:
        """End the pilot at once."""
        self._waiting.stop()
        self._engine.abort()

    async def run(self) -> RunPlan:
        """Return the plan with the connections chosen.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        """
        if self._plan.wait_for_s:
            await self._waiting.run()
        label_of: dict[int, int] = {}
        is_mixed = False
        async with aclosing(self._engine.batches()) as batches:
            async for batch in batches:
                pairs = zip(batch.connection.tolist(), batch.label.tolist(), strict=True)
                for connection, label in pairs:
                    if label != ABSENT and label_of.setdefault(connection, label) != label:
                        is_mixed = True
                if is_mixed:
                    self._engine.stop()
        found = (
            "found no label"
            if not label_of
            else (
                "found two versions on one of them: the balancer picks for each request"
                if is_mixed
                else "found one version on each: the balancer seems to pick for each connection"
            )
        )
        life = KEPT if is_mixed else ConnectionLife()
        self.told = (
            f"--connection auto: a pilot of {counted(len(label_of), 'connection')} with {EACH} "
            f"requests each, not judged, {found}; goes on with {life}"
        )
        return replace(self._plan, load=replace(self._plan.load, connection=life))


class PilotedRun:
    """A run, and before it the pilot that its plan may ask for.

    Parameters
    ----------
    plan : RunPlan
    make : callable
        Makes the run of the plan that is carried out.
    tell : callable
        Called with what a pilot found.
    """

    def __init__(
        self,
        plan: RunPlan,
        make: Callable[[RunPlan], Weighing] = Weighing,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan, self._make, self._tell = plan, make, tell
        self._current: Pilot | Weighing | None = None
        self._interruptions = 0

    def interrupt(self) -> None:
        """Stop sending, however far it is; a second call gives up what is in flight."""
        self._interruptions += 1
        if self._current is not None:
            self._current.interrupt()

    async def begin(self) -> Weighing:
        """Return the run, ready to be carried out.

        Raises
        ------
        SamplingError
            If the target's name cannot be resolved.
        UsageError, ValueError
            As `Weighing`.
        """
        plan, told = self._plan, []
        if plan.load.connection.is_auto and not self._interruptions:
            self._current = pilot = Pilot(plan)
            plan = await pilot.run()
            self._tell(pilot.told)
            told = [pilot.told]
        self._current = weighing = self._make(plan)
        weighing.warnings += told  # a note of the report
        for _ in range(self._interruptions):
            weighing.interrupt()
        return weighing
