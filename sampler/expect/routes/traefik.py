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
    bound_to_pods,
    has_several,
    missing_backend,
    require_positive,
    service_mixture,
    sticky,
    weighted,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import (
    MET,
    NO_URL,
    ElsewhereError,
    Match,
    Meets,
    Rule,
    choose,
    every,
    header_is,
    path_is,
    query_is,
    refuse_action,
    some,
    unevaluated,
    when,
    wrong_host,
)
from sampler.expect.rules.model import Mixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_CALL = re.compile(r"(\w+)\(((?:[^()`\"]|`[^`]*`|\"[^\"]*\")*)\)")
_MOST_TOKENS = 200
_QUOTED = re.compile(r"`([^`]*)`|\"([^\"]*)\"")
_TOKEN = re.compile(rf"{_CALL.pattern}|&&|\|\||!|\(|\)|\s+")
RULE = Fields(
    "a rule",
    ("match", "middlewares", "priority", "services"),
    beside=("kind", "observability", "syntax"),
)
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
    bound = sticky(service, spec["weighted"]["sticky"])
    return dataclasses.replace(mixture, findings=(*bound, *mixture.findings))


def behind_ingress_route(
    route: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind an IngressRoute, or one of its rules.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant, or as `behind_traefik_service`.
    """
    rule, findings = _rule(route, question, rule)
    _refuse_redirects(rule, inventory)
    mixture = _weighted(route, list(rule["services"]), (), inventory, question)
    return dataclasses.replace(mixture, findings=(*findings, *mixture.findings))


def _refuse_redirects(rule: Node, inventory: Inventory) -> None:
    """Refuse a rule with a Middleware that was read, and may send the request elsewhere."""
    pending, seen = list(rule["middlewares"]), set()
    while pending:
        node = pending.pop()
        namespace = node["namespace"].text("") or node.owner.namespace
        found = inventory.find("Middleware", node["name"].text(), namespace)
        if found is None or found in seen:
            continue
        seen.add(found)
        pending += found["spec"]["chain"]["middlewares"]
        for key in ("redirectRegex", "redirectScheme"):
            if found["spec"][key].exists:
                raise refuse_action(
                    node, f"may redirect the request ({key} of {found}, which is not evaluated)"
                )


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
        findings += sticky(owner, each["sticky"])
    require_positive(owner, branches, "Traefik skips every service then")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def _target(
    node: Node, trail: _Trail, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    kind, name = node["kind"].text("Service"), node["name"].text()
    namespace = node["namespace"].text("") or node.owner.namespace
    towards = f"{kind} {name}"
    if "@" in name:
        _, _, provider = name.partition("@")
        raise ElsewhereError(
            f"{node.where}: {node.owner} sends traffic to {name}, which "
            + ("is Traefik itself" if provider == "internal" else f"is of the provider {provider}")
            + ", and no manifest",
            hint="check a path that a Service answers, or declare the split with --expect",
        )
    if kind == "Service":
        mixture = service_mixture(
            name, namespace, node["name"], inventory, question, is_used=is_used
        )
        if node["strategy"].text("") == "hrw" and has_several(mixture):
            bound = bound_to_pods(node.owner, node["strategy"], "the client's address", is_any=True)
            mixture = dataclasses.replace(mixture, findings=(*mixture.findings, bound))
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


def _rule(route: KubeObject, question: Question, rule: Node | None) -> tuple[Node, list[Finding]]:
    """Return the rule for a request; one for another host only if there is no other."""
    findings = []
    rules = _rules(route, question) if rule is None else []
    if question.host is not None and all(each.match.meets is Meets.NO for each in rules):
        without = _rules(route, dataclasses.replace(question, host=None))
        if any(each.match.meets is not Meets.NO for each in without):
            hosts = [
                host
                for each in without
                for name, values in _CALL.findall(each.node["match"].text(""))
                if name.lower() == "host"
                for host in _QUOTED.findall(values)
            ]
            named = ["".join(pair) for pair in hosts]
            findings = [wrong_host(route, route["spec"]["routes"], named, question.host)]
            # Without the host the rules are met, not open for want of it.
            rules = [
                dataclasses.replace(each, match=MET)
                if each.match.meets is Meets.NO_URL and question.path is not None
                else each
                for each in without
            ]
    rule = rule or choose(route, rules, question)
    RULE.check(rule)
    if not list(rule["services"]):
        raise refuse_action(rule, "has a rule without services", ExpectationError)
    return rule, findings


def _rules(route: KubeObject, question: Question) -> list[Rule]:
    found = []
    for node in route["spec"]["routes"]:
        text = node["match"].text("")
        # Without a priority, the longer rule is asked first.
        rank = (node["priority"].integer(0) or len(text),)
        found.append(Rule(node, matches(text, question, node["match"]), rank))
    return found


def matches(text: str, question: Question, node: Node) -> Match:
    """Return whether a request meets a rule of Traefik's language.

    Functions joined by ``&&``, ``||``, ``!`` and parentheses; those of `_FUNCTIONS` are
    evaluated, all others leave their condition open.
    """
    unread = unevaluated(f"the rule {text} ({node.where})")
    tokens: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or len(tokens) > _MOST_TOKENS:
            return unread
        tokens += [token[0]] if token[0].strip() else []
        at = token.end()
    try:
        found, rest = _either(tokens, question, node)
    except IndexError:
        return unread
    return unread if rest else found


_Parsed = tuple[Match, list[str]]


def _either(tokens: list[str], question: Question, node: Node) -> _Parsed:
    found, rest = _both(tokens, question, node)
    while rest[:1] == ["||"]:
        other, rest = _both(rest[1:], question, node)
        found = some([found, other])
    return found, rest


def _both(tokens: list[str], question: Question, node: Node) -> _Parsed:
    found, rest = _single(tokens, question, node)
    while rest[:1] == ["&&"]:
        other, rest = _single(rest[1:], question, node)
        found = every([found, other])
    return found, rest


def _single(tokens: list[str], question: Question, node: Node) -> _Parsed:
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        found, rest = _single(rest, question, node)
        return ~found, rest
    if first == "(":
        found, rest = _either(rest, question, node)
        if rest[0] != ")":
            raise IndexError(first)
        return found, rest[1:]
    call = _CALL.fullmatch(first)
    if call is None:
        raise IndexError(first)
    values = ["".join(pair) for pair in _QUOTED.findall(call[2])]
    return _function(call[1], values, question, f"{first} ({node.where})"), rest


def _function(name: str, values: list[str], question: Question, why: str) -> Match:
    """Evaluate one function; several values of v2 are alternatives, but for headers."""
    match name.lower():
        case "host":
            if question.host is None:
                return NO_URL
            return when(question.host.lower() in {each.lower() for each in values}, why)
        case "path":
            return path_is(question, lambda path: path in values, why)
        case "pathprefix":
            # A plain prefix of the text, other than in the Gateway API.
            return path_is(question, lambda path: path.startswith(tuple(values)), why)
        case "method":
            return when(question.method in {each.upper() for each in values}, why)
        case "header" | "headers" if len(values) == 2:
            return header_is(question, values[0], lambda value: value == values[1], why)
        case "headerregexp" | "headersregexp" if len(values) == 2:
            return header_is(question, values[0], lambda _: None, why)
        case "query" if len(values) == 2:
            return query_is(question, values[0], lambda value: value == values[1], why)
    return unevaluated(f"{why} is not evaluated")


def _skipped(service: Node, declared: int) -> Finding:
    return Finding(
        FindingCode.WEIGHT_SKIPPED,
        f"{service.owner} gives {service['name'].text()} the weight {declared}: Traefik skips it",
        "give it a weight above 0, or remove it",
        service["weight"].where,
    )
