"""Runs that were written: read again, and judged again."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import Policy, Report, Split
from analysis.versions.health import HealthPolicy
from sampler.base.errors import UsageError, is_a
from sampler.run.door import part, split_of
from sampler.run.judging import rejudge
from sampler.show.stored import StoredRun

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(run: Report | PathLike[str] | str) -> StoredRun:
    """Open a run that was written.

    Parameters
    ----------
    run : Report or path-like or str
        The report of the run, or its folder.

    Raises
    ------
    UsageError
        If the folder holds no run, or the report is of a run that was not written.
    """
    place = run.run.path if isinstance(run, Report) else run
    if place is None:
        raise UsageError("this run was not written", hint='give check a folder: out="reports"')
    if not is_a(place, str, PathLike):
        raise UsageError(
            f"expected a report or the folder of a run, got {type(place).__name__}",
            hint='write read(report) or read("reports/…")',
        )
    return StoredRun(Path(place))


def judge(
    run: StoredRun | Report | PathLike[str] | str,
    split: Split | Mapping[str, int] | str | None = None,
    *,
    policy: Policy | None = None,
    health: HealthPolicy | None = None,
) -> Report:
    """Judge a run that was written again, as it was or in another way; nothing is sent.

    Parameters
    ----------
    run : StoredRun, Report, path-like or str
        The run, its report, or its folder.
    split : Split, mapping of str to int, str or None
        The expected split, as `check` takes it; None takes the run's own.
    policy : Policy or None
        Tolerance and error rates; None takes the run's own.
    health : HealthPolicy or None
        How much worse the canary may be; None takes the run's own.

    Returns
    -------
    Report
        As of a check with these samples, except for what only a live client knows: what was
        shed, and whether it was saturated.

    Raises
    ------
    UsageError
        If the run cannot be read, was not judged and no split is given, or the parts do not
        fit together.
    """
    return rejudge(
        run if isinstance(run, StoredRun) else read(run),
        None if split is None else split_of(split),
        policy=part("policy", policy, Policy),
        health=part("health", health, HealthPolicy),
    )
