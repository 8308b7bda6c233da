"""Gateway API: HTTPRoute and GRPCRoute.

A backend's share is its weight (default 1) over the sum of all; a backend that cannot be
resolved keeps its share and answers 500 in it. The most specific rule wins.

References: Gateway API, HTTPBackendRef.weight, HTTPRouteRule.matches, ReferenceGrant.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, require_positive, service_mixture, weighted
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import (
    host_matches,
    no_rule,
    only_rule,
    under_prefix,
    wrong_host,
)

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

GROUP = "gateway.networking.k8s.io"
_MOST_WEIGHT = 1_000_000
_Rank = tuple[int, int, int]


def behind_route(route: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind an HTTPRoute or GRPCRoute.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant; a backend is no Service; all weights
        are 0; or as `service_mixture`.
    """
    rule = _rule(route, question)
    findings: list[Finding] = [*_host(route, question), *_status(route)]
    branches = []
    for reference in rule["backendRefs"]:
        weight = _weight(reference)
        namespace = reference["namespace"].text("") or route.namespace
        findings += _grant(reference, route, namespace, inventory)
        name = _service_name(reference)
        mixture = service_mixture(
            name, namespace, reference["name"], inventory, question, is_used=weight > 0
        )
        branches.append(Branch(weight, reference["weight"], "weight", f"Service {name}", mixture))
    require_positive(route, branches, "a route without weight answers with errors")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def _weight(reference: Node) -> int:
    weight = reference["weight"].count(1)
    if weight > _MOST_WEIGHT:
        raise ExpectationError(
            f"{reference['weight'].where}: {reference.owner}: a weight must be from 0 to "
            f"{_MOST_WEIGHT}, got {weight}",
            hint="the API server rejects it too",
        )
    return weight


def _service_name(reference: Node) -> str:
    kind, group = reference["kind"].text("Service"), reference["group"].text("")
    if (kind, group) != ("Service", ""):
        raise ExpectationError(
            f"{reference.where}: {reference.owner} sends traffic to a {kind} of {group or 'core'}; "
            "only Services are supported",
            hint="declare the split with --expect",
        )
    return reference["name"].text()


def _rule(route: KubeObject, question: Question) -> Node:
    rules = [rule for rule in route["spec"]["rules"] if list(rule["backendRefs"])]
    if question.path is None or len(rules) < 2:
        return only_rule(route, rules)
    ranked = [
        (rank, -position, rule)
        for position, rule in enumerate(rules)
        if (rank := _rank(rule, question.path)) is not None
    ]
    if not ranked:
        raise no_rule(route, question.path)
    # Of equals, the first one holds.
    return max(ranked, key=lambda each: each[:2])[2]


def _rank(rule: Node, path: str) -> _Rank | None:
    """How specific a rule is for a bare GET of a path; None if it does not match."""
    matches = list(rule["matches"])
    if not matches:
        return (0, 1, 0)
    ranks = [rank for match in matches if (rank := _rank_of_match(match, path)) is not None]
    return max(ranks, default=None)


def _rank_of_match(match: Node, path: str) -> _Rank | None:
    if list(match["headers"]) or list(match["queryParams"]):
        return None
    method = match["method"].value
    if method not in {None, "GET"}:
        return None
    has_method = int(method is not None)
    kind, value = match["path"]["type"].text("PathPrefix"), match["path"]["value"].text("/")
    if kind == "Exact":
        return (1, len(value), has_method) if value == path else None
    if kind == "PathPrefix":
        return (0, len(value), has_method) if under_prefix(value, path) else None
    raise ExpectationError(
        f"{match.where}: {match.owner} matches paths by {kind}, whose precedence is up to the "
        "gateway",
        hint="name a rule with an exact path or a prefix, or declare the split with --expect",
    )


def _host(route: KubeObject, question: Question) -> list[Finding]:
    hosts = [each.text() for each in route["spec"]["hostnames"]]
    if not hosts or question.host is None:
        return []
    if any(host_matches(pattern, question.host) for pattern in hosts):
        return []
    return [wrong_host(route, route["spec"]["hostnames"], hosts, question.host)]


def _status(route: KubeObject) -> list[Finding]:
    """Find the gateway that did not accept the route, or has not seen its present form."""
    generation = route["metadata"]["generation"].integer(0)
    findings = []
    for parent in route["status"]["parents"]:
        for condition in parent["conditions"]:
            kind, status = condition["type"].text(""), condition["status"].text("")
            if kind not in {"Accepted", "ResolvedRefs"}:
                continue
            seen = condition["observedGeneration"].integer(generation)
            if status == "True" and seen >= generation:
                continue
            said = f"{kind} is {status}" if status != "True" else f"{kind} is of generation {seen}"
            findings.append(
                Finding(
                    FindingCode.ROUTE_NOT_ACCEPTED,
                    f"{route}, generation {generation}: {said} at its gateway",
                    condition["message"].text("") or "see kubectl describe for the route",
                    condition.where,
                )
            )
    return findings


def _grant(
    reference: Node, route: KubeObject, namespace: str, inventory: Inventory
) -> list[Finding]:
    if namespace == route.namespace:
        return []
    name = reference["name"].text()
    for grant in inventory.of("ReferenceGrant"):
        if grant.namespace != namespace:
            continue
        is_from = any(
            each["kind"].text("") == route.kind and each["namespace"].text("") == route.namespace
            for each in grant["spec"]["from"]
        )
        is_to = any(
            each["kind"].text("") == "Service" and each["name"].text(name) == name
            for each in grant["spec"]["to"]
        )
        if is_from and is_to:
            return []
    return [
        Finding(
            FindingCode.REFERENCE_NOT_GRANTED,
            f"{route} refers to Service {namespace}/{name}, and no ReferenceGrant of {namespace} "
            "allows it: its share is answered with 500",
            f"add a ReferenceGrant in {namespace} from {route.kind}s of {route.namespace}",
            reference.where,
        )
    ]
