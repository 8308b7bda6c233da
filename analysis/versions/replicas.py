"""Replicas of a version: does each pod get an equal part? Warnings, never a verdict.

Unequal replicas do not make the split between versions wrong, so nothing here decides. The
first labelled response of each connection is counted, by version and replica; an average
over prior guesses of how the replicas share (a Dirichlet mixture) bets against equal parts
(Lindon & Malek 2022, arXiv 2011.03567). The evidence depends on the counts alone and may be
looked at at any time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil, exp, lgamma, log, log1p
from typing import TYPE_CHECKING

from analysis.data.batch import ABSENT
from analysis.data.tally import count_pairs
from analysis.text.rounding import counted
from analysis.text.wording import LABEL_LENGTH, odds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.data.batch import Batch

CONCENTRATION = 10.0
"""Prior weight of equal parts, for each replica: departures of a third are expected."""

MOST_REPLICAS = 1000
"""Names kept for each version. More than that are not replicas (request ids, say)."""

MOST_WARNINGS = 5
"""Versions that are warned of."""

_ROUND_ROBIN_LEVEL = 1e-4


@dataclass(slots=True)
class ReplicaCounts:
    """Connections by version and replica, from their first responses.

    Parameters
    ----------
    by_label : dict of str to Counter of str
        Counts; a version with more than `MOST_REPLICAS` names is not in it.
    unbounded : set of str
        Those versions.
    """

    by_label: dict[str, Counter[str]] = field(default_factory=dict)
    unbounded: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, counts: Mapping[str, Mapping[str, int]]) -> ReplicaCounts:
        """Take counts that are known."""
        return cls({label: Counter(by_replica) for label, by_replica in counts.items()})

    def observe(self, batch: Batch) -> None:
        """Count a batch; the order of batches does not matter."""
        known = (batch.label != ABSENT) & (batch.replica != ABSENT) & (batch.ordinal == 0)
        pairs = count_pairs(batch.label[known], batch.replica[known], len(batch.replicas))
        for code, replica, count in pairs:
            label = batch.labels[code]
            if label in self.unbounded:
                continue
            by_replica = self.by_label.setdefault(label, Counter())
            by_replica[batch.replicas[replica]] += count
            if len(by_replica) > MOST_REPLICAS:
                self.unbounded.add(label)
                del self.by_label[label]

    def covered(self, label: str, alpha: float) -> int | None:
        """Return the number of replicas of a version, after enough connections to meet all.

        Returns
        -------
        int or None
            None while new names keep coming: a name for each request is not a replica.
        """
        by_replica = self.by_label.get(label)
        if not by_replica:
            return None
        seen = len(by_replica)
        return seen if by_replica.total() >= requests_to_see_all(seen, alpha) else None


def uniformity_log_evidence(counts: Sequence[int]) -> float:
    """Log evidence against equal parts of R replicas [nats].

    Parameters
    ----------
    counts : sequence of int
        Connections of each of the R >= 1 replicas, >= 0; unseen ones as 0.

    Returns
    -------
    float
        Log ratio of the Dirichlet-multinomial likelihood with all R parameters equal to
        `CONCENTRATION` and the uniform one; 0 for R = 1.
    """
    replicas, n = len(counts), sum(counts)
    mixture = lgamma(CONCENTRATION * replicas) - lgamma(CONCENTRATION * replicas + n)
    mixture += sum(lgamma(CONCENTRATION + count) - lgamma(CONCENTRATION) for count in counts)
    return mixture + n * log(replicas)


def requests_to_see_all(replicas: int, alpha: float) -> int:
    """Return how many connections meet all of R equal replicas, except with chance alpha.

    By the union bound ``R (1 - 1/R)^n <= alpha``. Replicas stay seen, so looking again
    later costs nothing.
    """
    if replicas < 2:
        return ceil(-log(alpha))
    return ceil(log(replicas / alpha) / -log1p(-1 / replicas))


def replica_warnings(counts: ReplicaCounts, declared: Mapping[str, int], alpha: float) -> list[str]:
    """Return a warning for each version whose replicas do not get equal parts.

    Parameters
    ----------
    counts : ReplicaCounts
    declared : mapping of str to int
        Number of replicas of a version, where it is known; else those that were seen.
    alpha : float
        Chance of any warning about equal replicas, in (0, 1); it is shared by the versions, and
        by the two questions that each is asked: whether all were met, and as often.

    Returns
    -------
    list of str
        One sentence each; empty where the parts are equal, or the names are not those of replicas.
    """
    each = alpha / (2 * max(len(counts.by_label), 1))
    every = (
        _warn(label[:LABEL_LENGTH], by_replica, declared.get(label), each)
        for label, by_replica in counts.by_label.items()
    )
    warnings = [warning for warning in every if warning][:MOST_WARNINGS]
    # Where there are several versions, their own turns are told by the runs of labels.
    if not warnings and len(counts.by_label) == 1 and _takes_turns(counts, alpha):
        warnings.append(
            "The replicas take turns (round robin): their counts are more equal than random "
            "choice makes them. That is harmless."
        )
    return warnings


def _warn(label: str, by_replica: Counter[str], declared: int | None, alpha: float) -> str:
    n, seen = by_replica.total(), len(by_replica)
    if declared is not None and seen > declared:
        return (
            f"{label}: {seen} replicas answered, but {declared} were declared; pods were replaced "
            "during the run, or --replica does not read pod names."
        )
    replicas = declared or seen
    # Without a declared number, the seen ones must be all, or equal parts are not known.
    if n < requests_to_see_all(replicas, alpha):
        return ""
    if seen < replicas:
        return (
            f"{label}: {replicas - seen} of {counted(replicas, 'replica')} answered none of "
            f"{counted(n, 'connection')}; with equal parts, the chance of that is "
            f"at most {_chance(replicas, n)}. Check that all its pods are ready."
        )
    nats = uniformity_log_evidence(list(by_replica.values()))
    if nats < -log(alpha):
        return ""
    part = n / replicas
    worst = max(by_replica, key=lambda name: _misfit(by_replica[name], part))
    return (
        f"{label}: {worst[:LABEL_LENGTH]} answered {by_replica[worst]} of "
        f"{counted(n, 'connection')} (expected {part:.0f}); its {counted(replicas, 'replica')} "
        f"do not get equal parts (evidence {odds(nats)}). The split between versions may "
        "still be right."
    )


def _misfit(count: int, part: float) -> float:
    """Deviance of one replica from its part [nats]."""
    return (count * log(count / part) if count else 0.0) - (count - part)


def _chance(replicas: int, n: int) -> str:
    chance = min(replicas * exp(n * log1p(-1 / replicas)), 1.0)
    return f"{chance:.1g}"


def _takes_turns(counts: ReplicaCounts, alpha: float) -> bool:
    """Whether the counts are more equal than chance explains (lower tail of chi-square)."""
    statistic, freedom = 0.0, 0
    for label, by_replica in counts.by_label.items():
        if counts.covered(label, alpha) is None or by_replica.total() < 5 * len(by_replica):
            continue
        part = by_replica.total() / len(by_replica)
        statistic += sum((count - part) ** 2 for count in by_replica.values()) / part
        # Counts are whole: each stands for half a connection more or fewer.
        statistic += len(by_replica) / 4 / part
        freedom += len(by_replica) - 1
    return freedom > 0 and chi_square_lower_tail(statistic, freedom) < _ROUND_ROBIN_LEVEL


def chi_square_lower_tail(statistic: float, freedom: int) -> float:
    """Chance of a chi-square so small (the series of DLMF 8.11.4); 1 beyond its middle."""
    half, x = freedom / 2, statistic / 2
    if x <= 0:
        return 0.0
    if x > half + 1:
        return 1.0
    term = total = 1.0
    for step in _steps(half, x):
        term *= step
        total += term
    return exp(half * log(x) - x - lgamma(half + 1)) * total


def _steps(half: float, x: float) -> Iterable[float]:
    """Ratios of neighbouring terms; below the middle, a few hundred sum up to 1e-16."""
    return (x / (half + k) for k in range(1, 200 + ceil(8 * half**0.5)))
