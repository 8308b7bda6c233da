"""Policies under which a run is weighed once more: as it was asked, or so that no rule ends it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from analysis.data.policy import Policy
from analysis.data.split import Tolerance, ToleranceKind

if TYPE_CHECKING:
    from analysis.data.report import Decided, Expected, Report

_NEVER = 1e-12
"""Error rate at which no rule ends a run that another one ended."""


def told_policy(report: Report) -> Policy | None:
    """Return the policy that a report tells; None where nothing was judged.

    The budget is the derived one: a report does not tell it, unless thresholds depend on it.
    """
    decision = report.decision
    if decision is None:
        return None
    try:
        return Policy(
            alpha=decision.alpha,
            beta=decision.beta,
            tolerance=Tolerance.parse(decision.tolerance),
            inner=decision.inner,
            max_unlabelled=decision.max_unlabelled,
            missing_ratio=inf if decision.missing_ratio is None else decision.missing_ratio,
            max_samples=decision.calibrated,
            calibrated=decision.calibrated is not None,
        )
    except ValueError:
        return None  # of another version, which knew other tolerances


def passing_policy(expected: Expected, decision: Decided) -> Policy:
    """Return the policy of a run as far as a PASS depends on it; its bands are the report's."""
    bands = tuple(
        (arm, _tolerance(share, *expected.tolerance[arm])) for arm, share in expected.shares.items()
    )
    return Policy(
        # The other ways in which a run ends did not end this one.
        alpha=_NEVER if decision.calibrated is None else decision.alpha,
        beta=decision.beta,
        tolerance=Tolerance(by_arm=bands),
        missing_ratio=inf if decision.missing_ratio is None else decision.missing_ratio,
        max_samples=decision.calibrated or max(decision.decided_after, 1),
        per_connection=decision.per_connection,
        calibrated=decision.calibrated is not None,
    )


def _tolerance(share: float, low: float, high: float) -> Tolerance:
    """Return the tolerance of a band that was clipped to [0, 1]: one side is all there is."""
    above, below = high - share or share - low, share - low or high - share
    return Tolerance(ToleranceKind.ABSOLUTE, above, below=Tolerance(ToleranceKind.ABSOLUTE, below))


def endless_policy(decision: Decided) -> Policy:
    """Return a policy that ends after the connection on which a run ended, and nowhere else."""
    return Policy(
        alpha=_NEVER,
        beta=_NEVER,
        max_unlabelled=1.0,
        per_connection=decision.per_connection,
        max_samples=decision.decided_after,
    )
