"""OpenShift: a Route with alternate backends.

A backend's share is its weight (default 100) over the sum of all that have pods: all pods are
servers of one backend of HAProxy, whose weights are whole numbers. The router gives out a cookie
unless it is told not to.

References: OpenShift, route.openshift.io/v1 RouteSpec; route annotations of the router;
calculateServiceWeights of openshift/router, pkg/router/template/router.go.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import (
    Branch,
    has_several,
    require_positive,
    service_mixture,
    sticky,
    weighted,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import Rule, choose, path_is, under_prefix, wrong_host

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_MOST_BACKENDS, _MOST_WEIGHT = 4, 256
_ROUTER = "haproxy.router.openshift.io"
SPEC = Fields(
    "a Route",
    ("host", "path", "to", "alternateBackends", "tls"),
    beside=("httpHeaders", "port", "subdomain", "wildcardPolicy"),
)


def behind_openshift_route(route: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind a Route of OpenShift.

    Raises
    ------
    ExpectationError
        If the path is another one, a backend is no Service, all weights are 0; or as
        `service_mixture`.
    """
    spec = route["spec"]
    SPEC.check(spec)
    prefix = spec["path"].text("") or "/"
    on_path = path_is(question, lambda path: under_prefix(prefix, path), f"the path {prefix}")
    choose(route, [Rule(spec, on_path)], question)
    backends = [spec["to"], *spec["alternateBackends"]]
    if len(backends) > _MOST_BACKENDS:
        raise _rejected(backends[_MOST_BACKENDS], f"more than {_MOST_BACKENDS} backends")
    branches = []
    for node in backends:
        if node["kind"].text("Service") != "Service":
            raise ExpectationError(
                f"{node.where}: {route} sends traffic to a {node['kind'].text()}",
                hint="declare the split with --expect",
            )
        weight, name = node["weight"].count(100), node["name"].text()
        if weight > _MOST_WEIGHT:
            raise _rejected(node["weight"], f"a weight above {_MOST_WEIGHT}")
        mixture = service_mixture(
            name, route.namespace, node["name"], inventory, question, is_used=weight > 0
        )
        branches.append(Branch(weight, node["weight"], "weight", f"Service {name}", mixture))
    require_positive(route, branches, "the router answers with 503 then")
    served = [each for each in branches if each.weight and each.mixture.total]
    findings = [*_host(route, question)]
    if served:
        findings += [_without_pods(each) for each in branches if each.weight and each not in served]
        branches = [each if each in served else replace(each, weight=0) for each in branches]
    whole = weighted(branches)
    findings += [*_bound(route, whole, is_alone=len(served) == 1), *_rounded(served)]
    return replace(whole, findings=(*findings, *whole.findings))


def _rejected(node: Node, what: str) -> ExpectationError:
    return ExpectationError(
        f"{node.where}: {node.owner} has {what}", hint="the API server rejects it, too"
    )


def _without_pods(branch: Branch) -> Finding:
    return Finding(
        FindingCode.WEIGHT_WITHOUT_PODS,
        f"{branch.number.owner} gives {branch.towards} the weight {branch.weight}, but it has no "
        "pods: everything goes to the others",
        "raise its replicas before its weight",
        branch.number.where,
    )


def _rounded(served: list[Branch]) -> list[Finding]:
    """Find a share that the whole weights of the pods miss by more than a tenth of it."""
    if not all(each.mixture.numbers for each in served):
        return []  # named on the command line: the number of its pods is not known
    pods = [each.mixture.total for each in served]
    exact = [each.weight / count for each, count in zip(served, pods, strict=True)]
    units = [max(int(each * _MOST_WEIGHT / max(exact)), 1) for each in exact]
    made = [unit * count for unit, count in zip(units, pods, strict=True)]
    for branch, part in zip(served, made, strict=True):
        wanted = Fraction(branch.weight, sum(each.weight for each in served))
        share = part / sum(made)
        if abs(share - wanted) > wanted / 10:
            return [
                Finding(
                    FindingCode.UNACHIEVABLE_WEIGHT,
                    f"{branch.number.owner} gives {branch.towards} {float(100 * wanted):.3g} %, "
                    f"and the router can give it {float(100 * share):.3g} %: each pod has a "
                    f"whole weight of at most {_MOST_WEIGHT}",
                    f"expect that instead ({':'.join(map(str, made))}), or change the number of "
                    "pods",
                    branch.number.where,
                )
            ]
    return []


def _host(route: KubeObject, question: Question) -> list[Finding]:
    host = route["spec"]["host"].text("")
    if not host or question.host in {None, host}:
        return []
    return [wrong_host(route, route["spec"]["host"], [host], str(question.host))]


def _bound(route: KubeObject, whole: Mixture, *, is_alone: bool) -> list[Finding]:
    """Find what binds clients; connections to one Service that TLS hides go by their source."""
    node, termination = route["metadata"]["annotations"], route["spec"]["tls"]["termination"]
    annotations = node.texts()
    balance, is_passed_on = f"{_ROUTER}/balance", termination.text("") == "passthrough"
    by = annotations.get(balance, "source" if is_passed_on and is_alone else "")
    if by == "source" and has_several(whole):
        return [
            Finding(
                FindingCode.SESSION_AFFINITY,
                f"{route} balances by source: one client stays with one pod",
                f"balance by roundrobin while the split is checked: {balance}",
                node[balance].where if node[balance].exists else termination.where,
            )
        ]
    is_off = annotations.get(f"{_ROUTER}/disable_cookies", "").lower() in {"true", "1"}
    return [] if is_passed_on or is_off else sticky(route, route["spec"])
