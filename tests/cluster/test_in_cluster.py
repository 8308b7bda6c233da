"""From a pod, everything is taken from its own place, and nothing from a kubeconfig."""

from __future__ import annotations

import json

import pytest

from sampler.cli import main
from sampler.expect.cluster import credentials, overview
from tests.cluster.test_position import two_nodes
from tests.clusters import FakeCluster


@pytest.fixture
def pod(monkeypatch, tmp_path):
    """Make this process one of a pod of the namespace ``shop``, with a kubeconfig beside it."""
    account = tmp_path / "account"
    account.mkdir()
    for name, text in (("token", "pod-token"), ("namespace", "shop"), ("ca.crt", "x")):
        (account / name).write_text(text)
    (tmp_path / "kubeconfig").write_text("a kubeconfig that nobody may read")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for variable in ("WEIGHBRIDGE_ZONE", "NODE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    return account


@pytest.fixture
def asks(pod, monkeypatch, capsys):
    """Run ``expect --in-cluster`` on a cluster whose address is this pod's API server."""

    def asks(objects, *arguments):
        with FakeCluster(objects) as cluster:
            own = credentials.access

            async def access(context, *, in_pod):
                reached = await own(context, pod, in_pod=in_pod)
                assert reached.configuration.host == "https://10.96.0.1:443"
                assert reached.configuration.api_key == {"BearerToken": "Bearer pod-token"}
                reached.configuration.host = cluster.url
                reached.configuration.ssl_ca_cert = None
                monkeypatch.setenv(
                    "KUBERNETES_SERVICE_HOST", cluster.url.split("/")[2].split(":")[0]
                )
                return reached

            monkeypatch.setattr(overview, "access", access)
            code = main(["expect", "--in-cluster", "--service", "app", "--json", "-", *arguments])
        return code, *capsys.readouterr()

    return asks


def test_the_zone_and_the_node_are_those_that_the_pod_was_given(asks, monkeypatch):
    monkeypatch.setenv("NODE_NAME", "n9")
    monkeypatch.setenv("WEIGHBRIDGE_ZONE", "z2")

    code, out, err = asks(two_nodes(trafficDistribution="PreferClose"))

    assert code == 0, err
    assert json.loads(out)["expected"]["weights"] == {"v1": 5, "v2": 0}


def test_an_option_comes_before_what_the_pod_was_given(asks, monkeypatch):
    monkeypatch.setenv("NODE_NAME", "n9")
    monkeypatch.setenv("WEIGHBRIDGE_ZONE", "z2")

    code, out, err = asks(two_nodes(trafficDistribution="PreferClose"), "--zone", "z1")

    assert code == 0, err
    assert json.loads(out)["expected"]["weights"] == {"v1": 4, "v2": 1}


def test_a_zone_that_nobody_tells_is_asked_for(asks, monkeypatch):
    monkeypatch.setenv("NODE_NAME", "n9")

    code, _, err = asks(two_nodes(trafficDistribution="PreferClose"))

    assert code == 2
    assert "--zone z1" in err


@pytest.mark.parametrize(
    ("lacks", "problem", "remedy"),
    [
        ("KUBERNETES_SERVICE_HOST", "this is no pod of a cluster", "deploy/job"),
        ("token", "service account", "automountServiceAccountToken"),
        ("ca.crt", "service account", "automountServiceAccountToken"),
        ("namespace", "service account", "automountServiceAccountToken"),
    ],
)
def test_outside_of_a_pod_it_says_what_is_missing(pod, monkeypatch, capsys, lacks, problem, remedy):
    if lacks.isupper():
        monkeypatch.delenv(lacks)
    else:
        (pod / lacks).unlink()
    monkeypatch.setattr(credentials, "ACCOUNT", pod)

    assert main(["check", "--in-cluster", "--service", "app"]) == 2

    said = capsys.readouterr().err
    assert problem in said
    assert remedy in said


def test_a_context_of_a_kubeconfig_means_nothing_there(capsys):
    assert main(["check", "--in-cluster", "--context", "prod", "--service", "app"]) == 2

    assert "--in-cluster reads no kubeconfig" in capsys.readouterr().err
