"""When a run has enough: the verdict has fallen and can be explained, or none can fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import Outcome
from analysis.data.report import Verdict
from sampler.base.clock import NS_PER_S
from sampler.run.remedies import explain_nothing_sent, explain_unlabelled

if TYPE_CHECKING:
    from analysis import Decision, Tally
    from analysis.data.report import Reason
    from analysis.versions.health import HealthEvidence
    from sampler.engine.engine import Engine
    from sampler.plan.run import RunPlan

_EXPLAINING_SAMPLES = 200
_LONGEST_EXPLANATION_NS = NS_PER_S


class Stopping:
    """Stops the engine of a run when there is enough.

    Parameters
    ----------
    plan : RunPlan
        Of the run.
    engine : Engine
        What is stopped.

    Attributes
    ----------
    unmeasurable : Reason or None
        Why nothing could be measured, if so.
    """

    def __init__(self, plan: RunPlan, engine: Engine) -> None:
        self.unmeasurable: Reason | None = None
        self._plan = plan
        self._engine = engine
        self._decided_ns: int | None = None

    def look(self, tally: Tally, decision: Decision | None, health: HealthEvidence | None) -> None:
        """Stop sending if the split or the health is decided, or nothing will ever be."""
        if decision is not None and decision.is_final and self._is_explained(tally, decision):
            self._engine.stop()
        if health is not None and health.exceeded(self._plan.policy.alpha):
            self._engine.stop()
        if self.unmeasurable is None and self._is_without_labels(tally):
            self._judge_preflight(tally)
            self._engine.stop()

    def end(self, tally: Tally) -> None:
        """Record why nothing was measured, if the run ends by itself before its first request."""
        if not tally.launched:
            self.unmeasurable = explain_nothing_sent(self._plan.load, self._plan.limits)

    def _is_explained(self, tally: Tally, decision: Decision) -> bool:
        """Whether enough was sent to say what the split is, where it is not the expected one.

        A gross departure is proven by a handful of connections, which say little about what
        the split is instead; a few more requests tell. They do not touch the verdict.
        """
        elapsed_ns = self._engine.elapsed_ns()
        if self._decided_ns is None:
            self._decided_ns = elapsed_ns
        return (
            decision.verdict is not Verdict.FAIL
            or tally.launched >= _EXPLAINING_SAMPLES
            or elapsed_ns - self._decided_ns >= _LONGEST_EXPLANATION_NS
        )

    def _is_without_labels(self, tally: Tally) -> bool:
        """Whether the first requests, one of each slot, are in and gave no label at all."""
        engine, launched = self._engine, tally.launched
        if tally.labelled or engine.is_paused or engine.overload is not None:
            return False  # what was asked too early says nothing about the labels
        has_ended = engine.is_stopping and engine.in_flight == 0 and launched > 0
        return has_ended or launched >= self._plan.load.concurrency

    def _judge_preflight(self, tally: Tally) -> None:
        """Record what came instead of labels, for a run that would go on without any."""
        is_ours = tally.outcomes[Outcome.CLIENT_LIMIT] == tally.launched
        if self._plan.split is None or not is_ours:  # else the verdict's reason says it
            failures = self._engine.recorder.failures
            self.unmeasurable = explain_unlabelled(tally, self._plan.target, failures)
