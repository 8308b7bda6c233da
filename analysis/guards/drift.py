"""The drift guard: whether the share changed while the run went on.

Labelled connections are cut into windows of equal length. If connections are exchangeable,
the newest window's count, given the total so far, is hypergeometric whatever the share is;
its place within that distribution, ties broken by a seeded uniform number, is uniform, and
independent of the earlier windows' places. So each window gives a standard normal deviate,
and bets on shifted or scattered deviates are e-processes: a false alarm is as rare as its
level, at every look. In the order of the connections themselves no such test exists (Ramdas,
Ruf, Larsson & Koolen, arXiv 2102.00630); looking back from each window is what makes it one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, exp, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HORIZON = 64
"""Windows that the budget is cut into, at most; stakes on a shift are spread over them."""
RAREST = 5
"""Connections of the rarer kind that a window holds on average, at least."""
SHIFTS = (-4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0)
"""Means of the deviates that are bet on, from some window on."""
SCATTERS = (1.4, 2.0, 4.0)
"""Standard deviations of the deviates that are bet on."""
LIKELY = 3.0
"""Log likelihood within which an edge between windows may be where the share changed [nats]."""

_CEILING = 1e150
"""Evidence is not followed beyond this."""
_RAREST_CHANCE = 1e-300
_LOWEST = -37.0
"""Quantile of chances below that."""
_REACH = 12
"""Standard deviations beyond which a count is not thought of: chances below 1e-30."""
_MASK = 2**64 - 1
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Change:
    """Where a share changed most.

    Parameters
    ----------
    at, earliest, latest : int
        Labelled connections before the change; the range that the counts leave open.
    before, after : float
        Shares on either side.
    """

    at: int
    earliest: int
    latest: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Homogeneity:
    """Bets against one arm's constant share.

    Parameters
    ----------
    shifts, scatters : tuple of float
        Value of each bet of `SHIFTS` (restarted at each window) and of `SCATTERS`.
    deviates : int
        Windows judged: all but the first.
    squares : float
        Sum of their squared deviates; about `deviates` for a constant share.
    """

    shifts: tuple[float, ...] = (0.0,) * len(SHIFTS)
    scatters: tuple[float, ...] = (1.0,) * len(SCATTERS)
    deviates: int = 0
    squares: float = 0.0

    @property
    def evidence(self) -> float:
        """Average of both families of bets; 1 before the first deviate."""
        unspent = max(HORIZON - self.deviates, 0) / HORIZON
        shifted = sum(self.shifts) / len(SHIFTS) + unspent
        return (shifted + sum(self.scatters) / len(SCATTERS)) / 2

    def see(self, z: float) -> Homogeneity:
        """Take the deviate of the next window."""
        return Homogeneity(
            shifts=tuple(
                min((value + 1 / HORIZON) * exp(d * z - d * d / 2), _CEILING)
                for value, d in zip(self.shifts, SHIFTS, strict=True)
            ),
            scatters=tuple(
                min(value * _scatter_factor(z, t), _CEILING)
                for value, t in zip(self.scatters, SCATTERS, strict=True)
            ),
            deviates=self.deviates + 1,
            squares=self.squares + z * z,
        )


def _scatter_factor(z: float, t: float) -> float:
    """Likelihood ratio of a normal deviate of standard deviation t against 1."""
    return exp(min(z * z * (1 - 1 / t**2) / 2, 300.0)) / t


@dataclass(frozen=True, slots=True)
class Drift:
    """The windows of a run, and the evidence that they do not agree.

    Parameters
    ----------
    width : int
        Labelled connections of a window.
    seed : int
        Of the numbers that break ties: the same seed gives the same evidence.
    keys : (A,) tuple of int
        Tell the arms' numbers apart.
    windows : tuple of (A,) tuple of int
        Connections that met each arm, by complete window.
    n : int
        Connections in the window that is open.
    x : (A,) tuple of int
        Those of them that met each arm.
    arms : (A,) tuple of Homogeneity
        The bets on each arm.
    peak : float
        The highest that the arms' average evidence has been.
    """

    width: int
    seed: int
    keys: tuple[int, ...]
    windows: tuple[tuple[int, ...], ...]
    n: int
    x: tuple[int, ...]
    arms: tuple[Homogeneity, ...]
    peak: float = 1.0

    @classmethod
    def start(
        cls, shares: Sequence[float], budget: int, seed: int, keys: Sequence[int] | None = None
    ) -> Drift:
        """Begin a run.

        Parameters
        ----------
        shares : (A,) sequence of float
            Expected shares of the arms, in (0, 1).
        budget : int
            Connections after which the run ends.
        seed : int
            Any integer.
        keys : (A,) sequence of int or None
            A number of each arm that does not depend on their order; None takes the order.
        """
        rarest = min((min(share, 1 - share) for share in shares), default=1.0)
        width = max(ceil(RAREST / rarest), ceil(budget / HORIZON))
        arms = len(shares)
        numbers = tuple(range(arms) if keys is None else keys)
        return cls(width, seed, numbers, (), 0, (0,) * arms, (Homogeneity(),) * arms)

    def follow(self, hit: NDArray[np.bool_]) -> Drift:
        """Take the next labelled connections; hit (A, m) says which met each arm."""
        drift, first, length = self, 0, hit.shape[1]
        while first < length:
            end = min(first + drift.width - drift.n, length)
            new = np.count_nonzero(hit[:, first:end], axis=1).tolist()
            drift = drift._grown(end - first, new)
            first = end
        return drift

    def _grown(self, n: int, new: Sequence[int]) -> Drift:
        """Add connections to the open window, and judge it if that completes it."""
        x = tuple(a + b for a, b in zip(self.x, new, strict=True))
        if self.n + n < self.width:
            return replace(self, n=self.n + n, x=x)
        windows = (*self.windows, x)
        arms = self.arms
        if self.windows:
            arms = tuple(
                test.see(self._deviate(windows, arm)) for arm, test in enumerate(self.arms)
            )
        average = sum(test.evidence for test in arms) / len(arms) if arms else 1.0
        peak = max(self.peak, average)
        return replace(self, windows=windows, n=0, x=(0,) * len(x), arms=arms, peak=peak)

    def _deviate(self, windows: Sequence[tuple[int, ...]], arm: int) -> float:
        counts = [window[arm] for window in windows]
        below, here, above = hypergeometric(
            len(counts) * self.width, sum(counts), self.width, counts[-1]
        )
        part = uniform(self.seed, self.keys[arm], np.array([len(counts)])).item()
        return normal_quantile(below + part * here, above + (1 - part) * here)

    def change(self, arm: int) -> Change:
        """Locate the change of an arm's share; needs two complete windows.

        The best edge between windows is that which splits the run into two stretches of
        constant share with the highest likelihood; edges within `LIKELY` of it are possible.
        """
        counts = np.array([window[arm] for window in self.windows], dtype=np.int64)
        total, n = int(counts.sum()), len(counts) * self.width
        before = np.cumsum(counts)[:-1]
        length = np.arange(1, len(counts)) * self.width
        fit = [
            highest_log_likelihood(size, x) + highest_log_likelihood(n - size, total - x)
            for size, x in zip(length.tolist(), before.tolist(), strict=True)
        ]
        best = max(range(len(fit)), key=fit.__getitem__)
        likely = [edge for edge, value in enumerate(fit) if value >= fit[best] - LIKELY]
        at, x = int(length[best]), int(before[best])
        return Change(
            at=at,
            earliest=int(length[likely[0]]),
            latest=int(length[likely[-1]]),
            before=x / at,
            after=(total - x) / (n - at),
        )


def highest_log_likelihood(n: int, x: int) -> float:
    """Return the highest log likelihood of x of n at any constant share [nats]."""
    return sum(count * log(count / n) for count in (x, n - x) if count)


def hypergeometric(total: int, marked: int, drawn: int, x: int) -> tuple[float, float, float]:
    """Chances that fewer, as many, and more than x of the drawn are marked.

    Parameters
    ----------
    total, marked : int
        Connections, and those of them that are marked.
    drawn, x : int
        Connections drawn without replacement, and a possible count of marked ones.

    Returns
    -------
    below, here, above : float
        Summing to 1; tails beyond 12 standard deviations are left out.
    """
    least, most = max(0, drawn - (total - marked)), min(marked, drawn)
    mean = drawn * marked / total
    spread = sqrt(mean * (1 - marked / total) + 1)
    least = max(least, min(x, int(mean - _REACH * spread)))
    most = min(most, max(x, ceil(mean + _REACH * spread)))
    j = np.arange(least, most, dtype=np.float64)
    # The ratio of neighbours needs no factorials; the largest is then taken for 1.
    steps = np.log(
        (marked - j) * (drawn - j) / ((j + 1) * (total - marked - drawn + j + 1)), dtype=np.float64
    )
    logs = np.concatenate([np.zeros(1), np.cumsum(steps)])
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    at = x - least
    return float(chance[:at].sum()), float(chance[at]), float(chance[at + 1 :].sum())


def uniform(seed: int, arm: int, windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draw the numbers (m,) in (0, 1) that break the ties of some windows of one arm.

    A counter, not a generator, so that nothing is remembered: SplitMix64's finalizer over
    seed, arm and window (Steele, Lea & Flood, OOPSLA 2014, figure 17).
    """
    state: Any = 0
    for word in (seed & _MASK, arm & _MASK, windows.astype(np.uint64)):
        state = (state ^ word) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    drawn: NDArray[np.float64] = ((state >> 11) + 0.5) / 2**53
    return drawn


def normal_quantile(below: float, above: float) -> float:
    """Quantile of the standard normal law, from the chances on both sides of it.

    Given both, it is as exact far above the mean as far below.
    """
    if above < below:
        return -normal_quantile(above, below)
    return _NORMAL.inv_cdf(below) if below >= _RAREST_CHANCE else _LOWEST
