"""Runs of one check from several clients, judged as one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.logs import MergedSamples, StoredSamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis import Policy
    from analysis.versions.health import HealthPolicy
    from sampler.logs import Record
    from sampler.plan.document import StoredPlan
    from sampler.store.reader import RunFolder


def merged_record(
    files: Sequence[str], records: Sequence[Record], runs: Sequence[RunFolder]
) -> MergedSamples:
    """Return the samples of several runs as one record.

    Parameters
    ----------
    files : sequence of str
        As they were named.
    records : sequence of Record
        What they hold.
    runs : sequence of RunFolder
        Those that weighbridge recorded.

    Raises
    ------
    UsageError
        If one is no run of weighbridge, is named twice, or set out to do something else.
    """
    stored = [each for each in records if isinstance(each, StoredSamples)]
    if len(stored) < len(files):
        odd = next(
            file
            for file, each in zip(files, records, strict=True)
            if not isinstance(each, StoredSamples)
        )
        raise UsageError(
            f"only runs of weighbridge can be judged together, and {odd} is a log",
            hint="judge logs one at a time, or join those of one kind into one file",
        )
    folders = [run.path.resolve() for run in runs]
    if len(set(folders)) < len(runs):
        raise UsageError(
            "a run is named twice, and its samples would count twice", hint="name each run once"
        )
    seen: dict[bytes, RunFolder] = {}
    for run in runs:
        if (other := seen.setdefault(run.digest(), run)) is not run:
            raise UsageError(
                f"{run.path} is a copy of {other.path}, and its samples would count twice",
                hint="name each run once",
            )
    whole = next((each for each in folders if any(each in part.parents for part in folders)), None)
    if whole is not None:
        raise UsageError(
            f"the samples of {whole.name} are those of its vantages, and would count twice",
            hint="name the whole run, or each run below its folder vantages",
        )
    first = _asked(runs[0])
    for run in runs:
        if len(_plan(run).zone_of) > 1:
            raise UsageError(
                f"{run.path} holds the samples of several zones, and each run that is judged with "
                "others is that of one",
                hint="judge it alone, or name each run below its folder vantages",
            )
        if run.history is not None:
            raise UsageError(
                f"{run.path} followed a changing expectation, and runs are judged together "
                "against one split",
                hint="judge it alone",
            )
        asked = _asked(run)
        for odd in (what for what in first if asked[what] != first[what]):
            raise UsageError(
                f"expected runs of one check, got {odd} {first[odd]} in {runs[0].path} and "
                f"{odd} {asked[odd]} in {run.path}",
                hint="judge together only what the same target was asked in the same way",
            )
    return MergedSamples(stored)


def _plan(run: RunFolder) -> StoredPlan:
    plan = run.readable_plan
    if plan is None:
        raise UsageError(
            f"{run.path} has no plan that can be read, so that nothing tells what it asked",
            hint="judge it alone",
        )
    return plan


def _asked(run: RunFolder) -> dict[str, str]:
    """Return what the runs of one check have in common."""
    plan = _plan(run)
    splits = sorted(f"{zone}: {split}" for zone, split in plan.zone_splits.items())
    return {
        "target": f"{plan.target.method} {plan.target.shown}",
        "connections": str(plan.load.connection),
        "label": str(plan.label),
        "expected split": "none" if plan.split is None else str(plan.split),
        "expected splits by zone": "; ".join(splits) or "none",
        "zone": "one of its own" if plan.zone_of else "none",
        **_options(plan.policy),
        **_options(plan.health),
    }


def _options(policy: Policy | HealthPolicy) -> dict[str, str]:
    return {each.name: str(getattr(policy, each.name)) for each in fields(policy)}
