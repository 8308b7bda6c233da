"""What happened to the expectation of a run, and which samples were judged under which split.

A run whose expectation was watched is judged stretch by stretch (`analysis.weighing.watched`). Its
folder keeps this history, so that the same samples lead to the same verdict again
(`analysis.weighing.expectation.Retold`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.data.batch import COLUMNS
from analysis.data.events import SETTLED, Event
from analysis.data.report import Reason, ReasonCode, Source
from analysis.data.split import Split

if TYPE_CHECKING:
    from analysis.data.batch import Batch
    from analysis.data.policy import Policy
    from analysis.data.report import Report


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive samples that were judged.

    Parameters
    ----------
    first_row, end_row : int or None
        Their rows in the samples of the run, from 0, the end excluded; None goes on.
    since_s, until_s : float or None
        When the first and the last of them were sent [s since the run began].
    first_connection : int
        Connections that were opened before this one are left out: they keep their pods.
    """

    first_row: int = 0
    end_row: int | None = None
    since_s: float = 0.0
    until_s: float | None = None
    first_connection: int = 0

    def of(self, batch: Batch) -> Batch:
        """Return what of a batch belongs to this part."""
        first = min(max(self.first_row - batch.first, 0), len(batch))
        end = len(batch) if self.end_row is None else max(self.end_row - batch.first, first)
        return opened_since(batch[first:end], self.first_connection)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a run with one expected split.

    Parameters
    ----------
    weights : dict of str to int
        By label.
    source : Source
        Where they were read.
    judged : tuple of Part
        What of its samples is judged, in the order of time.
    """

    weights: dict[str, int]
    source: Source
    judged: tuple[Part, ...] = ()

    @classmethod
    def of(cls, split: Split, source: Source, judged: tuple[Part, ...] = ()) -> Self:
        """Make the stretch of a split."""
        return cls(split.weight_of, source, judged)

    @property
    def split(self) -> Split:
        """The expected split."""
        return Split.of(self.weights)


@dataclass(frozen=True, slots=True)
class History:
    """What happened to the expectation of one run.

    Parameters
    ----------
    stretches : tuple of Stretch
        At least one; the verdict is about the last one.
    events : tuple of Event
        What was seen in the cluster, in the order of time.
    not_judged : int
        Requests that were sent around changes.
    lags_s : tuple of float
        By how much the data plane was behind the API, where that was seen [s].
    doubt : str
        Why what was sent last was not judged; empty if it was.
    remarks : tuple of str
        What was read before the run.

    Raises
    ------
    ValueError
        If there is no stretch, or its weights are no split.
    """

    stretches: tuple[Stretch, ...]
    events: tuple[Event, ...] = ()
    not_judged: int = 0
    lags_s: tuple[float, ...] = ()
    doubt: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.stretches:
            raise ValueError("expected at least one stretch")
        for each in self.stretches:
            each.split  # noqa: B018 - refuses weights that are no split

    @property
    def last(self) -> Stretch:
        """The stretch that the verdict is about."""
        return self.stretches[-1]

    @property
    def previous(self) -> Split | None:
        """The split before the one of the last stretch, if it was another one."""
        for before, after in zip(self.stretches[-2::-1], self.stretches[:0:-1], strict=True):
            if not alike(before.split, after.split):
                return before.split
        return None

    @property
    def is_uniform(self) -> bool:
        """Whether all samples of the run are of one split, and none was left out."""
        return len(self.stretches) == 1 and not self.not_judged

    def policy(self, policy: Policy) -> Policy:
        """Return the policy of the last stretch, from that of the whole run."""
        return policy_of_stretch(policy, len(self.stretches) - 1)

    def judged(self, batch: Batch) -> list[Batch]:
        """Return what the last stretch judges of a batch."""
        return [part for each in self.last.judged if len(part := each.of(batch))]

    def alone(self, batch: Batch, report: Report) -> tuple[Batch, Report]:
        """Return the samples of the last stretch, and a report that says how these were judged."""
        rows = np.zeros(len(batch), dtype=np.bool_)
        for part in self.last.judged:
            span = slice(part.first_row, part.end_row)
            rows[span] = batch.connection[span] >= part.first_connection
        kept = {name: getattr(batch, name)[rows] for name in COLUMNS}
        decision = report.decision
        if decision is not None:
            share = share_of_stretch(len(self.stretches) - 1)
            decision = replace(decision, alpha=decision.alpha * share, beta=decision.beta * share)
        return replace(batch, **kept), replace(report, decision=decision)

    def moved(self) -> Reason | None:
        """Return the reason of a run that ended while nothing could be judged."""
        if not self.doubt:
            return None
        return Reason(
            ReasonCode.EXPECTATION_MOVED,
            f"Nothing is claimed: at the end of the run {self.doubt[0].lower() + self.doubt[1:]}.",
            "Wait until the roll-out is over (kubectl rollout status), or give the run more time "
            "with --max-time.",
        )

    def notes(self, policy: Policy) -> list[str]:
        """Return what this did to the evidence, in sentences for the report.

        Parameters
        ----------
        policy : Policy
            Of the whole run.
        """
        notes = list(self.remarks)
        changes = sum(event.at_s >= 0 and event.kind != SETTLED for event in self.events)
        if changes:
            notes.append(
                f"{'1 change was' if changes == 1 else f'{changes} changes were'} seen in the "
                "cluster during the run"
            )
        if self.not_judged:
            notes.append(
                f"{self.not_judged} requests, sent around changes, are not judged: the data plane "
                "needs time to settle"
            )
        if len(self.stretches) > 1:
            why = "a change cut connections" if self.previous is None else "the split changed"
            notes.append(
                f"{why}: the verdict is about what came after, {self.last.split} alone, with"
                f" an error rate of {self.policy(policy).alpha:.2g} so that all stretches "
                "together keep the one that was asked for"
            )
        if self.lags_s:
            lags = ", ".join(f"{lag:.2f} s" for lag in self.lags_s)
            notes.append(f"the data plane followed the API with a lag of {lags}")
        return notes


def policy_of_stretch(policy: Policy, stretch: int = 0) -> Policy:
    """Return the policy of a stretch: half of the error rates that are left.

    Parameters
    ----------
    policy : Policy
        Of the whole run.
    stretch : int
        From 0.

    Notes
    -----
    The rates of all stretches sum to less than those of the run, so that by the union bound
    any number of them keeps the claims of one.
    """
    share = share_of_stretch(stretch)
    return replace(policy, alpha=policy.alpha * share, beta=policy.beta * share)


def share_of_stretch(stretch: int) -> float:
    """Return the part of the error rates of a run that a stretch has."""
    share: float = 0.5 ** (stretch + 1)
    return share


def opened_since(part: Batch, connection: int) -> Batch:
    """Leave out connections that were opened before one of them: they keep their pods."""
    if not connection or not len(part) or int(part.connection.min()) >= connection:
        return part
    rows = part.connection >= connection
    kept = {name: getattr(part, name)[rows] for name in COLUMNS}
    return replace(part, **kept)


def alike(one: Split, other: Split) -> bool:
    """Whether two splits give each label the same share."""
    return _shares(one, other) == _shares(other, one)


def _shares(split: Split, other: Split) -> list[int]:
    """Return the weight of each label of two splits, times the total of the other one."""
    weight_of, labels = split.weight_of, sorted({*split.arms, *other.arms})
    return [weight_of.get(label, 0) * other.total for label in labels]
