"""Many runs at once: the decision rules on whole arrays, for calibration on a large scale.

The rules are typed anew: PASS by the counts that decide (`analysis.planning.exact`), FAIL by stakes
that are multiplied connection by connection, in as many runs as there are.
`analysis.evidence.fold` weighs one run at a time and is some ten times slower; the calibration
holds both against each other on the same draws. The guards, which turn a PASS into INCONCLUSIVE,
and early ends without a verdict are left out: what passes or fails here is at least what passes or
fails there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import Side, fail_nulls, is_certain, pass_nulls
from analysis.data.split import tested_arms as arms_under_test
from analysis.evidence.state import Evidence
from analysis.planning.exact import boundaries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.policy import Policy
    from analysis.data.split import Split

ABSENT = -1
_DROP_EVERY = 64
_RESTART = 0.2


@dataclass(frozen=True, slots=True)
class Ends:
    """Connection at which each run passed or failed; 0 where it did not."""

    passed: NDArray[np.int64]
    failed: NDArray[np.int64]


class Flock:
    """One decision, ready for many runs."""

    def __init__(self, split: Split, policy: Policy) -> None:
        fresh = Evidence.start(split, policy)
        self.budget = fresh.budget
        self._alpha = policy.alpha
        self._refuted = -np.log(policy.beta)
        self._clean = fresh.clean_needed
        self._null, self._tightest = fresh.clean, fresh.clean_tolerance
        self._weights = np.array(split.weights)
        self._arms = [arm for arm in arms_under_test(split) if not is_certain(fresh.bands[arm])]
        self._bands = [fresh.bands[arm] for arm in self._arms]
        self._decisive = [boundaries(band, policy, self.budget) for band in self._bands]
        self._horizon = self.budget
        # Columns: all bets of all arms, upwards ones first.
        self._ratio = policy.missing_ratio
        self._with, self._without, self._gone, self._stake, arm = self._bets(policy.inner)
        self._arm = arm.astype(np.intp)

    def _bets(self, inner):
        rows = []
        for position, band in enumerate(self._bands):
            for null in fail_nulls(band, inner, self._ratio):
                for q, weight in zip(null.alternatives, null.weights, strict=True):
                    won, other = q / null.edge, (1 - q) / (1 - null.edge)
                    # A missing label is worth what it counts as.
                    gone = null.lost * won + (1 - null.lost) * other
                    rows.append((won, other, gone, weight / 2 / len(self._bands), position))
        return np.array(rows, dtype=np.float64).reshape(-1, 5).T

    def judge(self, codes: NDArray[np.int32]) -> Ends:
        """Judge runs (r, n) of arm codes, `ABSENT` for a missing label; n >= the budget."""
        codes = codes[:, : self.budget]
        if not self._arms:
            return self._judge_certain(codes)
        passed = self._passes(codes)
        failed = self._fails(codes, passed)
        passed[(failed > 0) & (failed <= passed)] = 0
        failed[(passed > 0) & (failed > passed)] = 0
        return Ends(passed, failed)

    def _judge_certain(self, codes: NDArray[np.int32]) -> Ends:
        """Judge runs of two versions, one of which must not answer."""
        if self._null is None:
            raise ValueError("no share of 0 or 1 is expected")
        n = np.arange(1, codes.shape[1] + 1)
        missing = np.cumsum(codes == ABSENT, axis=1)
        contradicted = _first((self._weights == 0)[codes] & (codes != ABSENT))
        needed = self._clean_by_missing(self._null, int(missing.max(initial=0)))
        holds = np.logical_or.accumulate(n >= needed[missing], axis=1)
        holds &= self._null.lost * missing / n < self._tightest
        passed = _first(holds)
        passed[(contradicted > 0) & (contradicted <= passed)] = 0
        return Ends(passed, np.where(passed > 0, 0, contradicted))

    def _clean_by_missing(self, null: Null, most: int) -> NDArray[np.int64]:
        """Connections without a contradiction that suffice, by how many of them gave no label."""
        needed = np.full(most + 1, self.budget + 1)
        n = self._clean
        needed[0] = n
        for missing in range(1, most + 1):
            while n <= self.budget and null.log_evidence(n, 0, missing) < self._refuted:
                n += 1
            needed[missing] = n
        return needed

    def _passes(self, codes):
        n = np.arange(1, codes.shape[1] + 1)
        missing = np.cumsum(codes == ABSENT, axis=1)
        holds = np.ones(codes.shape, dtype=bool)
        for arm, band, decisive in zip(self._arms, self._bands, self._decisive, strict=True):
            least = np.cumsum(codes == arm, axis=1)
            if self._ratio < inf:
                for null in pass_nulls(band, self._ratio):
                    refuted = _log_evidence(null, n, least, missing) >= self._refuted
                    holds &= np.logical_or.accumulate(refuted, axis=1)
                    share = (least + null.lost * missing) / n
                    holds &= share > band.low if null.side is Side.AT_MOST else share < band.high
                continue
            most = least + missing
            holds &= np.logical_or.accumulate(least >= decisive.lower, axis=1)
            holds &= np.logical_or.accumulate(most <= decisive.upper, axis=1)
            holds &= (least / n > band.low) & (most / n < band.high)
        return _first(holds)

    def _fails(self, codes, passed):
        runs, length = codes.shape
        failed = np.zeros(runs, dtype=np.int64)
        running = np.arange(runs)
        plain = np.ones((runs, len(self._stake)))
        again = np.zeros_like(plain)
        arms = np.array(self._arms)
        for n in range(1, length + 1):
            now = codes[running, n - 1]
            hit = now[:, None] == arms
            factor = np.where(hit[:, self._arm], self._with, self._without)
            factor = np.where(now[:, None] == ABSENT, self._gone, factor)
            plain *= factor
            again += 1 / self._horizon
            again *= factor
            evidence = ((1 - _RESTART) * plain + _RESTART * again) @ self._stake
            evidence += _RESTART * max(0, self._horizon - n) / self._horizon
            over = evidence >= 1 / self._alpha
            failed[running[over]] = n
            if over.any() or n % _DROP_EVERY == 0:
                going_on = ~over & ~((passed[running] > 0) & (passed[running] <= n))
                running, plain, again = running[going_on], plain[going_on], again[going_on]
                if not len(running):
                    break
        return failed


def _log_evidence(
    null: Null, n: NDArray[np.int64], x: NDArray[np.int64], missing: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log evidence against a hypothesis after each connection of each run."""
    total = np.full(x.shape, -np.inf)
    r = null.edge
    for q, weight in zip(null.alternatives, null.weights, strict=True):
        won, other = q / r, (1 - q) / (1 - r)
        nats = x * np.log(won) + (n - x - missing) * np.log(other) + np.log(weight)
        nats += missing * np.log(null.lost * won + (1 - null.lost) * other)
        total = np.logaddexp(total, nats)
    return total


def _first(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number, from 1, of the first True of each row; 0 where there is none."""
    return np.where(holds.any(axis=1), holds.argmax(axis=1) + 1, 0)
