"""What a wrong split looks like: named hypotheses, ranked by how well they fit the counts.

A name is a hint and carries no error rate. It is given only if the declared split is excluded,
and if it explains the counts far better than that split, about as well as any split could, and
clearly better than the names that are not given. Those that explain them about equally well are
given together, as alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import gcd, inf, lgamma, log, pi
from typing import TYPE_CHECKING

from analysis.data.report import Reason, ReasonCode
from analysis.guards.markov import markov_log_evidence, transitions_of
from analysis.text.rounding import amount, counted
from analysis.text.wording import LABEL_LENGTH, odds, quoted
from analysis.verdict.known_splits import Cause, known_splits
from analysis.versions.replicas import ReplicaCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.data.split import Split
    from analysis.data.tally import Tally
    from analysis.evidence.state import Evidence
    from analysis.versions.least_request import Pace

BETTER_BY = 3.0
"""Log likelihood that a named split must gain on the declared one [nats]: odds of 20. The evidence
against the declared split, at every look and for no split in particular, must be as strong."""
WORSE_BY = 3.0
"""Log likelihood that it may lose against the best fit, for each free share [nats]."""
CLEARLY = 2.0
"""Log likelihood by which the names that are given lead all others [nats]: odds of 7."""
MOST_NAMES = 4
"""Splits that are named; if more fit about equally well, the counts cannot tell, and none is."""
MOST_PODS_NAMED = 2
"""Pods that a sentence lists."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a run besides the counts of its labels.

    Parameters
    ----------
    replicas : ReplicaCounts
        Connections by version and replica.
    declared_replicas : mapping of str to int
        Number of replicas of a version, where it was given.
    previous : Split or None
        The split before this one.
    pace : Pace or None
        How long versions take, where one is proven to take longer.
    is_paced : bool
        Whether requests were sent at a rate of their own (``--rate``).
    """

    replicas: ReplicaCounts = field(default_factory=ReplicaCounts)
    declared_replicas: Mapping[str, int] = field(default_factory=dict)
    previous: Split | None = None
    pace: Pace | None = None
    is_paced: bool = False


def likely_causes(
    evidence: Evidence, seen: Tally | None = None, around: Surroundings | None = None
) -> tuple[Reason, ...]:
    """Name what the run looks like, the best first; empty if nothing stands out.

    Parameters
    ----------
    evidence : Evidence
        Of the run.
    seen : Tally or None
        All samples of the run, if each was an independent draw: what was in flight when the
        verdict fell tells more than the few connections that it took. None looks at the
        judged ones.
    around : Surroundings or None
        What else is known.

    Returns
    -------
    tuple of Reason
        With code ``looks_like``, the counts and a remedy: a client that meets one replica
        only, or at most `MOST_NAMES` splits; and pods that should not answer.
    """
    around = around or Surroundings()
    arms = evidence.split.arms
    # Of connections with several answers, what their means come to: answers would count double.
    judged = {label: round(count) for label, count in evidence.counts.items()}
    by_label: Mapping[str, int] = judged if seen is None else seen.labels
    missing = round(evidence.missing) if seen is None else seen.launched - seen.labelled
    counts = [by_label.get(arm, 0) for arm in arms]
    foreign = _foreign_pods(evidence.split, by_label, around.replicas)
    if not any(counts):
        return foreign
    pinned = _one_replica(evidence.split, by_label, around)
    if pinned:
        # Whatever the counts look like, they are one pod's.
        return (*pinned, *foreign)
    declared = log_likelihood(counts, evidence.split.weights)
    is_excluded = max(evidence.log_fail, evidence_against(counts, evidence.split.weights))
    ranked = (
        _rank(evidence.split, counts, around, is_whole=not missing)
        if is_excluded >= BETTER_BY
        else []
    )
    shown = ", ".join(f"{arm} {count}" for arm, count in zip(arms, counts, strict=True))
    subject = _subject(shown, sum(counts), evidence.judged)
    ratio = ":".join(map(str, evidence.split.weights))
    return (
        *(
            Reason(
                ReasonCode.LOOKS_LIKE,
                f"{subject} look like {cause.looks_like} "
                f"({_compared(fit - declared, ratio)}){_alternatives(len(ranked))}.",
                cause.remedy,
            )
            for fit, cause in ranked
        ),
        *_hanging_together(evidence),
        *foreign,
    )


def _subject(shown: str, answers: int, judged: int) -> str:
    """Return what was counted: more answers may have come in than the verdict needed."""
    if answers <= judged:
        return f"The counts ({shown})"
    return f"All {amount(answers)} answers ({shown}), not only the {amount(judged)} judged,"


def log_likelihood(counts: Sequence[int], weights: Sequence[int]) -> float:
    """Log likelihood of counts under shares in proportion to weights [nats], up to a constant."""
    total = sum(weights)
    nats = 0.0
    for count, weight in zip(counts, weights, strict=True):
        if count and not weight:
            return -inf
        if count:
            nats += count * log(weight / total)
    return nats


def _compared(gain: float, declared: str) -> str:
    if gain == inf:
        return f"impossible under {declared}"
    return f"likelihood {odds(gain)} against {declared}"


def _alternatives(names: int) -> str:
    return "" if names < 2 else f"; one of {names} that explain them about equally well"


def evidence_against(counts: Sequence[int], weights: Sequence[int]) -> float:
    """Return the log evidence of the counts against a split, for no other in particular [nats].

    Under the split its exponential has mean at most 1 at every look (Dirichlet mixture with
    parameters 1/2; Krichevsky and Trofimov).
    """
    k, n = len(counts), sum(counts)
    mixture = lgamma(k / 2) - lgamma(n + k / 2) - k * log(pi) / 2
    mixture += sum(lgamma(count + 0.5) for count in counts)
    return mixture - log_likelihood(counts, weights)


def _rank(
    split: Split, counts: Sequence[int], around: Surroundings, *, is_whole: bool
) -> list[tuple[float, Cause]]:
    """Return the causes that fit, with their log likelihood, if they lead all others clearly."""
    declared, best = log_likelihood(counts, split.weights), log_likelihood(counts, counts)
    fitting: list[tuple[float, Cause]] = []
    known = known_splits(
        split,
        previous=around.previous,
        replicas=around.replicas,
        declared=around.declared_replicas,
        pace=around.pace,
    )
    for cause in _told_apart(known, is_whole=is_whole):
        fit = log_likelihood(counts, cause.weights)
        if fit - declared >= BETTER_BY and best - fit <= WORSE_BY * (len(counts) - 1):
            fitting.append((fit, cause))
    fitting.sort(key=lambda pair: -pair[0])
    for names in range(1, MOST_NAMES + 1):
        if len(fitting) <= names or fitting[names - 1][0] - fitting[names][0] >= CLEARLY:
            return fitting[:names]
    return []


def _told_apart(causes: Iterable[Cause], *, is_whole: bool) -> list[Cause]:
    """Join the causes that give the same shares: no counts can tell them apart."""
    told: dict[tuple[int, ...], Cause] = {}
    for cause in causes:
        if cause.claims_absence and not is_whole:
            continue
        shares = _reduced(cause.weights)
        first = told.get(shares)
        told[shares] = cause if first is None else _joined(first, cause)
    return list(told.values())


def _joined(first: Cause, other: Cause) -> Cause:
    return replace(
        first,
        looks_like=f"{first.looks_like}, or {other.looks_like}",
        remedy=f"{first.remedy} {other.remedy}",
    )


def _reduced(weights: Sequence[int]) -> tuple[int, ...]:
    divisor = gcd(*weights) or 1
    return tuple(weight // divisor for weight in weights)


def _one_replica(
    split: Split, by_label: Mapping[str, int], around: Surroundings
) -> tuple[Reason, ...]:
    """Name the replica that answered every connection, although there must be several."""
    replicas = around.replicas
    if replicas.unbounded or len(replicas.by_label) != 1:
        return ()
    ((label, by_replica),) = replicas.by_label.items()
    n = by_replica.total()
    pods = sum(around.declared_replicas.values()) or sum(weight > 0 for weight in split.weights)
    answered = sum(by_label.values())
    # R equal replicas send n connections to one and the same with chance R^(1 - n).
    nats = (n - 1) * log(pods) if pods > 1 else 0.0
    if len(by_replica) != 1 or nats < BETTER_BY or n < answered:
        return ()
    (replica,) = by_replica
    return (
        Reason(
            ReasonCode.LOOKS_LIKE,
            f"{replica[:LABEL_LENGTH]} of {label[:LABEL_LENGTH]} answered all of "
            f"{counted(n, 'connection')}, as if this client were pinned to one pod (session "
            f"affinity), or as if there were no other (likelihood {odds(nats)} against "
            f"{pods} equal ones).",
            "Look at the Service's sessionAffinity, at affinity cookies and source-address "
            "hashing on the path, and at the ready pods; or sample from several addresses.",
        ),
    )


def _hanging_together(evidence: Evidence) -> tuple[Reason, ...]:
    """Name the arm that tends to follow itself, if consecutive connections are proven dependent.

    A share that changed during the run does the same: evidence of drift must be weaker than
    this. For a run that the runs guard kept from PASS, its own reason says so.
    """
    if evidence.groups is not None or evidence.settled is ReasonCode.DEPENDENT_CONNECTIONS:
        return ()
    n = int(evidence.labelled)
    found = []
    for row, arm in enumerate(evidence.split.arms[arm] for arm in evidence.bets.arms):
        transitions = transitions_of(evidence.runs, row, n, int(evidence.counts[arm]))
        (stays_other, comes), (goes, stays) = transitions
        nats = markov_log_evidence(transitions)
        if stays * (stays_other + comes) > comes * (stays + goes):
            found.append((nats, arm, stays / (stays + goes), comes / max(stays_other + comes, 1)))
    level = -log(evidence.policy.alpha)
    nats, arm, after_itself, after_others = max(found, default=(0.0, "", 0.0, 0.0))
    if nats < max(level, log(evidence.drift.peak)):
        return ()
    name = arm[:LABEL_LENGTH]
    return (
        Reason(
            ReasonCode.LOOKS_LIKE,
            "Consecutive connections are not independent: after a connection to "
            f"{name}, {100 * after_itself:.2g} % reached it again; after any other, "
            f"{100 * after_others:.2g} % reached it (evidence {odds(nats)} against independent "
            "draws), as with a sticky client or a proxy that pools connections.",
            "Look at session affinity, and at proxies on the path that keep connections open; or "
            "sample from several addresses.",
        ),
    )


def _foreign_pods(
    split: Split, by_label: Mapping[str, int], replicas: ReplicaCounts
) -> tuple[Reason, ...]:
    """Name the pods behind labels that are not expected, where the replicas tell."""
    foreign = [label for label in by_label if label not in split.arms and by_label[label]]
    pods = {replica: label for label in foreign for replica in replicas.by_label.get(label, {})}
    if not pods:
        return ()
    n = sum(by_label[label] for label in foreign)
    names = ", ".join(f"{replica[:LABEL_LENGTH]}" for replica in list(pods)[:MOST_PODS_NAMED])
    more = f" and {len(pods) - MOST_PODS_NAMED} more" if len(pods) > MOST_PODS_NAMED else ""
    return (
        Reason(
            ReasonCode.LOOKS_LIKE,
            f"{quoted(foreign[0])} gave {amount(n)} of "
            f"{counted(sum(by_label.values()), 'answer')}, from {names}{more}: the Service selects "
            "foreign pods too.",
            "Compare their labels with the Service's selector.",
        ),
    )
