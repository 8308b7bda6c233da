"""Draws: the connections that are judged together, and the counts after each of them.

A connection is one draw, whatever the number of its answers. Where it has one, that answer is the
draw. Where it has several, what is judged is their mean: the part of its planned answers that has
each label, with those that are missing counted as what is worst.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.bets.mixture import LONGEST_RUN, Results

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from analysis.data.connections import Connections
    from analysis.evidence.several_answers import Parts
    from analysis.evidence.state import Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Draws(Results):
    """Judged connections of one slice, or runs of them, and the counts after each.

    Parameters
    ----------
    foreign : int
        Number of arms: the code of an unexpected label; `foreign` + 1 is that of none.
    first : (m,) int
        Arm of the first answer of each.
    worst : (m,) int
        Arm that a rule may forbid: of several answers, the one that may not be, or else the first.
    silent : (m,) int or float
        Those without a label among what was sent so far; of several answers, what did not come
        is missing and not silent.
    is_silent : (m,) bool
        Whether each has an answer without a label.
    """

    foreign: int
    first: NDArray[np.intp]
    worst: NDArray[np.intp]
    silent: NDArray[Any]
    is_silent: NDArray[np.bool_]

    @classmethod
    def of_answers(cls, evidence: Evidence, arms: NDArray[np.intp]) -> Self:
        """Count connections with one answer, given the arm of each."""
        foreign = len(evidence.split.arms)
        tested = np.array(evidence.bets.arms, dtype=np.intp).reshape(-1, 1)
        unlabelled = arms == foreign + 1
        hit = arms == tested
        before = [evidence.counts[evidence.split.arms[arm]] for arm in evidence.bets.arms]
        missing = np.cumsum(unlabelled) + evidence.missing
        kinds = np.arange(foreign + 2)
        return cls(
            length=np.ones(len(arms), dtype=np.int64),
            n=np.arange(1, len(arms) + 1, dtype=np.int64) + evidence.judged,
            x=np.cumsum(hit, axis=1) + np.array(before, dtype=np.int64).reshape(-1, 1),
            missing=missing,
            kind=arms,
            hits=(kinds == tested).astype(np.float64),
            lost=(kinds == foreign + 1).astype(np.float64),
            agrees=np.concatenate([hit, ~(hit | unlabelled)]),
            has_parts=False,
            foreign=foreign,
            first=arms,
            worst=arms,
            silent=missing,
            is_silent=unlabelled,
        )

    @classmethod
    def of_parts(cls, evidence: Evidence, connections: Connections, parts: Parts) -> Self:
        """Count connections with several answers, given what each counts as."""
        tested = list(evidence.bets.arms)
        before = [evidence.counts[evidence.split.arms[arm]] for arm in tested]
        hits = parts.met[tested] / parts.length
        lost = parts.lost / parts.length
        met = hits > 0
        silent = evidence.groups.silent if evidence.groups is not None else 0.0
        return cls(
            length=np.ones(len(connections), dtype=np.int64),
            n=np.arange(1, len(connections) + 1, dtype=np.int64) + evidence.judged,
            x=summed(hits, before),
            missing=summed(lost, evidence.missing),
            kind=parts.kind,
            hits=hits[:, parts.first_of],
            lost=lost[parts.first_of],
            agrees=np.concatenate([met, ~met]),
            has_parts=True,
            foreign=len(evidence.split.arms),
            first=connections.first,
            worst=_worst(evidence, connections),
            silent=summed(parts.silent, silent),
            is_silent=parts.silent > 0,
        )

    def in_runs(self) -> Self:
        """Take neighbours of one kind together, from one multiple of `LONGEST_RUN` to the next.

        Only of connections with one answer.
        """
        is_end = np.empty(len(self.n), dtype=np.bool_)
        np.not_equal(self.kind[1:], self.kind[:-1], out=is_end[:-1])
        is_end[-int(self.n[0]) % LONGEST_RUN :: LONGEST_RUN] = True
        is_end[0] |= self.n[0] == 1  # of what lies within a run, the end before it was looked at
        is_end[-1] = True
        ends = np.flatnonzero(is_end)
        kind, missing, length = self.kind[ends], self.missing[ends], ends + 1
        length[1:] -= length[:-1].copy()
        return replace(
            self,
            length=length,
            n=self.n[ends],
            x=self.x[:, ends],
            missing=missing,
            kind=kind,
            agrees=self.agrees[:, ends],
            first=kind,
            worst=kind,
            silent=missing,
            is_silent=self.is_silent[ends],
        )

    def labelled_hits(self, end: int, arms: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return whether the first label of each connection met each arm: (A, labelled)."""
        first = self.first[:end]
        labelled = first[first <= self.foreign] if self.is_silent[:end].any() else first
        hits: NDArray[np.bool_] = labelled == np.array(arms, dtype=np.intp).reshape(-1, 1)
        return hits


def _worst(evidence: Evidence, connections: Connections) -> NDArray[np.intp]:
    weights, foreign = evidence.split.weights, len(evidence.split.arms)
    rows = np.array([*(arm for arm in range(foreign) if weights[arm] == 0), foreign])
    came = connections.answers[rows] > 0
    return np.where(came.any(axis=0), rows[came.argmax(axis=0)], connections.first)


def summed(values: NDArray[np.float64], before: float | list[float]) -> NDArray[np.float64]:
    """Add up along the last axis, one after the other, so that batches make no difference."""
    sums = values.copy()
    sums[..., 0] += before
    return np.cumsum(sums, axis=-1, out=sums)
