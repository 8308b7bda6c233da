"""Flagger: the weight in a Canary's status, or of a step of its analysis.

The target Deployment holds the new version; what serves is its copy ``<name>-primary``.

References: Flagger, pkg/controller/scheduler.go (maxWeight, nextStepWeight, runCanary),
CanaryAnalysis and CanaryStatus.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.routes.istio import service_of_host
from sampler.expect.rules.backends import Branch, weighted
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import Mixture, NotYetError
from sampler.expect.rules.services import services_of
from sampler.expect.rules.workloads import label_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUP = "flagger.app"
_ALL = 100

ANALYSIS = Fields(
    "an analysis",
    ("stepWeight", "stepWeights", "maxWeight", "mirror", "sessionAffinity"),
    beside=(
        "alerts", "canaryReadyThreshold", "interval", "metrics", "mirrorWeight",
        "primaryReadyThreshold", "stepWeightPromotion", "threshold", "webhooks",
    ),
    refused={
        "iterations": "it makes a blue/green or A/B test, which sends all traffic to one version",
        "match": "it sends only requests that match to the canary",
    },
)  # fmt: skip


def behind_canary(canary: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return the split that a Canary says is in force.

    Raises
    ------
    ExpectationError
        If it has no status and no step was named; if the route that Flagger writes says
        something else, with both places; or if a version cannot be told.
    """
    weight, number, what = _weight(canary, question)
    _cross_check(canary, weight, number, inventory)
    older = _label(canary, inventory, question, "primary")
    newer = _label(canary, inventory, question, "canary")
    mixture = weighted(
        [
            Branch(_ALL - weight, number, f"rest of {_ALL}", older, _only(older), is_derived=True),
            Branch(weight, number, what, newer, _only(newer)),
        ]
    )
    services = [
        service
        for role in ("primary", "canary")
        if (target := _target(canary, inventory, role)) is not None
        for service in services_of(
            target["spec"]["template"]["metadata"]["labels"].texts(), canary.namespace, inventory
        )
    ]
    return dataclasses.replace(
        mixture, findings=(*mixture.findings, *_sticky(canary)), objects=(canary, *services)
    )


def _sticky(canary: KubeObject) -> list[Finding]:
    affinity = _analysis(canary)["sessionAffinity"]
    if not affinity.exists:
        return []
    return [
        Finding(
            FindingCode.STICKY,
            f"{canary} has sessionAffinity: a client that the canary once answered stays with it",
            "check without cookies, as weighbridge does; real users are assigned once each",
            affinity.where,
        )
    ]


def _only(label: str) -> Mixture:
    return Mixture({label: Fraction(1)})


def _weight(canary: KubeObject, question: Question) -> tuple[int, Node, str]:
    status = canary["status"]["canaryWeight"]
    if question.step is None:
        if not status.exists:
            raise ExpectationError(
                f"{canary.place}: {canary} has no status.canaryWeight: Git alone does not say "
                "how far it has got",
                hint="name a step (--step 1 is the first raise), or read the live object: "
                "kubectl get canary,deployment -o yaml",
            )
        return min(status.count(), _ALL), status, "canaryWeight"
    weight, number = step_weight(canary, question.step)
    if status.exists and status.count() != weight:
        raise ExpectationError(
            f"{canary}: after {question.step} raises the weight is {weight} ({number.where}), "
            f"and its status says {status.count()} ({status.where})",
            hint="leave out --step to take the status, or wait until the step is reached",
        )
    return weight, number, f"weight after {question.step} raises"


def step_weight(canary: KubeObject, step: int) -> tuple[int, Node]:
    """Return the weight after a number of raises, and where it stands.

    Raises
    ------
    ExpectationError
        If the analysis has no such step, or does not raise the weight step by step.
    """
    analysis = _analysis(canary)
    _refuse_other_strategies(canary, analysis)
    raises = _raises(analysis)
    if analysis["stepWeight"].count(0):
        step = min(step, len(raises))  # the last weight holds until the promotion
    if step > len(raises):
        raise ExpectationError(
            f"{analysis.where}: {canary} is raised {len(raises)} times, not {step} times",
            hint=f"--step 0 to --step {len(raises)}",
        )
    return (0, analysis) if step == 0 else raises[step - 1]


def _analysis(canary: KubeObject) -> Node:
    """Return the analysis; ``canaryAnalysis`` is its name up to v1alpha3, and still read."""
    spec = canary["spec"]
    return spec["analysis"] if spec["analysis"].exists else spec["canaryAnalysis"]


def _raises(analysis: Node) -> list[tuple[int, Node]]:
    """Return the weight after each raise, as Flagger's ``runCanary`` makes them.

    `stepWeight` is added while the weight is below the maximum, which it may pass; it comes
    before `stepWeights`, whose last entry is the maximum all the same. A mirrored step raises
    nothing.
    """
    listed, by = list(analysis["stepWeights"]), analysis["stepWeight"].count(0)
    if not (by or listed):
        raise ExpectationError(
            f"{analysis.where}: {analysis.owner} has neither stepWeight nor stepWeights",
            hint="it does not split traffic by weight: declare the split with --expect",
        )
    most = min(listed[-1].count(), _ALL) if listed else analysis["maxWeight"].count(0) or _ALL
    raises: list[tuple[int, Node]] = []
    if analysis["mirror"].value is True:
        raises.append((0, analysis["mirror"]))
    weight = 0
    while weight < most and len(raises) <= _ALL:
        number = analysis["stepWeight"]
        if by:
            weight = min(weight + by, _ALL)
        else:
            after = [
                each
                for before, each in zip([None, *listed], listed, strict=False)
                if (before.count() if before is not None else 0) == weight
            ]
            number = after[0] if after else analysis["stepWeights"]
            weight = min(after[0].count(), _ALL) if after else _ALL
        raises.append((weight, number))
    return raises


def _refuse_other_strategies(canary: KubeObject, analysis: Node) -> None:
    spec = canary["spec"]
    ANALYSIS.check(analysis)
    for is_other, key, what in (
        (spec["skipAnalysis"].value is True, "skipAnalysis", "promotes without an analysis"),
        (
            spec["provider"].text("") == "kubernetes",
            "provider",
            "is of the provider kubernetes, which has no weights and makes it a blue/green test",
        ),
    ):
        if is_other:
            raise ExpectationError(
                f"{spec[key].where}: {canary} {what}: it has no steps of weight",
                hint="declare the split with --expect",
            )


def _label(canary: KubeObject, inventory: Inventory, question: Question, role: str) -> str:
    named = question.versions.of_name(role)
    if named is not None:
        return question.renames.get(named, named)
    deployment = _target(canary, inventory, role)
    if deployment is None:
        target = canary["spec"]["targetRef"]["name"]
        raise ExpectationError(
            f"{target.where}: {canary} needs {' '.join(_name_of(canary, role))} to know the "
            f"version of its {role}, which was not found",
            hint="name it: --version-from primary=v1,canary=v2; "
            "or read the live objects: kubectl get canary,deployment -o yaml",
        )
    return label_of(deployment["spec"]["template"], deployment, question)


def _target(canary: KubeObject, inventory: Inventory, role: str) -> KubeObject | None:
    """Find the workload of the new version, or its copy that serves."""
    return inventory.find(*_name_of(canary, role), canary.namespace)


def _name_of(canary: KubeObject, role: str) -> tuple[str, str]:
    target = canary["spec"]["targetRef"]
    suffix = "-primary" if role == "primary" else ""
    return target["kind"].text("Deployment"), f"{target['name'].text()}{suffix}"


def _cross_check(canary: KubeObject, weight: int, number: Node, inventory: Inventory) -> None:
    """Refuse a weight that the route which Flagger writes does not have.

    The status was seen at 0 while the route still divided traffic: the route is right.
    """
    name = canary["spec"]["service"]["name"].text("") or canary["spec"]["targetRef"]["name"].text()
    for route in inventory.of("HTTPRoute", "VirtualService"):
        if route.name != name or route.namespace != canary.namespace:
            continue
        for backends in _weights(route):
            total = sum(each["weight"].count(1) for _, each in backends)
            for backend, each in backends:
                share = Fraction(each["weight"].count(1), total or 1)
                if backend == f"{name}-canary" and share != Fraction(weight, _ALL):
                    # Flagger writes one after the other.
                    raise NotYetError(
                        f"{canary} says that its canary gets {weight} % ({number.where}), and "
                        f"{route} gives it {float(100 * share):.4g} % ({each['weight'].where})",
                        hint=f"the route decides: --route {route.kind}/{name}",
                    )


def _weights(route: KubeObject) -> Iterator[list[tuple[str, Node]]]:
    """Yield the weighted backends of each rule, by name."""
    if route.kind == "HTTPRoute":
        for rule in route["spec"]["rules"]:
            yield [(each["name"].text(), each) for each in rule["backendRefs"]]
        return
    for rule in route["spec"]["http"]:
        yield [
            (service_of_host(each["destination"]["host"].text(), route.namespace)[0], each)
            for each in rule["route"]
        ]
