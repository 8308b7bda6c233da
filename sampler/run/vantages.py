"""Runs of one check from several clients, judged as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.logs import MergedSamples, StoredSamples

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        if run.history is not None:
            raise UsageError(
                f"{run.path} followed a changing expectation, and runs are judged together "
                "against one split",
                hint="judge it alone",
            )
        if _asked(run) != first:
            raise UsageError(
                f"expected runs of one check, got {_tell(first)} in {runs[0].path} and "
                f"{_tell(_asked(run))} in {run.path}",
                hint="judge together only what the same target was asked in the same way",
            )
    return MergedSamples(stored)


def _asked(run: RunFolder) -> tuple[str, ...]:
    """Return what the runs of one check have in common: target, connections, label, split."""
    plan: StoredPlan | None = run.readable_plan
    if plan is None:
        raise UsageError(
            f"{run.path} has no plan that can be read, so that nothing tells what it asked",
            hint="judge it alone",
        )
    split = "no expected split" if plan.split is None else str(plan.split)
    target = f"{plan.target.method} {plan.target.shown}"
    return target, f"connections {plan.load.connection}", f"label {plan.label}", split


def _tell(asked: tuple[str, ...]) -> str:
    return ", ".join(asked)
