"""Istio: VirtualService, and the subsets of DestinationRules.

The first ``http`` entry that matches holds. Weights are relative; a single destination gets
everything whatever its weight, and one that has none, among several, gets nothing.

References: Istio, HTTPRouteDestination.weight, DestinationRule.subsets.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, require_positive, service_mixture, weighted
from sampler.expect.rules.matching import (
    host_matches,
    no_rule,
    only_rule,
    wrong_host,
)
from sampler.expect.rules.services import behind_subset

if TYPE_CHECKING:
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUP = "networking.istio.io"


def behind_virtual_service(route: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind a VirtualService.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant; a subset is missing; all weights are 0;
        or as `service_mixture`.
    """
    rule = _rule(route, question)
    destinations = list(rule["route"])
    branches = []
    for each in destinations:
        is_alone = len(destinations) == 1
        weight = 1 if is_alone else each["weight"].count(0)
        towards, mixture = _destination(
            each["destination"], inventory, question, is_used=weight > 0
        )
        what = "all, as the only destination" if is_alone else "weight"
        branches.append(Branch(weight, each["weight"], what, towards, mixture, is_derived=is_alone))
    require_positive(route, branches, "Istio refuses such a route")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*_host(route, question), *whole.findings))


def _rule(route: KubeObject, question: Question) -> Node:
    rules = [rule for rule in route["spec"]["http"] if list(rule["route"])]
    if question.path is None or len(rules) < 2:
        return only_rule(route, rules)
    for rule in rules:
        matches = list(rule["match"])
        if not matches or any(_matches(match, question.path) for match in matches):
            return rule
    raise no_rule(route, question.path)


def _matches(match: Node, path: str) -> bool:
    """Whether a bare request for a path matches; other conditions are not met."""
    if set(match.mapping()) - {"uri", "name", "ignoreUriCase"}:
        return False
    uri = match["uri"]
    if not uri.exists:
        return True
    if uri["exact"].exists:
        return uri["exact"].text() == path
    if uri["prefix"].exists:
        return path.startswith(uri["prefix"].text())
    raise ExpectationError(
        f"{uri.where}: {match.owner} matches paths by regex, which is not supported",
        hint="declare the split with --expect",
    )


def _destination(
    node: Node, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    name, namespace = service_of_host(node["host"].text(), node.owner.namespace)
    subset = node["subset"].text("")
    if not subset:
        mixture = service_mixture(
            name, namespace, node["host"], inventory, question, is_used=is_used
        )
        return f"Service {name}", mixture
    towards = f"Service {name}, subset {subset}"
    labels = _subset(node, name, namespace, inventory)
    service = inventory.find("Service", name, namespace)
    if service is None or not labels:
        mixture = service_mixture(
            name, namespace, node["host"], inventory, question, is_used=is_used
        )
        return towards, mixture
    return towards, behind_subset(service, labels, inventory, question)


def _subset(node: Node, name: str, namespace: str, inventory: Inventory) -> dict[str, str]:
    wanted = node["subset"].text()
    rules = [
        each
        for each in inventory.of("DestinationRule")
        if service_of_host(each["spec"]["host"].text(), each.namespace) == (name, namespace)
    ]
    for rule in rules:
        for subset in rule["spec"]["subsets"]:
            if subset["name"].text() == wanted:
                return subset["labels"].texts()
    known = ", ".join(f"{each} ({each.place})" for each in rules) or "there is none"
    raise ExpectationError(
        f"{node['subset'].where}: {node.owner} sends traffic to the subset {wanted} of {name}, "
        f"which no DestinationRule has: {known}",
        hint="add the subset to the DestinationRule of that host: without it, requests fail",
    )


def service_of_host(host: str, namespace: str) -> tuple[str, str]:
    """Return name and namespace of the Service that a host stands for.

    Examples
    --------
    >>> service_of_host("app.shop.svc.cluster.local", "default")
    ('app', 'shop')
    """
    name, _, rest = host.partition(".")
    return name, rest.partition(".")[0] or namespace


def _host(route: KubeObject, question: Question) -> list[Finding]:
    hosts = [each.text() for each in route["spec"]["hosts"]]
    if question.host is None or any(_is_host(each, question.host) for each in hosts):
        return []
    return [wrong_host(route, route["spec"]["hosts"], hosts, question.host)]


def _is_host(pattern: str, host: str) -> bool:
    """Whether a host is meant; short names stand for their Service in the mesh."""
    if host_matches(pattern, host):
        return True
    return "." not in pattern and host.partition(".")[0] == pattern
