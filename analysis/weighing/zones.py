"""A family of verdicts: one for each zone that a run was sent from, and one on all of them.

Kube-proxy and meshes decide for each client node, so each zone has a stream, and may have an
expectation, of its own.

* PASS if every zone passes, each at the full beta: if one is wrong, all pass only if that one does
  (an intersection-union test).
* FAIL on the average of the zones' evidence at 1/alpha: an average of e-processes on one filtration
  is one. A zone by itself fails at alpha over the number of zones, which the average contains.

The family ends with a slice of the merged stream, so it does not depend on batches.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import Batch, Outcome
from analysis.data.report import ReasonCode
from analysis.evidence.fold import finish, weigh
from analysis.evidence.state import Evidence
from analysis.weighing.merging import sliced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.data.policy import Policy
    from analysis.data.split import Split


class Zones:
    """The splits that several zones are to have; an `analysis.weighing.expectation.Expectation`.

    Parameters
    ----------
    zone_of : sequence of str
        Zone of each vantage, by the number in the column ``worker``.
    split : Split
        What is expected where nothing else is.
    policy : Policy
        Of the whole run.
    seed : int, default 0
        Breaks ties of the drift guard.
    splits : mapping of str to Split
        What is expected in a zone of its own. One that no vantage is in stays undecided.

    Attributes
    ----------
    zones : dict of str to Evidence
        Of each zone; its alpha is that of the policy, divided by the number of zones.
    named : str
        The zone that the verdict names: the one that fails, or else one that is least decided.

    Raises
    ------
    ValueError
        If the tolerance does not fit a split.
    """

    def __init__(
        self,
        zone_of: Sequence[str],
        split: Split,
        policy: Policy,
        seed: int = 0,
        splits: Mapping[str, Split] | None = None,
    ) -> None:
        names = list(dict.fromkeys([*zone_of, *(splits or ())]))
        self._policy = policy
        part = replace(policy, alpha=policy.alpha / len(names))
        self._zone_of = np.array([names.index(each) for each in zone_of], dtype=np.intp)
        self.zones = {
            name: Evidence.start((splits or {}).get(name, split), part, seed) for name in names
        }
        self._planned_ns = self._slice = 0
        self._is_failed = False
        self._hurt: set[str] = set()  # by the loss of a vantage
        self.named = names[0]

    @property
    def is_alike(self) -> bool:
        """Whether all zones are to have the same shares."""
        expected = [each.split for each in self.zones.values()]
        return all(
            first.share(arm) == split.share(arm)
            for first, split in pairwise(expected)
            for arm in {*first.arms, *split.arms}
        )

    @property
    def evidence(self) -> Evidence:
        """Of the zone that the verdict is about (`named`)."""
        return self.zones[self.named]

    def weigh(self, batch: Batch) -> None:
        """Judge the next samples of the merged stream, slice by slice."""
        for slice_of, part in self._slices(batch):
            if slice_of > self._slice:
                self._average()
                if self._is_failed:
                    return  # after the rest of its slice, wherever batches were cut
                self._slice = slice_of
            where = self._zone_of[part.worker]
            lost = where[part.outcome == Outcome.LOST]
            self._hurt.update(name for number, name in enumerate(self.zones) if number in lost)
            for number, name in enumerate(self.zones):
                rows = np.flatnonzero(where == number)
                if len(rows):
                    self.zones[name] = weigh(self.zones[name], part.chosen(rows))
            self._name()

    def waits_for(self) -> list[str]:
        """Return the zones that more samples may still decide; none once the family is failed."""
        if self._is_failed:
            return []
        return [name for name in self.zones if self._rank(name)[0] == _OPEN]

    def finish(self) -> None:
        """Judge what is left of connections; nothing happened to the expectation."""
        if not self._is_failed:
            self.zones = {name: finish(evidence) for name, evidence in self.zones.items()}
            self._name()
            self._average()

    def _name(self) -> None:
        """Name the zone that the verdict is about; one that fails by itself fails the family."""
        self.named = min(self.zones, key=self._rank)
        self._is_failed = self._rank(self.named)[0] == _FAILED

    def _average(self) -> None:
        """Fail the family where the average of the evidence is enough."""
        # Calibrated evidence has a chance to reach its own threshold, and no mean to average.
        if self._is_failed or self._policy.calibrated:
            return
        zones = self.zones
        average = sum(exp(min(each.log_fail, _MOST)) for each in zones.values()) / len(zones)
        if average * self._policy.alpha < 1:
            return
        self.named = max(zones, key=lambda name: zones[name].log_fail)
        self._is_failed = True
        zones[self.named] = replace(self.evidence, settled=ReasonCode.OUTSIDE_TOLERANCE)

    def _rank(self, name: str) -> tuple[int, float]:
        """Order zones by how much they matter for all: those that fail come first."""
        evidence = self.zones[name]
        # Of what a lost vantage may have sent nothing is known: no fault of the target.
        is_loss = evidence.settled is ReasonCode.TOO_MANY_UNLABELLED and name in self._hurt
        if evidence.settled in _FAILS and not is_loss:
            return _FAILED, -evidence.log_fail
        if evidence.settled is ReasonCode.WITHIN_TOLERANCE:
            return _PASSED, -float(evidence.judged)
        if evidence.settled is None and evidence.judged < evidence.budget:
            return _OPEN, float(evidence.judged)
        return _STUCK, float(evidence.judged)

    def _slices(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        if not len(batch):
            return
        slices, planned = sliced(batch.scheduled_ns, self._planned_ns)
        self._planned_ns = int(planned[-1])
        cuts = [0, *(np.flatnonzero(np.diff(slices)) + 1).tolist(), len(batch)]
        for first, end in pairwise(cuts):
            yield int(slices[first]), batch[first:end]


_MOST = 700.0  # exp of more is no float
_FAILED, _OPEN, _STUCK, _PASSED = range(4)
_FAILS = (
    ReasonCode.OUTSIDE_TOLERANCE,
    ReasonCode.UNEXPECTED_LABEL,
    ReasonCode.TOO_MANY_UNLABELLED,
)
