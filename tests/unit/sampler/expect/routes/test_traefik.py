"""Traefik's language of rules: met, not met, or open."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.routes.traefik import matches
from sampler.expect.rules.matching import Meets
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import KubeObject

ASKED = Question(
    route="shop", host="shop.example", path="/api/x", query="beta=1", headers={"x-beta": "yes"}
)
NODE = KubeObject({}, lambda _: "route.yaml:1").root


@pytest.mark.parametrize(
    ("rule", "meets"),
    [
        ("Host(`shop.example`)", Meets.YES),
        ("Host(`SHOP.example`) && PathPrefix(`/api`)", Meets.YES),
        ('Host("shop.example")', Meets.YES),
        ("Host(`www.example`, `shop.example`)", Meets.YES),
        ("Host(`www.example`) || Host(`shop.example`)", Meets.YES),
        ("Host(`www.example`) || Path(`/api`)", Meets.NO),
        ("!PathPrefix(`/api`)", Meets.NO),
        ("!(Path(`/a`) || Path(`/b`)) && Method(`get`)", Meets.YES),
        ("Path(`/a`) || Path(`/b`) && Host(`shop.example`)", Meets.NO),
        ("Host(`shop.example`) || Path(`/a`) && Path(`/b`)", Meets.YES),
        ("Header(`X-Beta`, `yes`)", Meets.YES),
        ("Headers(`X-Beta`, `no`)", Meets.NO),
        ("HeaderRegexp(`X-Beta`, `y.*`)", Meets.OPEN),
        ("HeaderRegexp(`X-Alpha`, `y.*`)", Meets.NO),
        ("Header(`User-Agent`, `curl`)", Meets.OPEN),
        ("Query(`beta`, `1`)", Meets.YES),
        ("Query(`beta`, `2`)", Meets.NO),
        ("ClientIP(`10.0.0.0/8`)", Meets.OPEN),
        ("ClientIP(`10.0.0.0/8`) && Path(`/a`)", Meets.NO),
        ("ClientIP(`10.0.0.0/8`) || PathPrefix(`/api`)", Meets.YES),
        ("PathRegexp(`^/api`)", Meets.OPEN),
        ("", Meets.OPEN),
        ("Host(`shop.example`", Meets.OPEN),
        ("(Host(`shop.example`)", Meets.OPEN),
        ("Host(`shop.example`) Path(`/a`)", Meets.OPEN),
        ("(" * 10_000, Meets.OPEN),
    ],
)
def test_a_rule_is_met_not_met_or_open(rule, meets):
    assert matches(rule, ASKED, NODE).meets is meets


@pytest.mark.parametrize(
    ("rule", "meets"),
    [
        ("Host(`shop.example`) && PathPrefix(`/api`)", Meets.NO_URL),
        ("PathPrefix(`/api`) && Header(`x-beta`, `yes`)", Meets.NO),
        ("Method(`POST`) && Path(`/a`)", Meets.NO),
    ],
)
def test_without_a_url_only_other_conditions_can_fail(rule, meets):
    assert matches(rule, Question(route="shop"), NODE).meets is meets


def test_a_middleware_that_redirects_is_refused(split):
    text = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: shop}
spec: {routes: [{match: PathPrefix(`/`), middlewares: [{name: away}], services: [{name: v1}]}]}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: away}
spec: {%s: {}}
"""
    assert split(text % "stripPrefix", "shop")[0] == {"v1": 3}
    with pytest.raises(ExpectationError, match="may redirect the request"):
        split(text % "redirectRegex", "shop")
    inner = (text % "redirectScheme").rpartition("---")[2].replace("name: away", "name: inner")
    chain = text.replace("{%s: {}}", "{chain: {middlewares: [{name: away}, {name: inner}]}}")
    assert split(chain, "shop")[0] == {"v1": 3}
    with pytest.raises(ExpectationError, match="may redirect the request"):
        split(f"{chain}---{inner}", "shop")


@pytest.mark.parametrize(
    ("name", "why"), [("api@internal", "is Traefik itself"), ("web@file", "of the provider file")]
)
def test_a_service_of_another_provider_is_in_no_manifest(split, name, why):
    text = f"""
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: shop}}
spec: {{routes: [{{match: PathPrefix(`/`), services: [{{name: {name}, kind: TraefikService}}]}}]}}
"""
    with pytest.raises(ExpectationError, match=why):
        split(text, "shop")


def test_one_service_by_two_ports_is_one_backend(split):
    text = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: shop}
spec:
  routes:
  - match: PathPrefix(`/`)
    services: [{name: v1, port: 80}, {name: v1, port: 443}]
"""
    assert split(text, "shop") == ({"v1": 2}, ["default_weights"])


@pytest.mark.parametrize(
    ("service", "strategy", "codes"),
    [
        ("all", "hrw", ["session_affinity"]),
        ("all", "p2c", []),
        ("v1", "hrw", []),
    ],
)
def test_a_strategy_by_the_address_binds_a_client_where_pods_divide_it(
    split, service, strategy, codes
):
    text = f"""
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: shop}}
spec:
  routes:
  - {{match: PathPrefix(`/`), services: [{{name: {service}, port: 80, strategy: {strategy}}}]}}
"""

    assert split(text, "shop")[1] == codes
