"""Where the client stands decides which endpoints it is to see."""

from __future__ import annotations

import json
import socket

import pytest

from sampler.cli import main
from tests.clusters import FakeCluster, canary, endpoint, endpoint_slice, names, pod

NODE_PORT = 30081
N1, N2 = "172.16.0.1", "172.16.0.2"


def two_nodes(addresses=(N1, N2), **spec):
    """Give the canary and 4 stable pods on n1 in zone z1, 5 stable pods on n2 in z2."""
    objects = canary(9, 1)
    place = {each: int(each not in {*names("v1", 4), "v2-0"}) for each in names("v1", 9)}
    endpoints = []
    for body in objects:
        name = body.get("metadata", {}).get("name", "")
        number = place.get(name, 0)
        if body["kind"] == "Pod":
            body["spec"]["nodeName"] = f"n{number + 1}"
            body["status"] = {"hostIP": addresses[number]}
            zone = f"z{number + 1}"
            hints = {"forZones": [{"name": zone}]} if spec.get("trafficDistribution") else {}
            where = {"nodeName": f"n{number + 1}", "zone": zone, "hints": hints}
            endpoints.append(endpoint(name, **where))
        if body["kind"] == "Service":
            body["spec"] |= {"ports": [{"port": 80, "nodePort": NODE_PORT}], **spec}
    others = [body for body in objects if body["kind"] != "EndpointSlice"]
    return [*others, endpoint_slice(endpoints)]


@pytest.fixture
def sees(reach, capsys):
    """Give the weights that are expected of a cluster."""

    def sees(objects, *arguments):
        with FakeCluster(objects) as cluster:
            reach(cluster)
            code = main(["expect", "--cluster", "--service", "app", "--json", "-", *arguments])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    return sees


@pytest.mark.parametrize(("node", "weights"), [(N1, {"v1": 4, "v2": 1}), (N2, {"v1": 5, "v2": 0})])
def test_from_outside_a_node_port_with_the_local_policy_gives_its_node_alone(sees, node, weights):
    objects = two_nodes(externalTrafficPolicy="Local")

    document = sees(objects, "--url", f"http://{node}:{NODE_PORT}/")

    assert document["expected"]["weights"] == weights
    assert document["configured"]["weights"] == {"v1": 9, "v2": 1}
    assert "not_ready" not in {each["code"] for each in document["findings"]}


def test_the_node_itself_reaches_all_endpoints_through_its_node_port(sees):
    objects = two_nodes(("127.0.0.1", N2), externalTrafficPolicy="Local")

    document = sees(objects, "--url", f"http://127.0.0.1:{NODE_PORT}/")

    assert document["expected"]["weights"] == {"v1": 9, "v2": 1}


@pytest.mark.parametrize(
    "spec", [{"internalTrafficPolicy": "Local"}, {"trafficDistribution": "PreferSameZone"}]
)
@pytest.mark.parametrize(
    ("node", "weights"), [("n1", {"v1": 4, "v2": 1}), ("n2", {"v1": 5, "v2": 0})]
)
def test_a_pod_knows_its_node_from_the_downward_api(monkeypatch, sees, spec, node, weights):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("NODE_NAME", node)

    assert sees(two_nodes(**spec))["expected"]["weights"] == weights


def test_a_pod_finds_itself_among_the_pods_of_its_namespace(monkeypatch, sees):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    name = f"weigh-{'the-split-' * 6}x7k2p"
    monkeypatch.setattr(socket, "gethostname", lambda: name[:63])
    own = pod(name, "v0", "weigh", app="weigh")
    own["spec"]["nodeName"] = "n2"

    document = sees([*two_nodes(internalTrafficPolicy="Local"), own])

    assert document["expected"]["weights"] == {"v1": 5, "v2": 0}


def test_a_host_header_does_not_move_the_client(reach, capsys):
    with FakeCluster(two_nodes(externalTrafficPolicy="Local")) as cluster:
        reach(cluster)
        arguments = ["--cluster", "--service", "app", "--header", "Host: shop.example"]
        code = main(["check", f"http://nodes.example:{NODE_PORT}/", *arguments])

    assert code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--node n1: v1 80 %, v2 20 %; " in said
    assert "the client is outside the cluster" in said


def test_a_pod_of_another_cluster_is_not_taken_for_one_of_this(monkeypatch, reach, capsys):
    # A runner in a pod that looks at a cluster by its kubeconfig: where it stands is not known.
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("NODE_NAME", "n2")
    with FakeCluster(two_nodes(internalTrafficPolicy="Local")) as cluster:
        reach(cluster)
        code = main(["expect", "--cluster", "--service", "app"])

    assert code == 2
    assert "at a place that is not known" in capsys.readouterr().err
