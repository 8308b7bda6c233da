"""What happened to the expectation of a run, and which samples were judged under which split.

A run whose expectation was watched is judged stretch by stretch (`analysis.weighing.watched`). Its
folder keeps this history, so that the same samples lead to the same verdict again
(`analysis.weighing.expectation.Retold`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.data.events import SETTLED, Event
from analysis.data.report import Reason, ReasonCode, Source
from analysis.data.split import Split
from analysis.evidence.state import Evidence
from analysis.text.rounding import amount, counted
from analysis.weighing.outages import Outage, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    is_elsewhere : bool
        Whether the endpoints were another split, as far as was known.
    """

    weights: dict[str, int]
    source: Source
    judged: tuple[Part, ...] = ()
    is_elsewhere: bool = False

    @classmethod
    def of(
        cls,
        split: Split,
        source: Source,
        judged: tuple[Part, ...] = (),
        *,
        is_elsewhere: bool = False,
    ) -> Self:
        """Make the stretch of a split."""
        return cls(split.weight_of, source, judged, is_elsewhere)

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
    aside : dict of str to int
        The requests that are not judged, by label; the empty label counts those without one.
    aside_s : float
        How long nothing was judged [s].
    outages : tuple of Outage
        Since the expected split was last changed; with one, no run passes.
    trouble : str
        What the status of the pods said last; empty if all were well.
    code, remedy : ReasonCode, str
        Of `doubt`; a remedy where another one helps than that of the code.
    unseen_s : float
        How long nothing was known of the cluster [s].
    unseen_since_s : float or None
        Since when, if that is so at the end [s since the run began].
    doubt_since_s, doubt_s : float or None, float
        Since when nothing was judged, and for how long, if that was so at the end [s since the
        run began, s].
    is_endless : bool
        Whether it was weighed without an end: no stretch then shares its error rates with others.

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
    aside: dict[str, int] = field(default_factory=dict)
    aside_s: float = 0.0
    outages: tuple[Outage, ...] = ()
    trouble: str = ""
    code: ReasonCode = ReasonCode.EXPECTATION_MOVED
    remedy: str = ""
    unseen_s: float = 0.0
    unseen_since_s: float | None = None
    doubt_since_s: float | None = None
    doubt_s: float = 0.0
    is_endless: bool = False

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
        share = self._share
        return replace(policy, alpha=policy.alpha * share, beta=policy.beta * share)

    @property
    def _share(self) -> float:
        """The part of the error rates of the run that the last stretch has."""
        return 1.0 if self.is_endless else share_of_stretch(rank_of(self.stretches[:-1]))

    def judged(self, batch: Batch) -> list[Batch]:
        """Return what the last stretch judges of a batch."""
        return [part for each in self.last.judged if len(part := each.of(batch))]

    def alone(self, batch: Batch, report: Report) -> tuple[Batch, Report]:
        """Return the samples of the last stretch, and a report that says how these were judged."""
        rows = np.zeros(len(batch), dtype=np.bool_)
        for part in self.last.judged:
            span = slice(part.first_row, part.end_row)
            rows[span] = batch.connection[span] >= part.first_connection
        decision = report.decision
        if decision is not None:
            share = self._share
            decision = replace(decision, alpha=decision.alpha * share, beta=decision.beta * share)
        return batch.chosen(rows), replace(report, decision=decision)

    def moved(self) -> Reason | None:
        """Return the reason of a run that ended while nothing could be judged."""
        if not self.doubt:
            return None
        since_s = self.doubt_since_s or 0.0
        message = (
            f"Nothing is claimed: nothing could be judged from {since_s:.1f} s to the end of the "
            f"run ({self.doubt_s:.1f} s): {self.doubt}."
        )
        if self.unseen_since_s is not None:
            return Reason(
                self.code,
                message,
                "What was judged before that did not suffice. See whether the API server answers "
                "(kubectl cluster-info, kubectl auth whoami), and check again.",
            )
        return Reason(self.code, message, self.remedy or _REMEDIES[self.code])

    def out_of_service(self) -> Reason | None:
        """Return the reason for which a run cannot pass, if a version went out of service."""
        if not self.outages:
            return None
        return Reason(
            ReasonCode.VERSION_LOST,
            f"Nothing is claimed: {in_words(self.outages)}.",
            "Find out why (kubectl describe pod, kubectl logs --previous), and check again when "
            "its pods stay ready.",
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
        if self.unseen_s:
            notes.append(f"for {self.unseen_s:.1f} s the cluster could not be watched")
        if self.not_judged:
            notes.append(
                f"not judged: {counted(self.not_judged, 'request')} in {self.aside_s:.1f} s, in "
                f"which the cluster moved or was not seen, or the data plane settled"
                f"{self._aside_by_label()}"
            )
        if len(self.stretches) > 1:
            why = "the split changed"
            if self.previous is None:
                why = (
                    "the endpoints changed, a change cut connections, or what came shortly after "
                    "one spoke against the split"
                )
            notes.append(
                f"{why}: the verdict is about what came after, {self.last.split} alone"
                + ("" if self.is_endless else self._shared(policy))
            )
        if self.lags_s:
            lags = ", ".join(f"{lag:.2f} s" for lag in self.lags_s)
            notes.append(f"the data plane followed the API with a lag of {lags}")
        return notes

    def _shared(self, policy: Policy) -> str:
        return (
            f", with an error rate of {self.policy(policy).alpha:.2g} so that all stretches "
            "together keep the one that was asked for"
        )

    def _aside_by_label(self) -> str:
        told = [
            f"{label} {amount(n)}" if label else f"no label {amount(n)}"
            for label, n in sorted(self.aside.items(), key=lambda item: (not item[0], item[0]))
        ]
        return f" ({', '.join(told)})" if told else ""


ELSEWHERE_BUDGETS = 3
"""Budgets of a right split that a stretch has whose endpoints are another one."""

_REMEDIES = {
    ReasonCode.EXPECTATION_MOVED: "Wait until the roll-out is over (kubectl rollout status; for "
    "pods that do not become ready, kubectl describe pod), or give the run more time with --wait "
    "and --max-time.",
    ReasonCode.DECLARED_DIFFERS: "Apply what is declared, or wait until it is applied (kubectl "
    "diff -f PATH); to check what the cluster has, leave out --manifests.",
}


def begin(split: Split, policy: Policy, seed: int, *, is_elsewhere: bool = False) -> Evidence:
    """Return the evidence of a stretch before its first sample.

    Parameters
    ----------
    split : Split
        The expected one.
    policy : Policy
        Of the stretch.
    seed : int
        Of the run.
    is_elsewhere : bool
        Whether the endpoints are known to be another split. Its budget is then longer: that of a
        right split is too short to prove that a near one is wrong.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """
    evidence = Evidence.start(split, policy, seed)
    if not is_elsewhere or policy.max_samples is not None:
        return evidence
    return Evidence.start(
        split, replace(policy, max_samples=ELSEWHERE_BUDGETS * evidence.budget), seed
    )


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


def rank_of(before: Sequence[Stretch]) -> int:
    """Return how many stretches spent error rates: those of which something was judged."""
    return sum(bool(each.judged) for each in before)


def share_of_stretch(stretch: int) -> float:
    """Return the part of the error rates of a run that a stretch has."""
    share: float = 0.5 ** (stretch + 1)
    return share


def opened_since(part: Batch, connection: int) -> Batch:
    """Leave out connections that were opened before one of them: they keep their pods."""
    if not connection or not len(part) or int(part.connection.min()) >= connection:
        return part
    return part.chosen(part.connection >= connection)


def alike(one: Split, other: Split) -> bool:
    """Whether two splits give each label the same share."""
    return _shares(one, other) == _shares(other, one)


def _shares(split: Split, other: Split) -> list[int]:
    """Return the weight of each label of two splits, times the total of the other one."""
    weight_of, labels = split.weight_of, sorted({*split.arms, *other.arms})
    return [weight_of.get(label, 0) * other.total for label in labels]
