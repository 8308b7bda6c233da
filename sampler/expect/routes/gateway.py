"""Gateway API: HTTPRoute and GRPCRoute, and the HTTPRoute of Linkerd.

A backend's share is its weight (default 1) over the sum of all; a backend that cannot be
resolved keeps its share and answers 500 in it. The most specific rule wins.

References: Gateway API, HTTPBackendRef.weight, HTTPRouteRule.matches (precedence), GRPCMethodMatch,
ReferenceGrant; Linkerd, policy.linkerd.io HTTPRoute.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.routes.gateway_grants import not_granted
from sampler.expect.rules.backends import (
    Branch,
    others,
    overlap,
    require_positive,
    service_mixture,
    sticky,
    weighted,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import (
    MET,
    ElsewhereError,
    Match,
    Meets,
    Rule,
    choose,
    every,
    fields_of,
    header_is,
    host_matches,
    no,
    path_is,
    query_is,
    refuse_action,
    under_prefix,
    unevaluated,
    when,
    wrong_host,
)
from sampler.expect.rules.model import Mixture, only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_MOST_WEIGHT = 1_000_000
_MOST_COMPARED = 20
"""Routes of a gateway that each is compared with, where none was asked for: all take minutes."""
_Rank = tuple[int, int, int, int, int]
_ANY: tuple[Match, _Rank] = (MET, (0, 1, 0, 0, 0))
"""The match of a rule that names none."""

MATCH = Fields("a match", ("path", "method", "headers", "queryParams"))
GRPC_MATCH = Fields("a match", ("method", "headers"))
RULE = Fields(
    "a rule",
    ("matches", "filters", "backendRefs", "sessionPersistence"),
    beside=("name", "retry", "timeouts"),
)
_HARMLESS = frozenset(
    {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "URLRewrite", "CORS"}
)
"""Filters that change a request or its answer, and not who answers."""
_ACTIONS = {
    "RequestRedirect": "redirects the request",
    "ExtensionRef": "has a filter of the gateway's own, whose effect is not evaluated",
}


def behind_route(
    route: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind an HTTPRoute or GRPCRoute, or one of its rules.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant; a backend is no Service; all weights
        are 0; or as `service_mixture`.
    """
    if is_inbound(route):
        raise ExpectationError(
            f"{route['spec']['parentRefs'].where}: {route} is attached to a Server: it tells "
            "requests apart for a policy, and divides no traffic",
            hint="check the Service, or the route whose parent is the Service",
        )
    rule = _rule(route, question, rule)
    findings = [
        *inventory.once(("route", route), question, lambda: _remarks(route, inventory, question)),
        *sticky(route, rule["sessionPersistence"]),
    ]
    branches = []
    references = list(rule["backendRefs"])
    for reference in references:
        weight = _weight(reference)
        namespace = reference["namespace"].text("") or route.namespace
        findings += not_granted(reference, route, namespace, inventory)
        _refuse_filters(reference)
        kind, name = reference["kind"].text("Service"), reference["name"].text()
        if kind == "Service" and reference["group"].text("") in {"", "core"}:
            mixture = service_mixture(
                name, namespace, reference["name"], inventory, question, is_used=weight > 0
            )
        else:
            mixture = _of_another_kind(reference, question, is_alone=len(references) == 1)
        branches.append(Branch(weight, reference["weight"], "weight", f"{kind} {name}", mixture))
    require_positive(route, branches, "a route without weight answers with errors")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def is_inbound(route: KubeObject) -> bool:
    """Whether Linkerd uses a route for its policy only: it is attached to nothing but Servers."""
    return {kind for kind, _, _ in _parents(route)} == {"Server"}


def _remarks(route: KubeObject, inventory: Inventory, question: Question) -> list[Finding]:
    """Find what holds for each of its rules."""
    return [*_host(route, question), *_status(route), *_overlaps(route, inventory, question)]


def _weight(reference: Node) -> int:
    weight = reference["weight"].count(1)
    if weight > _MOST_WEIGHT:
        raise ExpectationError(
            f"{reference['weight'].where}: {reference.owner}: a weight must be from 0 to "
            f"{_MOST_WEIGHT}, got {weight}",
            hint="the API server rejects it too",
        )
    return weight


def _of_another_kind(reference: Node, question: Question, *, is_alone: bool) -> Mixture:
    """Return the version that was given to a backend of another kind."""
    kind, name = reference["kind"].text("Service"), reference["name"].text()
    version = question.versions.of_name(name)
    if version is None:
        raise (ElsewhereError if is_alone else ExpectationError)(
            f"{reference.where}: {reference.owner} sends traffic to a {kind} of "
            f"{reference['group'].text('') or 'core'}, and only Services are read",
            hint=f"name the version that answers there: --version-from {name}=v1, or declare the "
            "split with --expect",
        )
    return only(version, question)


def _refuse_filters(reference: Node) -> None:
    for node in reference["filters"]:
        if (filter_kind := node["type"].text("")) not in _HARMLESS:
            raise refuse_action(node, _ACTIONS.get(filter_kind, f"has a filter {filter_kind}"))


def _rule(route: KubeObject, question: Question, rule: Node | None) -> Node:
    rule = rule or choose(route, _rules(route, question), question)
    RULE.check(rule)
    for node in rule["filters"]:
        kind = node["type"].text("")
        if kind not in _HARMLESS:
            raise refuse_action(node, _ACTIONS.get(kind, f"has a filter {kind}, not evaluated"))
    if not list(rule["backendRefs"]):
        raise refuse_action(
            rule, "has no backend in this rule, which is answered with 500", ExpectationError
        )
    return rule


def _rules(route: KubeObject, question: Question) -> list[Rule]:
    """Return each match of each rule, with how specific it is: a rule has no rank of its own."""
    test = _grpc_match if route.kind == "GRPCRoute" else _http_match
    return [
        Rule(node, match, rank)
        for node in route["spec"]["rules"]
        for match, rank in [test(each, question) for each in node["matches"]] or [_ANY]
    ]


def _http_match(match: Node, question: Question) -> tuple[Match, _Rank]:
    path, method = match["path"], match["method"].text("")
    kind, value = path["type"].text("PathPrefix"), path["value"].text("/")
    why = f"the path {value} ({path.where})"
    if kind == "Exact":
        on_path = path_is(question, lambda asked: asked == value, why)
    elif kind == "PathPrefix":
        on_path = MET if value == "/" else path_is(question, lambda a: under_prefix(value, a), why)
    else:
        on_path = unevaluated(f"paths by {kind}, whose precedence is up to the gateway")
    parts = [
        on_path,
        when(method in {"", question.method}, f"the method {method} ({match['method'].where})"),
        *(header_is(question, *_named(each)) for each in match["headers"]),
        *(query_is(question, *_named(each)) for each in match["queryParams"]),
        *fields_of(MATCH, match),
    ]
    rank = (
        int(kind == "Exact"),
        len(value),
        int(bool(method)),
        len(list(match["headers"])),
        len(list(match["queryParams"])),
    )
    return every(parts), rank


def _grpc_match(match: Node, question: Question) -> tuple[Match, _Rank]:
    """Match a method; what `weighbridge` sends is no call of gRPC, so a match stays open."""
    method = match["method"]
    service, name = method["service"].text(""), method["method"].text("")
    parts = [
        *(header_is(question, *_named(each)) for each in match["headers"]),
        *fields_of(GRPC_MATCH, match),
    ]
    if method.exists:
        wanted = f"/{service or '*'}/{name or '*'}"
        parts.append(_grpc_method(method, question, wanted))
    return every(parts), (0, len(service), len(name), len(list(match["headers"])), 0)


def _grpc_method(method: Node, question: Question, wanted: str) -> Match:
    is_exact = method["type"].text("Exact") == "Exact"
    asked = "" if question.path is None else question.path
    parts = zip(wanted.split("/"), asked.split("/"), strict=False)
    is_other = asked.count("/") != 2 or any(one not in {"*", other} for one, other in parts)
    if question.path is not None and is_exact and is_other:
        return no(f"the method {wanted} ({method.where})")
    return unevaluated(f"the gRPC method {wanted}, and no request of a check is a gRPC call")


def _named(node: Node) -> tuple[str, Callable[[str], bool | None], str]:
    """Return name, test and place of the match of a header or a query parameter."""
    wanted, kind = node["value"].text(""), node["type"].text("Exact")

    def test(value: str) -> bool | None:
        return value == wanted if kind == "Exact" else None

    return node["name"].text(), test, node.where


def _overlaps(route: KubeObject, inventory: Inventory, question: Question) -> list[Finding]:
    """Find rules of other routes on the same host and gateway that take requests away."""
    most = None if question.route else _MOST_COMPARED
    beside = (
        other
        for parent in _parents(route)
        for other in inventory.by(_parents, parent, route.kind)[:most]
    )
    rivals = (
        other
        for other in others(route, beside)
        if _share_a_listener(route, other) and _share_a_host(route, other)
    )
    if question.path is None:
        specific = (other for other in rivals if _has_more_specific(route, other))
        return overlap(route, specific, "for some paths it has the more specific rule", _rules_of)
    own = _best(route, question)
    ranked = [(other, rank) for other in rivals if (rank := _best(other, question)) is not None]
    equal = (other for other, rank in ranked if rank == own)
    taken = max((each for each in ranked if own is None or each[1] > own),
                key=lambda each: each[1], default=None)  # fmt: skip
    if taken is None:
        return overlap(route, equal, "the older one of the two answers", _rules_of)
    other = taken[0]
    return [
        Finding(
            FindingCode.ROUTE_TAKEN,
            f"{other} has a more specific rule for {question.path} on the same host than {route}: "
            "it answers instead",
            f"check that one: --route {other.kind}/{other.name}",
            _rules_of(other),
        )
    ]


def _rules_of(route: KubeObject) -> str:
    """Return where the rules of a route stand."""
    return route["spec"]["rules"].where


def _best(route: KubeObject, question: Question) -> tuple[int, int, _Rank] | None:
    """Return how specific the rule is that a route has for a request; None if it has none."""
    hosts = [each.text() for each in route["spec"]["hostnames"]] or [""]
    fitting = [each for each in hosts if question.host is None or host_matches(each, question.host)]
    ranks = [each.rank for each in _rules(route, question) if each.match.meets is not Meets.NO]
    if not fitting or not ranks:
        return None
    host = max(fitting, key=lambda each: (not each.startswith("*"), len(each)))
    return int(bool(host) and not host.startswith("*")), len(host), max(ranks)


def _parents(route: KubeObject) -> Iterator[tuple[str, str, str]]:
    """Yield the gateways, or the Services, that a route is attached to."""
    for node in route["spec"]["parentRefs"]:
        namespace = node["namespace"].text("") or route.namespace
        yield node["kind"].text("Gateway"), namespace, node["name"].text("")


def _share_a_listener(route: KubeObject, other: KubeObject) -> bool:
    """Whether both can be attached to one listener; a parent without a section means all."""
    return any(
        mine[:3] == its[:3]
        and all(
            not one or not two or one == two for one, two in zip(mine[3:], its[3:], strict=True)
        )
        for mine in route.once(_listeners)
        for its in other.once(_listeners)
    )


def _listeners(route: KubeObject) -> tuple[tuple[object, ...], ...]:
    """Return kind, namespace, name, section and port of each parent."""
    nodes = list(route["spec"]["parentRefs"])
    return tuple(
        (*parent, node["sectionName"].value, node["port"].value)
        for parent, node in zip(_parents(route), nodes, strict=True)
    )


def _share_a_host(route: KubeObject, other: KubeObject) -> bool:
    return any(
        host_matches(a, b) or host_matches(b, a)
        for a in route.once(_hostnames)
        for b in other.once(_hostnames)
    )


def _hostnames(route: KubeObject) -> tuple[str, ...]:
    return tuple(each.text() for each in route["spec"]["hostnames"]) or ("*",)


def _has_more_specific(route: KubeObject, other: KubeObject) -> bool:
    return any(
        under_prefix(own, path) for own in route.once(_prefixes) for path in other.once(_prefixes)
    )


def _prefixes(route: KubeObject) -> tuple[str, ...]:
    """Return the paths of a route's rules that a request without headers can meet."""
    return tuple(
        match["path"]["value"].text("/")
        for rule in route["spec"]["rules"]
        for match in list(rule["matches"]) or [rule]
        if not list(match["headers"])
    )


def _host(route: KubeObject, question: Question) -> list[Finding]:
    hosts = [each.text() for each in route["spec"]["hostnames"]]
    host = question.host
    if not hosts or host is None or any(host_matches(pattern, host) for pattern in hosts):
        return []
    return [wrong_host(route, route["spec"]["hostnames"], hosts, host)]


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
