"""Splits that are known from practice: what gives them, and what to check where one is met."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from analysis.text.wording import LABEL_LENGTH
from analysis.versions.least_request import least_request_shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analysis.data.split import Split
    from analysis.versions.least_request import Pace
    from analysis.versions.replicas import ReplicaCounts

MOST_PODS = 50
"""Sum of weights up to which they may be numbers of pods; larger ones are percentages."""
_COVER = 0.01


@dataclass(frozen=True, slots=True)
class Cause:
    """A split that is known from practice.

    Parameters
    ----------
    weights : (k,) tuple of int
        What it gives each arm.
    looks_like : str
        Completes the sentence "the counts look like …".
    remedy : str
        What to check.
    claims_absence : bool
        Whether it says that some version gets nothing, which missing labels leave open.
    """

    weights: tuple[int, ...]
    looks_like: str
    remedy: str
    claims_absence: bool = False


def known_splits(
    split: Split,
    *,
    previous: Split | None,
    replicas: ReplicaCounts,
    declared: Mapping[str, int],
    pace: Pace | None,
) -> Iterator[Cause]:
    """Yield the candidates for a split of two or more arms; of equal ones the likelier first.

    Parameters
    ----------
    split : Split
        What was expected.
    previous, replicas, declared, pace
        As in `analysis.verdict.causes.Surroundings`.
    """
    arms, weights = split.arms, split.weights
    if len(arms) < 2:
        return
    yield from _step_before(split, previous)
    ratio = ":".join("1" for _ in arms)
    yield Cause(
        (1,) * len(arms),
        f"{ratio}, the same share for every version, as if the weights never took effect",
        "Check that the weights (or the replica counts) have reached the load balancer.",
    )
    yield from _zone(split, replicas, declared)
    yield from _replica_ratio(split, replicas, declared)
    yield from _one_pod_off(split)
    yield from _one_pod_moved(split)
    yield from _least_request(split, declared, pace)
    if len(arms) == 2:
        yield Cause(
            weights[::-1],
            f"{weights[1]}:{weights[0]}, the declared weights swapped",
            f"Check which version each weight belongs to; --expect {split} was declared.",
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
                f"{arm} getting nothing, and the others sharing its part",
                f"Check that the pods of {arm} are ready and selected by the Service.",
                claims_absence=True,
            )


def _step_before(split: Split, previous: Split | None) -> Iterator[Cause]:
    if previous is None or not set(previous.arms) <= set(split.arms):
        return
    weights = tuple(previous.weight_of.get(arm, 0) for arm in split.arms)
    yield Cause(
        weights,
        f"{':'.join(map(str, weights))}, the previous step",
        "The new weights are not in force yet: wait until the data plane has caught up, and "
        "check that the last change was accepted.",
        claims_absence=not all(weights),
    )


def _replica_ratio(
    split: Split, replicas: ReplicaCounts, declared: Mapping[str, int]
) -> Iterator[Cause]:
    """Yield the ratio of the replicas, as a Service without weights would have it."""
    numbers = [declared.get(arm) or replicas.covered(arm, _COVER) for arm in split.arms]
    if not all(numbers):
        return
    weights = tuple(number or 0 for number in numbers)
    yield Cause(
        weights,
        f"{':'.join(map(str, weights))}, the replica ratio, as if every pod got an equal share "
        "regardless of the weights",
        "Check that traffic goes through the gateway or mesh that applies the weights, and not "
        "straight to the Service, which only balances pods.",
    )


def _zone(split: Split, replicas: ReplicaCounts, declared: Mapping[str, int]) -> Iterator[Cause]:
    """Yield the pods that were met, where it is known that there are more of them."""
    met = [replicas.covered(arm, _COVER) or 0 for arm in split.arms]
    known = [declared.get(arm, 0) for arm in split.arms]
    unseen = [arm not in replicas.by_label for arm in split.arms]
    # Of each version either enough answers to have met all the pods there are for us, or none.
    if (
        not all(known)
        or not any(met)
        or not all(n or no for n, no in zip(met, unseen, strict=True))
    ):
        return
    if any(n > of for n, of in zip(met, known, strict=True)) or met == known:
        return
    pods = ", ".join(
        f"{n} of {of} of {arm}" for n, of, arm in zip(met, known, split.arms, strict=True)
    )
    yield Cause(
        tuple(met),
        f"{':'.join(map(str, met))}, the pods that this client reached ({pods}), as if it "
        "only reached those of its own zone or node",
        "Look at the Service's trafficDistribution, topology-aware hints and "
        "internalTrafficPolicy, and at the mesh's locality settings; or sample from every zone.",
        claims_absence=not all(met),
    )


def _least_request(split: Split, declared: Mapping[str, int], pace: Pace | None) -> Iterator[Cause]:
    """Yield what a balancer that prefers idle pods gives to versions that are not equally fast."""
    if pace is None or split.total > MOST_PODS:
        return
    pods = tuple(
        declared.get(arm) or weight for arm, weight in zip(split.arms, split.weights, strict=True)
    )
    weights = least_request_shares(split.arms, pods, pace)
    if weights is None:
        return
    slow = max(pace.seconds, key=pace.seconds.__getitem__)
    times = pace.seconds[slow] / min(pace.seconds.values())
    name = slow[:LABEL_LENGTH]
    share = 100 * weights[split.arms.index(slow)] / sum(weights)
    yield Cause(
        weights,
        f"{share:.2g} % for {name}, which takes {times:.2g} times as long to answer, as if the "
        "balancer preferred pods with fewer requests in flight (least-request)",
        f"Find out why {name} is slower; or, if it should get its share anyway, let the balancer "
        "choose by weight or at random.",
    )


def _one_pod_off(split: Split) -> Iterator[Cause]:
    """Yield a pod more or fewer of each version, if the weights may be numbers of pods."""
    if split.total > MOST_PODS:
        return
    for position, (arm, weight) in enumerate(zip(split.arms, split.weights, strict=True)):
        for change in (-1, 1):
            if not weight or weight + change < 1:
                continue
            weights = tuple(w + change * (i == position) for i, w in enumerate(split.weights))
            ratio = ":".join(map(str, weights))
            yield Cause(
                weights,
                f"{ratio}, one pod of {arm} {'missing' if change < 0 else 'too many'}",
                f"Compare the ready pods of {arm} with the declared {weight}: is one not ready, "
                "just starting, or left over?",
            )


def _one_pod_moved(split: Split) -> Iterator[Cause]:
    """Yield a pod of one version in the place of one of another, as after a step too many."""
    if split.total > MOST_PODS:
        return
    for loses, gains in permutations(range(len(split.arms)), 2):
        if split.weights[loses] < 2 or not split.weights[gains]:
            continue
        weights = tuple(w - (i == loses) + (i == gains) for i, w in enumerate(split.weights))
        ratio, arm, other = ":".join(map(str, weights)), split.arms[loses], split.arms[gains]
        yield Cause(
            weights,
            f"{ratio}, one pod moved from {arm} to {other}",
            f"Compare the ready pods of {arm} and {other} with the declared "
            f"{split.weights[loses]} and {split.weights[gains]}: has the rollout gone a step "
            "further or back, or does a pod carry the wrong label?",
        )
