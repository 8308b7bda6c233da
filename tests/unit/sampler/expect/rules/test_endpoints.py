"""Which endpoints get traffic, as kube-proxy reads the slices."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.cluster.state import live_object
from sampler.expect.resolve import expect
from sampler.expect.rules.model import Client, Place, Question
from sampler.expect.rules.objects import Inventory
from sampler.expect.rules.versions import VersionRule
from tests.clusters import canary, endpoint, endpoint_slice, service

READY = {"ready": True, "serving": True, "terminating": False}
UNREADY = {"ready": False, "serving": False, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def split(endpoints, *, service_spec=None, status=None, slices=(), nodes=(), **question):
    """Give the split of a Service whose pods v1-0…8 and v2-0…8 have these endpoints.

    `nodes` are the addresses of n1, n2 …, on which the pods run in turns.
    """
    objects = [body for body in canary(9, 9) if body["kind"] not in {"EndpointSlice", "Service"}]
    for place, body in enumerate(each for each in objects if nodes and each["kind"] == "Pod"):
        body["spec"]["nodeName"] = f"n{place % len(nodes) + 1}"
        body["status"] = {"hostIPs": [{"ip": nodes[place % len(nodes)]}]}
    bodies = [service(**(service_spec or {})) | {"status": status or {}}, *objects, *slices]
    if endpoints:
        bodies.append(endpoint_slice(endpoints))
    inventory = Inventory([live_object(body) for body in bodies], has_endpoints=True)
    expected = expect(inventory, Question(service="app", namespace="shop", **question))
    return dict(zip(expected.split.arms, expected.split.weights, strict=True))


def test_only_ready_endpoints_count_as_long_as_there_is_one():
    endpoints = [
        endpoint("v1-0", conditions=READY),
        endpoint("v1-1", conditions=UNREADY),
        endpoint("v1-2", conditions=LEAVING),
        endpoint("v2-0", conditions=READY),
    ]

    assert split(endpoints) == {"v1": 1, "v2": 1}


def test_without_a_ready_one_those_count_that_serve_while_they_terminate():
    endpoints = [
        endpoint("v1-0", conditions=UNREADY),
        endpoint("v1-1", conditions=LEAVING),
        endpoint("v1-2", conditions=GONE),
        endpoint("v2-0", conditions=LEAVING),
        endpoint("v2-1", conditions=LEAVING),
    ]

    assert split(endpoints) == {"v1": 1, "v2": 2}


@pytest.mark.parametrize(
    "conditions", [{}, {"ready": None}, {"serving": None, "terminating": None}]
)
def test_absent_conditions_mean_ready(conditions):
    assert split([endpoint("v1-0", conditions=conditions)]) == {"v1": 1, "v2": 0}


def test_an_endpoint_in_two_slices_counts_once():
    again = endpoint_slice([endpoint("v1-0"), endpoint("v2-0")], name="app-s2")

    assert split([endpoint("v1-0")], slices=[again]) == {"v1": 1, "v2": 1}


def test_of_two_address_families_the_first_of_the_service_counts():
    six = endpoint_slice([endpoint("v1-0"), endpoint("v1-1"), endpoint("v2-0")], name="six")
    six["addressType"] = "IPv6"
    four = [endpoint("v1-0"), endpoint("v2-0")]

    assert split(four, slices=[six], service_spec={"ipFamilies": ["IPv4", "IPv6"]}) == {
        "v1": 1,
        "v2": 1,
    }
    assert split(four, slices=[six], service_spec={"ipFamilies": ["IPv6"]}) == {"v1": 2, "v2": 1}


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"10.0.0.1"}, {"v1": 1, "v2": 1}),
        ({"fd00::1"}, {"v1": 2, "v2": 0}),
        ({"app.shop.svc", "fd00::1"}, {"v1": 2, "v2": 0}),
        ({"app.shop.svc", "10.0.0.1", "fd00::1"}, {"v1": 1, "v2": 1}),
        ({"10.9.9.9"}, {"v1": 1, "v2": 1}),
    ],
)
def test_the_address_family_that_is_asked_counts(asked, seen):
    six = endpoint_slice([endpoint("v1-0"), endpoint("v1-1")], name="six") | {"addressType": "IPv6"}
    spec = {"ipFamilies": ["IPv4", "IPv6"], "clusterIPs": ["10.0.0.1", "fd00::1"]}

    found = split(
        [endpoint("v1-0"), endpoint("v2-0")],
        service_spec=spec,
        slices=[six],
        place=Place(Client.NODE, addresses=frozenset(asked)),
    )

    assert found == seen


@pytest.mark.parametrize(
    ("port", "seen"),
    [(80, {"v1": 2, "v2": 0}), (30080, {"v1": 2, "v2": 0}), (9, {"v1": 1, "v2": 2}),
     (None, {"v1": 2, "v2": 2}), (8443, {"v1": 2, "v2": 2})],
)  # fmt: skip
def test_each_port_has_endpoints_of_its_own(port, seen):
    # Pods without the port that is named are in slices without it (EndpointSlice controller).
    ports = [
        {"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080},
        {"name": "metrics", "port": 9, "targetPort": 9},
    ]
    slices = [
        endpoint_slice([endpoint(name) for name in pods], name=f"s{place}")
        | {"ports": [{"name": name, "port": 8080} for name in names]}
        for place, (pods, names) in enumerate(
            [(["v1-0"], ["http"]), (["v1-1"], ["metrics", "http"]), (["v2-0", "v2-1"], ["metrics"]),
             (["v1-2"], [])]
        )
    ]  # fmt: skip

    place = Place(Client.NODE, addresses=frozenset({"10.0.0.1"}), port=port)

    assert split([], service_spec={"ports": ports}, slices=slices, place=place) == seen


@pytest.mark.parametrize("policy", [{}, {"internalTrafficPolicy": "Local"}])
def test_a_headless_service_knows_no_hints_and_no_policy(policy):
    # Its name stands for all ready pods; there is no proxy that would choose.
    endpoints = [zoned("v1-0", "a"), zoned("v1-1", "b", nodeName="n2"), zoned("v2-0", "b")]
    spec = {"clusterIP": "None", **policy}

    assert split(endpoints, service_spec=spec, zone="a", node="n1") == {"v1": 2, "v2": 1}


def zoned(name, hint, **more):
    return endpoint(name, hints={"forZones": [{"name": hint}]}, **more)


def test_zone_hints_hold_if_every_ready_endpoint_has_one():
    hinted = [zoned("v1-0", "a"), zoned("v1-1", "a"), zoned("v1-2", "b"), zoned("v2-0", "b")]

    assert split(hinted, zone="a") == {"v1": 2, "v2": 0}
    assert split(hinted, zone="b") == {"v1": 1, "v2": 1}
    assert split(hinted, zone="c") == {"v1": 3, "v2": 1}
    assert split([*hinted, endpoint("v2-1")], zone="a") == {"v1": 3, "v2": 2}
    # One that is not ready needs no hint.
    assert split([*hinted, endpoint("v2-1", conditions=UNREADY)], zone="a") == {"v1": 2, "v2": 0}


def test_node_hints_come_before_zone_hints():
    both = [
        endpoint(name, hints={"forZones": [{"name": "a"}], "forNodes": [{"name": node}]})
        for name, node in (("v1-0", "n1"), ("v1-1", "n1"), ("v2-0", "n2"))
    ]

    assert split(both, zone="a", node="n2") == {"v1": 0, "v2": 1}
    assert split(both, zone="a", node="n3") == {"v1": 2, "v2": 1}


def test_hints_that_would_matter_without_a_zone_are_refused_with_what_each_would_see():
    with pytest.raises(ExpectationError, match="depends on where requests enter") as refused:
        split([zoned("v1-0", "a"), zoned("v2-0", "b")])

    assert "--zone a: v1 100 %; --zone b: v2 100 %" in str(refused.value)


def test_hints_for_nodes_that_would_matter_are_refused_without_a_node():
    hinted = [
        endpoint(name, hints={"forNodes": [{"name": node}]})
        for name, node in (("v1-0", "n1"), ("v2-0", "n2"))
    ]

    assert split(hinted, node="n1") == {"v1": 1, "v2": 0}
    with pytest.raises(ExpectationError, match=r"--node n1: v1 100 %; --node n2: v2 100 %"):
        split(hinted)


def test_the_zone_of_a_node_is_known_from_its_endpoints():
    hinted = [zoned("v1-0", "a", nodeName="n1", zone="a"), zoned("v2-0", "b", nodeName="n2")]

    assert split(hinted, node="n1") == {"v1": 1, "v2": 0}


def test_hints_that_do_not_matter_need_no_zone():
    even = [zoned("v1-0", "a"), zoned("v2-0", "a"), zoned("v1-1", "b"), zoned("v2-1", "b")]

    assert split(even) == {"v1": 2, "v2": 2}


def on(name, node, **more):
    return endpoint(name, nodeName=node, **more)


def test_a_local_policy_leaves_the_endpoints_of_the_node():
    endpoints = [on("v1-0", "n1"), on("v1-1", "n1"), on("v2-0", "n1"), on("v1-2", "n2")]
    local = {"internalTrafficPolicy": "Local"}

    assert split(endpoints, service_spec=local, node="n1") == {"v1": 2, "v2": 1}
    assert split(endpoints, service_spec=local, node="n2") == {"v1": 1, "v2": 0}
    with pytest.raises(ExpectationError, match="depends on where requests enter") as refused:
        split(endpoints, service_spec=local)
    assert "--node n1: v1 66.7 %, v2 33.3 %; --node n2: v1 100 %" in str(refused.value)


def test_on_a_node_without_ready_endpoints_the_leaving_ones_of_that_node_serve():
    endpoints = [on("v1-0", "n1", conditions=LEAVING), on("v2-0", "n2")]

    assert split(endpoints, service_spec={"internalTrafficPolicy": "Local"}, node="n1") == {
        "v1": 1,
        "v2": 0,
    }


INSIDE, OUTSIDE = "10.0.0.1", "192.0.2.7"
N1, N2 = "172.16.0.1", "172.16.0.2"
ALL, ON_N1, ON_N2 = {"v1": 1, "v2": 1}, {"v1": 1, "v2": 0}, {"v1": 0, "v2": 1}
REFUSED = None


@pytest.mark.parametrize(
    ("host", "client", "node", "local", "seen"),
    [
        # Cluster IP: the internal policy, on the node of the client.
        (INSIDE, Client.POD, "n1", "internal", ON_N1),
        (INSIDE, Client.NODE, "n2", "internal", ON_N2),
        (INSIDE, Client.OUTSIDE, "", "internal", REFUSED),
        (INSIDE, Client.POD, "n1", "external", ALL),
        ("app.shop.svc.cluster.local", Client.POD, "n2", "internal", ON_N2),
        # Node port: the external policy, on the node that is asked, but not for what is on it.
        (N1, Client.OUTSIDE, "", "external", ON_N1),
        (N2, Client.OUTSIDE, "", "external", ON_N2),
        (N2, Client.OUTSIDE, "", "internal", ALL),
        (N2, Client.NODE, "n1", "external", ON_N2),
        (N2, Client.NODE, "n2", "external", ALL),
        (N2, Client.POD, "n2", "external", ALL),
        (N2, Client.POD, "n1", "external", REFUSED),  # depends on the network plugin
        ("n2", Client.OUTSIDE, "", "external", ON_N2),
        ("nodes.example", Client.OUTSIDE, "", "external", REFUSED),
        # Load balancers and external addresses: the external policy outside, none inside.
        (OUTSIDE, Client.OUTSIDE, "", "external", REFUSED),
        (OUTSIDE, Client.POD, "n1", "external", ALL),
        (OUTSIDE, Client.NODE, "n2", "internal", ALL),
        ("lb.example", Client.POD, "n1", "external", REFUSED),  # a name goes to the load balancer
    ],
)
def test_where_the_client_stands_decides_which_policy_holds(host, client, node, local, seen):
    endpoints = [on("v1-0", "n1"), on("v2-0", "n2")]
    spec = {
        f"{local}TrafficPolicy": "Local",
        "externalIPs": [OUTSIDE],
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    balancer = {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}
    port = 30080 if host in {N1, N2, "n2", "nodes.example"} else 80
    place = Place(client, node, frozenset({host}), port)

    def seen_there():
        return split(endpoints, service_spec=spec, status=balancer, place=place, nodes=(N1, N2))

    if seen is not REFUSED:
        assert seen_there() == seen
        return
    with pytest.raises(ExpectationError, match="depends on where requests enter"):
        seen_there()


def test_another_node_than_the_one_that_is_asked_is_refused():
    place = Place(Client.OUTSIDE, "", frozenset({N1}), 30080)
    spec = {"ports": [{"port": 80, "nodePort": 30080}]}

    with pytest.raises(ExpectationError, match="--node n2: the requests enter at n1"):
        split([on("v1-0", "n1")], service_spec=spec, place=place, node="n2", nodes=(N1, N2))


def test_the_version_may_be_named_by_the_workload_at_the_top():
    rule = VersionRule.parse("app=old,app-canary=new")

    assert split([endpoint("v1-0"), endpoint("v2-0")], versions=rule) == {"old": 1, "new": 1}


def test_an_endpoint_that_is_no_pod_is_refused_unless_its_service_has_a_version():
    made = {"addresses": ["192.0.2.1"], "conditions": {}}

    with pytest.raises(ExpectationError, match="made by hand"):
        split([made])
    assert split([made], versions=VersionRule.parse("app=v7"))["v7"] == 1
