"""How the answers of one connection depend on each other. For display only.

A balancer of connections picks a pod once for each connection: then all answers of a connection
are one draw. A balancer of requests picks anew for each: then each answer is one. The
intraclass correlation says where between the two a run lies, and so how many independent draws
its answers are worth.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum, unique
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.connections import PATIENCE_NS, Assembly
from analysis.data.report import Groups
from analysis.text.rounding import amount, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.connections import Connections
    from analysis.evidence.state import Evidence

RARE = 0.01
"""If chance would avoid mixed connections this rarely, the balancer picks by connection."""
HALF = 0.5
"""Part of the expected mixed connections from which on the balancer picks by request."""

_KINDS = 8
"""Labels that are told apart; the others count as one."""
_WITHOUT_END = 1 << 40


@unique
class Picks(StrEnum):
    """What the balancer picks a pod for, as estimated from the answers."""

    CONNECTION = "connection"
    """Each connection: none met two versions, although some would have by chance."""
    REQUEST = "request"
    """Each request: connections meet two versions about as often as independent picks would."""
    PARTLY = "partly"
    """Some connections meet two versions, but fewer than with a pick for each request."""
    UNKNOWN = "unknown"
    """Too few connections with two labels or more to tell."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How the answers of a run are correlated.

    Parameters
    ----------
    connections : int
        Connections with a label.
    answers : int
        Labels on them.
    shared : int
        Connections with two labels or more.
    mixed : int
        Those of them that met more than one version.
    icc : float or None
        Intraclass correlation: 1 if all answers of a connection are the same, about 0 if they
        are independent. None where there is nothing to estimate it from.
    effective : float
        Independent draws that the answers are worth.
    picks : Picks
        What a pod is picked for.
    """

    connections: int
    answers: int
    shared: int
    mixed: int
    icc: float | None
    effective: float
    picks: Picks


class ConnectionCounts:
    """Counts answers by connection, as they come.

    `observe` takes batches in the order of sending; `finish` returns what they showed.
    """

    __slots__ = ("_arms", "_assembly", "_by_kind", "_mixed", "_sizes", "_squares")

    def __init__(self) -> None:
        self._assembly = Assembly.start(_KINDS, without_end=_WITHOUT_END)
        self._arms = np.zeros(0, dtype=np.intp)
        self._by_kind = np.zeros(_KINDS + 1, dtype=np.int64)
        self._sizes = Counter[int]()
        self._squares = 0.0
        self._mixed = 0

    def observe(self, batch: Batch) -> None:
        """Take the next samples."""
        if len(self._arms) != len(batch.labels) + 1:
            kinds = np.minimum(np.arange(len(batch.labels)), _KINDS)
            self._arms = np.append(kinds, _KINDS + 1)
        complete, self._assembly = self._assembly.take(batch, self._arms)
        self._count(complete)

    def finish(self) -> Correlation:
        """Take what is left at the end of a run, and return what the answers showed."""
        rest, self._assembly = self._assembly.rest()
        self._count(rest)
        return self._correlation()

    def _count(self, connections: Connections) -> None:
        answers = connections.answers[:-1]
        size = answers.sum(axis=0)
        answers, size = answers[:, size > 0], size[size > 0]
        values, counts = np.unique(size, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._sizes[value] += count
        self._by_kind += answers.sum(axis=1)
        self._squares += float((answers**2 / size).sum())
        self._mixed += int(np.count_nonzero((answers > 0).sum(axis=0) > 1))

    def _correlation(self) -> Correlation:
        icc = intraclass(self._by_kind, self._sizes, self._squares)
        connections = self._sizes.total()
        answers = int(self._by_kind.sum())
        return Correlation(
            connections=connections,
            answers=answers,
            shared=sum(count for size, count in self._sizes.items() if size > 1),
            mixed=self._mixed,
            icc=icc,
            effective=_effective(self._sizes, icc),
            picks=self._picks(),
        )

    def _picks(self) -> Picks:
        shares = self._by_kind / max(int(self._by_kind.sum()), 1)
        expected, nats = 0.0, 0.0
        for size, count in self._sizes.items():
            same = min(float((shares**size).sum()), 1.0)
            expected += count * (1 - same)
            nats += count * log(same) if same > 0 else 0.0
        if self._mixed:
            return Picks.REQUEST if self._mixed >= HALF * expected else Picks.PARTLY
        return Picks.CONNECTION if nats <= log(RARE) else Picks.UNKNOWN


def intraclass(by_kind: NDArray[np.int64], sizes: Counter[int], squares: float) -> float | None:
    """Estimate the intraclass correlation by the analysis of variance.

    Parameters
    ----------
    by_kind : (k,) int
        Answers of each kind.
    sizes : Counter of int
        Connections by the number of their answers, m >= 1.
    squares : float
        Sum of x**2 / m over kinds and connections, x answers of the kind on the connection.

    Returns
    -------
    float or None
        At most 1; None where all connections have one answer, or all answers are of one kind.

    References
    ----------
    A. Donner, Int. Stat. Rev. 54 (1986), section 2: (MSB - MSW) / (MSB + (m0 - 1) MSW), here
    with the sums of squares added up over the kinds.
    """
    connections, answers = sizes.total(), int(by_kind.sum())
    if connections < 2 or answers == connections:
        return None
    total = float((by_kind.astype(np.float64) ** 2).sum()) / answers
    between = (squares - total) / (connections - 1)
    within = (answers - squares) / (answers - connections)
    even = (answers - _squared(sizes) / answers) / (connections - 1)
    scatter = between + (even - 1) * within
    return float((between - within) / scatter) if scatter > 0 else None


def _squared(sizes: Counter[int]) -> int:
    return sum(size * size * count for size, count in sizes.items())


def _effective(sizes: Counter[int], icc: float | None) -> float:
    """Count the independent draws: answers over the design effect (Kish 1965, section 5.4)."""
    answers = sum(size * count for size, count in sizes.items())
    if not answers:
        return 0.0
    # Without an estimate, be conservative: the answers of a connection count as one draw.
    known = 1.0 if icc is None else max(icc, 0.0)
    return answers / (1 + (_squared(sizes) / answers - 1) * known)


def groups_of(correlation: Correlation, evidence: Evidence | None) -> Groups:
    """Return how connections with several requests were judged, and what they show.

    Parameters
    ----------
    correlation : Correlation
        Of all samples.
    evidence : Evidence or None
        Of the run; None if nothing was judged.
    """
    judged = None if evidence is None else evidence.groups
    judged_by = None
    if evidence is not None:
        by_means = judged is not None and judged.first_from is None
        judged_by = "means" if by_means else "first answers"
    return Groups(
        judged_by=judged_by,
        shared=correlation.shared,
        mixed=correlation.mixed,
        icc=correlation.icc,
        picks=correlation.picks.value,
        short=0 if judged is None else judged.shorts,
    )


def effective_draws(
    evidence: Evidence | None, correlation: Correlation | None, labelled: int
) -> float:
    """Count the independent draws that the counts of a report are worth.

    Where connections with several answers are judged, the answers that the decision consumed: of
    each connection that was complete, or the first one where that stands for it. They are worth
    one draw each if they are independent, and one per connection, at most the number of judged
    connections, if they are all alike.

    Parameters
    ----------
    evidence : Evidence or None
        Of the run; None if nothing was judged, and the counts are those of all samples.
    correlation : Correlation or None
        Of all samples; None if each had a connection of its own.
    labelled : int
        Samples with a label.
    """
    if evidence is None:
        return float(labelled) if correlation is None else round(correlation.effective, 1)
    if correlation is None or evidence.groups is None:
        return float(evidence.labelled)  # one answer of each connection is judged
    sizes = Counter[int]()
    for (_, lost, length), connections in evidence.groups.results[0].items():
        sizes[length - lost] += connections
    return round(_effective(sizes, correlation.icc), 1)


def notes_on(groups: Groups, evidence: Evidence | None, launched: int) -> list[str]:
    """Return notes on how connections with several requests were judged and balanced."""
    notes = []
    if evidence is not None:
        n = counted(evidence.judged, "connection")
        first_from = None if evidence.groups is None else evidence.groups.first_from
        if evidence.groups is None:
            notes.append(
                f"connections carry several requests: judged on the first answer of each of {n}, "
                f"not on {launched} requests"
            )
        elif first_from is None:
            notes.append(
                f"connections carry several requests: judged on the mean answer of each of {n}, "
                "which is valid however the answers of a connection depend on each other"
            )
        else:
            notes.append(
                f"{groups.short} connections ended, or were idle for {PATIENCE_NS / 1e9:g} s, "
                "before their planned number of requests, which may depend on the version that "
                "answers: from connection "
                f"{first_from + 1} on, the first answer of each was judged"
            )
    return [*notes, *_picks_in_words(groups)]


def _picks_in_words(groups: Groups) -> list[str]:
    shared = counted(groups.shared, "connection")
    mixed = f"{amount(groups.mixed)} of {shared} met more than one version"
    icc = "" if groups.icc is None else f" (correlation of their answers {groups.icc:.2f})"
    match groups.picks:
        case Picks.CONNECTION:
            text = (
                f"the balancer picks a pod for each connection: {mixed}. Further requests on a "
                "connection add no evidence; --connection fresh needs fewer requests"
            )
        case Picks.REQUEST:
            text = f"the balancer picks a pod for each request: {mixed}{icc}"
        case Picks.PARTLY:
            text = f"requests of a connection tend to stay with one pod: {mixed}{icc}"
        case _:
            return []
    return [text]
