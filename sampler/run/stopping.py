"""When a run has enough: the verdict has fallen and can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.versions.health import is_exceeded
from sampler.base.clock import NS_PER_S
from sampler.run.remedies import explain_nothing_sent, explain_unlabelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis import Decision, Tally
    from analysis.data.report import Reason
    from analysis.versions.health import HealthEvidence
    from sampler.engine.effort import Sampling
    from sampler.plan.run import RunPlan

_EXPLAINING_SAMPLES = 200
_FEWEST_STRANGERS = 64
"""Labels after which it is no chance that an expected one has not been among them."""
_LONGEST_EXPLANATION_NS = NS_PER_S


class Stopping:
    """Stops the engine of a run when there is enough.

    Parameters
    ----------
    plan : RunPlan
        Of the run.
    engine : Sampling
        What is stopped.

    Attributes
    ----------
    unmeasurable : Reason or None
        Why nothing could be measured, if so.
    """

    def __init__(self, plan: RunPlan, engine: Sampling) -> None:
        self.unmeasurable: Reason | None = None
        self._plan = plan
        self._engine = engine
        self._decided_ns: int | None = None

    def look(
        self, tally: Tally, decision: Decision | None, compared: Sequence[HealthEvidence]
    ) -> None:
        """Stop sending if the split or the health is decided."""
        if decision is not None and decision.is_final and self._is_explained(tally, decision):
            self._engine.stop()
        if is_exceeded(compared, self._plan.policy.alpha):
            self._engine.stop()

    def end(self, tally: Tally) -> None:
        """Record why nothing was measured, if a run that nobody interrupted has no label."""
        plan = self._plan
        if any(worker.gone for worker in self._engine.effort().workers):
            return  # that is why: what they would have measured is not known
        if not tally.launched:
            self.unmeasurable = explain_nothing_sent(plan.load, plan.limits)
        elif not tally.labelled:
            failures = self._engine.effort().failures
            self.unmeasurable = explain_unlabelled(tally, plan, failures)

    def _is_explained(self, tally: Tally, decision: Decision) -> bool:
        """Whether enough was sent to say what the split is, where it is not the expected one.

        A gross departure is proven by a handful of connections, which say little about what
        the split is instead; a few more requests tell. They do not touch the verdict, unless not
        one expected label is among them (`analysis.verdict.strangers`).
        """
        elapsed_ns = self._engine.elapsed_ns()
        if self._decided_ns is None:
            self._decided_ns = elapsed_ns
        return (
            decision.verdict is not Verdict.FAIL
            or tally.launched >= _EXPLAINING_SAMPLES
            or (elapsed_ns - self._decided_ns >= _LONGEST_EXPLANATION_NS and self._is_known(tally))
        )

    def _is_known(self, tally: Tally) -> bool:
        split = self._plan.split
        is_expected = split is not None and any(tally.labels[arm] for arm in split.arms)
        return is_expected or tally.labelled >= _FEWEST_STRANGERS
