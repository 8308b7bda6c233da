"""Exact error rates and needs, by forward recursion over all paths of the counts.

State: connections n, those with the label x, and which of the two PASS hypotheses have been
refuted so far. The evidence of both sides is a function of the counts, so the chance of each
state follows from those of one connection before, without sampling error.

Left out are the restarted part of the FAIL evidence (its stakes count as never won) and what
else may only turn a PASS into an INCONCLUSIVE: PASS and FAIL of the whole procedure differ from
these figures by the little that those parts do to a run of independent draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.calibrated import factors
from analysis.bets.hypotheses import fail_nulls, is_certain, log_with, log_without, pass_nulls
from analysis.bets.mixture import RESTART_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.policy import Policy
    from analysis.data.split import Band

_OVER = 1e-13
"""Chance of being undecided below which a share needs no further connections."""
_TRIM = 1e-18
"""Chance of a count at the rim of its range below which it is dropped."""
_TRIM_EVERY = 16


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """Counts that decide after each of ``1 .. budget`` connections, or after some of them.

    Parameters
    ----------
    upper : (budget,) int
        "Too high" is refuted by this many labels or fewer; -1 where nothing refutes it.
    lower : (budget,) int
        "Too low" is refuted by this many or more; n + 1 where nothing does.
    fail_low, fail_high : (budget,) int
        FAIL by this many or fewer, by this many or more; -1 and n + 1 where nothing fails.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    fail_low: NDArray[np.int64]
    fail_high: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Characteristics:
    """What becomes of runs whose true share is given.

    Parameters
    ----------
    shares : (s,) float
        True shares.
    passed, failed : (s,) float
        Chance of each verdict within the budget; the rest is undecided.
    mean : (s,) float
        Average number of judged connections, those of undecided runs included.
    undecided : (m + 1, s) float
        Chance that a run goes on after 0, 1, ..., m connections; m is the budget, or less if
        all runs have ended before.
    """

    shares: NDArray[np.float64]
    passed: NDArray[np.float64]
    failed: NDArray[np.float64]
    mean: NDArray[np.float64]
    undecided: NDArray[np.float64]

    def quantile(self, level: float) -> NDArray[np.int64]:
        """Count the connections (s,) that this part of the runs stays within, or the budget."""
        ended: NDArray[np.int64] = (self.undecided > 1 - level).sum(axis=0)
        return np.minimum(ended, len(self.undecided) - 1)


def boundaries(band: Band, policy: Policy, budget: int) -> Boundaries:
    """Find the counts that decide, for each number of connections up to the budget.

    Parameters
    ----------
    band : Band
        Of an arm whose expected share is neither 0 nor 1.
    policy : Policy
        Error rates and `inner`.
    budget : int
        Connections, >= 1; calibrated thresholds are those of a run that ends there.

    Raises
    ------
    ValueError
        If the expected share is 0 or 1: one label decides there, and no recursion is needed.
    """
    return decisive_counts(band, policy, np.arange(1, budget + 1, dtype=np.int64))


def decisive_counts(band: Band, policy: Policy, n: NDArray[np.int64]) -> Boundaries:
    """Find the counts that decide after some numbers (m,) of connections, each >= 1.

    Parameters and errors are those of `boundaries`, which looks after each connection.
    """
    if is_certain(band):
        raise ValueError(f"the share of {band.arm} is expected to be {band.expected:g}")
    too_low, too_high = pass_nulls(band)
    up, down = fail_nulls(band, policy.inner)
    refuted = -log(policy.beta)
    failed = -log(policy.alpha) - log(1 - RESTART_WEIGHT)
    if policy.calibrated:
        found = factors(band, policy.alpha, policy.beta, policy.inner, int(n[-1]))
        (low, high), directions = np.log(found.passing), np.log(found.failing)
    else:
        # Both directions share the evidence, and the restarted part has its own weight.
        low = high = 0.0
        directions = np.log([0.5, 0.5])
    together = np.maximum if policy.calibrated else np.logaddexp
    middle = n * band.expected

    def is_not_too_high(x: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(_log_evidence(too_high, n, x) + high >= refuted)

    def is_not_too_low(x: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(_log_evidence(too_low, n, x) + low >= refuted)

    def fails(x: NDArray[np.int64]) -> NDArray[np.bool_]:
        upwards = _log_evidence(up, n, x) + directions[0]
        both = together(upwards, _log_evidence(down, n, x) + directions[1])
        return np.asarray(both >= failed)

    # The FAIL evidence is convex in x and below 1 in the middle: one search on each side.
    return Boundaries(
        upper=_last(is_not_too_high, n),
        lower=_first(is_not_too_low, np.zeros_like(n), n + 1),
        fail_low=_last(fails, np.ceil(middle).astype(np.int64) - 1),
        fail_high=_first(fails, np.floor(middle).astype(np.int64) + 1, n + 1),
    )


def characteristics(
    band: Band, policy: Policy, shares: Sequence[float], budget: int
) -> Characteristics:
    """Compute what becomes of runs with some true shares, exactly.

    Parameters
    ----------
    band : Band
        Of the tested arm of two; its expected share is neither 0 nor 1.
    policy : Policy
        Error rates and `inner`; its own budget is not looked at.
    shares : (s,) sequence of float
        True shares of the arm, in [0, 1].
    budget : int
        Connections after which a run ends undecided, >= 1.

    Returns
    -------
    Characteristics
        To about 1e-13 for each chance.

    Raises
    ------
    ValueError
        If the expected share is 0 or 1, or a true share lies outside [0, 1].
    """
    return follow(band, boundaries(band, policy, budget), shares)


def follow(band: Band, decisive: Boundaries, shares: Sequence[float]) -> Characteristics:
    """Compute what becomes of runs under any rule that goes by the counts.

    Parameters
    ----------
    band : Band
        A PASS also needs the observed share strictly inside it.
    decisive : Boundaries
        Counts that decide, for each number of connections up to the budget.
    shares : (s,) sequence of float
        True shares, in [0, 1].

    Raises
    ------
    ValueError
        If a true share lies outside [0, 1].
    """
    truths = np.array(shares, dtype=np.float64)
    if not np.all((truths >= 0) & (truths <= 1)):
        raise ValueError(f"true shares must lie in [0, 1], got {list(shares)}")
    return _Recursion(band, decisive, truths).run()


class _Recursion:
    """The chances of all states, moved on by one connection at a time."""

    def __init__(self, band: Band, decisive: Boundaries, truths: NDArray[np.float64]) -> None:
        self._band = band
        self._decisive = decisive
        self._truths = truths
        self._running = np.arange(len(truths))
        self._with = truths[:, None]
        # alive[h, l, s, x]: still undecided, with "too high", "too low" refuted or not.
        self._alive = np.zeros((2, 2, len(truths), len(decisive.upper) + 2))
        self._alive[0, 0, :, 0] = 1.0
        self._first = self._last = 0
        self._passed = np.zeros(len(truths))
        self._failed = np.zeros(len(truths))

    def run(self) -> Characteristics:
        d = self._decisive
        counts = zip(
            d.upper.tolist(), d.lower.tolist(), d.fail_low.tolist(), d.fail_high.tolist(),
            strict=True,
        )  # fmt: skip
        undecided = [np.ones(len(self._truths))]
        for n, (upper, lower, fail_low, fail_high) in enumerate(counts, start=1):
            self._draw()
            self._fail(fail_low, fail_high)
            self._refute(upper, lower)
            self._pass(n)
            left = np.zeros(len(self._truths))
            left[self._running] = self._window().sum(axis=(0, 1, 3))
            undecided.append(left)
            if n % _TRIM_EVERY == 0:
                self._trim()
                self._drop(left)
            if not len(self._running) or self._first > self._last:
                break
        chances = np.array(undecided)
        mean = chances[:-1].sum(axis=0)
        return Characteristics(self._truths, self._passed, self._failed, mean, chances)

    def _window(self) -> NDArray[np.float64]:
        return self._alive[:, :, :, self._first : self._last + 1]

    def _draw(self) -> None:
        before = self._window()
        hits = before * self._with
        before -= hits
        self._last += 1
        self._alive[:, :, :, self._first + 1 : self._last + 1] += hits

    def _fail(self, fail_low: int, fail_high: int) -> None:
        for start, stop in ((self._first, fail_low + 1), (fail_high, self._last + 1)):
            if start < stop:
                part = self._alive[:, :, :, start:stop]
                self._failed[self._running] += part.sum(axis=(0, 1, 3))
                part[:] = 0
        self._first = max(self._first, fail_low + 1)
        self._last = min(self._last, fail_high - 1)

    def _refute(self, upper: int, lower: int) -> None:
        first, last = self._first, self._last
        if upper >= first:
            self._alive[1, :, :, first : upper + 1] += self._alive[0, :, :, first : upper + 1]
            self._alive[0, :, :, first : upper + 1] = 0
        if lower <= last:
            lower = max(lower, first)
            self._alive[:, 1, :, lower : last + 1] += self._alive[:, 0, :, lower : last + 1]
            self._alive[:, 0, :, lower : last + 1] = 0

    def _pass(self, n: int) -> None:
        # Strictly between the edges, in the same floating point as the decision itself.
        start = max(self._first, int(n * self._band.low) - 1)
        stop = min(self._last, int(n * self._band.high) + 2)
        while start <= stop and not start / n > self._band.low:
            start += 1
        while stop >= start and not stop / n < self._band.high:
            stop -= 1
        if start > stop:
            return
        part = self._alive[1, 1, :, start : stop + 1]
        self._passed[self._running] += part.sum(axis=1)
        part[:] = 0

    def _trim(self) -> None:
        likely = np.flatnonzero(self._window().max(axis=(0, 1, 2)) > _TRIM)
        if not len(likely):
            self._window()[:] = 0
            self._last = self._first - 1
            return
        first, last = self._first + int(likely[0]), self._first + int(likely[-1])
        self._alive[:, :, :, self._first : first] = 0
        self._alive[:, :, :, last + 1 : self._last + 1] = 0
        self._first, self._last = first, last

    def _drop(self, left: NDArray[np.float64]) -> None:
        """Leave shares whose runs have all ended out of what follows."""
        open_ones = left[self._running] > _OVER
        if open_ones.all():
            return
        self._running = self._running[open_ones]
        self._with = self._truths[self._running, None]
        self._alive = np.ascontiguousarray(self._alive[:, :, open_ones])


def _log_evidence(null: Null, n: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float64]:
    """`Null.log_evidence` for many counts at once."""
    total = np.full(n.shape, -np.inf)
    for share, weight in zip(null.alternatives, null.weights, strict=True):
        # A bet on "none" or "all" is lost for good; -inf times 0 connections is no loss.
        with_label = np.where(x > 0, x * _finite(log_with(share, null.edge)), 0.0)
        without = np.where(n > x, (n - x) * _finite(log_without(share, null.edge)), 0.0)
        total = np.logaddexp(total, log(weight) + with_label + without)
    return total


def _finite(nats: float) -> float:
    return max(nats, -1e300)


def _first(
    holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Smallest x in [start, stop) where a growing property holds; stop where it never does."""
    low, high = start.copy(), np.maximum(stop, start)
    for _ in range(int(stop.max()).bit_length() + 1):
        middle = (low + high) // 2
        found = holds(np.minimum(middle, stop - 1))
        searching = low < high
        high = np.where(searching & found, middle, high)
        low = np.where(searching & ~found, middle + 1, low)
    return high


def _last(
    holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]], stop: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Largest x in [0, stop] where a shrinking property holds; -1 where it never does."""
    return _first(lambda x: ~holds(x), np.zeros_like(stop), stop + 1) - 1
