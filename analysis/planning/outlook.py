"""The outlook: what a run will cost, and what it would tell apart, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import is_certain
from analysis.bets.sizing import Sizing, required_samples
from analysis.data.split import tested_arms
from analysis.evidence.state import Evidence
from analysis.planning.fates import FOUND, LONGEST_EXACT, Method, forecast_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.policy import Policy
    from analysis.data.split import Band, Split
    from analysis.planning.fates import Forecast

_MOST_PODS = 100
"""Sum of weights up to which they may be counts of pods."""
_MARGIN = 1.25


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
    margin, mean_margin : float
        By how much a chance may be off, at most, and by what part of it a mean may be.
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
    margin: float
    mean_margin: float
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
        Two versions: follow all paths of the counts (`analysis.planning.exact`) instead of the
        closed form (`analysis.planning.closed_form`), which is within 0.1 of its chances and 15 %
        of its means for error rates up to 5 % (`Outlook.margin`). More versions are simulated
        (`analysis.planning.simulated`).

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
    forecast = forecast_of(split, policy, budget, exact=exact)
    sizing = forecast.sizing(sizing)
    distinctions = tuple(_distinction(forecast, band, policy.inner) for band in tested)
    prospects = tuple(
        prospect
        for band, distinction in zip(tested, distinctions, strict=True)
        for prospect in _prospects(split, forecast, band, distinction)
    )
    return Outlook(
        split, policy, bands, budget, sizing, forecast.method, forecast.margin,
        forecast.mean_margin, distinctions, prospects,
    )  # fmt: skip


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
    forecast = forecast_of(outlook.split, outlook.policy, outlook.budget, exact=exact, curve=True)
    return tuple(
        Prospect(
            arm, share, "", fate.passed, fate.failed,
            max(0.0, 1 - fate.passed - fate.failed), fate.mean,
        )
        for share, fate in zip(shares, forecast.fates(band, shares), strict=True)
    )  # fmt: skip


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


def _distinction(forecast: Forecast, band: Band, inner: float) -> Distinction:
    below = above = None
    # Shares of 0 and 1 are failed by one label, whatever the tolerance.
    part = 0.0 if is_certain(band) else inner
    if band.expected > 0:
        below = forecast.found_from(band, max(band.expected - part * band.below, 0.0), 0.0)
    if band.expected < 1:
        above = forecast.found_from(band, min(band.expected + part * band.above, 1.0), 1.0)
    return Distinction(band.arm, below, above)


def _prospects(
    split: Split, forecast: Forecast, band: Band, distinction: Distinction
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
