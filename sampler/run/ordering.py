"""What a verdict on a log is worth where the log does not tell everything about the order.

Samples are judged in the order in which they were sent. Where a log tells that only in part, a
verdict on shares has to hold in an order that is drawn at random, too: such an order does not look
at the labels, whatever they delayed. And a log of a program that runs all the time is cut out of
its traffic: of what was sent shortly before its end, the slow requests are not in it yet.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import Batch
from analysis.data.batch import ABSENT, judged_rows
from analysis.data.report import Reason, ReasonCode, Verdict
from analysis.text.rounding import counted
from analysis.verdict.decision import Ended, decide
from analysis.weighing.expectation import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis import Policy
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence
    from sampler.logs import Quality

_SHARES = {
    ReasonCode.WITHIN_TOLERANCE: Verdict.PASS,
    ReasonCode.OUTSIDE_TOLERANCE: Verdict.FAIL,
    ReasonCode.TOO_MANY_UNLABELLED: Verdict.FAIL,
}
_AT_ONCE = 8192


class Ordering:
    """Watches a log being judged.

    Parameters
    ----------
    split : Split
        The expected one.
    policy : Policy
        Tolerance and error rates.
    quality : Quality
        What the log tells about the order; complete when the log was read.
    seed : int
        Draws the other order.
    """

    def __init__(self, split: Split, policy: Policy, quality: Quality, seed: int) -> None:
        self._split = split
        self._policy = policy
        self._quality = quality
        self._seed = seed
        self._counts: Counter[str | None] = Counter()
        self._judged = 0
        self._decided_ns: int | None = None

    def take(self, batch: Batch, evidence: Evidence | None) -> None:
        """Take the next samples, and the evidence after them."""
        judged = judged_rows(batch)
        if evidence is not None and evidence.settled is not None and self._decided_ns is None:
            at = max(evidence.judged - self._judged, 1) - 1
            row = judged[min(at, len(judged) - 1)] if len(judged) else -1
            self._decided_ns = int(batch.sent_ns[row])
        self._judged += len(judged)
        codes = np.bincount(batch.label[judged] + 1, minlength=len(batch.labels) + 1)
        self._counts.update(dict(zip((None, *batch.labels), codes.tolist(), strict=True)))

    def doubt(self, reason: Reason) -> Reason | None:
        """Return why nothing is claimed, or None if the verdict does not depend on the order."""
        verdict = _SHARES.get(reason.code)
        if verdict is None:
            return None
        whole, at = self._quality.whole, self._decided_ns
        if whole is not None and at is not None and not whole[0] <= at <= whole[1]:
            where = "ended" if at > whole[1] else "began"
            return Reason(
                ReasonCode.ORDER_UNKNOWN,
                f"Nothing is claimed: the verdict falls on requests that were on their way when "
                f"the log {where}, of which it may lack the slow or the fast ones. Without that: "
                f"{reason.message}",
                "Give a longer log: from before the traffic until its last request has ended.",
            )
        if not self._quality.doubt or self._at_random() is verdict:
            return None
        return Reason(
            ReasonCode.ORDER_UNKNOWN,
            f"Nothing is claimed: {self._quality.doubt}, and in an order drawn at random its "
            f"{counted(sum(self._counts.values()), 'connection')} do not lead to the same verdict. "
            f"If one version is slower, that alone may explain it: {reason.message}",
            "Log when requests were sent, or how long they took, in milliseconds (docs/judge.md, "
            "Order); or use weighbridge check.",
        )

    def _at_random(self) -> Verdict:
        policy = replace(self._policy, per_connection=1)
        weighed = Fixed(self._split, policy, self._seed)
        for batch in self._drawn():
            weighed.weigh(batch)
            if weighed.evidence.settled is not None:
                break
        return decide(weighed.evidence, Ended.SAMPLES).verdict

    def _drawn(self) -> Iterator[Batch]:
        """Yield the judged connections in an order drawn at random."""
        draw = np.random.default_rng(self._seed)
        names = tuple(name for name in self._counts if name is not None)
        left = np.array([self._counts[None], *(self._counts[name] for name in names)])
        first = 0
        while left.any():
            size = min(_AT_ONCE, int(left.sum()))
            taken = draw.multivariate_hypergeometric(left, size, method="marginals")
            left -= taken
            codes = draw.permutation(np.repeat(np.arange(len(left)) - 1, taken))
            yield Batch.of_labels(
                [None if code == ABSENT else names[code] for code in codes.tolist()], first=first
            )
            first += size
