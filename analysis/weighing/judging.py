"""The whole way from samples to a verdict in one call, where all samples are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.policy import Policy
from analysis.evidence.fold import finish
from analysis.verdict.decision import SETTLED, Ended, Verdict, decide
from analysis.weighing.expectation import Fixed

if TYPE_CHECKING:
    from analysis.data.batch import Batch
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence
    from analysis.verdict.decision import Decision


def judge(batch: Batch, split: Split, policy: Policy | None = None, *, seed: int = 0) -> Decision:
    """Judge a whole run: a simulated one, or the samples of a recorded one.

    Parameters
    ----------
    batch : Batch
        All samples, in the order of sending.
    split : Split
        The expectation.
    policy : Policy or None
        Tolerance, error rates and budget; None takes the defaults.
    seed : int, default 0
        Breaks ties in the drift guard.

    Returns
    -------
    Decision
        The one that a live check would have come to on these samples, at the same connection.
        Where they are too few for a verdict it is INCONCLUSIVE, and final all the same.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.

    Examples
    --------
    >>> from analysis import Batch, Split
    >>> judge(Batch.of_labels(["v1"] * 400), Split.parse("v1=9,v2=1")).verdict.value
    'FAIL'
    """
    fixed = Fixed(split, policy or Policy(), seed)
    fixed.weigh(batch)
    return decide(finish(fixed.evidence), Ended.SAMPLES)


def verdict_of(evidence: Evidence) -> Verdict:
    """Return the verdict alone, without its reasons: for thousands of runs, where `decide` is slow.

    INCONCLUSIVE as long as no rule has settled the run.
    """
    if evidence.settled is None:
        return Verdict.INCONCLUSIVE
    return SETTLED[evidence.settled][0]
