"""The fewest connections that any test could need, by backward induction.

Of all tests that pass a share on either edge with probability beta at most, and fail the right
share with probability alpha at most, the one with the fewest connections on average at the right
share minimises, for some multipliers, ``E[n] + a P_low(PASS) + b P_high(PASS) + c P(FAIL)``. For
given multipliers the best decision at each pair of counts follows from those that come after
it; the multipliers are found by Newton's method in their logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.sizing import divergence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.split import Band

REACH = 9.0
"""Standard deviations of the counts on either side of the drift that are followed."""
LONGEST = 8
"""Times the bound's scale that runs are followed, at most."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best test: average need at the right share, and its error rates."""

    mean: float
    pass_low: float
    pass_high: float
    fail: float


class Induction:
    """One problem: a band, and levels for both kinds of error."""

    def __init__(self, band: Band, level: float) -> None:
        self.share, self.edges, self.level = band.expected, (band.low, band.high), level
        nearest = min(divergence(self.share, edge) for edge in self.edges)
        self.horizon = ceil(LONGEST * -log(level) / nearest)
        self.width = 2 * ceil(REACH * sqrt(self.horizon * self.share * (1 - self.share))) + 1
        self.steps = [
            (log(edge / self.share), log((1 - edge) / (1 - self.share))) for edge in self.edges
        ]

    def first(self, n: int) -> int:
        """Smallest count that is followed after n connections; it grows by 0 or 1 a step."""
        return int(n * self.share) - self.width // 2

    def ratios(self, n: int) -> list[NDArray[np.float64]]:
        """Likelihood of each count after n connections on an edge, over that at the share."""
        x = self.first(n) + np.arange(self.width)
        return [np.exp(np.clip(x * hit + (n - x) * miss, -700, 700)) for hit, miss in self.steps]

    def stop_costs(self, n: int, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self.ratios(n)
        costs: NDArray[np.float64] = np.minimum(prices[0] * low + prices[1] * high, prices[2])
        return costs

    def solve(self, prices: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
        """Give, for each n, whether it pays to go on."""
        value = self.stop_costs(self.horizon, prices)
        goes_on = [np.zeros(self.width, dtype=bool)]
        for n in range(self.horizon - 1, -1, -1):
            shift = self.first(n + 1) - self.first(n)
            further = np.full(self.width + 2, np.inf)
            further[shift : shift + self.width] = value
            # Beyond what is followed a run has stopped.
            further = np.where(np.isinf(further), prices[2], further)
            onward = (
                1
                + self.share * further[1 : self.width + 1]
                + (1 - self.share) * further[: self.width]
            )
            stop = self.stop_costs(n, prices)
            goes_on.append(onward < stop)
            value = np.minimum(onward, stop)
        return goes_on[::-1]

    def evaluate(self, prices: NDArray[np.float64]) -> Optimum:
        """Follow the best test of some prices forward from the first connection."""
        goes_on = self.solve(prices)
        chance = np.zeros(self.width)
        chance[-self.first(0)] = 1.0
        mean, rates = 0.0, np.zeros(3)
        for n in range(self.horizon + 1):
            stops = np.where(goes_on[n], 0.0, chance)
            if stops.any():
                low, high = self.ratios(n)
                passes = prices[0] * low + prices[1] * high <= prices[2]
                rates += [
                    stops @ (passes * low), stops @ (passes * high), stops @ ~passes,
                ]  # fmt: skip
            onward = chance - stops
            left = onward.sum()
            if left < 1e-12:
                break
            mean += left
            shift = self.first(n + 1) - self.first(n)
            spread = np.zeros(self.width + 1)
            spread[: self.width] += (1 - self.share) * onward
            spread[1:] += self.share * onward
            chance = np.zeros(self.width)
            moved = spread[shift : shift + self.width]
            chance[: len(moved)] = moved
        return Optimum(float(mean), *rates.tolist())


def optimum(band: Band, level: float, *, rounds: int = 15, close: float = 0.01) -> Optimum:
    """Find the best test at one level for all errors, to 1 % of each error rate."""
    problem = Induction(band, level)
    # Prices that are near at levels from 1 to 5 %, in terms of what a run costs.
    logs = np.log(problem.horizon / LONGEST * np.array([0.05 / level, 0.08 / level, 2.0]))
    target = log(level)

    def misses(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], Optimum]:
        found = problem.evaluate(np.exp(at))
        rates = np.maximum([found.pass_low, found.pass_high, found.fail], 1e-12)
        return np.log(rates) - target, found

    off, found = misses(logs)
    for _ in range(rounds):
        if np.abs(off).max() < close:
            break
        slopes = np.empty((3, 3))
        for price in range(3):
            moved = logs.copy()
            moved[price] += 0.1
            slopes[:, price] = (misses(moved)[0] - off) / 0.1
        logs = logs - np.clip(np.linalg.solve(slopes, off), -0.7, 0.7)
        off, found = misses(logs)
    return found
