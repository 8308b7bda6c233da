"""The scales: all hypotheses of one decision, compiled into arrays.

`analysis.bets.hypotheses` defines one hypothesis; here those of all tested arms are evaluated
together, after every connection of a batch. Arrays have one row for each hypothesis: first
the A hypotheses "the share is at most r" (one for each arm), then the A hypotheses "at
least r". A connection without a label counts against us in each: as one without the label
in the former rows, as one with it in the latter. Where the ratio of the versions' missing
rates is bounded, part of that is taken back (`Terms.relief`).

The restarted part of the FAIL evidence follows Shiryaev and Roberts: stakes of 1/horizon
are placed anew at each connection, so that a departure in the middle of a run is not
outweighed by what came before it. The horizon is the budget, however long that is: what has
been staked may not add up to more than 1, or a false FAIL would not be as rare as its level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import (
    PASS_WEIGHTS,
    Side,
    fail_nulls,
    log_lost,
    log_with,
    log_without,
    pass_nulls,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.split import Band

RESTART_WEIGHT = 0.2
"""Weight of the restarted part within the FAIL evidence."""

MAX_EXPONENT = 300.0
"""Sum of log factors that keeps products and their inverses inside the range of floats."""
CEILING = 1e150
"""Evidence is not followed beyond this; any verdict has fallen long before."""
_MAX_BLOCK = 256
"""Connections of a block of the restarted recursion, at most."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What the restarted part remembers from one batch to the next.

    Parameters
    ----------
    restarts : (t,) tuple of float
        Value of each restarted bet on the grid.
    clean : (2A,) tuple of int
        Connections since the last one that contradicted "all" or "none", by row.
    chains : (2A,) tuple of (float, float)
        Value of each bet on "all" or "none", plain and restarted, where a missing label
        takes only a part of it; empty where it contradicts.
    """

    restarts: tuple[float, ...]
    clean: tuple[int, ...]
    chains: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Bets with a finite factor for either result of a connection.

    Parameters
    ----------
    row : (t,) int
        Hypothesis that each bet is placed against.
    without, gain : (t,) float
        Log factor of a connection without the label, and what the label adds to it [nats].
    weight : (t,) float
        Stake of each bet.
    relief : (t,) float or None
        What is added for each missing label, which the row counts as the worst [nats]; None
        where the worst is what it counts as.
    """

    row: NDArray[np.intp]
    without: NDArray[np.float64]
    gain: NDArray[np.float64]
    weight: NDArray[np.float64]
    relief: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, nulls: Sequence[Null]) -> Terms:
        """Compile the bets on shares strictly between 0 and 1."""
        flat = [
            (row, log_without(q, null.edge), log_with(q, null.edge), weight, _relief(null, q))
            for row, null in enumerate(nulls)
            for q, weight in zip(null.alternatives, null.weights, strict=True)
            if 0 < q < 1
        ]
        without = np.array([term[1] for term in flat], dtype=np.float64)
        return cls(
            row=np.array([term[0] for term in flat], dtype=np.intp),
            without=without,
            gain=np.array([term[2] for term in flat], dtype=np.float64) - without,
            weight=np.array([term[3] for term in flat], dtype=np.float64),
            relief=np.array([term[4] for term in flat], dtype=np.float64)
            if any(null.missing_ratio < inf for null in nulls)
            else None,
        )

    def log_ratios(
        self, n: NDArray[np.int64], x: NDArray[np.int64], missing: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Log likelihood ratios (t, m) of counts n (m,), x (rows, m) and missing (m,)."""
        # Converted before they are spread over the bets: once for each row.
        spread = x.astype(np.float64)[self.row]
        spread *= self.gain[:, None]
        spread += self.without[:, None] * n.astype(np.float64)
        if self.relief is not None and missing is not None and missing[-1]:
            spread += self.relief[:, None] * missing.astype(np.float64)
        return spread


def _relief(null: Null, alternative: float) -> float:
    """Log factor that a missing label has beyond that of the worst."""
    worst = log_without if null.side is Side.AT_MOST else log_with
    return log_lost(alternative, null.edge, null.lost) - worst(alternative, null.edge)


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The bet of each row on "all" or "none", which one contradiction loses for good.

    Parameters
    ----------
    log_factor : (2A,) float
        Log factor of a connection that does not contradict it, > 0 [nats].
    weight : (2A,) float
        Its stake.
    lost : (2A,) tuple of float
        Factor of a missing label, >= 0; empty where it contradicts each of them.
    """

    log_factor: NDArray[np.float64]
    weight: NDArray[np.float64]
    lost: tuple[float, ...] = ()

    @classmethod
    def of(cls, nulls: Sequence[Null]) -> Extremes:
        """Take the last bet of each hypothesis, which is the extreme one."""
        factors = [
            log_with(1.0, null.edge) if null.side is Side.AT_MOST else log_without(0.0, null.edge)
            for null in nulls
        ]
        return cls(
            log_factor=np.array(factors, dtype=np.float64),
            weight=np.array([null.weights[-1] for null in nulls], dtype=np.float64),
            lost=tuple(exp(log_lost(null.alternatives[-1], null.edge, null.lost)) for null in nulls)
            if any(null.missing_ratio < inf for null in nulls)
            else (),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Hypotheses about the A tested arms whose expected share is neither 0 nor 1.

    Parameters
    ----------
    arms : (A,) tuple of int
        Indices of the arms.
    lost : (2A,) tuple of float
        What a connection without a label counts as on the PASS side, by row, in [0, 1].
    passing, failing : Terms
        Bets of both sides.
    extremes : Extremes
        Bets of the FAIL side on "all" and "none".
    pooling : (A, t) float
        Share of each bet of `failing` in its arm's evidence: half of its stake, because an
        arm has two directions.
    horizon : int
        Connections over which the stakes of the restarted part are spread.
    block : int
        Connections that the restarted recursion handles in one step.
    """

    arms: tuple[int, ...]
    lost: tuple[float, ...]
    passing: Terms
    failing: Terms
    extremes: Extremes
    pooling: NDArray[np.float64]
    horizon: int
    block: int

    @classmethod
    def of(
        cls,
        arms: Sequence[int],
        bands: Sequence[Band],
        inner: float,
        budget: int,
        missing_ratio: float = inf,
    ) -> Scales:
        """Compile the hypotheses about some arms.

        Parameters
        ----------
        arms : sequence of int
            The arms to test.
        bands : sequence of Band
            Their accepted bands, in the same order.
        inner : float
            Part of the tolerance within which a FAIL is a false alarm, in [0, 1].
        budget : int
            Connections after which the run ends, >= 1: nothing is weighed beyond them.
        missing_ratio : float, default inf
            Bound on the ratio of the versions' missing rates, >= 1.
        """
        too_low, too_high = _columns([pass_nulls(band, missing_ratio) for band in bands])
        not_above, not_below = _columns([fail_nulls(band, inner, missing_ratio) for band in bands])
        failing = Terms.of([*not_above, *not_below])
        steepest = max(
            np.abs(failing.without).max(initial=0),
            np.abs(failing.without + failing.gain).max(initial=0),
            MAX_EXPONENT / _MAX_BLOCK,
        )
        return cls(
            arms=tuple(arms),
            lost=tuple(null.lost for null in (*too_low, *too_high)),
            passing=Terms.of([*too_low, *too_high]),
            failing=failing,
            extremes=Extremes.of([*not_above, *not_below]),
            pooling=_pooling(failing, len(bands)),
            horizon=budget,
            block=max(int(MAX_EXPONENT / steepest), 1),
        )

    @property
    def start(self) -> Carry:
        """The carry before the first connection."""
        chains = ((1.0, 0.0),) * len(self.extremes.lost)
        return Carry((0.0,) * len(self.failing.row), (0,) * (2 * len(self.arms)), chains)

    def pass_evidence(
        self, n: NDArray[np.int64], x: NDArray[np.int64], missing: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Evidence (2A, m) against "too low" and "too high" of each arm.

        Parameters
        ----------
        n : (m,) int
            Connections so far.
        x : (2A, m) int
            Those with the label, as each row counts them: the latter rows with the missing.
        missing : (m,) int or None
            Those without any label; None where there are none.
        """
        ratios = np.minimum(self.passing.log_ratios(n, x, missing), MAX_EXPONENT)
        bets = self.passing.weight[:, None] * np.exp(ratios)
        # Each row has the same number of bets, and they are stored one row after the other.
        evidence: NDArray[np.float64]
        evidence = bets.reshape(len(x), len(PASS_WEIGHTS), len(n)).sum(axis=1)
        return evidence

    def fail_evidence(
        self,
        n: NDArray[np.int64],
        x: NDArray[np.int64],
        hit: NDArray[np.bool_],
        carry: Carry,
        missing: NDArray[np.int64] | None = None,
        lost: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float64], Restarts]:
        """Evidence (A, m) against "the share of the arm lies within the inner band".

        Parameters
        ----------
        n, x, missing
            As for `pass_evidence`.
        hit : (2A, m) bool
            Whether each connection counts as one with the label.
        carry : Carry
            What the connections before these left.
        lost : (m,) bool or None
            Whether each connection is without any label; None where none is.

        Returns
        -------
        evidence : (A, m) float
            By arm; their average is what the decision looks at. Not followed beyond 1e150.
        after : Restarts
            From which the carry at any of these connections is read.
        """
        before = n[0] - 1
        start = x[:, 0] - hit[:, 0]
        origin = self.failing.without * before + self.failing.gain * start[self.failing.row]
        if self.failing.relief is not None and missing is not None and lost is not None:
            origin += self.failing.relief * (missing[0] - lost[0])
        ratios = self.failing.log_ratios(n, x, missing)
        restarts = restarted(ratios - origin[:, None], carry.restarts, self.horizon, self.block)
        agrees = self._agrees(hit)
        clean = run_lengths(agrees, carry.clean)

        plain = np.exp(np.minimum(ratios, MAX_EXPONENT, out=ratios), out=ratios)
        grid = (1 - RESTART_WEIGHT) * plain + RESTART_WEIGHT * restarts
        value, chains = (
            self._chained(agrees, lost, carry.chains)
            if carry.chains
            else (self._extremes_evidence(n, clean), ())
        )
        extremes = self.extremes.weight[:, None] * value
        half = len(self.arms)
        by_arm: NDArray[np.float64] = self.pooling @ grid
        by_arm += (extremes[:half] + extremes[half:]) / 2
        by_arm += RESTART_WEIGHT * np.maximum(self.horizon - n, 0) / self.horizon
        return by_arm, Restarts(restarts, clean, chains)

    def _agrees(self, hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each connection agrees with the row's bet on "all" or "none"."""
        half = len(self.arms)
        return np.concatenate([hit[:half], ~hit[half:]])

    def _extremes_evidence(
        self, n: NDArray[np.int64], clean: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Value (2A, m) of the bets on "all" and "none", plain and restarted."""
        log_factor = self.extremes.log_factor[:, None]
        plain = np.where(clean == n, np.exp(np.minimum(log_factor * n, MAX_EXPONENT)), 0.0)
        # Geometric series f + f^2 + ... + f^c over the c stakes since the contradiction.
        series = np.expm1(np.minimum(log_factor * clean, MAX_EXPONENT))
        again = series * np.exp(log_factor) / (np.expm1(log_factor) * self.horizon)
        value: NDArray[np.float64] = (1 - RESTART_WEIGHT) * plain + RESTART_WEIGHT * again
        return value

    def _chained(
        self,
        agrees: NDArray[np.bool_],
        lost: NDArray[np.bool_] | None,
        carried: Sequence[tuple[float, float]],
    ) -> tuple[NDArray[np.float64], tuple[Sequence[tuple[float, float]], ...]]:
        """Value of the bets on "all" and "none" where a missing label takes a part of them.

        One connection after the other: there is no closed form any more.
        """
        stake = 1 / self.horizon
        gone = [False] * agrees.shape[1] if lost is None else lost.tolist()
        values = np.empty(agrees.shape)
        chains = []
        for row, (plain, again) in enumerate(carried):
            won, part = exp(float(self.extremes.log_factor[row])), self.extremes.lost[row]
            chain = []
            for agreed, missed in zip(agrees[row].tolist(), gone, strict=True):
                factor = part if missed else won if agreed else 0.0
                plain = min(plain * factor, CEILING)  # noqa: PLW2901 - a recursion
                again = min((again + stake) * factor, CEILING)  # noqa: PLW2901 - as above
                chain.append((plain, again))
            chains.append(chain)
            values[row] = np.array(chain) @ (1 - RESTART_WEIGHT, RESTART_WEIGHT)
        return values, tuple(chains)


@dataclass(frozen=True, slots=True, eq=False)
class Restarts:
    """The restarted part after each of m connections: bets (t, m) and clean runs (2A, m).

    Where a missing label takes a part of the bets on "all" and "none", their chains (2A) (m).
    """

    restarts: NDArray[np.float64]
    clean: NDArray[np.int64]
    chains: tuple[Sequence[tuple[float, float]], ...] = ()

    def at(self, position: int) -> Carry:
        """Read what is carried on after the connection at `position`."""
        return Carry(
            tuple(self.restarts[:, position].tolist()),
            tuple(self.clean[:, position].tolist()),
            tuple(chain[position] for chain in self.chains),
        )


def _pooling(failing: Terms, arms: int) -> NDArray[np.float64]:
    belongs = failing.row % max(arms, 1) == np.arange(arms)[:, None]
    return np.where(belongs, failing.weight / 2, 0.0)


def _columns(pairs: Sequence[tuple[Null, Null]]) -> tuple[list[Null], list[Null]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def restarted(
    log_ratios: NDArray[np.float64], start: Sequence[float], horizon: int, block: int
) -> NDArray[np.float64]:
    """Follow ``R <- (R + 1/horizon) * factor`` through a batch, for each bet.

    Parameters
    ----------
    log_ratios : (t, m) float
        Cumulated log factors since the batch began.
    start : (t,) sequence of float
        R before the batch.
    horizon : int
        Number of stakes.
    block : int
        Connections whose cumulated log factors stay within the range of floats.

    Returns
    -------
    (t, m) float
        R after each connection; not followed beyond 1e150.

    Notes
    -----
    Unrolled, with P the product of the factors since the block began,
    ``R_i = P_i * (R_0 + sum over s <= i of 1/P_(s-1) / horizon)``: sums of positive
    numbers, so nothing cancels.
    """
    bets, length = log_ratios.shape
    carried = np.array(start, dtype=np.float64)
    values = np.empty_like(log_ratios)
    origin = np.zeros(bets)
    for first in range(0, length, block):
        cumulated = log_ratios[:, first : first + block] - origin[:, None]
        stakes = np.empty_like(cumulated)
        stakes[:, 0] = 1.0
        np.exp(-cumulated[:, :-1], out=stakes[:, 1:])
        np.cumsum(stakes, axis=1, out=stakes)
        stakes /= horizon
        stakes += carried[:, None]
        stakes *= np.exp(cumulated)
        np.minimum(stakes, CEILING, out=stakes)
        values[:, first : first + block] = stakes
        carried = stakes[:, -1]
        origin = log_ratios[:, min(first + block, length) - 1]
    return values


def run_lengths(agrees: NDArray[np.bool_], start: Sequence[int]) -> NDArray[np.int64]:
    """Count, after each connection, those since the last one that did not agree.

    Parameters
    ----------
    agrees : (rows, m) bool
        Whether each connection agrees.
    start : (rows,) sequence of int
        The count before the first of them.
    """
    position = np.arange(1, agrees.shape[1] + 1, dtype=np.int64)
    before = -np.array(start, dtype=np.int64).reshape(-1, 1)
    last = np.where(agrees, before, position)
    return position - np.maximum.accumulate(last, axis=1)
