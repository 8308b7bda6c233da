"""The door for programs: what `check` and `sample` take, and the plans that they make of it.

Whoever calls from a program has no option parser in front: each argument is looked at here,
and what cannot be used is refused with what was expected, what came, and how to write it.
"""

from __future__ import annotations

from functools import wraps
from inspect import signature
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from analysis import Policy, Split
from analysis.data.brief import one_line
from analysis.data.report import Source
from analysis.versions.health import HealthPolicy
from sampler.base.errors import UsageError, is_a
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.run import (
    DEFAULT_LABEL,
    DEFAULT_MAX_TIME_S,
    DEFAULT_REPLICA,
    DEFAULT_SAMPLE_TIME_S,
    RunPlan,
    draw_seed,
)
from sampler.plan.target import Target
from sampler.run.pilot import PilotedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from analysis import Report

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Part = TypeVar("_Part")

_EXAMPLES = {
    "policy": 'Policy(tolerance=Tolerance.parse("5pp"))',
    "health": "HealthPolicy(max_slowdown=2)",
    "load": "Load(concurrency=32)",
    "limits": "Limits(max_time_s=20)",
}
_SOURCE = Source(name="split", where="argument of weighbridge.check")


def check_plan(
    target: Target | str,
    split: Split | Mapping[str, int] | str,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
    load: Load | None = None,
    limits: Limits | None = None,
    label: LabelRule | str = DEFAULT_LABEL,
    replica: LabelRule | str | None = DEFAULT_REPLICA,
    wait_for_s: float = 0.0,
    seed: int | None = None,
    out: Path | str | None = None,
    name: str = "check",
) -> RunPlan:
    """Sample `target` until it is decided whether `split` holds.

    Parameters
    ----------
    target : Target or str
        Where requests go; a URL is requested with GET.
    split : Split or mapping of str to int or str
        The expected split, or weights by label, ``{"v1": 9, "v2": 1}``, also as ``--expect``
        takes them: ``"v1=9,v2=1"``.
    policy : Policy or None
        Tolerance and error rates; None takes the defaults.
    health : HealthPolicy or None
        How much worse the canary may be; None compares it without a limit.
    load : Load or None
        How requests are sent; None takes the defaults.
    limits : Limits or None
        When sending ends at the latest; None takes a minute, and the policy's budget.
    label, replica : LabelRule or str
        Where the version and the pod are read, as ``--label`` and ``--replica`` say it: a JSON
        pointer, ``header:NAME``, ``cookie:NAME``, ``regex:EXPR`` or ``status``; no replica if None.
    wait_for_s : float, default 0
        How long to wait, before the run, until the target answers [s]; nothing of it is judged.
    seed : int or None
        Of every random choice of the run, >= 0; None draws one.
    out : Path or str or None
        Folder in which the run is written; None writes nothing.
    name : str, default "check"
        Last part of the run's id.

    Returns
    -------
    Report
        With the verdict, the reasons and everything that was counted.

    Raises
    ------
    UsageError
        If an argument cannot be used, or the parts do not fit together.
    SamplingError
        If the target's name cannot be resolved.
    StorageError
        If the run cannot be written.
    """
    return RunPlan(
        _target(target),
        part("load", load, Load) or Load(),
        part("limits", limits, Limits) or Limits(max_time_s=DEFAULT_MAX_TIME_S),
        label=_rule(label),
        replica=None if replica is None else _rule(replica),
        split=split_of(split),
        policy=part("policy", policy, Policy) or Policy(),
        source=_SOURCE,
        health=part("health", health, HealthPolicy) or HealthPolicy(),
        wait_for_s=wait_for_s,
        seed=_seed(seed),
        out=_folder(out),
        name=_name(name),
    )


def sample_plan(
    target: Target | str,
    limits: Limits | None = None,
    *,
    load: Load | None = None,
    label: LabelRule | str = DEFAULT_LABEL,
    replica: LabelRule | str | None = DEFAULT_REPLICA,
    wait_for_s: float = 0.0,
    seed: int | None = None,
    out: Path | str | None = None,
    name: str = "sample",
) -> RunPlan:
    """Sample `target` until `limits` end it, after ten seconds if there are none; judge nothing.

    Parameters are those of `check`; the report has no verdict.
    """
    return RunPlan(
        _target(target),
        part("load", load, Load) or Load(),
        part("limits", limits, Limits) or Limits(max_time_s=DEFAULT_SAMPLE_TIME_S),
        label=_rule(label),
        replica=None if replica is None else _rule(replica),
        wait_for_s=wait_for_s,
        seed=_seed(seed),
        out=_folder(out),
        name=_name(name),
    )


def coroutine_of(
    plan_of: Callable[_Parameters, RunPlan], name: str
) -> Callable[_Parameters, Coroutine[Any, Any, Report]]:
    """Return a coroutine function that carries a plan out, with the parameters of `plan_of`.

    Cancelling it ends the run at once: what is in flight is given up, and what was written of
    it stays as that of a killed run.
    """

    async def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Report:
        weighing = await PilotedRun(plan_of(*args, **kwargs)).begin()
        return await weighing.run()

    return dressed(call, plan_of, name)


def dressed(
    call: Callable[_Parameters, _Result], plan_of: Callable[_Parameters, RunPlan], name: str
) -> Callable[_Parameters, _Result]:
    """Show a function to `help` and to editors as its callers know it.

    Parameters
    ----------
    call : callable
        The function.
    plan_of : callable
        Whose parameters and documentation it has.
    name : str
        What it is called.
    """
    wrapped = wraps(plan_of)(call)
    wrapped.__name__ = wrapped.__qualname__ = name
    wrapped.__annotations__ = plan_of.__annotations__ | {"return": "Report"}
    shown = signature(plan_of).replace(return_annotation="Report")
    wrapped.__signature__ = shown  # type: ignore[attr-defined]  # `inspect` looks for it
    return wrapped


check = coroutine_of(check_plan, "check")
sample = coroutine_of(sample_plan, "sample")


def _target(given: Target | str) -> Target:
    return given if isinstance(given, Target) else Target(given)


def split_of(given: Split | Mapping[str, int] | str) -> Split:
    """Return the split that a caller means.

    Raises
    ------
    UsageError
        If no split can be made of it.
    """
    if isinstance(given, Split):
        return given
    return Split.parse(given) if isinstance(given, str) else Split.of(given)


def part(name: str, given: object, kind: type[_Part]) -> _Part | None:
    """Return one of the settings, or None if it was left out.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if given is None or isinstance(given, kind):
        return given
    raise _wrong(name, f"a {kind.__name__}", given, f"write {name}={_EXAMPLES[name]}")


def _rule(given: LabelRule | str) -> LabelRule:
    return given if isinstance(given, LabelRule) else LabelRule.parse(given)


def _seed(given: int | None) -> int:
    if given is None:
        return draw_seed()
    if not is_a(given, Integral) or given < 0:
        raise _wrong("seed", "a whole number of at least 0", given, "write seed=1")
    return int(given)


def _folder(given: Path | str | None) -> Path | None:
    if given is not None and not is_a(given, str, PathLike):
        raise _wrong("out", "the path of a folder", given, 'write out="reports"')
    return None if given is None else Path(given)


def _name(given: str) -> str:
    if not is_a(given, str):
        raise _wrong("name", "text", given, 'write name="canary"')
    return given


def _wrong(name: str, expected: str, given: object, hint: str) -> UsageError:
    return UsageError(f"{name} must be {expected}, got {one_line(repr(given), 80)}", hint=hint)
