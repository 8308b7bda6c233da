"""Gateway API: the most specific rule, and what answers without a version."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.versions import VersionRule

ROUTE = """
apiVersion: {group}/v1
kind: {kind}
metadata: {{name: shop}}
spec:
  parentRefs: [{{name: edge}}]
  rules:
  - matches: [{match}]
    {action}
  - backendRefs: [{{name: v3, port: 80}}]
"""
SPLIT = "backendRefs: [{name: v1, weight: 9}, {name: v2, weight: 1}]"
FIRST, SECOND = {"v1": 9, "v2": 1}, {"v3": 3}
OPEN = "whether this rule of .* applies is not known"


def route(match, action=SPLIT, kind="HTTPRoute", group="gateway.networking.k8s.io"):
    return ROUTE.format(match=match, action=action, kind=kind, group=group)


@pytest.mark.parametrize(
    ("match", "weights"),
    [
        ("{method: GET}", FIRST),
        ("{method: POST}", SECOND),
        ("{path: {type: Exact, value: /api/x}}", FIRST),
        ("{path: {type: Exact, value: /api}}", SECOND),
        ('{headers: [{name: X-Beta, value: "yes"}]}', FIRST),
        ('{headers: [{name: X-Old, value: "yes"}]}', SECOND),
        ('{queryParams: [{name: page, value: "2"}]}', FIRST),
    ],
)
def test_a_match_is_evaluated_with_what_the_check_sends(split, match, weights):
    asked = {"path": "/api/x", "query": "page=2", "headers": {"x-beta": "yes"}}

    assert split(route(match), "shop", **asked)[0] == weights
    linkerd = route(match, group="policy.linkerd.io")
    assert split(linkerd, "HTTPRoute/shop", **asked)[0] == weights


@pytest.mark.parametrize(
    "match",
    [
        "{path: {type: RegularExpression, value: /api.*}}",
        "{headers: [{name: X-Beta, type: RegularExpression, value: y.*}]}",
        "{headers: [{name: Accept, value: text/html}]}",
        "{fieldOfTomorrow: 1}",
    ],
)
def test_a_match_that_is_not_evaluated_refuses(split, match):
    with pytest.raises(ExpectationError, match=OPEN):
        split(route(match), "shop", path="/api/x", headers={"x-beta": "yes"})


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("filters: [{type: RequestRedirect}]", "redirects the request"),
        ("filters: [{type: ExtensionRef}]\n    " + SPLIT, "filter of the gateway's own"),
        ("filters: []", "no backend in this rule"),
        ("fieldOfTomorrow: 1\n    " + SPLIT, "fieldOfTomorrow of a rule is not evaluated"),
        ("backendRefs: [{name: v1, filters: [{type: RequestRedirect}]}]", "redirects the request"),
    ],
)
def test_what_answers_without_a_version_is_refused_where_it_applies(split, action, said):
    text = route("{path: {value: /api}}", action)

    with pytest.raises(ExpectationError, match=said):
        split(text, "shop", path="/api/x")
    assert split(text, "shop", path="/")[0] == SECOND


def test_the_alternatives_of_a_rule_compete_one_by_one(split):
    """The regular expression may come before the other rule's prefix, whatever its sibling does."""
    prefixes = "{path: {value: %s}}"
    regex, sibling = "{path: {type: RegularExpression, value: /api.*}}", prefixes % "/"
    longer = SPLIT.replace("v1", "v3") + f"\n  - matches: [{prefixes % '/api'}]\n    " + SPLIT

    with pytest.raises(ExpectationError, match=OPEN):
        split(route(f"{regex}, {sibling}", longer), "shop", path="/api/x")
    assert split(route(f"{prefixes % '/x'}, {sibling}", longer), "shop", path="/api/x")[0] == FIRST
    assert split(route(f"{regex}, {prefixes % '/api/x'}"), "shop", path="/api/x")[0] == FIRST


def test_a_route_of_linkerd_for_a_server_divides_nothing(split):
    text = route("{path: {value: /}}", "filters: []", group="policy.linkerd.io")
    inbound = text.replace("{name: edge}", "{name: all, kind: Server, group: policy.linkerd.io}")

    with pytest.raises(ExpectationError, match="attached to a Server"):
        split(inbound, "shop")


def test_a_grpc_method_is_not_met_on_another_path_and_else_open(split):
    text = route("{method: {service: shop.Cart, method: Get}}", kind="GRPCRoute")

    assert split(text, "shop", path="/shop.Cart/Put")[0] == SECOND
    assert split(text, "shop", path="/")[0] == SECOND
    with pytest.raises(ExpectationError, match=OPEN):
        split(text, "shop", path="/shop.Cart/Get")


def test_another_route_of_the_host_with_the_more_specific_rule_is_told(split):
    other = route("{path: {value: /api}}").replace("name: shop", "name: other")
    text = route("{path: {value: /}}") + "\n---\n" + other

    assert split(text, "shop", path="/api/x")[1] == ["route_taken"]
    assert split(text, "other", path="/api/x")[1] == []
    assert "route_overlaps" in split(text, "shop", path="/x")[1]


def test_routes_of_two_listeners_do_not_overlap(split):
    def at(section, name):
        text = route("{path: {value: /}}").replace("name: shop", f"name: {name}")
        return text.replace("{name: edge}", f"{{name: edge, sectionName: {section}}}")

    assert split(at("http", "shop") + "\n---\n" + at("https", "other"), "shop")[1] == []
    assert split(at("http", "shop") + "\n---\n" + at("http", "other"), "shop")[1] != []


def test_a_backend_of_another_kind_has_the_version_that_it_is_given(split):
    pools = "backendRefs: [{kind: InferencePool, name: a, weight: 9}, {name: v2, weight: 1}]"
    versions = VersionRule.parse("a=v1")

    assert split(route("{}", pools), "shop", versions=versions)[0] == FIRST
    with pytest.raises(ExpectationError, match="sends traffic to a InferencePool") as refused:
        split(route("{}", pools), "shop")
    assert "--version-from a=v1" in str(refused.value.hint)
