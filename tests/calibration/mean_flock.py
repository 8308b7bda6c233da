"""Many runs at once whose connections have several answers; see `flock`.

The grid of stakes and the linear bets are typed anew from the written procedure, and connections
are fed one after the other. Early ends of connections and missing answers are left out: here
every connection is as long as planned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import fail_nulls, is_certain
from analysis.data.split import tested_arms as arms_under_test
from analysis.evidence.state import Evidence
from tests.calibration.flock import Ends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.policy import Policy
    from analysis.data.split import Split

_CEILING = 1e150
_DROP_EVERY = 32
_RESTART = 0.2


def grid(edge, expected, end, m):
    """Shares that are bet on against an edge, and the stakes."""
    distance, room = abs(expected - edge), abs(end - edge)
    beyond, u = [], 1.6
    while u * distance < 0.95 * room and u < 1.6 * m:
        beyond.append(u)
        u *= 2
    if u * distance >= 0.95 * room:
        beyond.append(0.95 * room / distance)
    sign = 1 if end > edge else -1
    parts = [(0.8, 0.375), (0.4, 0.075), (0.2, 0.035), (0.1, 0.015)]
    parts += [(u, 0.5 / len(beyond)) for u in beyond]
    return [(edge + sign * u * distance, weight) for u, weight in parts]


class MeanFlock:
    """One decision, ready for many runs of connections with `per_connection` answers."""

    def __init__(self, split: Split, policy: Policy) -> None:
        fresh = Evidence.start(split, policy)
        self.budget, self._policy = fresh.budget, policy
        self._clean, self._weights = fresh.clean_needed, np.array(split.weights)
        self._arms = [arm for arm in arms_under_test(split) if not is_certain(fresh.bands[arm])]
        self._bands = [fresh.bands[arm] for arm in self._arms]
        self._horizon = self.budget
        self._passing = self._table(self._pass_rows(policy.per_connection))
        self._failing = self._table(self._fail_rows(policy.inner))

    def _pass_rows(self, m):
        for position, band in enumerate(self._bands):
            for side, (edge, end) in enumerate(((band.low, 1.0), (band.high, 0.0))):
                for q, weight in grid(edge, band.expected, end, m):
                    yield position, 2 * position + side, q / edge, (1 - q) / (1 - edge), weight

    def _fail_rows(self, inner):
        for position, band in enumerate(self._bands):
            for null in fail_nulls(band, inner):
                for q, weight in zip(null.alternatives, null.weights, strict=True):
                    stake = weight / 2 / len(self._bands)
                    yield position, 0, q / null.edge, (1 - q) / (1 - null.edge), stake

    @staticmethod
    def _table(rows):
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 5).T
        return table[0].astype(np.intp), table[1].astype(np.intp), table[2], table[3], table[4]

    def judge(self, answers: NDArray[np.integer]) -> Ends:
        """Judge runs (r, n, k) of answers by connection and arm; n >= the budget."""
        answers = answers[:, : self.budget]
        if not self._arms:
            return self._judge_certain(answers)
        runs, length, _ = answers.shape
        m = self._policy.per_connection
        passed, failed = (np.zeros(runs, dtype=np.int64) for _ in range(2))
        running = np.arange(runs)
        arm, row, with_label, without, weight = self._passing
        f_arm, _, f_with, f_without, f_weight = self._failing
        stakes = np.ones((runs, len(weight)))
        plain, again = np.ones((runs, len(f_weight))), np.zeros((runs, len(f_weight)))
        sums = np.zeros((runs, len(self._arms)))
        peaks = np.zeros((runs, 2 * len(self._arms)))
        rows = row[:, None] == np.arange(peaks.shape[1])
        pool = np.where(rows, weight[:, None], 0.0)
        low = np.array([band.low for band in self._bands])
        high = np.array([band.high for band in self._bands])
        for n in range(1, length + 1):
            y = answers[running, n - 1][:, self._arms] / m
            sums += y
            stakes *= y[:, arm] * with_label + (1 - y[:, arm]) * without
            np.minimum(stakes, _CEILING, out=stakes)
            np.maximum(peaks, stakes @ pool, out=peaks)
            factor = y[:, f_arm] * f_with + (1 - y[:, f_arm]) * f_without
            plain = np.minimum(plain * factor, _CEILING)
            again = np.minimum((again + 1 / self._horizon) * factor, _CEILING)
            evidence = ((1 - _RESTART) * plain + _RESTART * again) @ f_weight
            evidence += _RESTART * max(0, self._horizon - n) / self._horizon
            over = evidence >= 1 / self._policy.alpha
            share = sums / n
            settled = (peaks >= 1 / self._policy.beta).all(axis=1) & ~over
            settled &= ((share > low) & (share < high)).all(axis=1)
            failed[running[over]] = n
            passed[running[settled]] = n
            if n % _DROP_EVERY == 0 or over.any() or settled.any():
                going_on = ~over & ~settled
                running, stakes, plain = running[going_on], stakes[going_on], plain[going_on]
                again, sums, peaks = again[going_on], sums[going_on], peaks[going_on]
                if not len(running):
                    break
        return Ends(passed, failed)

    def _judge_certain(self, answers: NDArray[np.integer]) -> Ends:
        contradicted = np.any(answers[:, :, self._weights == 0] > 0, axis=2)
        first = np.where(contradicted.any(axis=1), contradicted.argmax(axis=1) + 1, 0)
        passed = np.where((first == 0) | (first > self._clean), self._clean, 0)
        return Ends(passed, np.where(passed > 0, 0, first))
