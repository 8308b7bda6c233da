"""The bets of one decision: the hypotheses about all tested arms, compiled into arrays.

`analysis.bets.hypotheses` defines one hypothesis and its bets; here those of all tested arms are
followed together, connection by connection. Arrays have one row for each hypothesis: first the A
hypotheses "the share is at most r" (one for each arm), then the A hypotheses "at least r".

A connection counts as y in [0, 1]: the part of its planned answers that has the label of the arm.
A bet on share q against r multiplies its stake by ``y q/r + (1 - y)(1 - q)/(1 - r)``, which is
linear in y: fair at best if the mean of y, given the past, is on the claimed side of r, however
the answers of one connection depend on each other. So neither the number of answers nor
their correlation enters into what is claimed, only into how soon it is. What is missing of a
connection counts against us in each row: as the worst value of y, or as `imputed` allows.

How a bet has grown is found in one of two ways (`Bets.weigh`). Where each connection has one
answer, y is 0 or 1 and three counts say it all: exact however long the run, and cheap. Where it
has several, the logarithms of the factors are added up. Everything after that is the same.

Neighbours of one kind (a run) may be taken together: between its ends each bet only grows or only
shrinks, and the stakes that are placed within it add up to a geometric series, kept in a table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.bets.hypotheses import (
    Side,
    fail_nulls,
    log_lost,
    log_with,
    log_without,
    pass_nulls,
)
from analysis.bets.restarted import CEILING, MAX_EXPONENT, followed, followed_one_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.split import Band

    Floats = NDArray[np.float64]

LONGEST_RUN = 32
"""Connections of one kind that are taken together, at most."""
RESTART_WEIGHT = 0.2
"""Weight of the restarted part within the FAIL evidence."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What evidence is multiplied by, so that its levels are spent whole.

    Parameters
    ----------
    passing : tuple of float
        Against "too low" and "too high", >= 1.
    failing : tuple of float
        Against "not above the inner band" and "not below it"; each direction stands alone.
    """

    passing: tuple[float, float]
    failing: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What each of m runs of connections came to, and the counts at the end of each.

    A run is some neighbours of one kind: a single connection where each has to be looked at.

    Parameters
    ----------
    length : (m,) int
        Connections of each run, in [1, `LONGEST_RUN`]; 1 where connections have several answers.
    n : (m,) int
        Connections so far.
    x : (A, m) int or float
        Those that met each tested arm so far; of several answers, the sum of their parts.
    missing : (m,) int or float
        Those that could have met any arm so far, likewise.
    kind : (m,) int
        Kind of the connections of each run: there are few results that differ.
    hits : (A, d) float
        Part of its answers that met each arm, by kind.
    lost : (d,) float
        Part of its answers that could have met any, by kind.
    agrees : (2A, m) bool
        Whether each run agrees with "all meet the arm" and with "none does".
    has_parts : bool
        Whether connections have several answers, so that counts do not suffice.
    """

    length: NDArray[np.int64]
    n: NDArray[np.int64]
    x: NDArray[Any]
    missing: NDArray[Any]
    kind: NDArray[np.intp]
    hits: Floats
    lost: Floats
    agrees: NDArray[np.bool_]
    has_parts: bool


@dataclass(frozen=True, eq=False)
class Mixture:
    """Bets against some hypotheses, in rows of g; a short row ends with bets of no stake.

    Parameters
    ----------
    weight : (rows, g) float
        Stake of each bet.
    without, gain : (rows, g) float
        Factor of a connection without the label, and what the label adds to it.
    logs : (3, rows, g) float
        Log factor of a connection without the label, what the label adds to that, and what a
        missing label adds [nats]; NaN for bets on 0 or 1, which can be lost for good.
    lost : (rows,) float
        What a missing answer counts as, in [0, 1].
    """

    weight: Floats
    without: Floats
    gain: Floats
    logs: Floats
    lost: Floats

    @classmethod
    def of(cls, nulls: Sequence[Null], *, inside: bool | None = None) -> Mixture:
        """Compile bets: all of them, those on shares inside (0, 1), or those on 0 and 1."""
        kept = [
            [
                (q, weight)
                for q, weight in zip(null.alternatives, null.weights, strict=True)
                if inside in {None, 0 < q < 1}
            ]
            for null in nulls
        ]
        longest = max(map(len, kept), default=1)
        table = np.array(
            [
                [_bet(null, q, weight) for q, weight in bets]
                # On the edge itself nothing is won or lost.
                + [_bet(null, null.edge, 0.0)] * (longest - len(bets))
                for null, bets in zip(nulls, kept, strict=True)
            ],
            dtype=np.float64,
        ).reshape(len(nulls), longest, 6)
        return cls(
            weight=table[:, :, 0].copy(),
            without=table[:, :, 1].copy(),
            gain=table[:, :, 2].copy(),
            logs=np.moveaxis(table[:, :, 3:], 2, 0).copy(),
            lost=np.array([null.lost for null in nulls], dtype=np.float64),
        )

    def times(self, factors: tuple[float, ...] | None) -> Mixture:
        """Multiply the stakes of each row; None leaves them as they are."""
        if factors is None:
            return self
        return replace(self, weight=self.weight * np.array(factors)[:, None])

    def log_ratios(self, n: NDArray[Any], x: NDArray[Any], missing: NDArray[Any]) -> Floats:
        """Return the log of each bet (2A, g, m) after some connections, from counts alone.

        Parameters
        ----------
        n, missing : (m,) int
            Connections, and those of them without any label.
        x : (A, m) int
            Those with the label of each arm.
        """
        arms, length = x.shape
        without, gain, lost = self.logs.reshape(3, 2, arms, self.weight.shape[1], 1)
        ratios: Floats = gain * x.astype(np.float64)[:, None]
        ratios += without * n.astype(np.float64)
        if length and missing[-1]:
            ratios += lost * missing.astype(np.float64)
        return ratios.reshape(*self.weight.shape, length)

    def factors(self, hits: Floats, lost: Floats) -> Floats:
        """Return the factor (rows, g, d) of each bet by each kind of connection.

        Parameters
        ----------
        hits : (rows, d) float
            Part of its answers that met the arm of each row.
        lost : (d,) float
            Part of them that could have met any.
        """
        results = hits + self.lost[:, None] * lost
        factors: Floats = self.gain[:, :, None] * results[:, None]
        factors += self.without[:, :, None]
        return factors

    def mixed(self, logs: Floats) -> Floats:
        """Return the evidence (rows, m) of bets, given their logarithms (rows, g, m)."""
        values = np.exp(np.minimum(logs, MAX_EXPONENT))
        values *= self.weight[:, :, None]
        # Not by a matrix product, which rounds by where a connection stands in its batch.
        evidence: Floats = values.sum(axis=1)
        return evidence

    def pooled(self, values: Floats) -> Floats:
        """Return the weighted sums (rows, m) of values of bets (rows, g, m)."""
        sums: Floats = (self.weight[:, None] @ values)[:, 0]
        return sums


def _bet(null: Null, q: float, weight: float) -> tuple[float, ...]:
    """Return one bet: its stake, its two factors, and three log factors (`Mixture`)."""
    without, with_label = (1 - q) / (1 - null.edge), q / null.edge
    logs = (nan, nan, nan)
    if 0 < q < 1:
        start = log_without(q, null.edge)
        lost = log_lost(q, null.edge, null.lost)
        logs = (start, log_with(q, null.edge) - start, lost - start)
    return (weight, without, with_label - without, *logs)


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """What the bets have become after some connection.

    Parameters
    ----------
    clean : (2A,) tuple of int
        Connections since the last one that contradicted "all" or "none", by row.
    passing, failing, extremes, certain : (rows, g) float
        Log of each bet of `Bets` [nats].
    restarts, again : (rows, g) float
        Value of each restarted bet: of `failing`, and of `extremes`.
    """

    clean: tuple[int, ...]
    passing: Floats
    failing: Floats
    extremes: Floats
    certain: Floats
    restarts: Floats
    again: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Evidence at the end of each of m runs, and the bets (rows, g, m) that it is made of.

    Parameters
    ----------
    against_band : (2A, m) float
        Evidence against "too low" and "too high" of each arm: the PASS side.
    against_inner : (A, m) float
        Evidence against "the share of the arm lies within the inner band": the FAIL side. The
        decision looks at its average. Not followed beyond 1e150.
    against_dirty : (m,) float
        Log evidence that shares of 0 and 1 are not contradicted too often; empty if there are
        none.
    bets : tuple of (rows, g, m) float
        In the order of the fields of `Carry`, from `passing` on.
    agrees : (2A, m) bool
        As in `Results`.
    done : (m,) int
        Connections of these runs so far.
    before : (2A,) tuple of int
        `Carry.clean` before the first connection.
    """

    against_band: Floats
    against_inner: Floats
    against_dirty: Floats
    bets: tuple[Floats, ...]
    agrees: NDArray[np.bool_]
    done: NDArray[np.int64]
    before: tuple[int, ...]

    def at(self, position: int) -> Carry:
        """Read what is carried on after the run at `position`."""
        agrees = self.agrees[:, position::-1]
        done = int(self.done[position])
        clean = tuple(
            before + done if not runs and agreed else done - int(self.done[position - runs])
            for before, runs, agreed in zip(
                self.before, agrees.argmin(axis=1).tolist(), agrees[:, 0].tolist(), strict=True
            )
        )
        return Carry(clean, *(values[..., position].copy() for values in self.bets))


@dataclass(frozen=True, eq=False)
class Bets:
    """Hypotheses about the A tested arms whose expected share is neither 0 nor 1.

    Parameters
    ----------
    arms : (A,) tuple of int
        Indices of the arms.
    passing : Mixture
        Bets of the PASS side.
    failing, extremes : Mixture
        Bets of the FAIL side: on shares inside (0, 1), and on "all" and "none".
    log_extremes : (2A,) float
        Log factor of a connection that agrees with "all" or "none" [nats].
    certain : Mixture or None
        Bets against too many contradictions of shares of 0 and 1.
    horizon : int
        Connections over which the stakes of the restarted part are spread.
    factors : Factors or None
        What the stakes were multiplied by, so that the error rates are spent whole; then each
        direction of FAIL, and the restarted part, stands alone.
    restart_weight : float
        Weight of the restarted part within the FAIL evidence; 1 without a budget.
    """

    arms: tuple[int, ...]
    passing: Mixture
    failing: Mixture
    extremes: Mixture
    log_extremes: Floats
    certain: Mixture | None
    horizon: int
    factors: Factors | None = None
    restart_weight: float = RESTART_WEIGHT

    @classmethod
    def of(
        cls,
        arms: Sequence[int],
        bands: Sequence[Band],
        inner: float,
        budget: int | None,
        missing_ratio: float = inf,
        per_connection: int = 1,
        clean: Null | None = None,
        factors: Factors | None = None,
    ) -> Bets:
        """Compile the hypotheses about some arms.

        Parameters
        ----------
        arms : sequence of int
            The arms to test.
        bands : sequence of Band
            Their accepted bands, in the same order.
        inner : float
            Part of the tolerance within which a FAIL is a false alarm, in [0, 1].
        budget : int or None
            Connections after which the run ends, >= 1: nothing is weighed beyond them. None has
            no end, and an e-detector on the FAIL side.
        missing_ratio : float, default inf
            Bound on the ratio of the versions' missing rates, >= 1.
        per_connection : int, default 1
            Answers of a connection, at most.
        clean : Null or None, default None
            The hypothesis about contradictions, if some share is 0 or 1.
        factors : Factors or None, default None
            Of calibrated thresholds, for one arm (`analysis.bets.calibrated`).
        """
        more, away = (None, None) if factors is None else (factors.passing, factors.failing)
        passing = [pass_nulls(band, missing_ratio, per_connection) for band in bands]
        failing = _rows([fail_nulls(band, inner, missing_ratio) for band in bands])
        return cls(
            arms=tuple(arms),
            passing=Mixture.of(_rows(passing)).times(more),
            failing=Mixture.of(failing, inside=True).times(away),
            extremes=Mixture.of(failing, inside=False).times(away),
            log_extremes=np.array([_log_extreme(null) for null in failing], dtype=np.float64),
            certain=None if clean is None else Mixture.of([clean]),
            horizon=budget or 1,
            factors=factors,
            restart_weight=RESTART_WEIGHT if budget else 1.0,
        )

    @cached_property
    def lost(self) -> tuple[float, ...]:
        """What a connection without a label counts as on the PASS side, by row (2A,)."""
        return tuple(self.passing.lost.tolist())

    @property
    def start(self) -> Carry:
        """The carry before the first connection."""
        zeros = np.zeros_like
        inside, outside = self.failing.weight, self.extremes.weight
        return Carry(
            clean=(0,) * len(outside),
            passing=zeros(self.passing.weight),
            failing=zeros(inside),
            extremes=zeros(outside),
            certain=np.zeros((0, 0)) if self.certain is None else zeros(self.certain.weight),
            restarts=zeros(inside),
            again=zeros(outside),
        )

    def plain(self, carry: Carry) -> float:
        """Return the FAIL evidence without what its restarted part has won."""
        if not self.arms:
            return 1.0
        by_row = self.failing.mixed(carry.failing[:, :, None])
        by_row += self.extremes.mixed(carry.extremes[:, :, None])
        by_arm = self.by_arm((1 - self.restart_weight) * by_row)
        return float(by_arm.mean() + (self.restart_weight if self.factors is None else 0.0))

    def by_arm(self, plain: Floats) -> Floats:
        """Take both directions (2A, m) of the plain FAIL evidence together: (A, m)."""
        half = len(self.arms)
        if self.factors is not None:
            return np.maximum(plain[:half], plain[half:])
        return (plain[:half] + plain[half:]) / 2

    def weigh(self, results: Results, carry: Carry) -> Weighed:
        """Weigh connections, given what those before them left."""
        passing = _grown(self.passing, results, carry.passing)
        failing = _grown(self.failing, results, carry.failing)
        is_single = len(results.n) == 0 or int(results.length.max()) == 1
        stakes = None if is_single else stakes_of(self, len(results.lost), results)
        plain, restarts = followed(failing, carry.failing, carry.restarts, self.horizon, stakes)
        done = np.cumsum(results.length)
        extremes, again = self._extremes(results, done, carry)
        anew = self.restart_weight
        unspent = anew / self.horizon * np.maximum(self.horizon - results.n, 0)
        if self.factors is None:
            by_row = (1 - anew) * self.failing.pooled(plain)
            by_row += anew * self.failing.pooled(restarts)
            mixed = (1 - anew) * np.exp(np.minimum(extremes, MAX_EXPONENT))
            mixed += anew * again
            by_row += self.extremes.weight * mixed[:, 0]
            by_arm = self.by_arm(by_row) + unspent
        else:
            once = self.failing.pooled(plain)
            once += self.extremes.weight * np.exp(np.minimum(extremes, MAX_EXPONENT))[:, 0]
            again_by_row = self.failing.pooled(restarts) + self.extremes.weight * again[:, 0]
            again_by_row /= np.array(self.factors.failing)[:, None]
            alone = anew * again_by_row.mean(axis=0) + unspent
            by_arm = np.maximum(self.by_arm((1 - anew) * once), alone)
        certain, against_dirty = self._certain(results, carry)
        return Weighed(
            against_band=self.passing.mixed(passing),
            against_inner=by_arm,
            against_dirty=against_dirty,
            bets=(passing, failing, extremes, certain, restarts, again),
            agrees=results.agrees,
            done=done,
            before=carry.clean,
        )

    def has_closed_form(self, results: Results) -> bool:
        """Whether each connection agrees with "all" and "none" or ends the bets on them."""
        is_whole = self._is_worst or not results.lost[results.kind].any()
        return is_whole and not results.has_parts

    def _extremes(
        self, results: Results, done: NDArray[np.int64], carry: Carry
    ) -> tuple[Floats, Floats]:
        """Follow the bets on "all" and "none", plain (their logs) and restarted: (2A, 1, m)."""
        if not self.has_closed_form(results):
            hits = np.concatenate([results.hits, results.hits])
            factors = self.extremes.factors(hits, results.lost)
            logs = _added_up(factors, results, carry.extremes)
            return logs, followed_one_by_one(
                factors[..., results.kind], carry.again, 1 / self.horizon
            )
        since = done - np.maximum.accumulate(np.where(results.agrees, 0, done), axis=1)
        log_factor = self.log_extremes[:, None]
        logs = np.where(since == done, carry.extremes + log_factor * done, -inf)
        # Geometric series f + f^2 + ... + f^c over the c stakes since a contradiction.
        grown = np.expm1(np.minimum(log_factor * since, MAX_EXPONENT))
        again = grown * (np.exp(log_factor) / (np.expm1(log_factor) * self.horizon))
        again += np.where(since == done, carry.again * (grown + 1), 0.0)
        return logs[:, None], np.minimum(again, CEILING)[:, None]

    @cached_property
    def _is_worst(self) -> bool:
        """Whether a missing label contradicts each of the bets on "all" and "none"."""
        return bool(np.isin(self.extremes.lost, (0.0, 1.0)).all())

    def _certain(self, results: Results, carry: Carry) -> tuple[Floats, Floats]:
        if self.certain is None:
            return np.empty((0, 0, len(results.n))), np.empty(0)
        factors = self.certain.factors(np.zeros((1, len(results.lost))), results.lost)
        logs = _added_up(factors, results, carry.certain)
        return logs, np.logaddexp.reduce(logs[0] + np.log(self.certain.weight[0])[:, None])


def _log_extreme(null: Null) -> float:
    at_most = null.side is Side.AT_MOST
    return log_with(1.0, null.edge) if at_most else log_without(0.0, null.edge)


def _rows(pairs: Sequence[tuple[Null, Null]]) -> list[Null]:
    """Put the hypotheses of all arms in order: those of the first kind, then of the second."""
    return [pair[side] for side in (0, 1) for pair in pairs]


def _grown(mixture: Mixture, results: Results, before: Floats) -> Floats:
    """Return the log of bets (2A, g, m) on shares inside (0, 1) after each connection."""
    if not results.has_parts:
        return mixture.log_ratios(results.n, results.x, results.missing)
    hits = np.concatenate([results.hits, results.hits])
    return _added_up(mixture.factors(hits, results.lost), results, before)


def _added_up(factors: Floats, results: Results, before: Floats) -> Floats:
    """Return the log of bets (rows, g, m) after each run; -inf for good where one was lost.

    One after the other, so that it makes no difference how they were cut into batches.
    """
    with np.errstate(divide="ignore"):
        steps: Floats = np.log(factors).take(results.kind, axis=-1)
    steps *= results.length
    steps[..., 0] += before
    return np.cumsum(steps, axis=-1, out=steps)


@lru_cache(maxsize=16)
def _stakes_in_runs(bets: Bets, kinds: int) -> Floats:
    """Return, by kind and length of a run, what its stakes are worth before it (2A, g, d * most).

    Of the stakes placed at its connections, each shrinks by what the ones before it won:
    ``1 + 1/f + ... + 1/f^(length - 1)``.
    """
    code = np.arange(kinds)
    hits = np.tile(code == np.array(bets.arms).reshape(-1, 1), (2, 1)).astype(np.float64)
    factors = bets.failing.factors(hits, (code == kinds - 1).astype(np.float64))
    worth = np.cumsum(factors[..., None] ** -np.arange(LONGEST_RUN), axis=-1)
    return worth.reshape(*factors.shape[:2], kinds * LONGEST_RUN)


def stakes_of(bets: Bets, kinds: int, results: Results) -> Floats:
    """Return what the stakes of the restarted part in each run are worth before it (2A, g, m)."""
    code = results.kind * LONGEST_RUN + (results.length - 1)
    return _stakes_in_runs(bets, kinds).take(code, axis=-1)
