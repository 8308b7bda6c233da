"""OpenShift: a Route with alternate backends.

A backend's share is its weight (default 100) over the sum of all. The router gives out a cookie
unless it is told not to.

References: OpenShift, route.openshift.io/v1 RouteSpec; route annotations of the router.
"""

from __future__ import annotations

import dataclasses
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
    from sampler.expect.rules.objects import Inventory, KubeObject

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
    branches = []
    for node in [spec["to"], *spec["alternateBackends"]]:
        if node["kind"].text("Service") != "Service":
            raise ExpectationError(
                f"{node.where}: {route} sends traffic to a {node['kind'].text()}",
                hint="declare the split with --expect",
            )
        weight, name = node["weight"].count(100), node["name"].text()
        mixture = service_mixture(
            name, route.namespace, node["name"], inventory, question, is_used=weight > 0
        )
        branches.append(Branch(weight, node["weight"], "weight", f"Service {name}", mixture))
    require_positive(route, branches, "the router answers with 503 then")
    whole = weighted(branches)
    is_alone = sum(branch.weight > 0 for branch in branches) == 1
    findings = [*_host(route, question), *_bound(route, whole, is_alone=is_alone)]
    return dataclasses.replace(whole, findings=(*findings, *whole.findings))


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
