"""Vantages that were lost while they sent: what that leaves unknown, and which verdicts it doubts.

What one may have sent counts among the requests without a label; that is no fault of the target.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.data.report import Reason, ReasonCode
from analysis.text.rounding import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.report import Worker

_MOST_NAMED = 3
_MAY_BE_LOSS = frozenset(
    {
        ReasonCode.TOO_MANY_UNLABELLED,
        ReasonCode.MISSING_LABELS,
        ReasonCode.FEW_CONNECTIONS,
        ReasonCode.BUDGET_SPENT,
        ReasonCode.TIME_SPENT,
    }
)
"""Ends of a run that a vantage that was lost may have brought about."""


def told_of_loss(workers: Sequence[Worker]) -> str:
    """Name the vantages that were lost, how, and what that leaves unknown."""
    gone = [worker for worker in workers if worker.gone]
    told = "; ".join(
        f"{worker.name}{f' in zone {worker.zone}' if worker.zone else ''} ({worker.gone})"
        for worker in gone[:_MOST_NAMED]
    )
    more = "; …" if len(gone) > _MOST_NAMED else ""
    unknown = counted(sum(worker.lost for worker in gone), "request")
    return (
        f"{counted(len(gone), 'vantage')} of {len(workers)} were lost: {told}{more}; of "
        f"{unknown} at most it is not known whether they were sent"
    )


def vantages_lost(workers: Sequence[Worker]) -> Reason:
    """Explain that some of those who sent were lost."""
    return Reason(
        ReasonCode.VANTAGE_LOST,
        f"{told_of_loss(workers)}.",
        "Find out what ended them; if it had nothing to do with the target (an evicted pod, a "
        "node that was drained), --lost ignore leaves these requests out.",
    )


def doubt_of_loss(workers: Sequence[Worker], reason: Reason) -> Reason | None:
    """Explain what the loss of a vantage could have done to the verdict, if anything."""
    if reason.code not in _MAY_BE_LOSS or not any(worker.gone for worker in workers):
        return None
    return replace(
        vantages_lost(workers),
        message=f"Nothing is claimed: {told_of_loss(workers)}, and what they may have sent counts "
        f"among the requests without a label. Without that: {reason.message}",
    )
