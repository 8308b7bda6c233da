"""Chances of a verdict for any number of versions: many runs at once, from a fixed seed.

The counts of all versions are drawn at some numbers of connections, so that they are multinomial
there exactly, and judged there by the rules of the procedure: each connection at first, then after
every further percent of a run. What happens between two of them is seen at the second, or not at
all: needs err upward by two percent, chances of a verdict downward by two points (both held in a
test). As in `analysis.planning.exact`, the restarted part of the FAIL evidence counts as never won,
which leaves out up to three points of FAIL more (six with error rates above 5 %), and the guards of
PASS are left out.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.bets.hypotheses import (
    certain_tolerance,
    clean_connections,
    fail_nulls,
    is_certain,
    log_with,
    log_without,
)
from analysis.bets.mixture import RESTART_WEIGHT
from analysis.data.split import tested_arms
from analysis.planning.exact import decisive_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.data.policy import Policy
    from analysis.data.split import Split

_SEED = 20
_EACH_UP_TO = 100
_RATIO = 1.01
_AT_ONCE = 32
"""Looks that are drawn together; runs that have ended by then are dropped."""
_LEAST = -1e30
"""Log factor of a lost bet on "all" or "none": finite, so that none of them is no loss."""


class Runs(NamedTuple):
    """What became of simulated runs.

    Parameters
    ----------
    passed, failed : (r,) bool
    ended : (r,) int
        Connections until the verdict, or the budget.
    """

    passed: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    ended: NDArray[np.int64]


class Simulation:
    """One decision, ready for runs of any true shares.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance and error rates.
    budget : int
        Connections after which a run ends undecided, >= 1.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(self, split: Split, policy: Policy, budget: int) -> None:
        bands = policy.tolerance.bands(split)
        tested = tested_arms(split)
        self._n = _looks(budget)
        self._arms = [arm for arm in tested if not is_certain(bands[arm])]
        certain = [arm for arm in tested if is_certain(bands[arm])]
        self._forbidden = np.array([weight == 0 for weight in split.weights])
        self._clean = max(
            (clean_connections(certain_tolerance(bands[arm]), policy.beta) for arm in certain),
            default=0,
        )
        self._low = np.array([bands[arm].low for arm in self._arms])
        self._high = np.array([bands[arm].high for arm in self._arms])
        decisive = [decisive_counts(bands[arm], policy, self._n) for arm in self._arms]
        self._upper, self._lower, self._fail_low, self._fail_high = (
            np.array([getattr(each, name) for each in decisive]).reshape(-1, len(self._n)).T
            for name in ("upper", "lower", "fail_low", "fail_high")
        )
        bets = [
            (position, log(weight), log_with(q, null.edge), log_without(q, null.edge))
            for position, arm in enumerate(self._arms)
            for null in fail_nulls(bands[arm], policy.inner)
            for q, weight in zip(null.alternatives, null.weights, strict=True)
        ]
        columns = np.maximum(np.array(bets, dtype=np.float64).reshape(-1, 4).T, _LEAST)
        self._of, self._stake, self._with, self._without = columns[0].astype(np.intp), *columns[1:]
        self._failed = 2 * len(self._arms) / (1 - RESTART_WEIGHT) / policy.alpha

    def run(self, shares: Sequence[float] | NDArray[np.float64], runs: int) -> Runs:
        """Simulate runs; those of two calls share their seed, so that they compare well.

        Parameters
        ----------
        shares : (k,) sequence of float
            True share of each arm, in [0, 1], adding up to 1.
        runs : int
            How many, >= 1.
        """
        random = np.random.default_rng(_SEED)
        found = Runs(
            np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool), np.full(runs, self._n[-1])
        )
        running = np.arange(runs)
        counts = np.zeros((runs, len(shares)), dtype=np.int64)
        refuted = np.zeros((2, runs, len(self._arms)), dtype=bool)
        steps = np.diff(self._n, prepend=0)
        for first in range(0, len(self._n), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            drawn = random.multinomial(
                np.broadcast_to(steps[part, None], (len(steps[part]), len(running))), shares
            )
            x = np.cumsum(drawn, axis=0) + counts
            failed = self._fails(part, x)
            passed, refuted = self._passes(part, x[:, :, self._arms], refuted)
            ended = failed | passed
            over = ended.any(axis=0)
            at = ended.argmax(axis=0)[over]
            found.failed[running[over]] = failed[at, np.flatnonzero(over)]
            found.passed[running[over]] = ~failed[at, np.flatnonzero(over)]
            found.ended[running[over]] = self._n[part][at]
            running, counts, refuted = running[~over], x[-1, ~over], refuted[:, ~over]
            if not len(running):
                break
        return found

    def _passes(
        self, part: slice, x: NDArray[np.int64], before: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return who passes (g, r), and which edges (2, r, A) are refuted by the end."""
        refuted = np.stack([x >= self._lower[part, None], x <= self._upper[part, None]])
        refuted[:, 0] |= before
        refuted = np.logical_or.accumulate(refuted, axis=1)
        n = self._n[part, None, None]
        inside = (x / n > self._low) & (x / n < self._high)
        passed = (refuted.all(axis=0) & inside).all(axis=2)
        passed &= self._n[part, None] >= self._clean
        return passed, refuted[:, -1]

    def _fails(self, part: slice, x: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return who fails (g, r): the average over arms is asked only where one alone would."""
        failed = np.asarray(x[:, :, self._forbidden].any(axis=2))
        tested = x[:, :, self._arms]
        far = (tested <= self._fail_low[part, None]) | (tested >= self._fail_high[part, None])
        at = np.nonzero(far.any(axis=2))
        n, hits = self._n[part][at[0], None], tested[at][:, self._of]
        logs = self._stake + hits * self._with + (n - hits) * self._without
        failed[at] |= np.exp(np.minimum(logs, 300)).sum(axis=1) >= self._failed
        return failed


def _looks(budget: int) -> NDArray[np.int64]:
    """Return the numbers of connections at which runs are looked at; the last is the budget."""
    looks = list(range(1, min(_EACH_UP_TO, budget) + 1))
    while looks[-1] < budget:
        looks.append(min(max(looks[-1] + 1, round(looks[-1] * _RATIO)), budget))
    return np.array(looks, dtype=np.int64)
