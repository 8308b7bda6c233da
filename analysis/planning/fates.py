"""What becomes of runs whose share of one version is known, in one of four ways.

`forecast_of` picks the way: one label decides; a closed form, or all paths of the counts, for two
versions; a simulation for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from math import ceil, sqrt
from typing import TYPE_CHECKING, Protocol

import numpy as np

from analysis.bets.bisection import turning_point
from analysis.bets.hypotheses import is_certain
from analysis.bets.sizing import UNDECIDED, Sizing, required_samples
from analysis.data.split import tested_arms
from analysis.planning.closed_form import Passage
from analysis.planning.exact import characteristics
from analysis.planning.simulated import Simulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

FOUND = 0.95
"""Chance of FAIL with which a departure counts as told apart."""
LONGEST_EXACT = 50_000
"""Connections that the exact recursion follows, at most."""
_HALVINGS = 40
_SECTIONS = 8
_REFINEMENTS = 2
_STEPS = 4
_UNBOUNDED = 4
"""Times the 99 % quantile of the closed form within which every right run has ended."""
_DRAWN = 3000
"""Runs of a row, times its versions, that are simulated; a curve has fewer."""
_DRAWN_CURVE = 600
_FEWEST = 200


@unique
class Method(StrEnum):
    """How the figures were computed."""

    CLOSED_FORM = "closed form"
    EXACT = "exact"
    SIMULATION = "simulation"


_STRICT = 0.05
_MARGINS = {
    Method.CLOSED_FORM: ((0.1, 0.15), (0.2, 0.35)),
    Method.EXACT: ((0.0, 0.0), (0.1, 0.1)),
    Method.SIMULATION: ((0.05, 0.1), (0.08, 0.15)),
}
"""Most that a chance is off by, and a mean as a part of it: for error rates up to `_STRICT`, and
for larger ones, where few connections decide. What the restarted part of FAIL adds, which no method
follows, is part of it (`python -m tests.calibration.plans`); noise of a simulation is not."""


def _margins(method: Method, policy: Policy) -> tuple[float, float]:
    return _MARGINS[method][max(policy.alpha, policy.beta) > _STRICT]


@dataclass(frozen=True, slots=True)
class Fate:
    """Chances of PASS and FAIL within the budget, and the average number of connections."""

    passed: float
    failed: float
    mean: float


class Forecast(Protocol):
    """Computes what becomes of runs whose share of one arm is known."""

    @property
    def method(self) -> Method:
        """How the figures are computed."""

    @property
    def margin(self) -> float:
        """By how much a chance may be off, at most."""

    @property
    def mean_margin(self) -> float:
        """By what part of it a mean may be off, at most."""

    def sizing(self, planned: Sizing) -> Sizing:
        """Return the connections until a right split passes, given what formulas say."""

    def fates(self, band: Band, shares: Sequence[float]) -> list[Fate]:
        """Return what becomes of runs with each of these shares of the version of the band."""

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        """Return the first share from `start` towards `end` that is failed often enough."""


def forecast_of(
    split: Split, policy: Policy, budget: int, *, exact: bool = False, curve: bool = False
) -> Forecast:
    """Choose how to compute what becomes of runs.

    Parameters
    ----------
    split, policy
        What is asked.
    budget : int
        Connections after which a run ends undecided, >= 1.
    exact : bool, default False
        Follow all paths of the counts: for two versions.
    curve : bool, default False
        Many shares are asked for: simulate each of them less often.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    bands = policy.tolerance.bands(split)
    tested = [bands[arm] for arm in tested_arms(split)]
    if len(split.arms) <= 2 and is_certain(tested[0]):
        return _OneLabel(tested[0], required_samples(split, policy).q99, budget)
    closed = _ClosedForm(split, policy, budget)
    if len(split.arms) > 2:
        drawn = (_DRAWN_CURVE if curve else _DRAWN) // len(split.arms)
        return _Simulated(split, policy, budget, closed, max(drawn, _FEWEST))
    is_exact = exact or policy.calibrated
    return _Recursion(tested[0], policy, budget, closed) if is_exact else closed


@dataclass(frozen=True, slots=True)
class _OneLabel:
    """Two versions, one of which must not answer: a clean run from the start, or none."""

    band: Band
    clean: int
    budget: int
    method: Method = Method.EXACT
    margin: float = 0.0
    mean_margin: float = 0.0

    def sizing(self, planned: Sizing) -> Sizing:
        return planned

    def fates(self, band: Band, shares: Sequence[float]) -> list[Fate]:
        return [self._fate(share if band.expected == 0 else 1 - share) for share in shares]

    def _fate(self, contradicting: float) -> Fate:
        looks = min(self.clean, self.budget)
        survives = (1 - contradicting) ** looks
        mean = (1 - survives) / contradicting if contradicting else float(looks)
        return Fate(survives if self.budget >= self.clean else 0.0, 1 - survives, mean)

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        del start, end
        rarest: float = 1 - (1 - FOUND) ** (1 / min(self.clean, self.budget))
        return rarest if band.expected == 0 else 1 - rarest


class _ClosedForm:
    """Any split: see `analysis.planning.closed_form`."""

    method = Method.CLOSED_FORM

    def __init__(self, split: Split, policy: Policy, budget: int) -> None:
        self.margin, self.mean_margin = _margins(self.method, policy)
        self._split = split
        self._budget = budget
        self._passage = Passage(split, policy)

    def sizing(self, planned: Sizing) -> Sizing:
        return planned

    def fates(self, band: Band, shares: Sequence[float]) -> list[Fate]:
        return [self._fate(true_shares(self._split, band.arm, share)) for share in shares]

    def _fate(self, shares: tuple[float, ...]) -> Fate:
        passed, failed = self._passage.chances(shares, self._budget)
        return Fate(passed, failed, self._passage.mean(shares, self._budget))

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        def is_found(share: float) -> bool:
            shares = true_shares(self._split, band.arm, share)
            return self._passage.chances(shares, self._budget)[1] >= FOUND

        return turning_point(start, end, is_found, _HALVINGS) if is_found(end) else None


class _Recursion:
    """Two versions with shares between 0 and 1: see `analysis.planning.exact`."""

    method = Method.EXACT

    def __init__(self, band: Band, policy: Policy, budget: int, guide: _ClosedForm) -> None:
        self.margin, self.mean_margin = _margins(self.method, policy)
        self._band = band
        self._policy = policy
        self._budget = budget
        self._guide = guide

    def sizing(self, planned: Sizing) -> Sizing:
        # Calibrated thresholds belong to the budget: nothing is known beyond it.
        horizon = self._budget if self._policy.calibrated else _UNBOUNDED * planned.q99
        right = characteristics(self._band, self._policy, [self._band.expected], horizon)
        q95, q99 = (int(right.quantile(level)[0]) for level in (0.95, 1 - UNDECIDED))
        return Sizing(ceil(right.mean[0]), q95, q99)

    def fates(self, band: Band, shares: Sequence[float]) -> list[Fate]:
        found = characteristics(band, self._policy, shares, self._budget)
        columns = (found.passed, found.failed, found.mean)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [Fate(*row) for row in rows]

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        guess = self._guide.found_from(band, start, end)
        reached = [share for share in (guess, end) if share is not None]
        fates = self.fates(band, reached)
        sure = [share for share, fate in zip(reached, fates, strict=True) if fate.failed >= FOUND]
        if not sure:
            return None
        near, far = start, sure[0]
        for _ in range(_REFINEMENTS):
            candidates = np.linspace(near, far, _SECTIONS + 1)[1:].tolist()
            fates = self.fates(band, candidates)
            first = next(i for i, fate in enumerate(fates) if fate.failed >= FOUND)
            near, far = ([near, *candidates][first], candidates[first])
        return far


class _Simulated:
    """More than two versions: see `analysis.planning.simulated`.

    Versions of one weight and band share their figures, and all versions those of a right split.
    """

    method = Method.SIMULATION

    def __init__(
        self, split: Split, policy: Policy, budget: int, guide: _ClosedForm, runs: int
    ) -> None:
        margin, self.mean_margin = _margins(self.method, policy)
        self.margin = margin + 1 / sqrt(runs)
        self._split = split
        self._policy = policy
        self._runs = runs
        self._simulation = Simulation(split, policy, budget)
        self._guide = guide
        self._known: dict[tuple[float, ...], Fate] = {}

    def sizing(self, planned: Sizing) -> Sizing:
        unbounded = Simulation(self._split, self._policy, planned.q99)
        found = unbounded.run(self._split.shares, self._runs)
        q95 = ceil(np.quantile(found.ended, 0.95))
        return Sizing(ceil(found.ended.mean()), min(q95, planned.q99), planned.q99)

    def fates(self, band: Band, shares: Sequence[float]) -> list[Fate]:
        return [self._fate(band, share) for share in shares]

    def _fate(self, band: Band, share: float) -> Fate:
        is_right = share == band.expected
        key = () if is_right else (band.expected, band.below, band.above, share)
        if key not in self._known:
            found = self._simulation.run(true_shares(self._split, band.arm, share), self._runs)
            means = (float(each.mean()) for each in found)
            self._known[key] = Fate(*means)
        return self._known[key]

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        def is_found(share: float) -> bool:
            return self._fate(band, share).failed >= FOUND

        guess = self._guide.found_from(band, start, end)
        near, far = start, end if guess is None else guess
        while not is_found(far):
            if far == end:
                return None
            # Twice as far: there and not by halving all of the way to 0 or 1.
            step = 2 * (far - start)
            near, far = far, end if abs(step) >= abs(end - start) else start + step
        return turning_point(near, far, is_found, _STEPS)


def true_shares(split: Split, arm: str, share: float) -> tuple[float, ...]:
    """Return all shares if one is known and the others keep their proportions.

    Parameters
    ----------
    split : Split
        The expectation.
    arm : str
        The arm whose share is known.
    share : float
        That share, in [0, 1].
    """
    others = split.total - split.weights[split.arms.index(arm)]
    alike = len(split.arms) - 1
    return tuple(
        share if other == arm else (1 - share) * (weight / others if others else 1 / alike)
        for other, weight in zip(split.arms, split.weights, strict=True)
    )
