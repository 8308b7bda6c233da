"""Traefik: IngressRoute, and TraefikService with weights or a mirror.

A service without a weight has weight 1, one of zero or less is skipped, and services nest.

References: Traefik, pkg/server/service/loadbalancer/wrr; kubernetes/crd provider.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import (
    Branch,
    missing_backend,
    require_positive,
    service_mixture,
    weighted,
)
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import no_rule, only_rule, wrong_host
from sampler.expect.rules.model import Mixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUPS = ("traefik.io", "traefik.containo.us")
_FUNCTION = re.compile(r"(Host|PathPrefix|Path)\(`([^`]*)`\)")
_Trail = tuple["KubeObject", ...]


def behind_traefik_service(
    service: KubeObject, inventory: Inventory, question: Question, trail: _Trail = ()
) -> Mixture:
    """Return what stands behind a TraefikService.

    Parameters
    ----------
    service, inventory, question
        As for every route.
    trail : tuple of KubeObject
        TraefikServices on the way here.

    Raises
    ------
    ExpectationError
        If it contains itself, is of a form that is not read, has no weight above 0, or as
        `service_mixture`.
    """
    if service in trail:
        way = " → ".join(f"{each} ({each.place})" for each in (*trail, service))
        raise ExpectationError(f"{service} contains itself: {way}", hint="break the circle")
    inside = (*trail, service)
    spec = service["spec"]
    if spec["mirroring"].exists:
        # Mirrors get copies; only the main service answers.
        _, mixture = _target(spec["mirroring"], inside, inventory, question, is_used=True)
        return mixture
    if not spec["weighted"].exists:
        raise ExpectationError(
            f"{spec.where}: expected weighted or mirroring in {service}, "
            f"got {', '.join(spec.mapping()) or 'nothing'}",
            hint="declare the split with --expect",
        )
    mixture = _weighted(service, list(spec["weighted"]["services"]), inside, inventory, question)
    sticky = _sticky(service, spec["weighted"]["sticky"])
    return dataclasses.replace(mixture, findings=(*sticky, *mixture.findings))


def behind_ingress_route(route: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind an IngressRoute.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant, or as `behind_traefik_service`.
    """
    rule = _rule(route, question)
    mixture = _weighted(route, list(rule["services"]), (), inventory, question)
    findings = list(mixture.findings)
    conditions = _conditions(rule) if _is_conjunction(rule) else []
    hosts = [value for name, value in conditions if name == "Host"]
    if question.host is not None and hosts and question.host not in hosts:
        findings.insert(0, wrong_host(route, rule["match"], hosts, question.host))
    return dataclasses.replace(mixture, findings=tuple(findings))


def _weighted(
    owner: KubeObject,
    services: Sequence[Node],
    trail: _Trail,
    inventory: Inventory,
    question: Question,
) -> Mixture:
    branches = []
    findings = []
    for each in services:
        declared = each["weight"].integer(1)
        if declared <= 0:
            findings.append(_skipped(each, declared))
        weight = max(declared, 0)
        towards, mixture = _target(each, trail, inventory, question, is_used=weight > 0)
        branches.append(Branch(weight, each["weight"], "weight", towards, mixture))
        findings += _sticky(owner, each["sticky"])
    require_positive(owner, branches, "Traefik skips every service then")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def _target(
    node: Node, trail: _Trail, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    kind, name = node["kind"].text("Service"), node["name"].text()
    namespace = node["namespace"].text("") or node.owner.namespace
    towards = f"{kind} {name}"
    if kind == "Service":
        mixture = service_mixture(
            name, namespace, node["name"], inventory, question, is_used=is_used
        )
        return towards, mixture
    nested = inventory.find("TraefikService", name, namespace)
    if kind == "TraefikService" and nested is not None:
        return towards, behind_traefik_service(nested, inventory, question, trail)
    if is_used:
        raise ExpectationError(
            f"{node.where}: {node.owner} sends traffic to {towards}, which was not found",
            hint="add its manifest; kinds are Service and TraefikService",
        )
    return towards, Mixture({}, findings=(missing_backend(towards, node),))


def _rule(route: KubeObject, question: Question) -> Node:
    rules = [rule for rule in route["spec"]["routes"] if list(rule["services"])]
    if question.path is None or len(rules) < 2:
        return only_rule(route, rules)
    matching = [rule for rule in rules if _matches(rule, question)]
    if not matching:
        raise no_rule(route, question.path)

    # Without a priority, the longer rule is asked first.
    def priority(rule: Node) -> int:
        return rule["priority"].integer(0) or len(rule["match"].text())

    return max(matching, key=priority)


def _matches(rule: Node, question: Question) -> bool:
    for name, value in _conditions(rule):
        if name == "Host" and question.host not in {None, value}:
            return False
        if name == "Path" and value != question.path:
            return False
        # A plain prefix of the text, other than in the Gateway API.
        if name == "PathPrefix" and not (question.path or "/").startswith(value):
            return False
    return True


def _conditions(rule: Node) -> list[tuple[str, str]]:
    if not _is_conjunction(rule):
        raise ExpectationError(
            f"{rule['match'].where}: {rule.owner}: only Host, Path and PathPrefix joined by && "
            f"are supported: {rule['match'].text('')}",
            hint="declare the split with --expect",
        )
    return [(match[1], match[2]) for match in _FUNCTION.finditer(rule["match"].text(""))]


def _is_conjunction(rule: Node) -> bool:
    return not _FUNCTION.sub("", rule["match"].text("")).replace("&&", "").strip(" ()\n")


def _skipped(service: Node, declared: int) -> Finding:
    return Finding(
        FindingCode.WEIGHT_SKIPPED,
        f"{service.owner} gives {service['name'].text()} the weight {declared}: Traefik skips it",
        "give it a weight above 0, or remove it",
        service["weight"].where,
    )


def _sticky(owner: KubeObject, sticky: Node) -> list[Finding]:
    if not sticky.exists:
        return []
    return [
        Finding(
            FindingCode.STICKY,
            f"{owner} is sticky: a client that keeps its cookie stays with one backend",
            "check without cookies, as weighbridge does; real users are assigned once each",
            sticky.where,
        )
    ]
