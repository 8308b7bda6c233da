"""Argo Rollouts: the weight of a canary's step, and what pods alone can make of it.

A Rollout holds one pod template, that of the new version. What the stable one is stands in
``status.stableRS`` and its ReplicaSet, or is told with ``--version-from stable=v1``.

References: argo-rollouts, ``GetCurrentSetWeight`` and the replica counts of the basic canary
in utils/replicaset/canary.go.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, weighted
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import Mixture
from sampler.expect.rules.workloads import label_of, template_of, workload

if TYPE_CHECKING:
    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUP = "argoproj.io"
HASH = "rollouts-pod-template-hash"
_ALL = 100


def behind_rollout(rollout: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return the split of a Rollout at a step.

    Raises
    ------
    ExpectationError
        If it is not a canary; if the step is not known, or the step and the status
        contradict each other; or if a version cannot be told.
    """
    canary = rollout["spec"]["strategy"]["canary"]
    if not canary.exists:
        raise ExpectationError(
            f"{rollout['spec']['strategy'].where}: {rollout} is not a canary: blueGreen sends "
            "everything to the active Service",
            hint="check that Service: --service NAME",
        )
    weight, total, number, what = _weight(rollout, question)
    newer = _label(rollout, inventory, question)
    older = _stable_label(rollout, inventory, question, newer)
    findings = [] if canary["trafficRouting"].exists else _unachievable(rollout, weight, number)
    mixture = weighted(
        [
            Branch(
                total - weight, number, f"rest of {total}", older, _only(older), is_derived=True
            ),
            Branch(weight, number, what, newer, _only(newer)),
        ]
    )
    return Mixture(mixture.weights, mixture.numbers, tuple(findings), (rollout,))


def _only(label: str) -> Mixture:
    return Mixture({label: Fraction(1)})


def _weight(rollout: KubeObject, question: Question) -> tuple[int, int, Node, str]:
    """Return the canary's weight, the total, where the weight stands and what it is called."""
    canary, status = rollout["spec"]["strategy"]["canary"], rollout["status"]
    total = canary["trafficRouting"]["maxTrafficWeight"].count(_ALL) or _ALL
    node = status["canary"]["weights"]["canary"]["weight"]
    if status["abort"].value is True:
        return 0, total, status["abort"], "weight after an abort"
    if question.step is None and node.exists:
        return min(node.count(), total), total, node, "weight in force"
    step = question.step
    if step is None and status["currentStepIndex"].exists:
        step = status["currentStepIndex"].count()
    if step is None:
        raise ExpectationError(
            f"{rollout.place}: {rollout} does not say which step is current",
            hint=f"name it: {_known_steps(canary) or 'it has no steps'}",
        )
    weight, number = step_weight(canary, step, total)
    if node.exists and node.count() != weight:
        raise ExpectationError(
            f"{rollout}: step {step} sets the weight {weight} ({number.where}), and the current "
            f"weight is {node.count()} ({node.where})",
            hint="leave out --step to take the current one, or wait until the step is reached",
        )
    return min(weight, total), total, number, f"setWeight of step {step}"


def step_weight(canary: Node, step: int, total: int = _ALL) -> tuple[int, Node]:
    """Return the weight while a step is the current one, and where it stands.

    Parameters
    ----------
    canary : Node
        ``spec.strategy.canary``.
    step : int
        Its index, from 0, as in ``status.currentStepIndex``. The number of steps means that
        all are done.
    total : int
        Weight of everything.

    Raises
    ------
    ExpectationError
        If there are fewer steps.
    """
    steps = list(canary["steps"])
    if step > len(steps):
        raise ExpectationError(
            f"{canary['steps'].where}: {canary.owner} has {len(steps)} steps, none with index "
            f"{step}",
            hint=f"steps count from 0: {_known_steps(canary) or 'there are none'}",
        )
    if step == len(steps):
        return total, canary["steps"]
    for each in reversed(steps[: step + 1]):
        if each["setWeight"].exists:
            return each["setWeight"].count(), each["setWeight"]
    return 0, canary["steps"]


def _known_steps(canary: Node) -> str:
    return ", ".join(
        f"--step {position} (setWeight {each['setWeight'].count()})"
        for position, each in enumerate(canary["steps"])
        if each["setWeight"].exists
    )


def _label(rollout: KubeObject, inventory: Inventory, question: Question) -> str:
    named = question.versions.of_name("canary")
    if named is not None:
        return question.renames.get(named, named)
    return label_of(template_of(rollout, inventory), rollout, question)


def _stable_label(rollout: KubeObject, inventory: Inventory, question: Question, newer: str) -> str:
    named = question.versions.of_name("stable")
    if named is not None:
        return question.renames.get(named, named)
    stable = rollout["status"]["stableRS"]
    for each in inventory.of("ReplicaSet"):
        is_stable = stable.exists and each.labels.get(HASH) == stable.text()
        if is_stable and each.namespace == rollout.namespace:
            return label_of(workload(each, inventory).template, each, question)
    raise ExpectationError(
        f"{rollout.place}: {rollout} names its canary version ({newer}), not its stable one",
        hint="name it: --version-from stable=v1,canary=v2; "
        "or read its ReplicaSets too: kubectl get rollouts,replicasets -o yaml",
    )


def canary_pods(
    replicas: int, weight: int, max_surge: int, total_weight: int = _ALL
) -> tuple[int, int]:
    """Return the pods of the canary, and of both, that come closest to a weight.

    Without a traffic router the weight can only be made of pods.

    Parameters
    ----------
    replicas : int
        Of the Rollout, >= 0.
    weight : int
        In [0, `total_weight`].
    max_surge : int
        Pods that may be added, >= 0; one of them is used.
    total_weight : int
        Weight of everything.

    Notes
    -----
    Candidates are floor and ceil of replicas times weight over N pods, and over N + 1 with a
    surge; for weights between 0 and all, with more than one pod, neither version may have
    none; the closest share wins, the larger canary on ties.
    """
    wanted = Fraction(weight, total_weight)
    is_partial = 0 < weight < total_weight
    candidates = [
        (canary, pods)
        for pods in ((replicas, replicas + 1) if max_surge and is_partial else (replicas,))
        for canary in (ceil(pods * wanted), floor(pods * wanted))
        if not (is_partial and pods > 1 and canary in {0, pods})
    ]
    if not candidates:
        return 0, replicas
    return min(candidates, key=lambda each: abs(Fraction(each[0], max(each[1], 1)) - wanted))


def _unachievable(rollout: KubeObject, weight: int, number: Node) -> list[Finding]:
    """Find a weight that pods alone cannot make, and the share that they can make."""
    replicas = rollout["spec"]["replicas"].count(1)
    canary, pods = canary_pods(replicas, weight, max_surge(rollout))
    if not pods or Fraction(canary, pods) == Fraction(weight, _ALL):
        return []
    share = f"{100 * canary / pods:.4g} %"
    return [
        Finding(
            FindingCode.UNACHIEVABLE_WEIGHT,
            f"{rollout} asks for setWeight {weight} with {_pods(replicas)} and no traffic router: "
            f"the nearest is {canary} of {_pods(pods)}, {share}",
            f"expect that instead ({pods - canary}:{canary}), take more replicas, "
            "or add a traffic router",
            number.where,
        )
    ]


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def unachievable_steps(rollout: KubeObject) -> list[Finding]:
    """Find the steps whose weight pods alone cannot make."""
    canary = rollout["spec"]["strategy"]["canary"]
    if not canary.exists or canary["trafficRouting"].exists:
        return []
    return [
        finding
        for each in canary["steps"]
        if each["setWeight"].exists
        for finding in _unachievable(rollout, each["setWeight"].count(), each["setWeight"])
    ]


def max_surge(rollout: KubeObject) -> int:
    """Return the pods that a Rollout may add, by default a quarter, rounded up."""
    node = rollout["spec"]["strategy"]["canary"]["maxSurge"]
    replicas = rollout["spec"]["replicas"].count(1)
    if isinstance(node.value, str):
        text = node.text().removesuffix("%")
        if not (text.isascii() and text.isdigit()):
            raise ExpectationError(
                f"{node.where}: {rollout}: expected pods or percent, got {node.value!r}",
                hint="write maxSurge: 1 or maxSurge: 25%",
            )
        return ceil(replicas * Fraction(int(text), 100))
    return node.count(ceil(Fraction(replicas, 4)))
