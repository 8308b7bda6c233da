"""What `deploy/` applies is valid, has no more rights than `rbac` prints, and passes our linter."""

from __future__ import annotations

import click
import kubernetes_validate
import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from sampler import __version__
from sampler.cli import main
from sampler.cli.entry import weighbridge
from sampler.cli.gates import gates_of
from tests.processes import REPOSITORY, completed
from tests.requirements import path_of

pytestmark = pytest.mark.needs("kubectl")

BASES = sorted(path.parent for path in REPOSITORY.glob("deploy/*/kustomization.yaml"))
OLDEST = "1.31"
"""The first Kubernetes in which everything that is used is stable; said in deploy/README.md."""
OF_DASK = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}
EXTRAS = {"fleet": "-dask"}
"""Extras of the images that are not those of all, as `make image` writes them into the tag."""
IDS = [base.name for base in BASES]


@pytest.fixture(scope="module")
def rendered():
    """Render each base once, with whatever kubectl is here (Debian's is 1.20)."""
    return {base: render(base) for base in BASES}


def render(base):
    done = completed([path_of("kubectl") or "kubectl", "kustomize", str(base)], REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pod_of(document):
    """Give the template of the pods that an object makes, or None."""
    spec = document.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return template if document["kind"] in {"Job", "CronJob", "Deployment", "StatefulSet"} else None


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("base", BASES, ids=IDS)
def test_every_object_is_valid_in_the_oldest_and_in_the_newest_kubernetes(rendered, base, version):
    documents = list(yaml.safe_load_all(rendered[base]))

    assert len(documents) > 3
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("base", BASES, ids=IDS)
def test_our_own_linter_has_nothing_to_say(rendered, base, tmp_path, capsys):
    (tmp_path / "all.yaml").write_text(rendered[base])

    assert main(["expect", "--manifests", str(tmp_path), "--lint"]) == 0
    assert "no findings" in capsys.readouterr().out


@pytest.mark.parametrize("base", BASES, ids=IDS)
def test_the_rights_are_those_that_rbac_prints(base, capsys):
    namespace = yaml.safe_load((base / "kustomization.yaml").read_text())["namespace"]

    assert main(["rbac", "-n", namespace]) == 0
    assert (base / "rbac.yaml").read_text() == capsys.readouterr().out


@pytest.mark.parametrize("base", BASES, ids=IDS)
def test_each_pod_is_restricted_and_runs_the_image_of_this_version(rendered, base):
    documents = list(yaml.safe_load_all(rendered[base]))
    pods = [pod for document in documents if (pod := pod_of(document)) is not None]
    policies = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]

    assert pods
    for pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert (
            container["image"] == f"localhost/weighbridge:{__version__}{EXTRAS.get(base.name, '')}"
        )
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == container["resources"]["requests"].keys()
        assert set(container["resources"]["limits"]) == {"memory"}
        assert any(
            policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
            and {"Ingress", "Egress"} == set(policy["policyTypes"])
            for policy in policies
        )


@pytest.mark.parametrize("base", BASES, ids=IDS)
def test_each_container_runs_a_command_with_options_that_it_has(rendered, base):
    for document in yaml.safe_load_all(rendered[base]):
        for container in (pod_of(document) or {"spec": {"containers": []}})["spec"]["containers"]:
            name, *arguments = container["args"]
            with click.Context(weighbridge) as ctx:
                ours = weighbridge.get_command(ctx, name)
            command = OF_DASK[name] if container.get("command") == ["dask"] else ours
            assert command is not None
            options = {opt for each in command.params for opt in each.opts + each.secondary_opts}
            given = [each.partition("=")[0] for each in arguments if each.startswith("-")]
            assert set(given) <= options
            mounts = [each["mountPath"] for each in container["volumeMounts"]]
            places = [each.partition("=/")[2] for each in arguments if "=/" in each]
            assert all(any(f"/{place}".startswith(f"{at}/") for at in mounts) for place in places)


def test_the_gates_of_the_server_are_understood():
    config = REPOSITORY / "deploy" / "serve" / "weighbridge.toml"

    with click.Context(weighbridge) as ctx:
        gates = gates_of(config, ctx)

    assert [gate.is_live for gate in gates.values()] == [True]


def test_what_is_watched_is_understood_and_asked_for_from_within_the_cluster(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = REPOSITORY / "deploy" / "watch" / "weighbridge.toml"

    assert main(["watch", "--config", str(config), "--out", str(tmp_path)]) == 2
    assert "[watch.app]: --in-cluster: this is no pod of a cluster" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["serve", "watch"])
def test_a_server_listens_where_its_service_and_its_policy_lead(rendered, name):
    documents = {
        each["kind"]: each for each in yaml.safe_load_all(rendered[REPOSITORY / "deploy" / name])
    }

    template = documents["Deployment"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    (service,) = documents["Service"]["spec"]["ports"]
    (admitted,) = documents["NetworkPolicy"]["spec"]["ingress"]
    assert f"--listen=0.0.0.0:{port['containerPort']}" in container["args"]
    assert service["targetPort"] == port["name"]
    assert (
        documents["Service"]["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    )
    assert admitted["ports"] == [{"port": port["containerPort"], "protocol": "TCP"}]
    (config,) = (each["configMap"] for each in template["spec"]["volumes"] if "configMap" in each)
    assert config["name"] == documents["ConfigMap"]["metadata"]["name"]


def test_a_check_is_weighed_once_and_has_time_to_end(rendered):
    jobs = [rendered[REPOSITORY / "deploy" / name] for name in ("job", "cronjob")]
    specs = []
    for job in jobs:
        (body,) = (each for each in yaml.safe_load_all(job) if each["kind"].endswith("Job"))
        specs.append(body["spec"].get("jobTemplate", body)["spec"])

    assert specs[0] == specs[1]
    container = specs[0]["template"]["spec"]["containers"][0]
    name, *arguments = container["args"]
    assert name == "check"
    given = dict(each.partition("=")[::2] for each in arguments)
    assert given["--max-time"] == "5m"
    assert specs[0]["activeDeadlineSeconds"] == 5 * 60 + 60
    assert specs[0]["backoffLimit"] == 0
    ended, ignored = specs[0]["podFailurePolicy"]["rules"]
    assert ended["onExitCodes"]["values"] == [1, 2, 3]
    assert ended["onExitCodes"]["containerName"] == container["name"]
    assert ignored["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
