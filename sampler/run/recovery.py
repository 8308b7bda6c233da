"""A report of a run that was cut off, from the plan and the samples that it left."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.text.rounding import amount
from analysis.verdict.reasons import interrupted
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.plan.document import from_document
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from sampler.store.arrow import to_batch
from sampler.store.store import PLAN, REPORT

if TYPE_CHECKING:
    from analysis import Batch, Evidence, Report
    from sampler.store.store import StoredRun


def report_of(run: StoredRun) -> Report:
    """Give a run's report; if it has none, make one of what it left.

    Parameters
    ----------
    run : StoredRun
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
    if (run.path / REPORT).exists():
        return run.report
    try:
        document = json.loads((run.path / PLAN).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{run.path} holds neither {REPORT} nor {PLAN}: there is nothing to make a report of",
            hint="its samples, if there are some, can be read: sampler.read(path).table",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{run.path / PLAN} cannot be read: {error}") from error
    weighing = Weighing(RunPlan(**from_document(document)))
    weighing.warnings = []
    batch = to_batch(run.table)
    batches = [batch] if len(batch) else []
    report = _undecided(weighing.replay(batches, run.history), weighing.evidence)
    duration_s = _last_instant_ns(batch) / NS_PER_S
    return replace(
        report,
        performance=replace(
            report.performance,
            duration_s=duration_s,
            rate_per_s=len(batch) / duration_s if duration_s else 0.0,
            cpu_us_per_request=0.0,
            cpu_share=0.0,
            client_saturated=False,
        ),
        run=replace(
            report.run,
            id=run.path.name,
            path=str(run.path),
            started_at=str(document["started_at"]),
        ),
        notes=[_what_is_missing(len(batch)), *report.notes],
    )


def _undecided(report: Report, evidence: Evidence | None) -> Report:
    """Claim nothing, whatever the samples would prove.

    The rules that end a run did not end this one, and what its client and its target suffered
    is not known.
    """
    if evidence is None or report.verdict is not Verdict.FAIL:
        return report
    reasons = [interrupted(evidence), *report.reasons]
    return replace(report, verdict=Verdict.INCONCLUSIVE, reasons=reasons)


def _what_is_missing(n: int) -> str:
    return (
        f"the run was cut off: made again from the {amount(n)} samples that it left; what came in "
        "its last second, what was shed and how busy the client was is not known"
    )


def _last_instant_ns(batch: Batch) -> int:
    """When the last sample was complete [ns since the run began]; 0 without samples."""
    return int(max(batch.done_ns.max(), batch.sent_ns.max())) if len(batch) else 0
