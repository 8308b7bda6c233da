"""`check` and `sample`, as calls that wait and as coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec

from sampler.run.door import check as acheck
from sampler.run.door import check_plan, dressed, sample_plan
from sampler.run.door import sample as asample
from weighbridge.blocking import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis import Report
    from sampler.plan.run import RunPlan

__all__ = ["acheck", "asample", "check", "sample"]

_Parameters = ParamSpec("_Parameters")


def _call_of(plan_of: Callable[_Parameters, RunPlan], name: str) -> Callable[_Parameters, Report]:
    """Return a function that carries a plan out and waits for its report."""

    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Report:
        return Blocking(plan_of(*args, **kwargs)).run()

    return dressed(call, plan_of, name)


check = _call_of(check_plan, "check")
"""Sample a target until it is decided whether its split holds, and return the report.

Works in a script, in a thread, and in a notebook whose event loop runs already. Ctrl-C stops
sending, waits for what is in flight, and then raises `KeyboardInterrupt`.
"""

sample = _call_of(sample_plan, "sample")
"""Sample a target without judging, and return the report; waits as `check` does."""
