"""What is drawn of a stretch: counts, shares and confidence sequences, over several evidences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from analysis.bets.kt import kt_interval
from analysis.evidence.intervals import mean_interval

if TYPE_CHECKING:
    from analysis.evidence.state import Evidence

NEARLY_EQUAL = 1.01
"""What takes long to compute is computed again after this many times as many connections."""
_WILSON_Z = 2.5758293035489004
"""Quantile of the normal distribution of a two-sided interval at 99 %."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What is drawn of the evidence that ended within a stretch.

    Parameters
    ----------
    judged : int
    missing : float
    counts : dict of str to float
        By label, as in `Evidence`.
    results : dict of str to Counter
        Of connections with several answers, by label.
    """

    judged: int
    missing: float
    counts: Counter[str]
    results: dict[str, Counter[tuple[int, int, int]]]

    @classmethod
    def none(cls) -> Totals:
        """Nothing."""
        return cls(0, 0, Counter(), {})

    def plus(self, evidence: Evidence) -> Totals:
        """Add what some evidence has judged."""
        results = dict(self.results)
        if evidence.groups is not None:
            for arm, came in zip(evidence.split.arms, evidence.groups.results, strict=True):
                results[arm] = results.get(arm, Counter()) + came
        return Totals(
            self.judged + evidence.judged,
            self.missing + evidence.missing,
            self.counts + Counter(evidence.counts),
            results,
        )

    def share(self, label: str) -> float:
        """Return the part of a label among the labelled connections; 0 without any."""
        labelled = self.judged - self.missing
        return self.counts[label] / labelled if labelled else 0.0

    def interval(self, label: str, level: float) -> tuple[float, float]:
        """Return the confidence sequence of a share, missing labels at their worst."""
        if self.results.get(label):
            low, high = mean_interval(self.results[label], level)
            return float(low), float(high)
        low, high = kt_interval(self.judged, self.counts[label], level)
        if self.missing:
            most = min(self.counts[label] + self.missing, self.judged)
            high = kt_interval(self.judged, most, level)[1]
        return low, high


class Drawn:
    """What is drawn of the present stretch.

    Parameters
    ----------
    at : float
        When it begins [s since 1970].
    level : float
        Of its intervals.

    Attributes
    ----------
    since : float
    passed_after : int or None
        Connections of the stretch after which it passed.
    """

    def __init__(self, at: float, level: float) -> None:
        self._level = level
        self.begin(at)

    def begin(self, at: float) -> None:
        """Begin another stretch."""
        self.since = at
        self.passed_after: int | None = None
        self._carried = Totals.none()
        self._known: tuple[int, dict[str, tuple[float, float]]] = (0, {})

    def carry(self, evidence: Evidence) -> None:
        """Keep what some evidence has judged, which ends within the stretch."""
        self._carried = self._carried.plus(evidence)

    def totals(self, evidence: Evidence) -> Totals:
        """Return what was judged in the stretch, the present evidence included."""
        return self._carried.plus(evidence)

    def shares(self, evidence: Evidence) -> dict[str, float]:
        """Return the share of each expected label; none before a label."""
        drawn = self.totals(evidence)
        if drawn.judged <= drawn.missing:
            return {}
        return {arm: drawn.share(arm) for arm in evidence.split.arms}

    def intervals(self, evidence: Evidence) -> dict[str, tuple[float, float]]:
        """Return the confidence sequence of each expected share, computed now and then."""
        drawn = self.totals(evidence)
        before, known = self._known
        if drawn.judged <= drawn.missing:
            return {}
        if known.keys() != set(evidence.split.arms) or not (
            before <= drawn.judged < NEARLY_EQUAL * before
        ):
            known = {arm: drawn.interval(arm, self._level) for arm in evidence.split.arms}
            self._known = drawn.judged, known
        return known


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a share at 99 %, after k of n >= 1."""
    z2 = _WILSON_Z * _WILSON_Z
    middle = (k + z2 / 2) / (n + z2)
    half = _WILSON_Z / (n + z2) * sqrt(k * (n - k) / n + z2 / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)
