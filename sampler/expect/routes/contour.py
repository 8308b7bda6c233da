"""Contour: HTTPProxy.

Weights are relative; without any, services share evenly. All conditions of a route must be met;
an exact path comes before a prefix, and a longer prefix before a shorter one.

References: Contour, projectcontour.io/v1 HTTPProxySpec, Route, Service, MatchCondition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import (
    Branch,
    bound_to_pods,
    has_several,
    require_positive,
    service_mixture,
    sticky,
    weighted,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.matching import (
    MET,
    Match,
    Meets,
    Rule,
    choose,
    every,
    fields_of,
    header_is,
    path_is,
    query_is,
    refuse_action,
    unevaluated,
    wrong_host,
)
from sampler.expect.rules.model import Question

if TYPE_CHECKING:
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Mixture
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

SPEC = Fields(
    "an HTTPProxy",
    ("virtualhost", "routes", "includes"),
    beside=("ingressClassName",),
    refused={"tcpproxy": "it divides connections, not requests"},
)
ROUTE = Fields(
    "a route",
    ("conditions", "services", "loadBalancerPolicy", "requestRedirectPolicy",
     "directResponsePolicy"),
    beside=(
        "authPolicy", "cookieRewritePolicies", "enableWebsockets", "healthCheckPolicy",
        "internalRedirectPolicy", "ipAllowPolicy", "ipDenyPolicy", "jwtVerificationPolicy",
        "pathRewritePolicy", "permitInsecure", "rateLimitPolicy", "requestHeadersPolicy",
        "responseHeadersPolicy", "retryPolicy", "timeoutPolicy",
    ),
)  # fmt: skip
CONDITION = Fields("a condition", ("prefix", "exact", "header", "queryParameter"))
_NAMED = Fields(
    "a condition",
    ("name", "exact", "notexact", "contains", "notcontains", "present", "notpresent",
     "treatMissingAsEmpty"),
    beside=("ignoreCase",),
)  # fmt: skip
_Lookup = Callable[[Question, str, Callable[[str], bool | None], str], Match]
_LOOKUPS: dict[str, _Lookup] = {"header": header_is, "queryParameter": query_is}


def behind_http_proxy(
    proxy: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind an HTTPProxy, or one of its routes, wherever it is included.

    Raises
    ------
    ExpectationError
        If no route, or more than one, can be meant, or one that is answered elsewhere; all
        weights are 0; or as `service_mixture`.
    """
    SPEC.check(proxy["spec"])
    findings = _host(proxy, question) if rule is None else []
    rule = rule or choose(proxy, _rules(proxy, question), question)
    ROUTE.check(rule)
    for key, what in (
        ("requestRedirectPolicy", "redirects the request"),
        ("directResponsePolicy", "answers itself"),
    ):
        if rule[key].exists:
            raise refuse_action(rule[key], what)
    services = [each for each in rule["services"] if each["mirror"].value is not True]
    is_even = not any(each["weight"].count(0) for each in services)
    branches, findings = [], [*findings, *_bound(proxy, rule)]
    for node in services:
        name, weight = node["name"].text(), 1 if is_even else node["weight"].count(0)
        mixture = service_mixture(
            name, proxy.namespace, node["name"], inventory, question, is_used=weight > 0
        )
        branches.append(Branch(weight, node["weight"], "weight", f"Service {name}", mixture))
        findings += _hashed(proxy, rule) if has_several(mixture) else []
    require_positive(proxy, branches, "it has no service that answers")
    whole = weighted(branches)
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def _rules(proxy: KubeObject, question: Question) -> list[Rule]:
    rules = [_rule(node, question) for node in proxy["spec"]["routes"]]
    for node in proxy["spec"]["includes"]:
        included = _rule(node, question)
        if included.match.meets is not Meets.NO:
            why = f"routes of the HTTPProxy {node['name'].text('')} are included"
            rules.append(dataclasses.replace(included, match=unevaluated(why)))
    return rules


def _rule(node: Node, question: Question) -> Rule:
    conditions = list(node["conditions"])
    exact = next((each["exact"].text() for each in conditions if each["exact"].exists), "")
    prefix = "".join(each["prefix"].text("") for each in conditions)
    headers = sum(each["header"].exists for each in conditions)
    match = every([MET, *(_condition(each, question) for each in conditions)])
    return Rule(node, match, (int(bool(exact)), len(exact or prefix), headers))


def _condition(node: Node, question: Question) -> Match:
    parts = fields_of(CONDITION, node)
    why = f"the path of {node.where}"
    if node["exact"].exists:
        exact = node["exact"].text()
        parts.append(path_is(question, lambda path: path == exact, why))
    if node["prefix"].text("/") != "/":
        prefix = node["prefix"].text()
        parts.append(path_is(question, lambda path: path.startswith(prefix), why))
    for key, is_there in _LOOKUPS.items():
        named = node[key]
        if _NAMED.open_ones(named) or named["ignoreCase"].value is True:
            parts.append(unevaluated(f"a condition on {key} ({named.where})"))
        elif named.exists:
            parts.append(_named_match(named, is_there, question))
    return every([MET, *parts])


def _named_match(named: Node, is_there: _Lookup, question: Question) -> Match:
    """Match a header or parameter; Envoy takes one that is missing for no other value, either."""
    name = named["name"].text()
    tests: dict[str, Callable[[str], bool]] = {
        "exact": lambda value: value == named["exact"].text(""),
        "notexact": lambda value: value == named["notexact"].text(""),
        "contains": lambda value: named["contains"].text("") in value,
        "notcontains": lambda value: named["notcontains"].text("") in value,
        "present": lambda _: True,
        "notpresent": lambda _: True,
    }
    parts = []
    for key, test in tests.items():
        if named[key].value not in {None, False}:
            match = is_there(question, name, test, named.where)
            parts.append(~match if key.startswith("not") else match)
            if key in {"notexact", "notcontains"} and not named["treatMissingAsEmpty"].value:
                parts.append(is_there(question, name, lambda _: True, named.where))
    return every(parts or [unevaluated(f"a condition ({named.where})")])


def _host(proxy: KubeObject, question: Question) -> list[Finding]:
    node = proxy["spec"]["virtualhost"]["fqdn"]
    host = node.text("")
    if not host:
        raise ExpectationError(
            f"{proxy.place}: {proxy} has no virtualhost: only what includes it says its paths",
            hint="ask the HTTPProxy with the virtualhost, or declare the split with --expect",
        )
    if question.host in {None, host}:
        return []
    return [wrong_host(proxy, node, [host], str(question.host))]


def _bound(proxy: KubeObject, rule: Node) -> list[Finding]:
    strategy = rule["loadBalancerPolicy"]["strategy"]
    return sticky(proxy, strategy) if strategy.text("") == "Cookie" else []


def _hashed(proxy: KubeObject, rule: Node) -> list[Finding]:
    """Find a hash of the client's address, or of a header or parameter that a request may have."""
    policy = rule["loadBalancerPolicy"]
    if policy["strategy"].text("") != "RequestHash":
        return []
    return [
        bound_to_pods(proxy, node[key], key, is_any=key == "hashSourceIP")
        for node in policy["requestHashPolicies"]
        for key in ("hashSourceIP", "headerHashOptions", "queryParameterHashOptions")
        if node[key].value
    ]
