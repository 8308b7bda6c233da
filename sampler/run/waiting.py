"""Waiting for a target that is still starting, before the run: nothing of it is judged or kept."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import SamplingError
from sampler.engine.engine import Engine
from sampler.exchange.transport.choice import make_transport
from sampler.labels.reader import LabelReader
from sampler.plan.load import ConnectionLife, Limits

if TYPE_CHECKING:
    from sampler.plan.run import RunPlan

NOT_THERE_YET = frozenset({404, 502, 503, 504})
"""Statuses with which proxies and gateways answer for what is not there yet, or is not ready."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0


class Waiting:
    """Asks a target, one request at a time, until it answers or the time is up.

    Parameters
    ----------
    plan : RunPlan
        Of the run that follows; its `wait_for_s` is the time.

    Attributes
    ----------
    asked : int
        Requests so far.
    waited_s : float
        Time until the answer, or until it was given up [s].
    """

    def __init__(self, plan: RunPlan) -> None:
        self.asked = 0
        self.waited_s = 0.0
        self._plan = plan
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    async def run(self) -> None:
        """Return when the target has answered, the time is up, or `stop` was called."""
        began_ns, pause_s = run_clock(), _FIRST_PAUSE_S
        while not self._stopped.is_set():
            is_there = await self._ask()
            self.waited_s = (run_clock() - began_ns) / NS_PER_S
            left_s = self._plan.wait_for_s - self.waited_s
            if is_there or left_s <= 0:
                return
            try:
                await asyncio.wait_for(self._stopped.wait(), min(pause_s, left_s))
            except TimeoutError:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _ask(self) -> bool:
        """Send one request; return whether what answers is the target."""
        plan, status = self._plan, 0
        load = replace(plan.load, concurrency=1, rate=None, connection=ConnectionLife())
        reader = LabelReader(plan.label)
        engine = Engine(plan.target, load, Limits(max_samples=1), reader, transport=make_transport)
        self.asked += 1
        try:
            async with aclosing(engine.batches()) as batches:
                async for batch in batches:
                    status = int(batch.status[-1])
        except SamplingError:  # the name may not be known yet
            return False
        return bool(reader.labels.names) or status not in {0, *NOT_THERE_YET}
