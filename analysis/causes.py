"""What a wrong split looks like: named hypotheses, ranked by how well they fit the counts.

A name is a hint and carries no error rate. It is given only if it explains the counts far
better than the declared split does, and about as well as any split could.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING

from analysis.report import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.evidence import Evidence
    from analysis.split import Split
    from analysis.tally import Tally

BETTER_BY = 3.0
"""Log likelihood that a named split must gain on the declared one [nats]: odds of 20."""
WORSE_BY = 3.0
"""Log likelihood that it may lose against the best fit, for each free share [nats]."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A split that is known from practice.

    Parameters
    ----------
    weights : (k,) tuple of int
        What it gives each arm.
    looks_like : str
        Ends the sentence "the counts look like ...".
    remedy : str
        What to check.
    claims_absence : bool
        Whether it says that some version gets nothing, which missing labels leave open.
    """

    weights: tuple[int, ...]
    looks_like: str
    remedy: str
    claims_absence: bool = False


def likely_causes(evidence: Evidence, seen: Tally | None = None) -> tuple[Reason, ...]:
    """Name the splits that the counts look like, the best first; empty if none stands out.

    Parameters
    ----------
    evidence : Evidence
        Of the run.
    seen : Tally or None
        All samples of the run, if each was an independent draw: what was in flight when the
        verdict fell tells more than the few connections that it took. None looks at the
        judged ones.

    Returns
    -------
    tuple of Reason
        With code ``looks_like``, the counts and a remedy.
    """
    arms = evidence.split.arms
    by_label: Mapping[str, int] = evidence.counts if seen is None else seen.labels
    missing = evidence.missing if seen is None else seen.launched - seen.labelled
    counts = [by_label.get(arm, 0) for arm in arms]
    if not any(counts):
        return ()
    declared = log_likelihood(counts, evidence.split.weights)
    best = log_likelihood(counts, counts)
    named = []
    for cause in _causes(evidence.split):
        if cause.claims_absence and missing:
            continue
        fit = log_likelihood(counts, cause.weights)
        if fit - declared >= BETTER_BY and best - fit <= WORSE_BY * (len(arms) - 1):
            named.append((fit, cause))
    named.sort(key=lambda pair: -pair[0])
    whose = "The counts" if seen is None else "The counts of the whole run"
    shown = ", ".join(f"{arm} {count}" for arm, count in zip(arms, counts, strict=True))
    return tuple(
        Reason(
            ReasonCode.LOOKS_LIKE,
            f"{whose} ({shown}) look like {cause.looks_like}.",
            cause.remedy,
        )
        for _, cause in named
    )


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


def _causes(split: Split) -> Iterator[Cause]:
    """Yield the candidates for a split of two or more arms."""
    arms, weights = split.arms, split.weights
    if len(arms) < 2:
        return
    ratio = ":".join("1" for _ in arms)
    yield Cause(
        (1,) * len(arms),
        f"{ratio}, the same share for every version, as if the weights never took effect",
        "Check that the weights (or the replica counts) have reached what balances the traffic.",
    )
    if len(arms) == 2:
        yield Cause(
            weights[::-1],
            f"{weights[1]}:{weights[0]}, the declared weights the wrong way round",
            f"Check which version each weight belongs to; declared was --expect {split}.",
        )
    for position, arm in enumerate(arms):
        yield Cause(
            tuple(int(other == position) for other in range(len(arms))),
            f"{arm} taking everything",
            "Check that the pods of every version are ready and selected by the Service, and "
            "that neither session affinity nor --connection reuse pins this client to one pod.",
            claims_absence=True,
        )
        others = tuple(0 if other == position else w for other, w in enumerate(weights))
        if len(arms) > 2 and weights[position] and any(others):
            yield Cause(
                others,
                f"{arm} getting nothing and the others their parts of the rest",
                f"Check that the pods of {arm} are ready and selected by the Service.",
                claims_absence=True,
            )
