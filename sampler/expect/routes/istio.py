"""Istio: VirtualService, and the subsets of DestinationRules.

The first ``http`` entry that matches holds. Weights are relative; a single destination gets
everything whatever its weight, and one that has none, among several, gets nothing.

References: Istio, HTTPMatchRequest, HTTPRouteDestination.weight, Delegate, DestinationRule.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import (
    Branch,
    has_several,
    overlap,
    require_positive,
    service_mixture,
    weighted,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import (
    MET,
    NO_URL,
    Match,
    Rule,
    choose,
    every,
    fields_of,
    header_is,
    host_matches,
    query_is,
    refuse_action,
    some,
    unevaluated,
    when,
    wrong_host,
)
from sampler.expect.rules.model import only
from sampler.expect.rules.services import behind_subset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

MATCH = Fields(
    "a match",
    ("uri", "ignoreUriCase", "method", "authority", "headers", "withoutHeaders", "queryParams",
     "gateways"),
    beside=("name", "statPrefix"),
    refused={
        "port": "it is a port of the gateway, which a URL need not show",
        "scheme": "a proxy in front may change it",
        "sourceLabels": "it depends on the pod that asks",
        "sourceNamespace": "it depends on the pod that asks",
    },
)  # fmt: skip
RULE = Fields(
    "a rule",
    ("match", "route", "redirect", "directResponse", "delegate", "fault"),
    beside=(
        "name", "rewrite", "timeout", "retries", "mirror", "mirrors", "mirrorPercent",
        "mirrorPercentage", "mirror_percent", "corsPolicy", "headers",
    ),
)  # fmt: skip
DESTINATION = Fields(
    "a destination", ("destination", "weight"),
    beside=("headers",),
)  # fmt: skip
_CLUSTER = "svc.cluster.local"
_HASHED = {
    "useSourceIp": "one client",
    "httpCookie": "a client that keeps the cookie",
    "httpHeaderName": "every client with one value of the header",
    "httpQueryParameterName": "every URL with one value of the parameter",
}
_ELSEWHERE = {"redirect": "redirects the request", "directResponse": "answers itself"}


def behind_virtual_service(
    route: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind a VirtualService, or one of its rules.

    Raises
    ------
    ExpectationError
        If no rule, or more than one, can be meant, or one that sends requests to no
        destination; a subset is missing; all weights are 0; or as `service_mixture`.
    """
    rule = _rule(route, inventory, question, rule)
    destinations = list(rule["route"])
    branches = []
    for each in destinations:
        DESTINATION.check(each)
        is_alone = len(destinations) == 1
        weight = 1 if is_alone else each["weight"].count(0)
        towards, mixture = _destination(
            each["destination"], inventory, question, is_used=weight > 0
        )
        what = "all, as the only destination" if is_alone else "weight"
        branches.append(Branch(weight, each["weight"], what, towards, mixture, is_derived=is_alone))
    require_positive(route, branches, "Istio refuses such a route")
    whole = weighted(branches)
    remarks = inventory.once(
        ("route", route), question, lambda: [*_host(route, question), *_overlaps(route, inventory)]
    )
    findings = [*remarks, *_aborted(rule)]
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


def _rule(
    route: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Node:
    spec = route["spec"]
    if rule is None and not list(spec["http"]):
        for key in ("tcp", "tls"):
            if spec[key].exists:
                raise ExpectationError(
                    f"{spec[key].where}: {route} divides connections by {key}, which is not "
                    "evaluated: its rules are not those of HTTP requests",
                    hint="declare the split with --expect",
                )
    if rule is None:
        gateways = {each.text() for each in spec["gateways"]} or {"mesh"}
        rules = [Rule(node, _rule_match(node, question, gateways)) for node in spec["http"]]
        rule = choose(route, rules, question)
    RULE.check(rule)
    for key, what in _ELSEWHERE.items():
        if rule[key].exists:
            raise refuse_action(rule[key], what)
    if rule["delegate"].exists:
        return _delegated(rule["delegate"], inventory, question)
    if not list(rule["route"]):
        raise refuse_action(rule, "has a rule without a destination", ExpectationError)
    return rule


def _delegated(node: Node, inventory: Inventory, question: Question) -> Node:
    """Return the rule of the VirtualService that another one leaves its requests to."""
    name, namespace = node["name"].text(), node["namespace"].text("") or node.owner.namespace
    other = inventory.find("VirtualService", name, namespace)
    if other is None or list(other["spec"]["hosts"]):
        raise ExpectationError(
            f"{node.where}: {node.owner} leaves the request to the delegate {name}, "
            + ("which was not found" if other is None else "which has hosts, so Istio ignores it"),
            hint="add its manifest; a delegate has no hosts and no delegates",
        )
    return _rule(other, inventory, question)


def _rule_match(rule: Node, question: Question, gateways: set[str]) -> Match:
    matches = list(rule["match"])
    return some(_match(each, question, gateways) for each in matches) if matches else MET


def _match(match: Node, question: Question, gateways: set[str]) -> Match:
    is_any_case = match["ignoreUriCase"].value is True
    entered = {each.text() for each in match["gateways"]}
    parts = [
        _text_is(match["uri"], question.path, "the path", is_any_case=is_any_case),
        _text_is(match["method"], question.method, "the method"),
        _text_is(match["authority"], question.host, "the host", is_any_case=True),
        *(
            header_is(question, name, _test_of(match["headers"][name]), match["headers"].where)
            for name in match["headers"].mapping()
        ),
        *(
            ~header_is(question, name, _test_of(match["withoutHeaders"][name]), match.where)
            for name in match["withoutHeaders"].mapping()
        ),
        *(
            query_is(question, name, _test_of(match["queryParams"][name]), match.where)
            for name in match["queryParams"].mapping()
        ),
        *fields_of(MATCH, match),
    ]
    if entered and not gateways <= entered:
        parts.append(
            unevaluated(
                f"gateways {', '.join(sorted(entered))} ({match['gateways'].where}), and where "
                f"requests enter is not known: {', '.join(sorted(gateways))}"
            )
        )
    return every(parts)


def _text_is(node: Node, value: str | None, what: str, *, is_any_case: bool = False) -> Match:
    """Return whether a text of the request meets an ``exact``, ``prefix`` or ``regex``."""
    if not node.exists:
        return MET
    wanted = next((node[key].text() for key in ("exact", "prefix") if node[key].exists), "")
    why = f"{what} {wanted} ({node.where})"
    answer = None if value is None else _test_of(node, is_any_case=is_any_case)(value)
    if value is None and not node["regex"].exists:
        return NO_URL
    if answer is None:
        return NO_URL if value is None else unevaluated(f"{what} by regex ({node.where})")
    return when(answer, why)


def _test_of(node: Node, *, is_any_case: bool = False) -> Callable[[str], bool | None]:
    def test(value: str) -> bool | None:
        def folded(text: str) -> str:
            return text.lower() if is_any_case else text

        if node["regex"].exists:
            return None
        if node["exact"].exists:
            return folded(value) == folded(node["exact"].text())
        return folded(value).startswith(folded(node["prefix"].text("")))

    return test


def _aborted(rule: Node) -> list[Finding]:
    abort = rule["fault"]["abort"]
    share = abort["percentage"]["value"].value if abort["percentage"].exists else None
    share = abort["percent"].value if share is None else share
    if not abort.exists or not isinstance(share, int | float) or not share:
        return []
    return [
        Finding(
            FindingCode.ABORTED,
            f"{rule.owner} aborts {share} % of the requests (fault.abort): no version answers them",
            "remove the fault while the split is checked",
            abort.where,
        )
    ]


def _overlaps(route: KubeObject, inventory: Inventory) -> list[Finding]:
    """Find other VirtualServices of the same host and gateway, whose order is not defined."""
    found = (
        other
        for place in _hosts_at(route)
        for other in inventory.by(_hosts_at, place, "VirtualService")
    )
    which = "which one answers depends on the order of creation"
    return overlap(route, found, which, lambda other: other["spec"]["hosts"].where)


def _hosts_at(route: KubeObject) -> Iterator[tuple[str, str]]:
    """Yield each host of a VirtualService at each of its gateways, both with their namespace."""
    names = [node.text() for node in route["spec"]["gateways"]] or ["mesh"]
    for host in route["spec"]["hosts"]:
        for name in names:
            is_full = name == "mesh" or "/" in name
            yield (
                _full(host.text(), route.namespace),
                name if is_full else f"{route.namespace}/{name}",
            )


def _full(host: str, namespace: str) -> str:
    """Return a host as Istio completes it: a short name is a Service of the namespace."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.{_CLUSTER}"


def _destination(
    node: Node, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    name, namespace = service_of_host(node["host"].text(), node.owner.namespace)
    subset, towards = node["subset"].text(""), f"Service {name}"
    service = inventory.find("Service", name, namespace)
    labels = {}
    if subset:
        towards = f"{towards}, subset {subset}"
        labels = _subset(node, name, namespace, inventory)
    version = question.versions.of_name(subset)
    if service is None:
        version = version or question.versions.of_labels(labels)
    if version:
        mixture = only(version, question)
    elif service is not None and labels:
        mixture = behind_subset(service, labels, inventory, question)
    else:
        mixture = service_mixture(
            name, namespace, node["host"], inventory, question, is_used=is_used, called=subset
        )
    if service is not None and has_several(mixture):
        bound = bound_to_pods(service, inventory)
        mixture = dataclasses.replace(mixture, findings=(*mixture.findings, *bound))
    return towards, mixture


def _subset(node: Node, name: str, namespace: str, inventory: Inventory) -> dict[str, str]:
    wanted = node["subset"].text()
    rules = destination_rules(name, namespace, inventory)
    found = [
        (rule, subset)
        for rule in rules
        for subset in rule["spec"]["subsets"]
        if subset["name"].text() == wanted
    ]
    if not found:
        known = ", ".join(f"{each} ({each.place})" for each in rules) or "there is none"
        raise ExpectationError(
            f"{node['subset'].where}: {node.owner} sends traffic to the subset {wanted} of {name}, "
            f"which no DestinationRule has: {known}",
            hint="add the subset to the DestinationRule of that host: without it, requests fail",
        )
    labels = [subset["labels"].texts() for _, subset in found]
    if any(each != labels[0] for each in labels):
        raise ExpectationError(
            f"the subset {wanted} of {name} is declared in two ways: "
            + ", ".join(subset.where for _, subset in found),
            hint="keep one of them",
        )
    for rule, _ in found:
        if rule["spec"]["workloadSelector"].exists:
            raise ExpectationError(
                f"{rule['spec']['workloadSelector'].where}: {rule} holds for some clients only",
                hint="declare the split with --expect",
            )
    return labels[0]


def destination_rules(name: str, namespace: str, inventory: Inventory) -> list[KubeObject]:
    """Return the DestinationRules of a Service: those whose host says most of it.

    A host may be a wildcard; a more specific one takes the place of all others.
    """
    key = ("rules", name, namespace)
    return inventory.once(key, None, lambda: _rules_for(name, namespace, inventory))


def _rules_for(name: str, namespace: str, inventory: Inventory) -> list[KubeObject]:
    found = inventory.by(_ruled, (name, namespace), "DestinationRule")
    rest = f"{name}.{namespace}.{_CLUSTER}".lower()
    while not found and rest:
        rest = rest.partition(".")[2]
        found = inventory.by(_ruled, f"*.{rest}" if rest else "*", "DestinationRule")
    return found


def _ruled(rule: KubeObject) -> Iterator[tuple[str, str] | str]:
    """Yield name and namespace of the Service that a DestinationRule is for, or its wildcard."""
    host = rule["spec"]["host"].text()
    yield host.lower() if host.startswith("*") else service_of_host(host, rule.namespace)


def bound_to_pods(service: KubeObject, inventory: Inventory) -> tuple[Finding, ...]:
    """Find DestinationRules with which a client stays with the pod that it first got."""
    return inventory.once(("bound", service), None, lambda: tuple(_bound(service, inventory)))


def _bound(service: KubeObject, inventory: Inventory) -> Iterator[Finding]:
    for rule in destination_rules(service.name, service.namespace, inventory):
        spec = rule["spec"]
        policies = [spec["trafficPolicy"], *(each["trafficPolicy"] for each in spec["subsets"])]
        policies += [each for policy in policies for each in policy["portLevelSettings"]]
        for policy in policies:
            node = policy["loadBalancer"]["consistentHash"]
            for key, value in node.mapping().items():
                if key in _HASHED and value:
                    yield Finding(
                        FindingCode.SESSION_AFFINITY
                        if key == "useSourceIp"
                        else FindingCode.STICKY,
                        f"{rule} picks the pods of {service} by consistentHash of {key}: "
                        f"{_HASHED[key]} stays with one pod",
                        "remove it while the split is checked, or split by subsets",
                        node.where,
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
