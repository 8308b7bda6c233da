"""Chance that an edge is still not refuted after n connections of a right split.

The evidence against an edge is a mixture of bets, and convex in the counts. Counts that do not
refute yet therefore lie on one side of a line that touches where the evidence reaches 1/beta after
n connections: the line on which the bets, in their proportions there, have won K nats. Paths that
end short of it, at z, have crossed it before with a chance of about ``exp(-2 K (K - z)/(n v))``:
that of a Brownian bridge (v: variance of what one connection adds, at the share of the end). The
rest, weighted by the binomial law of the ends, is what is still undecided. Connections are whole,
so that paths step over the line by 0.58 of a standard deviation on average (Siegmund 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, lgamma, log, log1p, sqrt
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.bets.hypotheses import Side, log_with, log_without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null

_OVERSHOOT = 0.583
_REACH = 5
"""Standard deviations from there, or from the middle, beyond which hardly a path ends."""
_PER_DEVIATION = 6
"""Counts in a standard deviation from which on several are taken together."""
_STEPS = 20
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a band that a PASS has to refute.

    Parameters
    ----------
    share : float
        True share of what few of refute the edge: of the label itself against "at least", of the
        others against "at most". In (0, 1).
    nats : float
        Log evidence that refutes it, > 0.
    bets : tuple of (float, float, float)
        Log weight of each bet, and what it gains with one of those, and with another one.
    """

    share: float
    nats: float
    bets: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, null: Null, share: float, nats: float) -> Self:
        """Take a hypothesis with its bets, and the true share of the label."""
        bets = [
            (log(weight), log_with(other, null.edge), log_without(other, null.edge))
            for other, weight in zip(null.alternatives, null.weights, strict=True)
        ]
        if null.side is Side.AT_LEAST:
            return cls(share, nats, tuple(bets))
        mirrored = tuple((weight, without, having) for weight, having, without in bets)
        return cls(1 - share, nats, mirrored)

    def beyond(self, n: float) -> float:
        """Return the chance that more than n connections are needed; n need not be whole."""
        limit = self._limit(n)
        if limit is None:
            return 1.0
        _, gain, loss = self._evidence(n, limit)
        ends, width = self._ends(n, limit)
        parts = np.clip(ends / n, 0.5 / n, 1 - 0.5 / n)
        variance = parts * (1 - parts) * (gain - loss) ** 2
        level = limit * gain + (n - limit) * loss + _OVERSHOOT * np.sqrt(variance)
        short = level - ends * gain - (n - ends) * loss
        never = -np.expm1(-2 * level * short / (n * variance))
        return min(1.0, width * float(self._chances(n, ends) @ never))

    def _evidence(self, n: float, x: float) -> tuple[float, float, float]:
        """Return the log evidence, and what one connection of each kind adds to it."""
        logs = [weight + x * gain + (n - x) * loss for weight, gain, loss in self.bets]
        largest = max(logs)
        total = having = without = 0.0
        for value, (_, gain, loss) in zip(logs, self.bets, strict=True):
            size = exp(value - largest)
            total += size
            having += size * gain
            without += size * loss
        return largest + log(total), having / total, without / total

    def _limit(self, n: float) -> float | None:
        """Return the count, not whole, that just refutes the edge; None if not even 0 does."""
        if self._evidence(n, 0.0)[0] < self.nats:
            return None
        # What one bet alone refutes, all do. From there Newton's steps never pass the turn.
        x = max((weight + n * loss - self.nats) / (loss - gain) for weight, gain, loss in self.bets)
        x = max(x, 0.0)
        for _ in range(_STEPS):
            reached, gain, loss = self._evidence(n, x)
            step = (reached - self.nats) / (loss - gain)
            x += step
            if step < _CLOSE * n:
                break
        return x

    def _ends(self, n: float, limit: float) -> tuple[NDArray[np.float64], int]:
        """Return the counts that do not refute, as the middles of so many neighbours each."""
        deviation = sqrt(n * self.share * (1 - self.share))
        last = min(n, max(limit, n * self.share) + _REACH * (deviation + 1))
        width = max(1, int(deviation / _PER_DEVIATION))
        ends = np.arange(floor(limit) + 1, last + 1, width) + (width - 1) / 2
        return np.minimum(ends, n), width

    def _chances(self, n: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the binomial chances of counts."""
        ways = [lgamma(each + 1) + lgamma(n - each + 1) for each in x.tolist()]
        logs = lgamma(n + 1) - np.array(ways) + x * log(self.share)
        chances: NDArray[np.float64] = np.exp(logs + (n - x) * log1p(-self.share))
        return chances
