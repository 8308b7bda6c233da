"""Kinds with weights of their own: OpenShift, SMI, Contour and Knative."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.versions import VersionRule

OPENSHIFT = """
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: shop}
spec:
  host: shop.example
  path: /api
  to: {kind: Service, name: v1, weight: 9}
  alternateBackends: [{kind: Service, name: v2, weight: 1}]
"""
SMI = """
apiVersion: split.smi-spec.io/%s
kind: TrafficSplit
metadata: {name: shop}
spec: {service: shop, backends: [{service: v1, weight: %s}, {service: v2, weight: %s}]}
"""
CONTOUR = """
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: shop}
spec:
  virtualhost: {fqdn: shop.example}
  routes:
  - conditions: [{prefix: /}]
    services: [{name: v3, port: 80}]
  - conditions: [%s]
    services: [{name: v1, port: 80, weight: 9}, {name: v2, port: 80, weight: 1},
               {name: v3, port: 80, mirror: true}]
"""
KNATIVE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: shop}
spec:
  template: {metadata: {name: shop-2}, spec: {containers: [{image: "shop:v2"}]}}
  traffic: [{revisionName: shop-1, percent: 90}, {%s, percent: 10, tag: new}]
"""
ROUTE = "Service.serving.knative.dev/shop"
NAMED = "shop-1=v1"


def test_a_route_of_openshift_has_weights_of_100_by_default(split):
    assert split(OPENSHIFT, "shop", path="/api/x") == ({"v1": 9, "v2": 1}, ["sticky"])
    assert split(OPENSHIFT.replace(", weight: 1}", "}"), "shop", path="/api")[0] == {
        "v1": 9, "v2": 100,
    }  # fmt: skip
    assert "host_mismatch" in split(OPENSHIFT, "shop", host="other.example", path="/api")[1]
    with pytest.raises(ExpectationError, match="the path /api"):
        split(OPENSHIFT, "shop", path="/apis")
    with pytest.raises(ExpectationError, match="fieldOfTomorrow"):
        split(OPENSHIFT + "  fieldOfTomorrow: 1\n", "shop", path="/api")


@pytest.mark.parametrize(
    ("version", "one", "two"), [("v1alpha2", 90, 10), ("v1alpha1", "900m", "100m"),
                                ("v1alpha1", 9, 1), ("v1alpha1", "0", "1000m")]
)  # fmt: skip
def test_a_traffic_split_has_integers_or_quantities(split, version, one, two):
    weights, _ = split(SMI % (version, one, two), "shop")

    assert weights.get("v1", 0) * 10 == 9 * sum(weights.values()) or weights.keys() == {"v2"}


def test_a_traffic_split_for_some_requests_is_refused(split):
    text = (SMI % ("v1alpha4", 9, 1)).replace("service: shop,", "service: shop, matches: [{}],")

    with pytest.raises(ExpectationError, match="HTTPRouteGroup"):
        split(text, "shop")


@pytest.mark.parametrize(
    ("conditions", "weights"),
    [
        ("{prefix: /api}", {"v1": 9, "v2": 1}),
        ("{exact: /api}", {"v3": 3}),
        ("{prefix: /api}, {header: {name: x-beta, present: true}}", {"v1": 9, "v2": 1}),
        ("{prefix: /api}, {header: {name: x-beta, notexact: 'yes'}}", {"v3": 3}),
        ("{prefix: /api}, {header: {name: x-old, notpresent: true}}", {"v1": 9, "v2": 1}),
        ("{prefix: /api}, {header: {name: x-old, notcontains: a}}", {"v3": 3}),  # as Envoy has it
        (
            "{prefix: /api}, {header: {name: x-old, notexact: a, treatMissingAsEmpty: true}}",
            {"v1": 9, "v2": 1},
        ),
        ("{prefix: /api}, {queryParameter: {name: page, contains: '2'}}", {"v1": 9, "v2": 1}),
    ],
)
def test_all_conditions_of_a_route_of_contour_must_be_met(split, conditions, weights):
    asked = {"path": "/api/x", "headers": {"x-beta": "yes"}, "query": "page=12"}

    assert split(CONTOUR % conditions, "shop", **asked)[0] == weights


@pytest.mark.parametrize("condition", ["regex: /api.*", "header: {name: x-beta, regex: y}"])
def test_a_condition_of_contour_that_is_not_evaluated_refuses(split, condition):
    with pytest.raises(ExpectationError, match="whether this rule of HTTPProxy shop applies"):
        split(CONTOUR % f"{{prefix: /api}}, {{{condition}}}", "shop", path="/api/x")


@pytest.mark.parametrize(
    ("by", "service", "codes"),
    [
        ("hashSourceIP: true", "all", ["session_affinity"]),
        ("headerHashOptions: {headerName: x}", "all", ["sticky"]),
        ("hashSourceIP: true", "v1", []),
    ],
)
def test_a_hash_of_contour_binds_requests_where_pods_divide_them(split, by, service, codes):
    policy = f"{{strategy: RequestHash, requestHashPolicies: [{{{by}}}]}}"
    alone = f"[{{name: {service}}}]\n    loadBalancerPolicy: {policy}"
    text = (CONTOUR % "{prefix: /x}").replace("[{name: v3, port: 80}]", alone)

    assert split(text, "shop")[1] == codes


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ("", ["session_affinity"]),
        ("annotations: {haproxy.router.openshift.io/balance: roundrobin}", []),
        ("weights", []),
    ],
)
def test_openshift_passes_connections_to_one_service_on_by_their_source(split, more, codes):
    text = OPENSHIFT.replace("name: v1", "name: all").replace("{name: shop}", "{name: shop, %s}")
    text = text.replace("path: /api", "tls: {termination: passthrough}") % more
    if more != "weights":
        text = text.rpartition("  alternateBackends")[0]

    assert split(text, "shop")[1] == codes


def test_revisions_of_knative_are_known_by_template_or_by_name(split):
    named = {"versions": VersionRule.parse(NAMED)}
    for latest in ("revisionName: shop-2", "latestRevision: true"):
        assert split(KNATIVE % latest, ROUTE, **named)[0] == {"v1": 90, "v2": 10}
    with pytest.raises(ExpectationError, match="the revision shop-1, whose version no manifest"):
        split(KNATIVE % "latestRevision: true", ROUTE)


@pytest.mark.parametrize(
    ("weights", "parts", "codes"),
    [
        ((99, 1), {"v1": 99, "v2": 1}, ["sticky", "unachievable_weight"]),  # 256 and 2: 0.78 %
        ((95, 5), {"v1": 95, "v2": 5}, ["sticky"]),  # 256 and 13: 4.83 %
    ],
)
def test_the_router_of_openshift_has_whole_weights_for_its_pods(split, weights, parts, codes):
    text = OPENSHIFT.replace("9}", f"{weights[0]}}}").replace("1}", f"{weights[1]}}}")

    assert split(text, "shop", path="/api") == (parts, codes)


def test_a_backend_of_openshift_without_pods_leaves_its_share_to_the_others(split):
    none = """
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {selector: {app: none}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: none}
spec: {replicas: 0, template: {metadata: {labels: {app: none, version: v9}}, spec: {}}}
"""
    text = OPENSHIFT.replace("name: v2", "name: none") + none

    assert split(text, "shop", path="/api") == ({"v1": 9}, ["weight_without_pods", "sticky"])


@pytest.mark.parametrize(
    ("was", "is_now", "why"),
    [("9}", "900}", "a weight above 256"), ("[{", "[{name: v3}, {name: a}, {name: b}, {", "4")],
)
def test_what_the_api_of_openshift_rejects_is_refused(split, was, is_now, why):
    with pytest.raises(ExpectationError, match=why):
        split(OPENSHIFT.replace(was, is_now), "shop", path="/api")


def test_a_traffic_split_names_its_service_by_text(split):
    with pytest.raises(ExpectationError, match=r"expected text at spec\.service"):
        split((SMI % ("v1alpha4", 9, 1)).replace("service: shop", "service: {name: shop}"), "shop")


def test_a_service_of_knative_that_releases_as_long_ago_is_refused(split):
    text = (KNATIVE % "latestRevision: true").replace("template:", "release: {}\n  template:")

    assert split(text, ROUTE, versions=VersionRule.parse(NAMED))[0] == {"v1": 90, "v2": 10}
    with pytest.raises(ExpectationError, match="release of a Service of Knative"):
        split(text.replace("release: {}", "release: {rolloutPercent: 50}"), ROUTE)


@pytest.mark.parametrize("kind", ["ApisixRoute", "IngressRoute"])
def test_a_kind_that_is_not_read_is_refused_with_those_that_are(split, kind):
    text = f"apiVersion: example.org/v1\nkind: {kind}\nmetadata: {{name: shop}}\n"

    with pytest.raises(ExpectationError, match=f"shop is a {kind}.*, not a weighted route") as no:
        split(text, "shop")
    assert "kinds are HTTPRoute, GRPCRoute" in str(no.value.hint)
