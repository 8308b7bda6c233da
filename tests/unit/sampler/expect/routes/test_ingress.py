"""A canary Ingress belongs to the upstream of a main one, as ingress-nginx merges them."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError

MAIN = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: main, annotations: {%s}}
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: v1, port: {number: 80}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: %s, port: {number: 80}}}}
---
"""
CANARY = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: canary
  annotations: {nginx.ingress.kubernetes.io/canary: "%s", %s}
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: v2, port: {number: 80}}}}
---
"""
WEIGHT = 'nginx.ingress.kubernetes.io/canary-weight: "20"'
BY_HEADER = f"{WEIGHT}, nginx.ingress.kubernetes.io/canary-by-header: X-Canary"


def test_a_canary_counts_for_every_path_with_the_service_of_its_own(split):
    weights, codes = split(MAIN % ("", "v1") + CANARY % ("true", WEIGHT), "main", path="/api/x")

    assert weights == {"v1": 80, "v2": 20}
    assert codes == ["canary_shared"]
    weights, _ = split(MAIN % ("", "v3") + CANARY % ("true", WEIGHT), "main", path="/api/x")
    assert weights == {"v3": 3}


@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True"])
def test_a_switch_is_read_as_go_reads_it(split, value):
    assert split(MAIN % ("", "v3") + CANARY % (value, WEIGHT), "main")[0] == {"v1": 80, "v2": 20}


@pytest.mark.parametrize("value", ["yes", "on", "tRuE", ""])
def test_a_switch_that_go_does_not_read_makes_a_second_main_ingress(split, value):
    weights, codes = split(MAIN % ("", "v3") + CANARY % (value, WEIGHT), "main")

    assert weights == {"v1": 3}
    assert codes == ["route_overlaps", "annotation_rejected"]


def test_one_path_without_a_main_ingress_takes_the_canary_away(split):
    stray = CANARY.replace(
        "---", "      - {path: /x, pathType: Exact, backend: {service: {name: v2, port: {number: "
        "80}}}}\n---"
    )  # fmt: skip
    weights, codes = split(MAIN % ("", "v3") + stray % ("true", WEIGHT), "main")

    assert weights == {"v1": 3}
    assert codes == ["host_mismatch"]


@pytest.mark.parametrize(
    ("headers", "weights"),
    [
        ({}, {"v1": 80, "v2": 20}),
        ({"x-canary": "always"}, {"v2": 100}),
        ({"x-canary": "never"}, {"v1": 100}),
        ({"x-canary": "perhaps"}, {"v1": 80, "v2": 20}),
    ],
)
def test_a_header_of_the_check_comes_before_the_weight(split, headers, weights):
    text = MAIN % ("", "v3") + CANARY % ("true", BY_HEADER)

    assert split(text, "main", headers=headers)[0] == weights


@pytest.mark.parametrize(
    "annotation",
    [
        'zalando.org/backend-weights: "{}"',
        "haproxy-ingress.github.io/blue-green-deploy: version=v1=1",
        'traefik.ingress.kubernetes.io/service-weights: "v1: 1"',
        'nginx.ingress.kubernetes.io/service-weight: "v1: 1"',
        "higress.ingress.kubernetes.io/destination: 90% v1",
        "alb.ingress.kubernetes.io/actions.v1: '{}'",
        "nginx.ingress.kubernetes.io/permanent-redirect: http://elsewhere",
        'nginx.ingress.kubernetes.io/configuration-snippet: "return 301 /x;"',
    ],
)
def test_what_other_annotations_divide_or_divert_is_refused_with_their_name(split, annotation):
    with pytest.raises(ExpectationError, match=r"by the annotation [a-z.-]+/[a-z.1-]+, which is"):
        split(MAIN % (annotation, "v3"), "main")


def test_a_canary_with_the_service_of_its_main_ingress_has_no_effect(split):
    text = MAIN % ("", "v3") + (CANARY % ("true", WEIGHT)).replace("name: v2", "name: v1")

    assert split(text, "main") == ({"v1": 3}, ["canary_ineffective"])


@pytest.mark.parametrize(
    ("by", "service", "codes"),
    [
        ("$remote_addr", "all", ["session_affinity"]),
        ("$http_x_user", "all", ["session_affinity"]),  # empty in every request
        ("$request_id", "all", []),
        ("$remote_addr", "v1", []),
    ],
)
def test_a_hash_binds_requests_where_pods_divide_them(split, by, service, codes):
    text = MAIN % (f"nginx.ingress.kubernetes.io/upstream-hash-by: {by}", "v3")

    assert split(text.replace("name: v1", f"name: {service}"), "main")[1] == codes


@pytest.mark.parametrize(
    ("pattern", "path", "weights"),
    [
        ("/api(/|$)(.*)", "/api/x", {"v3": 3}),
        ("/api(/|$)(.*)", "/API", {"v3": 3}),  # nginx ignores the case then
        ("/api(/|$)(.*)", "/apis", {"v1": 3}),
        ("/api/?(.*)", "/apis", {"v3": 3}),
        ("/api/v1.*", "/api/v2", {"v1": 3}),
        ("/api\\\\.x/(.+)$", "/api.x/", {"v1": 3}),
        ("/api/(a|b)", "/api/a", None),
        ("/api(.*)(.*)", "/api/a", None),
        ("/api(.*", "/api/a", None),
        ("/a" * 500_000, "/api/a", None),
        ("/(a+)+x", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", None),  # it would never end
    ],
)
def test_plain_regular_expressions_of_paths_are_evaluated(split, pattern, path, weights):
    text = MAIN % ('nginx.ingress.kubernetes.io/use-regex: "true"', "v3")
    text = text.replace("path: /api", f'path: "{pattern}"')

    if weights is None:
        with pytest.raises(ExpectationError, match="a regular expression"):
            split(text, "main", path=path)
    else:
        assert split(text, "main", path=path)[0] == weights


@pytest.mark.parametrize(
    "port",
    ["service: {name: v1, port: {name: use-annotation}}",
     "serviceName: v1, servicePort: use-annotation"],
)  # fmt: skip
def test_a_backend_by_an_action_that_is_not_there_is_refused(split, port):
    text = (MAIN % ("", "v1")).replace("service: {name: v1, port: {number: 80}}", port)

    with pytest.raises(ExpectationError, match="which it does not have") as refused:
        split(text, "main", path="/")
    assert "--route Rollout/NAME" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("by", "path", "weights"),
    [
        ("gce", "/deep/er", {"v1": 3}),
        ("alb", "/", {"v1": 3}),
        ("nginx", "/*", {"v1": 3}),
        ("nginx", "/deep", None),
    ],
)
def test_a_star_at_the_end_of_a_path_is_text_for_nginx_alone(split, by, path, weights):
    text = MAIN % (f"kubernetes.io/ingress.class: {by}", "v2")
    text = text.replace("path: /, pathType: Prefix", "path: /*")

    if weights:
        assert split(text, "main", path=path)[0] == weights
        return
    with pytest.raises(ExpectationError, match="404"):
        split(text, "main", path=path)
