"""VirtualServer and VirtualServerRoute of the NGINX Ingress Controller."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError

SERVER = """
apiVersion: k8s.nginx.org/v1
kind: VirtualServer
metadata: {name: shop}
spec:
  host: shop.example
  upstreams:
  - {name: old, service: v1, port: 80}
  - {name: new, service: v2, port: 80}
  - {name: next, service: v3, port: 80}
  - {name: all, service: all, port: 80%s}
  - {name: second, service: all, subselector: {version: v2}, port: 80}
  routes:
"""
SPLITS = "splits: [{weight: 90, action: {pass: old}}, {weight: 10, action: {pass: new}}]"
MATCHED = """
  - path: /
    %s
    matches:
    - conditions: [%s]
      action: {proxy: {upstream: next, rewritePath: /}}
"""


def with_routes(*routes, more=""):
    return SERVER % more + "".join(f"  - {{path: '{path}', {does}}}\n" for path, does in routes)


@pytest.mark.parametrize(
    ("routes", "weights"),
    [
        ([("/", SPLITS)], {"v1": 9, "v2": 1}),
        ([("/", "action: {pass: next}"), ("/api", SPLITS)], {"v1": 9, "v2": 1}),
        ([("/", SPLITS), ("/ap", "action: {pass: next}")], {"v3": 1}),  # a prefix of text
        ([("/api/x", SPLITS), ("=/api/x", "action: {pass: next}")], {"v3": 1}),
        ([("^~/api", SPLITS), ("=/api", "action: {pass: next}")], {"v1": 9, "v2": 1}),
        ([("/", "action: {pass: second}")], {"v2": 1}),
        (
            [("/", SPLITS.replace("90,", "100,").replace("10,", "0,"))],
            {"v1": 1},
        ),
    ],
)
def test_the_location_that_nginx_takes_divides_the_traffic(split, routes, weights):
    found, codes = split(with_routes(*routes), "shop", path="/api/x")

    total = sum(weights.values())
    assert {arm: weight * total for arm, weight in found.items()} == {
        arm: weight * sum(found.values()) for arm, weight in weights.items()
    }
    assert codes == []


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ("{header: x-beta, value: YES}", True),
        ("{header: x-beta, value: '!yes'}", False),
        ("{header: x-old, value: '!yes'}", True),
        ("{cookie: user, value: john}", False),
        ("{argument: page, value: '12'}", True),
        ("{variable: $request_method, value: get}", True),
        ("{variable: $request_method, value: POST}", False),
        ("{header: x-beta, value: 'yes'}, {argument: page, value: '1'}", False),
    ],
)
def test_a_match_holds_if_all_of_its_conditions_do(split, condition, is_met):
    asked = {"headers": {"x-beta": "yes"}, "query": "page=12"}
    text = SERVER % "" + MATCHED % (SPLITS, condition)

    assert split(text, "shop", **asked)[0].keys() == ({"v3"} if is_met else {"v1", "v2"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SERVER % "" + MATCHED % (SPLITS, "{header: a, value: '~^y'}"), "whether this rule of"),
        (SERVER % "" + MATCHED % (SPLITS, "{variable: $scheme, value: http}"), "whether this rule"),
        (with_routes(("/", SPLITS), ("~ ^/a", "action: {pass: next}")), "a regular expression"),
        (with_routes(("/", SPLITS.replace("90,", "80,"))), "2 of 90: the controller rejects it"),
        (with_routes(("/", "action: {pass: gone}")), "has no upstream gone"),
        (with_routes(("/", "action: {return: {body: hi}}")), "answers itself"),
        (with_routes(("/", SPLITS.replace("pass: new", "redirect: {url: /x}"))), "redirects the"),
        (with_routes(("/", SPLITS + ", location-snippets: 'return 1;'")), "location-snippets"),
        (with_routes(("/", "route: team/api")), "VirtualServerRoute team/api, which was not"),
        (with_routes(("/", "fieldOfTomorrow: 1, " + SPLITS)), "fieldOfTomorrow"),
    ],
)
def test_what_nginx_rejects_answers_itself_or_is_not_evaluated_refuses(split, text, message):
    with pytest.raises(ExpectationError, match=message):
        split(text, "VirtualServer/shop")


def test_a_virtual_server_route_has_paths_of_its_own(split):
    spec = (with_routes(("/api", SPLITS)) + "---").replace("routes:", "subroutes:")
    nested = spec.replace("kind: VirtualServer", "kind: VirtualServerRoute").replace(
        "name: shop}", "name: api}"
    )
    server = with_routes(("/", "action: {pass: next}"), ("/api", "route: api"))

    assert split(nested + server, "shop", path="/api")[0] == {"v1": 90, "v2": 10}
    assert split(nested + server, "shop", path="/x")[0] == {"v3": 3}
    assert split(nested + server, "api", path="/api")[0] == {"v1": 90, "v2": 10}


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        (", lb-method: ip_hash", ["session_affinity"]),
        (", lb-method: 'hash $request_id'", []),
        (", sessionCookie: {enable: true}", ["sticky"]),
    ],
)
def test_what_binds_a_client_to_pods_is_a_finding(split, more, codes):
    text = with_routes(("/", "action: {pass: all}"), more=more)

    assert split(text, "shop")[1] == codes
    assert "host_mismatch" in split(text, "shop", host="other.example")[1]
