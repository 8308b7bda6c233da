"""The two Deployments of a canary, found among the manifests.

A canary by replicas is two Deployments behind one Service: the stable one gives up as many
pods as the canary gets, and each connection meets one of them by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import FoundError
from sampler.expect.rules.objects import selects
from sampler.expect.rules.versions import VersionRule
from sampler.expect.rules.workloads import autoscalers, movers, own_pods_missed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.expect.rules.objects import Inventory, KubeObject, Node

SUFFIX = "-canary"
"""Ends the name of a canary, unless it is named."""
_STABLE = "-stable"
"""May end the name of the stable Deployment, and is no part of its canary's."""

_HINT = "name both: --stable NAME --canary NAME"


@unique
class State(StrEnum):
    """Where a rollout stands."""

    STABLE = "stable"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Names:
    """Which Deployments are meant.

    Parameters
    ----------
    stable, canary : str
        Names; empty if they are to be found.
    service : str
        The Service that selects both; empty looks at all Deployments.
    namespace : str
        Empty looks everywhere.
    """

    stable: str = ""
    canary: str = ""
    service: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two Deployments.

    Parameters
    ----------
    deployment : KubeObject
    replicas : int
        As declared; 1 if nothing is.
    version : str
        That its pods carry.
    """

    deployment: KubeObject
    replicas: int
    version: str

    @classmethod
    def of(cls, deployment: KubeObject) -> Side:
        """Read a Deployment.

        Raises
        ------
        ExpectationError
            If its pods do not name their version, or a value has a wrong type.
        """
        template = deployment["spec"]["template"]
        version = VersionRule().of_template(template, deployment.name)
        if version is None:
            raise ExpectationError(
                f"{template.where}: the pods of {deployment} do not name their version",
                hint="give them a label 'version', or their image a tag",
            )
        return cls(deployment, deployment["spec"]["replicas"].count(1), version)

    @property
    def name(self) -> str:
        """Name of the Deployment."""
        return self.deployment.name

    @property
    def template(self) -> Node:
        """Template of its pods."""
        return self.deployment["spec"]["template"]

    @property
    def where(self) -> str:
        """Where its replicas are declared, or should be."""
        return self.deployment["spec"]["replicas"].where

    @property
    def selected_by(self) -> set[str]:
        """Labels whose values its selector needs; a selector is immutable."""
        selector = self.deployment["spec"]["selector"]
        expressions = selector["matchExpressions"]
        return {
            *selector["matchLabels"].texts(),
            *(each["key"].text("") for each in expressions if each["operator"].value != "Exists"),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """The stable Deployment and its canary.

    Parameters
    ----------
    stable, canary : Side
    """

    stable: Side
    canary: Side

    @property
    def state(self) -> State:
        """Whether the canary has pods."""
        return State.CANARY if self.canary.replicas else State.STABLE

    @property
    def total(self) -> int:
        """Pods of both."""
        return self.stable.replicas + self.canary.replicas

    @property
    def weights(self) -> dict[str, int]:
        """Pods by version, those without any included."""
        weights = {self.stable.version: self.stable.replicas}
        weights[self.canary.version] = weights.get(self.canary.version, 0) + self.canary.replicas
        return weights


def find_pair(inventory: Inventory, names: Names) -> Pair:
    """Find the Deployments that are meant.

    A canary is called like its stable Deployment with ``-canary``, instead of ``-stable`` if it
    ends so, unless both are named.

    Raises
    ------
    ExpectationError
        If there is no such pair, or more than one, or an autoscaler owns their replicas.
    """
    among = _candidates(inventory, names)
    if names.canary and names.stable:
        stable, canary = _named(among, names.stable), _named(among, names.canary)
    elif names.stable:
        stable = _named(among, names.stable)
        theirs = [each.name for each in among if _is_canary_of(each, stable)]
        canary = _named(among, theirs[0] if theirs else names.stable + SUFFIX)
    elif names.canary:
        stable, canary = _rest(among, names.canary), _named(among, names.canary)
    else:
        stable, canary = _only_pair(among)
    if stable is canary:
        raise ExpectationError(f"{stable} cannot be its own canary", hint=_HINT)
    for each in (stable, canary):
        _refuse_scaler(inventory, each)
        if finding := own_pods_missed(each):
            raise FoundError(finding)
    pair = Pair(Side.of(stable), Side.of(canary))
    if not pair.total:
        raise ExpectationError(
            f"{stable} and {canary} have no pods: {pair.stable.where}, {pair.canary.where}",
            hint=f"set the replicas of {stable.name}",
        )
    return pair


def _candidates(inventory: Inventory, names: Names) -> list[KubeObject]:
    found = [
        each
        for each in inventory.of("Deployment")
        if names.namespace in {"", each.namespace} and each.name
    ]
    if names.service:
        service = inventory.named(("Service",), names.service, names.namespace)
        selector = service["spec"]["selector"].texts()
        found = [
            each
            for each in found
            if each.namespace == service.namespace
            and selects(selector, each["spec"]["template"]["metadata"]["labels"].texts())
        ]
    if not found:
        rollouts = inventory.of("Rollout", "Canary")
        raise ExpectationError(
            "expected the Deployments of a canary, found none"
            + (f" behind Service {names.service}" if names.service else ""),
            hint=f"{rollouts[0]} is moved by its own controller, not by its replicas"
            if rollouts
            else "see --manifests, --service and -n NAMESPACE",
        )
    return found


def _named(among: Sequence[KubeObject], name: str) -> KubeObject:
    found = [each for each in among if each.name == name]
    if len(found) != 1:
        raise ExpectationError(
            f"expected one Deployment named {name!r}, found "
            + (", ".join(str(each) for each in found or among) or "none"),
            hint="choose one: -n NAMESPACE" if found else _HINT,
        )
    return found[0]


def _rest(among: Sequence[KubeObject], canary: str) -> KubeObject:
    """Return the stable Deployment of a canary that was named."""
    if canary.endswith(SUFFIX) and canary != SUFFIX:
        found = _named(among, canary)
        others = [each for each in among if _is_canary_of(found, each)]
    else:
        others = [each for each in among if each.name != canary]
    if len(others) != 1:
        raise ExpectationError(
            f"which Deployment is {canary!r} the canary of? There are "
            + (", ".join(str(each) for each in others) or "no others"),
            hint=_HINT,
        )
    return others[0]


def _only_pair(among: Sequence[KubeObject]) -> tuple[KubeObject, KubeObject]:
    pairs = [
        (stable, canary) for canary in among for stable in among if _is_canary_of(canary, stable)
    ]
    if len(pairs) == 1:
        return pairs[0]
    if pairs:
        said = ", ".join(stable.name for stable, _ in pairs)
        raise ExpectationError(f"there is more than one canary: of {said}", hint="--stable NAME")
    raise ExpectationError(
        f"expected Deployments named NAME, or NAME{_STABLE}, and NAME{SUFFIX}, found "
        + ", ".join(str(each) for each in among),
        hint=_HINT,
    )


def _is_canary_of(canary: KubeObject, stable: KubeObject) -> bool:
    """Whether one Deployment is called like the canary of another one."""
    names = {stable.name + SUFFIX, stable.name.removesuffix(_STABLE) + SUFFIX}
    return canary.name in names and canary.namespace == stable.namespace and canary is not stable


def _refuse_scaler(inventory: Inventory, deployment: KubeObject) -> None:
    """Refuse a Deployment whose replicas in Git are not those that run."""
    for scaler in [*autoscalers(deployment, inventory), *movers(deployment, inventory)]:
        raise ExpectationError(
            f"{scaler.place}: {scaler} changes the replicas of {deployment}, so what Git "
            "declares is not what runs",
            hint="remove it while the canary runs, or split traffic by the weights of a route",
        )
