"""Connections with several answers: what each counts as, and what is known of a run of them.

If connections turn out to end early, which may have to do with who answers them, means are given
up for first answers. That goes by earlier connections only, so it is a choice that a fair bet may
make.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.data.connections import Assembly, arms_of, in_order_of_appearance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.connections import Connections

MOST_SHORT = 0.01
"""Part of the connections that may end early before first answers are judged instead."""
LEAST_SHORT = 3
"""Connections that ended early, at least, before that is said of them."""

Came = Counter[tuple[int, int, int]]
"""How many connections had so many answers with a label, so many that could have had any, and
so many in all: in any order they give the same evidence against any edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What each of some connections with several answers counts as.

    Parameters
    ----------
    length : (m,) int
        Answers that were planned, or 1 where the first one stands for the connection.
    met : (k, m) int
        Those of them with the label of each arm.
    lost : (m,) int
        Those of them that could have had any label: without one, or not there.
    silent : (m,) float
        Part of all planned answers that came without a label.
    is_short : (m,) bool
        Whether it ended early.
    uses_first : (m,) bool
        Whether its first answer stands for it.
    first_of : (d,) int
        The first connection of each kind: connections of one kind have equal `length`, `met` and
        `lost`.
    kind : (m,) int
        The kind of each connection.
    """

    length: NDArray[np.int64]
    met: NDArray[np.int64]
    lost: NDArray[np.int64]
    silent: NDArray[np.float64]
    is_short: NDArray[np.bool_]
    uses_first: NDArray[np.bool_]
    first_of: NDArray[np.intp]
    kind: NDArray[np.intp]

    @classmethod
    def of(cls, connections: Connections, judged: int, shorts: int, *, gave_up: bool) -> Self:
        """Return the parts of connections, after `judged` others of which `shorts` ended early.

        Parameters
        ----------
        connections : Connections
            Complete, in the order of their opening.
        judged, shorts : int
            Connections before these, and those of them that ended early.
        gave_up : bool
            Whether means have been given up before.
        """
        is_short = connections.is_short
        before = np.cumsum(is_short) - is_short + shorts
        others = np.arange(len(connections)) + judged
        over = (before >= LEAST_SHORT) & (before > MOST_SHORT * others)
        uses_first = np.logical_or.accumulate(over) | gave_up
        kinds = len(connections.answers)
        firsts = connections.first == np.arange(kinds).reshape(-1, 1)
        answers = np.where(uses_first, firsts, connections.answers)
        length = np.where(uses_first, 1, connections.planned)
        met, lost = answers[:-2], answers[-1] + np.where(uses_first, 0, connections.undelivered)
        first_of, kind = _kinds(length, met, lost)
        silent = connections.answers[-1] / connections.planned
        return cls(length, met, lost, silent, is_short, uses_first, first_of, kind)


def _kinds(
    length: NDArray[np.int64], met: NDArray[np.int64], lost: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Group connections by their result: there are few kinds of them."""
    base = int(length.max(initial=0)) + 1
    every = np.arange(len(length))
    if base ** (len(met) + 2) > 2**62:
        return every, every
    code = lost * base + length
    for answers in met:
        code = code * base + answers
    kind, first_of = in_order_of_appearance(code)
    return first_of, kind


@dataclass(frozen=True, slots=True, eq=False)
class SeveralAnswers:
    """What is known of a run whose connections have several answers, beside `Evidence`.

    Parameters
    ----------
    assembly : Assembly
        Connections that are not complete, and those that wait for them.
    answers, firsts : (k,) tuple of int
        Answers of the judged connections by arm, and first answers.
    results : (k,) tuple of Came
        What the judged connections came to, by arm.
    at_peaks : (2A + 1,) tuple of Came
        What they came to when the evidence against each hypothesis was highest; last, for any arm,
        when that for a clean run was, where shares of 0 or 1 are expected.
    silent : float
        Sum of the parts of what was planned that came without a label.
    shorts : int
        Judged connections that ended early.
    first_from : int or None
        Connections after which first answers are judged, because too many had ended early.
    labels : tuple of str
        Meaning of the codes of labels.
    """

    assembly: Assembly
    answers: tuple[int, ...]
    firsts: tuple[int, ...]
    results: tuple[Came, ...]
    at_peaks: tuple[Came, ...]
    silent: float = 0.0
    shorts: int = 0
    first_from: int | None = None
    labels: tuple[str, ...] = ()

    @classmethod
    def start(cls, arms: int, tested: int) -> Self:
        """Start the evidence of a run with some arms, some of which are tested by counting."""
        return cls(
            assembly=Assembly.start(arms),
            answers=(0,) * arms,
            firsts=(0,) * arms,
            results=(Counter(),) * arms,
            at_peaks=(Counter(),) * (2 * tested + 1),
        )

    def complete(
        self, batch: Batch | None, arms: tuple[str, ...]
    ) -> tuple[Connections, SeveralAnswers]:
        """Return the connections that a batch completes, or at the end (None) all that are left."""
        if batch is None:
            complete, assembly = self.assembly.rest()
            return complete, replace(self, assembly=assembly)
        complete, assembly = self.assembly.take(batch, arms_of(batch.labels, arms))
        return complete, replace(self, assembly=assembly, labels=batch.labels)

    def after(
        self,
        connections: Connections,
        parts: Parts,
        judged: int,
        silent: float,
        peaks: Mapping[int, int],
        tested: tuple[int, ...],
    ) -> SeveralAnswers:
        """Count judged connections.

        Parameters
        ----------
        connections : Connections
            Those that were judged.
        parts : Parts
            What they count as; may go on after them.
        judged : int
            Connections before them.
        silent : float
            What `silent` is after them.
        peaks : mapping of int to int
            Where among them the evidence against some hypotheses was higher than ever; the last
            row is that for a clean run, where shares of 0 or 1 are expected.
        tested : (A,) tuple of int
            The tested arms.
        """
        end, arms = len(connections), len(self.answers)
        first = connections.first[connections.first < arms]
        at_peaks = list(self.at_peaks)
        for row, position in peaks.items():
            arm = tested[row % len(tested)] if row < 2 * len(tested) else 0
            at_peaks[row] = _with_more(self.results[arm], parts, arm, position + 1)
        first_from = self.first_from
        if first_from is None and parts.uses_first[end - 1]:
            first_from = judged + int(parts.uses_first.argmax())
        return replace(
            self,
            answers=_added(self.answers, connections.answers[:-2].sum(axis=1)),
            firsts=_added(self.firsts, np.bincount(first, minlength=arms)),
            results=tuple(
                _with_more(came, parts, arm, end) for arm, came in enumerate(self.results)
            ),
            at_peaks=tuple(at_peaks),
            silent=silent,
            shorts=self.shorts + int(np.count_nonzero(parts.is_short[:end])),
            first_from=first_from,
        )


def _added(before: tuple[int, ...], new: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(old + more for old, more in zip(before, new.tolist(), strict=True))


def _with_more(before: Came, parts: Parts, arm: int, end: int) -> Came:
    """Add what the next connections, up to `end`, came to for one arm."""
    after = Counter(before)
    columns = (parts.met[arm], parts.lost, parts.length)
    kinds = zip(*(column[parts.first_of].tolist() for column in columns), strict=True)
    for result, count in zip(kinds, np.bincount(parts.kind[:end]).tolist(), strict=False):
        if count:
            after[result] += count
    return after
