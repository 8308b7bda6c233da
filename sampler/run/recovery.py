"""A report of a run that was cut off, from the plan and the samples that it left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.data.report import Performance, Run, Verdict
from analysis.text.rounding import amount
from analysis.verdict.decision import Ended
from analysis.verdict.reasons import interrupted
from analysis.weighing.report import Account, assemble
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.base.version import __version__
from sampler.plan.load import TransportKind
from sampler.run.judging import asked_of, fold_of
from sampler.store.layout import PLAN, REPORT

if TYPE_CHECKING:
    from analysis import Report
    from analysis.weighing.fold import Folded
    from sampler.plan.document import StoredPlan
    from sampler.store.reader import RunFolder


def report_of(run: RunFolder) -> Report:
    """Return a run's report; if it has none, make one of what it left.

    Parameters
    ----------
    run : RunFolder
        Whole, going on, or cut off at any moment.

    Returns
    -------
    Report
        The one that was written; or, of a run that was cut off, INCONCLUSIVE with the reason
        ``interrupted`` (no verdict if it was not to be judged), and a note that says so.

    Raises
    ------
    UsageError
        If neither the report nor the plan can be read.
    """
    if run.has_report:
        return run.report
    plan = run.stored_plan
    if plan is None:
        raise UsageError(
            f"{run.path} holds neither {REPORT} nor {PLAN}: a report cannot be made",
            hint="its samples, if there are any, can be read: sampler.read(path).table",
        )
    asked = asked_of(plan)
    fold = fold_of(
        plan.split,
        plan.policy,
        plan.health,
        run.history,
        plan.seed,
        is_fresh=asked.is_fresh,
        zones=(plan.zone_of, plan.zone_splits),
    )
    fold.take(run.batch)
    folded = fold.finish().without_verdict()
    return _undecided(assemble(asked, folded, _account(run, plan, folded)), folded)


def _account(run: RunFolder, plan: StoredPlan, folded: Folded) -> Account:
    """Return what is known of a run besides its samples: what it set out to do."""
    duration_s, launched, load = folded.last_ns / NS_PER_S, folded.tally.launched, plan.load
    return Account(
        performance=Performance(
            transport="full" if load.transport is TransportKind.FULL else "fast",
            duration_s=duration_s,
            rate_per_s=launched / duration_s if duration_s else 0.0,
            cpu_us_per_request=0.0,
            client_saturated=False,
            concurrency=load.concurrency,
            offered_per_s=load.rate,
            connection=str(load.connection),
            max_rate_per_s=load.max_rate,
        ),
        run=Run(
            id=run.path.name,
            path=str(run.path),
            seed=plan.seed,
            started_at=plan.started_at,
            version=__version__,
            target=f"{plan.target.method} {plan.target.shown}",
            label=str(plan.label),
            command=plan.command,
        ),
        ended=Ended.INTERRUPTED,
        notes=(*plan.target.caveats, _what_is_missing(launched)),
    )


def _undecided(report: Report, folded: Folded) -> Report:
    """Claim nothing, whatever the samples would prove.

    The rules that end a run did not end this one, and what its client and its target suffered
    is not known.
    """
    if folded.evidence is None or report.verdict is not Verdict.FAIL:
        return report
    reasons = [interrupted(folded.evidence), *report.reasons]
    return replace(report, verdict=Verdict.INCONCLUSIVE, reasons=reasons)


def _what_is_missing(n: int) -> str:
    return (
        f"the run was cut off: made again from the {amount(n)} samples that it left; what came in "
        "its last second, what was shed and how busy the client was is not known"
    )
