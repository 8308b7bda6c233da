"""A VirtualService's first rule that is met; one that may be met refuses."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.versions import VersionRule

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /api}, %s}]
    route: [{destination: {host: v1}, weight: 9}, {destination: {host: v2}, weight: 1}]
  - route: [{destination: {host: v3}}]
"""
FIRST, SECOND = {"v1": 9, "v2": 1}, {"v3": 3}


@pytest.mark.parametrize(
    ("match", "weights"),
    [
        ("method: {exact: GET}", FIRST),
        ("method: {exact: POST}", SECOND),
        ("method: {prefix: G}", FIRST),
        ("authority: {exact: SHOP.example}", FIRST),
        ("authority: {prefix: www}", SECOND),
        ("withoutHeaders: {x-old: {}}", FIRST),
        ("withoutHeaders: {x-beta: {}}", SECOND),
        ('headers: {x-beta: {exact: "yes"}}', FIRST),
        ('headers: {x-beta: {exact: "no"}}', SECOND),
        ("headers: {x-old: {regex: .*}}", SECOND),
        ('queryParams: {page: {exact: "2"}}', FIRST),
        ('queryParams: {page: {exact: "3"}}', SECOND),
        ("gateways: [edge]", FIRST),
        ("name: api", FIRST),
        ("statPrefix: api", FIRST),
        ("ignoreUriCase: true", FIRST),
    ],
)
def test_a_field_that_is_evaluated_decides(split, match, weights):
    asked = {"path": "/api/x", "query": "page=2", "headers": {"x-beta": "yes"}}

    assert split(ROUTE % match, "shop", **asked)[0] == weights


@pytest.mark.parametrize(
    "match",
    [
        "gateways: [mesh]",
        "port: 80",
        "scheme: {exact: http}",
        "sourceLabels: {app: x}",
        "sourceNamespace: x",
        'headers: {x-beta: {regex: "y.*"}}',
        "headers: {user-agent: {prefix: curl}}",
        "withoutHeaders: {user-agent: {prefix: curl}}",
        'method: {regex: "GET|PUT"}',
        "fieldOfTomorrow: 1",
    ],
)
def test_a_field_that_is_not_evaluated_refuses_only_where_it_decides(split, match):
    with pytest.raises(ExpectationError, match="whether this rule of VirtualService shop applies"):
        split(ROUTE % match, "shop", path="/api/x", headers={"x-beta": "yes"})

    assert split(ROUTE % match, "shop", path="/other")[0] == SECOND


@pytest.mark.parametrize(
    "action", ["redirect: {uri: /x}", "directResponse: {status: 200}", "delegate: {name: gone}"]
)
def test_a_rule_that_sends_requests_to_no_version_is_refused_where_it_applies(split, action):
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  http:
  - {{match: [{{uri: {{prefix: /api}}}}], {action}}}
  - {{route: [{{destination: {{host: v1}}}}]}}
"""
    with pytest.raises(ExpectationError, match=action.partition(":")[0]):
        split(text, "shop", path="/api/x")
    assert split(text, "shop", path="/")[0] == {"v1": 3}


def rule(host, subsets="", policy="{}"):
    return (
        "\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: rule-{abs(hash(host))}, namespace: ''}}\n"
        f"spec: {{host: {host!r}, trafficPolicy: {policy}, subsets: [{subsets}]}}\n"
    )


def test_the_most_specific_destination_rule_holds(split):
    text = ROUTE.replace("host: v3", "host: v3, subset: one") % "name: x"
    wide, right = "{name: one, labels: {version: none}}", "{name: one, labels: {version: v3}}"

    assert split(text + rule("*", right), "shop")[0] == SECOND
    assert split(text + rule("*", wide) + rule("v3", right), "shop")[0] == SECOND
    with pytest.raises(ExpectationError, match="the subset one of v3, which no DestinationRule"):
        split(text + rule("*", right) + rule("v3"), "shop")


@pytest.mark.parametrize(
    ("by", "codes"), [("useSourceIp: true", ["session_affinity"]), ("useSourceIp: false", []),
                      ("httpHeaderName: x", ["sticky"])]
)  # fmt: skip
def test_a_consistent_hash_binds_requests_where_pods_divide_them(split, by, codes):
    text = ROUTE.replace("host: v3", "host: all") % "name: x"
    policy = f"{{loadBalancer: {{consistentHash: {{{by}}}}}}}"

    assert split(text + rule("all", policy=policy), "shop")[1] == codes


SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: other}
spec: {host: other, subsets: [{name: old, labels: {%s: v1}}, {name: new, labels: {%s: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  http:
  - route: [{destination: {host: other, subset: old}, weight: 9},
            {destination: {host: other, subset: new}, weight: 1}]
"""


@pytest.mark.parametrize(
    ("label", "rule", "weights"),
    [
        ("version", "auto", {"v1": 9, "v2": 1}),
        ("release", "label:release", {"v1": 9, "v2": 1}),
        ("release", "old=a,new=b", {"a": 9, "b": 1}),
        ("version", "old=a,new=b", {"a": 9, "b": 1}),
    ],
)
def test_a_subset_tells_its_version_where_its_service_was_not_read(split, label, rule, weights):
    text = SUBSETS % (label, label)

    assert split(text, "shop", versions=VersionRule.parse(rule))[0] == weights


@pytest.mark.parametrize(
    ("label", "rule"), [("release", "auto"), ("app.kubernetes.io/version", "auto"),
                        ("version", "image-tag"), ("version", "label:release")]
)  # fmt: skip
def test_a_subset_that_does_not_tell_it_is_refused_and_can_be_named(split, label, rule):
    with pytest.raises(ExpectationError, match="Service other, which was not found") as refused:
        split(SUBSETS % (label, label), "shop", versions=VersionRule.parse(rule))
    assert "--version-from old=v1" in str(refused.value.hint)
