"""NGINX Ingress Controller: VirtualServer and VirtualServerRoute.

All paths of a host are locations of one server: an exact one comes first, then regular
expressions, then the longest prefix, which is one of text, not of elements. Of a path's matches
the first one holds whose conditions are all met. Splits are percent.

References: NGINX Ingress Controller, k8s.nginx.org/v1 VirtualServerSpec, Route, Match, Split,
Condition; internal/configs/virtualserver.go; nginx, location.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import (
    Branch,
    bound_to_pods,
    has_several,
    service_mixture,
    sticky,
    weighted,
)
from sampler.expect.rules.fields import Fields
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
    path_is,
    query_is,
    refuse_action,
    unevaluated,
    when,
    wrong_host,
)
from sampler.expect.rules.model import only
from sampler.expect.rules.services import behind_subset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_SNIPPET = "it may send requests elsewhere"
SPEC = Fields(
    "a VirtualServer",
    ("host", "routes", "subroutes", "upstreams"),
    beside=(
        "dos", "externalDNS", "gunzip", "http-snippets", "ingressClassName", "internalRoute",
        "listener", "policies", "tls",
    ),
    refused={"server-snippets": _SNIPPET},
)  # fmt: skip
ROUTE = Fields(
    "a route",
    ("action", "matches", "path", "route", "splits"),
    beside=("dos", "errorPages", "policies"),
    refused={
        "location-snippets": _SNIPPET,
        "routeSelector": "it names VirtualServerRoutes by their labels",
    },
)
MATCH = Fields("a match", ("action", "conditions", "splits"))
CONDITION = Fields("a condition", ("argument", "cookie", "header", "value", "variable"))
_ACTION = Fields("an action", ("pass", "proxy", "redirect", "return"))
_EVERYTHING = 100


def behind_virtual_server(
    server: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind a VirtualServer or VirtualServerRoute, or one of its rules.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant, or one that is answered elsewhere; splits do
        not add up to 100; an upstream is missing; or as `service_mixture`.
    """
    SPEC.check(server["spec"])
    findings = _host(server, question) if rule is None else []
    rule = rule or choose(server, list(_rules(server, inventory, question)), question)
    (MATCH if rule["conditions"].exists else ROUTE).check(rule)
    branches = []
    for node, weight, number in _divided(rule):
        mixture, name, found = _upstream(node, inventory, question, is_used=weight > 0)
        branches.append(Branch(weight, number, "weight", f"upstream {name}", mixture))
        findings += found
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def rules_of(server: KubeObject) -> Iterator[Node]:
    """Yield what divides traffic by itself: each match of each route, and the route."""
    for route in _routes(server):
        yield from route["matches"]
        if not route["route"].exists:
            yield route


def _routes(server: KubeObject) -> Iterator[Node]:
    yield from server["spec"]["routes"]
    yield from server["spec"]["subroutes"]


def _rules(
    server: KubeObject, inventory: Inventory, question: Question, *, is_nested: bool = False
) -> Iterator[Rule]:
    for route in _routes(server):
        location, rank = _location(route["path"], question)
        location = every([location, *fields_of(ROUTE, route)])
        if not route["route"].exists:
            for match in route["matches"]:
                met = (_condition(each, question) for each in match["conditions"])
                yield Rule(match, every([location, *met]), rank)
            yield Rule(route, location, rank)
            continue
        namespace, _, name = route["route"].text().rpartition("/")
        found = inventory.find("VirtualServerRoute", name, namespace or server.namespace)
        if found is not None and not is_nested:
            SPEC.check(found["spec"])
            yield from _rules(found, inventory, question, is_nested=True)
        elif location.meets is not Meets.NO:
            why = f"paths of VirtualServerRoute {route['route'].text()}, which was not found"
            yield Rule(route, unevaluated(why), rank)


def _location(node: Node, question: Question) -> tuple[Match, tuple[int, int]]:
    """Match a path, and say how specific it is."""
    text, why = node.text(), f"the path of {node.where}"
    if text.startswith("~"):
        return unevaluated(f"{why}, a regular expression"), (1, 0)
    if text.startswith("="):
        exact = text[1:].strip()
        return path_is(question, lambda path: path == exact, why), (2, 0)
    prefix = text.removeprefix("^~").strip()
    if prefix == "/":
        return MET, (0, 1)
    return path_is(question, lambda path: path.startswith(prefix), why), (0, len(prefix))


def _condition(node: Node, question: Question) -> Match:
    """Match a condition; what is not there is empty, and values are of either case."""
    if open_ones := fields_of(CONDITION, node):
        return open_ones[0]
    text, where = node["value"].text(""), node.where
    is_not, wanted = text.startswith("!"), text.removeprefix("!").lower()
    if not wanted or wanted.startswith("~"):
        return unevaluated(f"the value {text!r} of a condition ({where})")

    def test(value: str) -> bool:
        return value.lower() == wanted

    if node["header"].exists:
        match = header_is(question, node["header"].text(), test, where)
    elif node["cookie"].exists:
        match = header_is(question, "cookie", lambda _: None, where)
    elif node["argument"].exists:
        match = query_is(question, node["argument"].text(), test, where)
    elif node["variable"].value == "$request_method":
        match = when(test(question.method), f"the method ({where})")
    else:
        return unevaluated(f"the variable {node['variable'].value} ({where})")
    return ~match if is_not else match


def _divided(rule: Node) -> list[tuple[Node, int, Node]]:
    """Return the upstreams of a rule by name, with their percent and where that stands."""
    splits = list(rule["splits"])
    if not splits:
        action = rule["action"]
        return [(_passed(action, ElsewhereError), _EVERYTHING, action["weight"])]
    found = [
        (_passed(each["action"], ExpectationError), each["weight"].count(), each["weight"])
        for each in splits
    ]
    total = sum(weight for _, weight, _ in found)
    if total != _EVERYTHING or len(found) < 2:
        raise ExpectationError(
            f"{rule['splits'].where}: {rule.owner}: expected at least two splits of {_EVERYTHING} "
            f"together, got {len(found)} of {total}: the controller rejects it",
            hint=f"write weights that add up to {_EVERYTHING}",
        )
    return found


def _passed(action: Node, refused: type[ExpectationError]) -> Node:
    """Return the node that names the upstream of an action."""
    _ACTION.check(action)
    for key, what in (("redirect", "redirects the request"), ("return", "answers itself")):
        if action[key].exists:
            raise refuse_action(action[key], what, refused)
    return action["proxy"]["upstream"] if action["proxy"].exists else action["pass"]


def _upstream(
    node: Node, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[Mixture, str, list[Finding]]:
    """Return what stands behind an upstream, its name, and what binds a client to its pods."""
    owner, called = node.owner, node.text()
    known = [each for each in owner["spec"]["upstreams"] if each["name"].text() == called]
    if not known:
        raise ExpectationError(
            f"{node.where}: {owner} has no upstream {called}: the controller rejects it",
            hint="name one of its upstreams",
        )
    upstream = known[0]
    namespace, _, name = upstream["service"].text().rpartition("/")
    namespace = namespace or owner.namespace
    service = inventory.find("Service", name, namespace)
    labels = upstream["subselector"].texts()
    version = question.versions.of_name(called)
    if version is not None:
        mixture = only(version, question)
    elif labels and service is not None:
        mixture = behind_subset(service, labels, inventory, question)
    else:
        mixture = service_mixture(
            name, namespace, upstream["service"], inventory, question, is_used=is_used,
            called=called,
        )  # fmt: skip
    found = sticky(owner, upstream["sessionCookie"])
    method = str(upstream["lb-method"].value or "")  # it may hold variables of nginx
    if has_several(mixture) and "hash" in method and "$request_id" not in method:
        # A request without the value that is hashed has an empty one, as all the others.
        found.append(bound_to_pods(owner, upstream["lb-method"], method, is_any=True))
    return mixture, called, found


def _host(server: KubeObject, question: Question) -> list[Finding]:
    node = server["spec"]["host"]
    host = node.text()
    if question.host is None or host_matches(host, question.host):
        return []
    return [wrong_host(server, node, [host], question.host)]
