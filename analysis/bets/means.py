"""Means: connections with several answers, on the scales that connections with one are on.

What is fed is the part of a connection's planned answers that has a label, a number y in
[0, 1]. A bet on share q against r multiplies its stake by ``y q/r + (1 - y)(1 - q)/(1 - r)``,
which is linear in y: fair at best if the mean of y, given the past, is on the claimed side of
r, whatever the answers of one connection have to do with each other. So neither the number of
answers nor their correlation enters into what is claimed, only into how soon it is.

What is missing of a connection counts as y itself would have to be worst, as a missing label
does. If connections turn out to end early, which may have to do with who answers them, means
are given up for first answers. That goes by earlier connections only, so it is a choice that
a fair bet may make.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.bets.hypotheses import fail_nulls, pass_nulls
from analysis.bets.scales import RESTART_WEIGHT, restarted
from analysis.data.connections import in_order_of_appearance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bets.hypotheses import Null
    from analysis.data.connections import Connections
    from analysis.data.split import Band

MOST_SHORT = 0.01
"""Part of the connections that may end early before first answers are judged instead."""
LEAST_SHORT = 3
"""Connections that ended early, at least, before that is said of them."""

_MAX_EXPONENT = 300.0
_CEILING = 1e150
_MAX_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What each of some connections counts as.

    Parameters
    ----------
    length : (m,) int
        Answers that were planned, or 1 where the first one stands for the connection.
    met : (k, m) int
        Those of them with the label of each arm.
    lost : (m,) int
        Those of them that could have had any label: without one, or not there.
    silent : (m,) float
        Part of all planned answers that came without a label.
    is_short : (m,) bool
        Whether it ended early.
    uses_first : (m,) bool
        Whether its first answer stands for it.
    """

    length: NDArray[np.int64]
    met: NDArray[np.int64]
    lost: NDArray[np.int64]
    silent: NDArray[np.float64]
    is_short: NDArray[np.bool_]
    uses_first: NDArray[np.bool_]

    @classmethod
    def of(cls, connections: Connections, judged: int, shorts: int, *, gave_up: bool) -> Self:
        """Give the parts of connections, after `judged` others of which `shorts` ended early.

        Parameters
        ----------
        connections : Connections
            Complete, in the order of their opening.
        judged, shorts : int
            Connections before these, and those of them that ended early.
        gave_up : bool
            Whether means have been given up before.
        """
        is_short = connections.is_short
        before = np.cumsum(is_short) - is_short + shorts
        others = np.arange(len(connections)) + judged
        over = (before >= LEAST_SHORT) & (before > MOST_SHORT * others)
        uses_first = np.logical_or.accumulate(over) | gave_up
        kinds = len(connections.answers)
        firsts = connections.first == np.arange(kinds).reshape(-1, 1)
        answers = np.where(uses_first, firsts, connections.answers)
        return cls(
            length=np.where(uses_first, 1, connections.planned),
            met=answers[:-2],
            lost=answers[-1] + np.where(uses_first, 0, connections.undelivered),
            silent=connections.answers[-1] / connections.planned,
            is_short=is_short,
            uses_first=uses_first,
        )

    def kinds(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Tell connections apart by what they came to: there are few kinds of them.

        Returns
        -------
        first : (d,) int
            The first connection of each kind.
        kind : (m,) int
            The kind of each connection.
        """
        base = int(self.length.max(initial=0)) + 1
        every = np.arange(len(self.length))
        if base ** (len(self.met) + 2) > 2**62:
            return every, every
        code = self.lost * base + self.length
        for met in self.met:
            code = code * base + met
        kind, first = in_order_of_appearance(code)
        return first, kind


@dataclass(frozen=True, eq=False)
class Bets:
    """Bets against some hypotheses, one row each.

    Parameters
    ----------
    row : (t,) int
        Hypothesis that each bet is placed against; bets of a row stand together.
    without, gain : (t,) float
        Factor of a connection without the label, and what the label adds to it.
    weight : (t,) float
        Stake of each bet.
    lost : (rows,) float
        What a missing answer counts as.
    """

    row: NDArray[np.intp]
    without: NDArray[np.float64]
    gain: NDArray[np.float64]
    weight: NDArray[np.float64]
    lost: NDArray[np.float64]

    @classmethod
    def of(cls, nulls: Sequence[Null], *, inside: bool | None = None) -> Bets:
        """Compile bets: all of them, those on shares inside (0, 1), or those on 0 and 1."""
        flat = [
            (row, without, with_label, weight)
            for row, null in enumerate(nulls)
            for q, weight, without, with_label in zip(
                null.alternatives, null.weights, *null.factors(), strict=True
            )
            if inside in {None, 0 < q < 1}
        ]
        table = np.array(flat, dtype=np.float64).reshape(-1, 4).T
        return cls(
            table[0].astype(np.intp),
            table[1],
            table[2] - table[1],
            table[3],
            np.array([null.lost for null in nulls], dtype=np.float64),
        )

    def factors(self, hits: NDArray[np.float64], lost: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the factor (t, m) of each bet by each connection.

        Parameters
        ----------
        hits : (rows, m) float
            Part of each connection that met the arm of each row.
        lost : (m,) float
            Part of each that could have met any.
        """
        results = hits + self.lost[:, None] * lost if lost.any() else hits
        factors: NDArray[np.float64] = results[self.row]
        factors *= self.gain[:, None]
        factors += self.without[:, None]
        return factors

    def pool(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up (t, m) weighted values by row: (rows, m)."""
        by_row: NDArray[np.float64] = self._pooling @ values
        return by_row

    @cached_property
    def _pooling(self) -> NDArray[np.float64]:
        return np.where(self.row == np.arange(len(self.lost))[:, None], self.weight, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """What the bets have become, after some connection.

    Parameters
    ----------
    passing, failing, extremes, clean : (t,) float
        Log of each bet of `MeanScales` [nats].
    restarts, again : (t,) float
        Value of each restarted bet: of `failing`, and of `extremes`.
    """

    passing: NDArray[np.float64]
    failing: NDArray[np.float64]
    extremes: NDArray[np.float64]
    clean: NDArray[np.float64]
    restarts: NDArray[np.float64]
    again: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The bets (t, m) after each of m connections; fields are those of `Stakes`."""

    passing: NDArray[np.float64]
    failing: NDArray[np.float64]
    extremes: NDArray[np.float64]
    clean: NDArray[np.float64]
    restarts: NDArray[np.float64]
    again: NDArray[np.float64]

    def at(self, position: int) -> Stakes:
        """Read the stakes after the connection at `position`."""
        return Stakes(
            self.passing[:, position].copy(),
            self.failing[:, position].copy(),
            self.extremes[:, position].copy(),
            self.clean[:, position].copy(),
            self.restarts[:, position].copy(),
            self.again[:, position].copy(),
        )


@dataclass(frozen=True, eq=False)
class MeanScales:
    """Hypotheses about the A tested arms, for connections with several answers.

    Parameters
    ----------
    arms : (A,) tuple of int
        Indices of the arms.
    passing : Bets
        Rows as in `analysis.bets.scales.Scales`: "at most" of each arm, then "at least".
    failing, extremes : Bets
        Of the FAIL side: inside (0, 1), and on "all" and "none".
    clean : Bets or None
        Against too many contradictions of shares of 0 and 1.
    horizon : int
        Connections over which the stakes of the restarted part are spread.
    """

    arms: tuple[int, ...]
    passing: Bets
    failing: Bets
    extremes: Bets
    clean: Bets | None
    horizon: int

    @classmethod
    def of(
        cls,
        arms: Sequence[int],
        bands: Sequence[Band],
        inner: float,
        budget: int,
        missing_ratio: float,
        per_connection: int,
        clean: Null | None,
    ) -> MeanScales:
        """Compile the hypotheses; parameters are those of `Scales.of`.

        Parameters
        ----------
        arms, bands, inner, budget, missing_ratio
            As there.
        per_connection : int
            Answers of a connection, at most.
        clean : Null or None
            The hypothesis about contradictions, if some share is 0 or 1.
        """
        passing = [pass_nulls(band, missing_ratio, per_connection) for band in bands]
        failing = [fail_nulls(band, inner, missing_ratio) for band in bands]
        against_fail = [*(pair[0] for pair in failing), *(pair[1] for pair in failing)]
        return cls(
            tuple(arms),
            Bets.of([*(pair[0] for pair in passing), *(pair[1] for pair in passing)]),
            Bets.of(against_fail, inside=True),
            Bets.of(against_fail, inside=False),
            None if clean is None else Bets.of([clean]),
            budget,
        )

    @property
    def start(self) -> Stakes:
        """Give the stakes before the first connection."""
        clean = 0 if self.clean is None else len(self.clean.row)
        inside, outside = len(self.failing.row), len(self.extremes.row)
        return Stakes(
            passing=np.zeros(len(self.passing.row)),
            failing=np.zeros(inside),
            extremes=np.zeros(outside),
            clean=np.zeros(clean),
            restarts=np.zeros(inside),
            again=np.zeros(outside),
        )

    def plain(self, stakes: Stakes) -> float:
        """Give the FAIL evidence without what its restarted part has won."""
        if not self.arms:
            return 1.0
        by_row = self.failing.pool(np.exp(np.minimum(stakes.failing, _MAX_EXPONENT)))
        by_row += self.extremes.pool(np.exp(np.minimum(stakes.extremes, _MAX_EXPONENT)))
        return float((1 - RESTART_WEIGHT) * by_row.mean() + RESTART_WEIGHT)

    def weigh(
        self,
        n: NDArray[np.int64],
        hits: NDArray[np.float64],
        lost: NDArray[np.float64],
        kind: NDArray[np.intp],
        stakes: Stakes,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Course]:
        """Weigh m connections.

        Parameters
        ----------
        n : (m,) int
            Connections so far.
        hits : (A, d) float
            Part of its answers that met each arm, by kind of connection.
        lost : (d,) float
            Part that could have met any, likewise.
        kind : (m,) int
            The kind of each connection.
        stakes : Stakes
            What the connections before these left.

        Returns
        -------
        passing : (2A, m) float
            Evidence against "too low" and "too high" of each arm.
        failing : (A, m) float
            Evidence against "the share of the arm lies within the inner band".
        clean : (m,) float
            Log evidence that shares of 0 and 1 are not contradicted too often; empty if there
            are none.
        course : Course
        """
        rows = np.concatenate([hits, hits])
        passing = _grown(self.passing.factors(rows, lost), kind, stakes.passing)
        against_band = self.passing.pool(np.exp(np.minimum(passing, _MAX_EXPONENT)))
        steps = np.log(self.failing.factors(rows, lost))
        steepest = float(np.abs(steps).max(initial=0))
        since = np.cumsum(steps[:, kind], axis=1)
        failing = since + stakes.failing[:, None]
        block = min(max(int(_MAX_EXPONENT / steepest), 1), _MAX_BLOCK) if steepest else _MAX_BLOCK
        restarts = restarted(since, stakes.restarts.tolist(), self.horizon, block)
        outside = self.extremes.factors(rows, lost)
        extremes = _grown(outside, kind, stakes.extremes)
        again = self._again(outside[:, kind], stakes.again)
        against_inner = self.failing.pool(_combined(failing, restarts))
        against_inner += self.extremes.pool(_combined(extremes, again))
        half = len(self.arms)
        by_arm = (against_inner[:half] + against_inner[half:]) / 2
        by_arm += RESTART_WEIGHT * np.maximum(self.horizon - n, 0) / self.horizon
        clean, against_clean = self._clean(lost, kind, stakes.clean)
        course = Course(passing, failing, extremes, clean, restarts, again)
        return against_band, by_arm, against_clean, course

    def _again(
        self, factors: NDArray[np.float64], carried: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Follow the restarted bets on "all" and "none", which a factor of 0 empties.

        As `restarted`, but one connection after the other: there is no dividing by 0.
        """
        again = np.empty_like(factors)
        for row, (value, steps) in enumerate(zip(carried.tolist(), factors.tolist(), strict=True)):
            again[row] = _followed(value, steps, 1 / self.horizon)
        return again

    def _clean(
        self, lost: NDArray[np.float64], kind: NDArray[np.intp], carried: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.clean is None:
            return np.empty((0, len(kind))), np.empty(0)
        logs = _grown(self.clean.factors(np.zeros((1, len(lost))), lost), kind, carried)
        return logs, _log_sum(logs + np.log(self.clean.weight)[:, None])


def _grown(
    factors: NDArray[np.float64], kind: NDArray[np.intp], carried: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log of bets (t, m) after each connection; -inf for good where one was lost.

    One after the other, so that it makes no difference how they were cut into batches.
    """
    with np.errstate(divide="ignore"):
        steps = np.log(factors)[:, kind]
    steps[:, 0] += carried
    return np.cumsum(steps, axis=1, out=steps)


def _followed(value: float, factors: Sequence[float], stake: float) -> list[float]:
    values = []
    for factor in factors:
        value = (value + stake) * factor
        if value > _CEILING:  # noqa: PLR1730 - min takes twice as long
            value = _CEILING
        values.append(value)
    return values


def _combined(logs: NDArray[np.float64], again: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up both parts of the FAIL evidence, by bet: (t, m)."""
    plain: NDArray[np.float64] = np.exp(np.minimum(logs, _MAX_EXPONENT))
    plain *= 1 - RESTART_WEIGHT
    plain += RESTART_WEIGHT * again
    return plain


def _log_sum(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the sum of exponentials over the first axis."""
    largest = np.maximum(logs.max(axis=0), -1e300)
    with np.errstate(divide="ignore"):
        total: NDArray[np.float64] = largest + np.log(np.exp(logs - largest).sum(axis=0))
    return total
