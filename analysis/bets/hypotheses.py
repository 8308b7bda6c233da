"""One-sided hypotheses about a share, and the bets that are placed against each.

Evidence against "the share is at least r" is a weighted average of likelihood ratios, each
of one alternative below r against r itself (mirrored for "at most r"). Such an average has
mean at most 1 while its hypothesis is true, at every stopping time; so it exceeds 1/level
with probability at most the level, ever (Ville 1939). Everything here is a function of three
counts: n connections, x of them with the label, and those without any label.

A connection without a label counts as a fraction of one with it: as the whole of one or as
none, whichever is worse, or as `imputed` says if the ratio of the versions' missing rates
is known to be bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, unique
from math import ceil, exp, inf, log, log1p
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.split import Band

PASS_DISTANCES = (0.8, 0.4, 0.2, 0.1)
"""Alternatives of the PASS side, as parts of the way from the edge to the expected share.

0.8 is aimed at a right split; the others keep the cost finite for a true share that lies
between the middle of the band and its edge.
"""
PASS_WEIGHTS = (0.75, 0.15, 0.07, 0.03)
NEXT_DISTANCE = 1.6
"""First of the further alternatives where connections carry several answers; then doubled."""
PASS_REACH = 0.95
"""Part of the way from the edge to 0 or 1 that such alternatives keep to."""

GRID_WEIGHT = 0.8
"""Weight of the doubling distances on the FAIL side; the rest bets on "none" or "all"."""
MOST_SPARED = 0.05
"""Stake that the bet on a clean run spares for runs that are not clean, at most."""
MAX_REACH = 0.999
"""Part of the way to 0 or 1 within which distances are doubled."""


@unique
class Side(IntEnum):
    """What a hypothesis claims about the share p and its edge r."""

    AT_LEAST = 1
    """p >= r; bets are placed on smaller shares."""
    AT_MOST = -1
    """p <= r; bets are placed on larger shares."""


@dataclass(frozen=True, slots=True)
class Null:
    """A one-sided hypothesis with the bets against it.

    Parameters
    ----------
    edge : float
        The edge r, in (0, 1).
    side : Side
        What is claimed.
    alternatives : (g,) tuple of float
        Shares q that are bet on, in [0, 1], all on the other side of the edge.
    weights : (g,) tuple of float
        Stakes, positive, summing to 1.
    missing_ratio : float, default inf
        Bound on the ratio of the versions' missing rates, >= 1.
    """

    edge: float
    side: Side
    alternatives: tuple[float, ...]
    weights: tuple[float, ...]
    missing_ratio: float = inf

    @property
    def lost(self) -> float:
        """What a connection without a label counts as, in [0, 1]."""
        return imputed(self.edge, self.side, self.missing_ratio)

    def log_evidence(self, n: float, x: float, missing: float = 0) -> float:
        """Logarithm of the evidence against this hypothesis after x of n [nats].

        Parameters
        ----------
        n : float
            Connections, >= 0. Forecasts may use fractions.
        x : float
            Those that have the label, in [0, n - missing].
        missing : float, default 0
            Those without any label.
        """
        logs = [
            log(weight) + self._log_ratio(n, x, missing, alternative)
            for alternative, weight in zip(self.alternatives, self.weights, strict=True)
        ]
        largest = max(logs)
        if largest == -inf:
            return -inf
        return largest + log(sum(exp(value - largest) for value in logs))

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a connection without, and one with, the label multiplies each bet by.

        A connection of which a part y in [0, 1] of the answers has the label multiplies it by
        what lies as far between them: a fair bet's factor is linear in the result.
        """
        q = np.array(self.alternatives, dtype=np.float64)
        return (1 - q) / (1 - self.edge), q / self.edge

    def _log_ratio(self, n: float, x: float, missing: float, alternative: float) -> float:
        total = log_likelihood_ratio(n - missing, x, alternative, self.edge)
        return total + missing * log_lost(alternative, self.edge, self.lost) if missing else total


def imputed(edge: float, side: Side, ratio: float) -> float:
    """Return what a connection without a label counts as, against "p >= edge" or "p <= edge".

    Parameters
    ----------
    edge : float
        In (0, 1).
    side : Side
        What is claimed.
    ratio : float
        Bound Gamma >= 1 on the ratio of two versions' missing rates, either way round; inf
        for no bound, 1 for equal rates.

    Returns
    -------
    float
        The largest chance that a missing label was this one, if the share is at the edge and
        the claim is "at least"; the smallest, if it is "at most". In [0, 1].

    Notes
    -----
    With p the share, f and g the missing rates of the version and of the others, the mean of
    what is fed is ``p (1 - f) + (p f + (1 - p) g) y``. It is on the claimed side of p for all
    ``f <= Gamma g`` exactly if y is at least ``p Gamma / (p Gamma + 1 - p)`` (Bayes' rule).
    """
    if side is Side.AT_LEAST:
        return 1.0 if ratio == inf else edge * ratio / (edge * ratio + 1 - edge)
    return 0.0 if ratio == inf else edge / (edge + ratio * (1 - edge))


def log_likelihood_ratio(n: float, x: float, alternative: float, edge: float) -> float:
    """Log likelihood ratio of share q against r after x of n; -inf where q is contradicted."""
    total = 0.0
    if x > 0:
        total += x * log_with(alternative, edge)
    if n > x:
        total += (n - x) * log_without(alternative, edge)
    return total


def log_with(alternative: float, edge: float) -> float:
    """Log factor log(q/r) of a connection with the label."""
    return -inf if alternative == 0 else log1p((alternative - edge) / edge)


def log_without(alternative: float, edge: float) -> float:
    """Log factor log((1-q)/(1-r)) of a connection without the label."""
    return -inf if alternative == 1 else log1p((edge - alternative) / (1 - edge))


def log_lost(alternative: float, edge: float, lost: float) -> float:
    """Log factor of a connection that counts as a fraction of one with the label.

    A fair bet's factor is linear in the result, so this is the average of the other two.
    """
    if lost in {0.0, 1.0}:
        return log_with(alternative, edge) if lost else log_without(alternative, edge)
    factor = lost * alternative / edge + (1 - lost) * (1 - alternative) / (1 - edge)
    return log(factor) if factor > 0 else -inf


def is_certain(band: Band) -> bool:
    """Whether the expected share is 0 or 1, where one contradicting label decides."""
    return band.expected in {0.0, 1.0}


def certain_tolerance(band: Band) -> float:
    """Tolerance on the only side that a share of 0 or 1 can depart to."""
    return band.above if band.expected == 0 else band.below


@dataclass(frozen=True, slots=True)
class Grid:
    """Distances that the PASS side bets on, as parts of the way from an edge.

    Parameters
    ----------
    parts : (g,) tuple of float
        Those up to 1 lie between the edge and the expected share, the others beyond it.
    weights : (g,) tuple of float
        Stakes, positive, summing to 1.
    """

    parts: tuple[float, ...] = PASS_DISTANCES
    weights: tuple[float, ...] = PASS_WEIGHTS

    @classmethod
    def of(cls, room: float, distance: float, per_connection: int) -> Grid:
        """Choose the distances for connections with several answers.

        A mean of several answers scatters less than one answer does. The bet that gains most
        then stakes more than any share could justify: as if the share lay far beyond the
        expected one, up to as many times as there are answers.

        Parameters
        ----------
        room : float
            From the edge to the 0 or 1 behind the expected share, > 0.
        distance : float
            From the edge to the expected share, > 0.
        per_connection : int
            Answers of a connection at most, >= 1; the grid for 1 has no further distances.
        """
        if per_connection == 1:
            return cls()
        further, part = [], NEXT_DISTANCE
        while part * distance < PASS_REACH * room and part < NEXT_DISTANCE * per_connection:
            further.append(part)
            part *= 2
        if part * distance >= PASS_REACH * room:
            further.append(PASS_REACH * room / distance)
        return cls(
            (*PASS_DISTANCES, *further),
            (*(weight / 2 for weight in PASS_WEIGHTS), *(0.5 / len(further) for _ in further)),
        )

    def alternatives(self, edge: float, distance: float, end: float) -> tuple[float, ...]:
        """Return the shares (g,) on the way from an edge towards `end`, which is 0 or 1.

        The further ones stay off the end: one answer in ten must not lose a bet for good.
        """
        room = abs(end - edge)
        steps = (
            min(part * distance, room if part <= 1 else PASS_REACH * room) for part in self.parts
        )
        return tuple(edge + step if end > edge else max(edge - step, 0.0) for step in steps)


def upper_null(
    edge: float, distance: float, missing_ratio: float = inf, grid: Grid | None = None
) -> Null:
    """Hypothesis "p >= edge", with bets towards a share `distance` below the edge."""
    grid = grid or Grid()
    alternatives = grid.alternatives(edge, distance, 0.0)
    return Null(edge, Side.AT_LEAST, alternatives, grid.weights, missing_ratio)


def lower_null(
    edge: float, distance: float, missing_ratio: float = inf, grid: Grid | None = None
) -> Null:
    """Hypothesis "p <= edge", with bets towards a share `distance` above the edge."""
    grid = grid or Grid()
    alternatives = grid.alternatives(edge, distance, 1.0)
    return Null(edge, Side.AT_MOST, alternatives, grid.weights, missing_ratio)


def pass_grids(band: Band, per_connection: int) -> tuple[Grid, Grid]:
    """Return the distances that are bet on against "too low" and "too high"."""
    return (
        Grid.of(1 - band.low, band.below, per_connection),
        Grid.of(band.high, band.above, per_connection),
    )


def pass_nulls(
    band: Band, missing_ratio: float = inf, per_connection: int = 1
) -> tuple[Null, Null]:
    """Hypotheses "too low" and "too high", both of which a PASS has to refute.

    Parameters
    ----------
    band : Band
        Of an arm whose expected share is neither 0 nor 1; its edges inside (0, 1).
    missing_ratio : float, default inf
        As for `imputed`.
    per_connection : int, default 1
        Answers of a connection, at most (`Grid.of`).
    """
    below, above = pass_grids(band, per_connection)
    return (
        lower_null(band.low, band.below, missing_ratio, below),
        upper_null(band.high, band.above, missing_ratio, above),
    )


def fail_nulls(band: Band, inner: float, missing_ratio: float = inf) -> tuple[Null, Null]:
    """Hypotheses "not above the inner band" and "not below it"; a FAIL refutes their union.

    Parameters
    ----------
    band : Band
        Of an arm whose expected share is neither 0 nor 1.
    inner : float
        Part of the tolerance within which a FAIL is a false alarm, in [0, 1].
    missing_ratio : float, default inf
        As for `imputed`.
    """
    inner_high = min(1.0, band.expected + inner * band.above)
    inner_low = max(0.0, band.expected - inner * band.below)
    up = _fail_null(inner_high, Side.AT_MOST, band.above, inner)
    down = _fail_null(inner_low, Side.AT_LEAST, band.below, inner)
    return replace(up, missing_ratio=missing_ratio), replace(down, missing_ratio=missing_ratio)


def _fail_null(edge: float, side: Side, tolerance: float, inner: float) -> Null:
    """Bet on doubling distances beyond the edge, and on "all" or "none"."""
    extreme = 1.0 if side is Side.AT_MOST else 0.0
    distances = _doubling(_first_distance(tolerance, inner), abs(extreme - edge))
    if not distances:
        return Null(edge, side, (extreme,), (1.0,))
    stakes = [1 / (position + 1) for position in range(len(distances))]
    if inner > STRICT and len(stakes) > 1:
        stakes[0], stakes[1] = stakes[1], stakes[0]
    scale = GRID_WEIGHT / sum(stakes)
    away = -side
    return Null(
        edge,
        side,
        (*(edge + away * distance for distance in distances), extreme),
        (*(scale * stake for stake in stakes), 1 - GRID_WEIGHT),
    )


STRICT = 0.75
"""From this inner part on, FAIL starts betting closer than half the tolerance."""


def _first_distance(tolerance: float, inner: float) -> float:
    distance = max(tolerance - inner * tolerance, tolerance / 2)
    return distance / 2 if inner > STRICT else distance


def _doubling(first: float, room: float) -> list[float]:
    distances = []
    distance = first
    while distance < MAX_REACH * room:
        distances.append(distance)
        distance *= 2
    return distances


def clean_connections(tolerance: float, level: float) -> int:
    """Count the connections without a contradiction that a share of 0 or 1 takes to pass.

    The rule of three, exactly: the smallest n with ``(1 - tolerance)**n <= level``.

    Parameters
    ----------
    tolerance : float
        Accepted departure, in (0, 1).
    level : float
        Accepted chance of a false PASS, in (0, 1).
    """
    return ceil(log(level) / log1p(-tolerance))


def clean_null(tolerance: float, level: float, missing_ratio: float = inf) -> Null:
    """Hypothesis "contradictions make up at least the tolerance", for a share of 0 or 1.

    Nearly all is bet on a run without any, which one missing label may lose. What such a run
    wins beyond 1/level, because connections are whole, is spared beforehand: half of it is
    staked on runs with a few missing labels. A clean run takes `clean_connections` as before.

    Parameters
    ----------
    tolerance, level : float
        As for `clean_connections`.
    missing_ratio : float, default inf
        As for `imputed`.
    """
    n = clean_connections(tolerance, level)
    others = upper_null(tolerance, tolerance, missing_ratio)
    clean, dirty = (1 - tolerance) ** -n, exp(others.log_evidence(n, 0))
    spared = min(MOST_SPARED, (clean - 1 / level) / (clean - dirty) / 2)
    if spared <= 0:
        return Null(tolerance, Side.AT_LEAST, (0.0,), (1.0,), missing_ratio)
    return Null(
        tolerance,
        Side.AT_LEAST,
        (0.0, *others.alternatives),
        (1 - spared, *(spared * weight for weight in others.weights)),
        missing_ratio,
    )
