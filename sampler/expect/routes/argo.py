"""Argo Rollouts: the weight of a canary's step, and what pods alone can make of it.

A Rollout holds one pod template, that of the new version. What the stable one is stands in
``status.stableRS`` and its ReplicaSet, or is told with ``--version-from stable=v1``.

References: argo-rollouts, ``GetCurrentSetWeight`` and the replica counts of the basic canary
in utils/replicaset/canary.go.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, modf
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, weighted
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import Mixture
from sampler.expect.rules.objects import selects
from sampler.expect.rules.services import affinity_of
from sampler.expect.rules.workloads import label_of, template_of, workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUP = "argoproj.io"
HASH = "rollouts-pod-template-hash"
_ALL = 100
_MOST_STEPS_TOLD = 10

STEP = Fields(
    "the step of a canary",
    evaluated=("setWeight", "experiment"),
    beside=(
        "analysis", "pause", "plugin", "setCanaryScale", "setHeaderRoute", "setMirrorRoute",
    ),
)  # fmt: skip


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
    services = _services(rollout, inventory)
    findings: list[Finding] = []
    if not canary["trafficRouting"].exists:
        affinities = filter(None, map(affinity_of, services))
        findings = [*_unachievable(rollout, weight, number), *affinities]
    mixture = weighted(
        [
            Branch(
                total - weight, number, f"rest of {total}", older, _only(older), is_derived=True
            ),
            Branch(weight, number, what, newer, _only(newer)),
        ]
    )
    return Mixture(mixture.weights, mixture.numbers, tuple(findings), (rollout, *services))


def _services(rollout: KubeObject, inventory: Inventory) -> list[KubeObject]:
    """Return the Services of a Rollout's pods, of whichever version."""
    labels = template_of(rollout, inventory)["metadata"]["labels"].texts()
    return [
        each
        for each in inventory.of("Service")
        if each.namespace == rollout.namespace
        and selects(without_hash(each["spec"]["selector"].texts()), labels)
    ]


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
    for each in steps:
        STEP.check(each)
    if step > len(steps):
        raise ExpectationError(
            f"{canary['steps'].where}: {canary.owner} has {len(steps)} steps, none with index "
            f"{step}",
            hint=f"steps count from 0: {_known_steps(canary) or 'there are none'}",
        )
    if step == len(steps):
        return total, canary["steps"]
    for template in steps[step]["experiment"]["templates"]:
        if template["weight"].exists:
            raise ExpectationError(
                f"{template['weight'].where}: {canary.owner} gives pods of an experiment a weight "
                f"in step {step}, which is not evaluated",
                hint="declare the split with --expect",
            )
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
    As ``approximateWeightedCanaryStableReplicaCounts`` of Argo Rollouts: candidates are floor
    and ceil of N times the weight, over N pods, and with a surge over N + 1 as well; unless N is
    1 and there is no surge, a weight between 0 and all leaves neither version without a pod; the
    closest share wins, the first one of equals, and of two counts of pods that are equally far
    away only the larger one is a candidate.
    """
    if not replicas:
        return 0, 0
    wanted = Fraction(weight, total_weight)
    upper, lower = ceil(replicas * wanted), floor(replicas * wanted)
    may_be_none = weight in {0, total_weight} or (replicas == 1 and not max_surge)
    may_be_lower = lower != 0 or may_be_none

    def is_tied(pods: int) -> bool:
        # In floating point, as the controller computes it.
        return modf(pods * (weight / total_weight))[0] == 0.5

    candidates = []
    if upper < replicas or may_be_none:
        candidates.append((upper, replicas))
    if may_be_lower and not is_tied(replicas):
        candidates.append((lower, replicas))
    if max_surge:
        candidates.append((upper, replicas + 1))
        if may_be_lower and not is_tied(replicas + 1):
            candidates.append((lower, replicas + 1))
    if not candidates:
        return 0, replicas
    return min(candidates, key=lambda each: abs(Fraction(each[0], each[1]) - wanted))


def _unachievable(rollout: KubeObject, weight: int, number: Node) -> list[Finding]:
    """Find a weight that pods alone miss by more than a tenth, and the share that they can make."""
    replicas, wanted = rollout["spec"]["replicas"].count(1), Fraction(weight, _ALL)
    canary, pods = canary_pods(replicas, weight, max_surge(rollout))
    if not pods or abs(Fraction(canary, pods) - wanted) <= min(wanted, 1 - wanted) / 10:
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


def of_experiments(rollout: KubeObject) -> Iterator[dict[str, str]]:
    """Yield the labels of the pods that the experiments of a Rollout's steps run."""
    for step in rollout["spec"]["strategy"]["canary"]["steps"]:
        for each in step["experiment"]["templates"]:
            labels = rollout["spec"]["template"]["metadata"]["labels"].texts()
            yield labels | each["metadata"]["labels"].texts()


def pairs_of_experiments(rollout: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield these labels pair by pair, each with the namespace."""
    for labels in of_experiments(rollout):
        yield from ((rollout.namespace, *pair) for pair in labels.items())


def without_hash(selector: Mapping[str, str]) -> dict[str, str]:
    """Return a selector without the hash that Argo adds."""
    return {key: value for key, value in selector.items() if key != HASH}


def refuse_service(service: KubeObject, inventory: Inventory) -> None:
    """Refuse a live Service whose pods a Rollout moves between versions.

    Raises
    ------
    ExpectationError
        If it is one of those that a Rollout switches to one version, or has the pods of one
        that is on its way through its steps.
    """
    for rollout in inventory.of("Rollout"):
        canary, status = rollout["spec"]["strategy"]["canary"], rollout["status"]
        if not canary.exists or rollout.namespace != service.namespace:
            continue
        remedy = f"to check its split: --route Rollout/{rollout.name}"
        for key in ("canaryService", "stableService"):
            if canary[key].text("") == service.name:
                raise ExpectationError(
                    f"{service.place}: {service} is the {key} of {rollout}, which keeps it to one "
                    "version",
                    hint=f"{remedy}; for that version alone: --expect LABEL=1",
                )
        labels = template_of(rollout, inventory)["metadata"]["labels"].texts()
        stable = status["stableRS"].text("")
        is_settled = bool(stable) and stable == status["currentPodHash"].text("")
        if (
            list(canary["steps"])
            and not is_settled
            and selects(service["spec"]["selector"].texts(), labels)
        ):
            raise ExpectationError(
                f"{service.place}: {service} selects the pods of {rollout}, whose steps divide "
                f"them, and which is not done ({status.where})",
                hint=remedy,
            )


def services_without_router(rollout: KubeObject) -> list[Finding]:
    """Find Services that Argo switches between the versions, where nothing divides traffic.

    Argo adds the hash of one version to the selector of each, whether there is a router or not.
    """
    canary = rollout["spec"]["strategy"]["canary"]
    named = [node for key in ("canaryService", "stableService") if (node := canary[key]).exists]
    if not named or canary["trafficRouting"].exists:
        return []
    names = " and ".join(node.text() for node in named)
    return [
        Finding(
            FindingCode.ROLLOUT_SERVICES,
            f"{rollout} switches Service {names} to one version each, and has no trafficRouting "
            "that divides traffic between them",
            "split by pods through one Service that selects both versions, or add trafficRouting",
            named[0].where,
        )
    ]


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def unachievable_steps(rollout: KubeObject) -> list[Finding]:
    """Find the steps whose weight pods alone cannot make; of many, the last counts the rest."""
    canary = rollout["spec"]["strategy"]["canary"]
    if not canary.exists or canary["trafficRouting"].exists:
        return []
    found = [
        finding
        for each in canary["steps"]
        if each["setWeight"].exists
        for finding in _unachievable(rollout, each["setWeight"].count(), each["setWeight"])
    ]
    told, rest = found[:_MOST_STEPS_TOLD], found[_MOST_STEPS_TOLD:]
    if rest:
        more = f"; nor can {len(rest)} further steps, down to {rest[-1].where}"
        told[-1] = replace(told[-1], message=told[-1].message + more)
    return told


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
