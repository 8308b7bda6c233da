"""`deploy/fleet` as it stands: its processes, with their arguments and variables, on loopback."""

from __future__ import annotations

import json
from types import SimpleNamespace

import dask.config
import pytest
import trustme
import yaml

from sampler.cli import main
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import credentials, overview
from tests.cluster.test_position import two_nodes
from tests.clusters import FakeCluster
from tests.dask_cluster import DaskCluster
from tests.packaging.test_deploy import render
from tests.ports import free_port, free_ports
from tests.processes import REPOSITORY

pytestmark = [
    pytest.mark.needs("kubectl"),
    pytest.mark.filterwarnings("ignore"),  # of Dask, about itself
]
TLS = "/etc/weighbridge-tls"


def secret(folder):
    """Write what the Secret holds, with an authority of its own."""
    folder.mkdir()
    authority = trustme.CA()
    shown = authority.issue_cert("weighbridge-scheduler")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    shown.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    shown.private_key_pem.write_to_path(folder / "tls.key")
    return folder


@pytest.fixture(scope="module")
def fleet():
    """Give what is rendered: containers by name, and the variables that all of them get."""
    documents = list(yaml.safe_load_all(render(REPOSITORY / "deploy" / "fleet")))
    (config,) = (each for each in documents if each["kind"] == "ConfigMap")
    containers = {
        container["name"]: container
        for each in documents
        if each["kind"] in {"Job", "Deployment"}
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    for container in containers.values():
        assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
    (service,) = (each["spec"] for each in documents if each["kind"] == "Service")
    (port,) = service["ports"]
    assert f"--port={port['port']}" in containers["scheduler"]["args"]
    return SimpleNamespace(containers=containers, variables=config["data"], port=port["port"])


def test_the_fleet_checks_each_zone_over_tls(fleet, tmp_path, monkeypatch, capsys):
    """Three workers, each in a zone; nobody else is let in."""
    own, other = secret(tmp_path / "own"), secret(tmp_path / "other")
    scheduler, worker = free_port(), free_ports(3)

    def arguments(name, number=0):
        changed = {
            f"weighbridge-scheduler:{fleet.port}": f"127.0.0.1:{scheduler}",
            f"--port={fleet.port}": f"--port={scheduler}",
            "--worker-port=8788": f"--worker-port={worker[number]}",
            "$(POD_NAME)": f"worker-{number}",
            "=/tmp/dask": f"={tmp_path}/dask",
        }
        arguments = [*fleet.containers[name]["args"]]
        for shown, here in changed.items():
            arguments = [each.replace(shown, here) for each in arguments]
        return arguments

    variables = {name: text.replace(TLS, str(own)) for name, text in fleet.variables.items()}
    processes = DaskCluster(tmp_path)
    try:
        processes.start("Scheduler at:", *arguments("scheduler"), **variables)
        for number, zone in enumerate(("z1", "z2", "z3")):
            processes.start(
                "Registered to:", *arguments("worker", number), WEIGHBRIDGE_ZONE=zone,
                NODE_NAME="n1", **variables,
            )  # fmt: skip
        with EmbeddedService({"v1": 4}, seed=7) as service:
            objects = two_nodes(clusterIP="127.0.0.1")
            port = int(service.url.rstrip("/").rpartition(":")[2])
            for each in objects:
                if each["kind"] == "Service":
                    each["spec"]["ports"] = [{"port": port}]
            with FakeCluster(objects) as api:
                in_pod(monkeypatch, api, tmp_path)
                with configured(variables):
                    code = main(arguments("weighbridge"))
                out, err = capsys.readouterr()
                text = {
                    name: each.replace(str(own), str(other)) for name, each in variables.items()
                }
                with configured(text):
                    refused = main(arguments("weighbridge")[:4])
            served = service.counts().total
    finally:
        processes.close()

    assert code == 1, err  # nothing comes from the canary, which 10 % are to
    report = json.loads(out)
    assert set(report["observed"]["by_zone"]) == {"z1", "z2", "z3"}
    assert sum(each["launched"] for each in report["performance"]["workers"]) == served
    assert "run any code" not in err
    assert refused == 2
    assert "no Dask scheduler can be reached" in capsys.readouterr().err


def configured(variables):
    """Have the variables that a process of Dask would find as it starts."""
    return dask.config.set(
        dask.config.merge(dask.config.config, dask.config.collect_env(variables))
    )


def in_pod(monkeypatch, api, folder):
    """Make this process one of a pod of the cluster."""
    own = credentials.access
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(folder, None)))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", api.url.split("/")[2].split(":")[0])

    async def access(context, *, in_pod):
        assert in_pod
        return await own(context, in_pod=False)

    monkeypatch.setattr(overview, "access", access)
