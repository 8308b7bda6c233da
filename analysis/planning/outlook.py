"""The outlook: what a run will cost, and what it would tell apart, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from math import ceil
from typing import TYPE_CHECKING, Protocol

import numpy as np

from analysis.bets.bisection import turning_point
from analysis.bets.hypotheses import is_certain
from analysis.bets.sizing import UNDECIDED, Sizing, required_samples
from analysis.data.split import tested_arms
from analysis.evidence.state import Evidence
from analysis.planning.closed_form import Passage
from analysis.planning.exact import characteristics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split

FOUND = 0.95
"""Chance of FAIL with which a departure counts as told apart."""
LONGEST_EXACT = 50_000
"""Connections that the exact recursion follows, at most."""
_MOST_PODS = 100
"""Sum of weights up to which they may be counts of pods."""
_HALVINGS = 40
_MARGIN = 1.25
_SECTIONS = 8
_REFINEMENTS = 2
_UNBOUNDED = 4
"""Times the 99 % quantile of the closed form within which every right run has ended."""


@unique
class Method(StrEnum):
    """How the figures were computed."""

    CLOSED_FORM = "closed form"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What becomes of runs with one true share.

    Parameters
    ----------
    arm : str
        The version whose share is given; the others keep their proportions.
    share : float
        Its true share, in [0, 1].
    meaning : str
        What such a share means, in a few words.
    passed, failed, undecided : float
        Chances of the verdicts within the budget, adding up to 1.
    mean : float
        Average number of judged connections.
    """

    arm: str
    share: float
    meaning: str
    passed: float
    failed: float
    undecided: float
    mean: float


@dataclass(frozen=True, slots=True)
class Distinction:
    """Nearest shares of a version that a run fails with a chance of 95 % (`FOUND`).

    Parameters
    ----------
    arm : str
    below, above : float or None
        On each side of the accepted band; None where no share is failed so often.
    """

    arm: str
    below: float | None
    above: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run will cost and what it would tell apart.

    Parameters
    ----------
    split, policy, bands
        What was asked.
    budget : int
        Connections after which a run ends undecided.
    samples : Sizing
        Connections until a split that is exactly right passes.
    method : Method
        How the figures were computed.
    distinctions : tuple of Distinction
        For each tested arm.
    prospects : tuple of Prospect
        The operating characteristic, by tested arm in ascending order of the true share.
    """

    split: Split
    policy: Policy
    bands: tuple[Band, ...]
    budget: int
    samples: Sizing
    method: Method
    distinctions: tuple[Distinction, ...]
    prospects: tuple[Prospect, ...]


def foresee(split: Split, policy: Policy, *, exact: bool = False) -> Outlook:
    """Compute the outlook of a run.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance, error rates and budget.
    exact : bool, default False
        Follow all paths of the counts (`analysis.planning.exact`) instead of the closed form
        (`analysis.planning.closed_form`), which is within 0.1 of its chances and 15 % of its means.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split; or if an exact outlook was asked for with
        more than two versions, or with more than `LONGEST_EXACT` connections.
    """
    bands = policy.tolerance.bands(split)
    sizing = required_samples(split, policy)
    budget = Evidence.start(split, policy).budget
    tested = [bands[arm] for arm in tested_arms(split)]
    if exact and not (len(split.arms) <= 2 and is_certain(tested[0])):
        _require_feasible(split, max(budget, sizing.q99))
    forecast = _forecast(split, policy, budget, exact=exact)
    if isinstance(forecast, _Recursion):
        sizing = forecast.sizing(_UNBOUNDED * sizing.q99)
    distinctions = tuple(_distinction(forecast, band, policy.inner) for band in tested)
    prospects = tuple(
        prospect
        for band, distinction in zip(tested, distinctions, strict=True)
        for prospect in _prospects(split, forecast, band, distinction)
    )
    return Outlook(split, policy, bands, budget, sizing, forecast.method, distinctions, prospects)


def characteristic(outlook: Outlook, arm: str, points: int = 61) -> tuple[Prospect, ...]:
    """Compute the operating characteristic of one tested arm as a curve.

    Parameters
    ----------
    outlook : Outlook
        What was foreseen; the curve is computed in the same way.
    arm : str
        A label of ``outlook.distinctions``.
    points : int, default 61
        True shares, >= 2, at equal distances, from a little below the band, or the nearest
        share that is told apart, to a little above. Those that have a row of their own in
        ``outlook.prospects`` are added.
    """
    band = next(band for band in outlook.bands if band.arm == arm)
    found = next(each for each in outlook.distinctions if each.arm == arm)
    below = band.low if found.below is None else min(band.low, found.below)
    above = band.high if found.above is None else max(band.high, found.above)
    low = max(band.expected - _MARGIN * (band.expected - below), 0.0)
    high = min(band.expected + _MARGIN * (above - band.expected), 1.0)
    rows = {each.share for each in outlook.prospects if each.arm == arm}
    shares = sorted(
        {share for share in rows if low <= share <= high}
        | set(np.linspace(low, high, points).tolist())
    )
    exact = outlook.method is Method.EXACT
    forecast = _forecast(outlook.split, outlook.policy, outlook.budget, exact=exact)
    return tuple(
        Prospect(
            arm, share, "", fate.passed, fate.failed,
            max(0.0, 1 - fate.passed - fate.failed), fate.mean,
        )
        for share, fate in zip(shares, forecast.fates(band, shares), strict=True)
    )  # fmt: skip


def _forecast(split: Split, policy: Policy, budget: int, *, exact: bool) -> _Forecast:
    bands = policy.tolerance.bands(split)
    tested = [bands[arm] for arm in tested_arms(split)]
    if len(split.arms) <= 2 and is_certain(tested[0]):
        return _OneLabel(tested[0], required_samples(split, policy).q99, budget)
    closed = _ClosedForm(split, policy, budget)
    return _Recursion(tested[0], policy, budget, closed) if exact else closed


def _require_feasible(split: Split, connections: int) -> None:
    if len(split.arms) > 2:
        raise ValueError(
            f"exact figures exist for two versions, and {len(split.arms)} are expected"
        )
    if connections > LONGEST_EXACT:
        raise ValueError(
            f"exact figures would follow {connections} connections; "
            f"at most {LONGEST_EXACT} are followed"
        )


@dataclass(frozen=True, slots=True)
class _Fate:
    passed: float
    failed: float
    mean: float


class _Forecast(Protocol):
    """Computes what becomes of runs whose share of one arm is known."""

    @property
    def method(self) -> Method: ...

    def fates(self, band: Band, shares: Sequence[float]) -> list[_Fate]: ...

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        """Return the first share from `start` towards `end` that is failed often enough."""


@dataclass(frozen=True, slots=True)
class _OneLabel:
    """Two versions, one of which must not answer: a clean run from the start, or none."""

    band: Band
    clean: int
    budget: int
    method: Method = Method.EXACT

    def fates(self, band: Band, shares: Sequence[float]) -> list[_Fate]:
        return [self._fate(share if band.expected == 0 else 1 - share) for share in shares]

    def _fate(self, contradicting: float) -> _Fate:
        looks = min(self.clean, self.budget)
        survives = (1 - contradicting) ** looks
        mean = (1 - survives) / contradicting if contradicting else float(looks)
        return _Fate(survives if self.budget >= self.clean else 0.0, 1 - survives, mean)

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        del start, end
        rarest: float = 1 - (1 - FOUND) ** (1 / min(self.clean, self.budget))
        return rarest if band.expected == 0 else 1 - rarest


class _ClosedForm:
    """Any split: see `analysis.planning.closed_form`."""

    method = Method.CLOSED_FORM

    def __init__(self, split: Split, policy: Policy, budget: int) -> None:
        self._split = split
        self._budget = budget
        self._passage = Passage(split, policy)

    def fates(self, band: Band, shares: Sequence[float]) -> list[_Fate]:
        return [self._fate(true_shares(self._split, band.arm, share)) for share in shares]

    def _fate(self, shares: tuple[float, ...]) -> _Fate:
        passed, failed = self._passage.chances(shares, self._budget)
        return _Fate(passed, failed, self._passage.mean(shares, self._budget))

    def found_from(self, band: Band, start: float, end: float) -> float | None:
        def is_found(share: float) -> bool:
            shares = true_shares(self._split, band.arm, share)
            return self._passage.chances(shares, self._budget)[1] >= FOUND

        return turning_point(start, end, is_found, _HALVINGS) if is_found(end) else None


class _Recursion:
    """Two versions with shares between 0 and 1: see `analysis.planning.exact`."""

    method = Method.EXACT

    def __init__(self, band: Band, policy: Policy, budget: int, guide: _ClosedForm) -> None:
        self._band = band
        self._policy = policy
        self._budget = budget
        self._guide = guide

    def sizing(self, horizon: int) -> Sizing:
        right = characteristics(self._band, self._policy, [self._band.expected], horizon)
        q95, q99 = (int(right.quantile(level)[0]) for level in (0.95, 1 - UNDECIDED))
        return Sizing(ceil(right.mean[0]), q95, q99)

    def fates(self, band: Band, shares: Sequence[float]) -> list[_Fate]:
        found = characteristics(band, self._policy, shares, self._budget)
        columns = (found.passed, found.failed, found.mean)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [_Fate(*row) for row in rows]

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


def _distinction(forecast: _Forecast, band: Band, inner: float) -> Distinction:
    below = above = None
    # Shares of 0 and 1 are failed by one label, whatever the tolerance.
    part = 0.0 if is_certain(band) else inner
    if band.expected > 0:
        below = forecast.found_from(band, max(band.expected - part * band.below, 0.0), 0.0)
    if band.expected < 1:
        above = forecast.found_from(band, min(band.expected + part * band.above, 1.0), 1.0)
    return Distinction(band.arm, below, above)


def _prospects(
    split: Split, forecast: _Forecast, band: Band, distinction: Distinction
) -> Iterator[Prospect]:
    meanings: dict[float, str] = {}
    for share, meaning in _shares_of_interest(split, band, distinction):
        meanings.setdefault(round(share, 12), meaning)
    shares = sorted(meanings)
    for share, fate in zip(shares, forecast.fates(band, shares), strict=True):
        undecided = max(0.0, 1 - fate.passed - fate.failed)
        yield Prospect(
            band.arm, share, meanings[share], fate.passed, fate.failed, undecided, fate.mean
        )


def _shares_of_interest(
    split: Split, band: Band, distinction: Distinction
) -> Iterator[tuple[float, str]]:
    """Yield shares with their meaning; of equal shares the first one counts."""
    yield band.expected, "as expected"
    yield 0.0, "no traffic at all"
    yield 1.0, "all of the traffic"
    if len(split.arms) > 1:
        yield 1 / len(split.arms), "the same for every version"
    if not is_certain(band) or band.expected == 1:
        yield max(band.low, 0.0), "the lower edge of the tolerance"
    if not is_certain(band) or band.expected == 0:
        yield min(band.high, 1.0), "the upper edge of the tolerance"
    pods, all_pods = split.weights[split.arms.index(band.arm)], split.total
    if 1 < all_pods <= _MOST_PODS and not is_certain(band):
        yield (pods - 1) / (all_pods - 1), "one pod fewer"
        yield (pods + 1) / (all_pods + 1), "one pod more"
    for found in (distinction.below, distinction.above):
        if found is not None:
            yield found, f"failed with a chance of {FOUND * 100:g} %"
    if not is_certain(band):
        yield (band.low + band.expected) / 2, "half of the tolerance below"
        yield (band.high + band.expected) / 2, "half of the tolerance above"
