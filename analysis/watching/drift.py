"""A departure that goes on: what found it, and whether it would show by now if it went on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.data.report import ReasonCode

if TYPE_CHECKING:
    from analysis.data.live import Alarm
    from analysis.evidence.state import Evidence
    from analysis.watching.counts import Counts

LEAST_INSIDE = 32
"""Connections without a further alarm, at least, before a drift counts as over."""
GAPS_INSIDE = 7
"""Of unexpected or missing labels that keep coming: so many times the mean distance of alarms
without one. If they went on, that would happen by chance in one of a thousand."""


class Drift:
    """The departure of one target.

    Attributes
    ----------
    evidence : Evidence or None
        Of the last alarm.
    """

    def __init__(self) -> None:
        self.evidence: Evidence | None = None
        self._again = self._between = 0

    def see(self, evidence: Evidence, *, is_first: bool) -> None:
        """Take the evidence of an alarm: of a new departure, or of one that goes on."""
        self.evidence = evidence
        if is_first:
            self._again = self._between = 0
        elif evidence.settled is not ReasonCode.OUTSIDE_TOLERANCE:  # that one has a change point
            self._again += 1
            self._between += evidence.judged

    def is_over(self, evidence: Evidence, counts: Counts, alarm: Alarm | None) -> bool:
        """Whether the drift would have shown by now, if it went on.

        Parameters
        ----------
        evidence : Evidence
            Since the last alarm.
        counts : Counts
            Of all samples.
        alarm : Alarm or None
            The one that the drift began with.
        """
        point = None if alarm is None else alarm.change
        least = max(
            2 * point.connections if point is not None else 0,
            LEAST_INSIDE,
            GAPS_INSIDE * self._between // max(self._again, 1),
        )
        codes = counts.draws.since(counts.draws.taken - least)[1]
        labelled = codes[codes >= 0]
        if evidence.judged < least or len(codes) - len(labelled) > (
            evidence.policy.max_unlabelled * len(codes)
        ):
            return False
        bands = (evidence.bands[arm] for arm in evidence.bets.arms)
        return all(
            band.low < np.mean(labelled == counts.names.index(band.arm)) < band.high
            for band in bands
        )
