"""The examples for Tekton and Argo CD: what they run is run here, and their fields are checked."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.cli.check import command
from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, completed, program_in

EXAMPLES = REPOSITORY / "examples"
YAML_12 = YAML(typ="safe")
TASK = YAML_12.load(EXAMPLES / "tekton" / "task.yaml")["spec"]


@pytest.fixture(scope="module")
def service():
    with EmbeddedService({"v1": 10}) as running:
        yield running


@pytest.fixture
def step(tmp_path):
    """Run the step of the task as Tekton does: parameters replaced, arguments to its script."""
    path = program_in(tmp_path / "bin")

    def run(*options, **params):
        (made,) = TASK["steps"]
        places = {
            "$(params.url)": params["url"],
            "$(params.inconclusive)": params.get("inconclusive", "fail"),
            "$(results.verdict.path)": str(tmp_path / "verdict"),
            "$(workspaces.source.path)": "",
        }
        variables = {each["name"]: places[each["value"]] for each in made["env"]}
        command = ("/bin/sh", "-c", made["script"], "script", *options)
        done = completed(command, tmp_path, PATH=path, **variables)
        return done.returncode, (tmp_path / "verdict").read_text(encoding="utf-8"), done.stderr

    return run


@pytest.mark.parametrize(("options", "inconclusive", "code", "verdict"), [
    (["--expect", "v1=1"], "fail", 0, "PASS"),
    (["--expect", "v1=0,v2=1"], "warn", 1, "FAIL"),
    (["--expect", "v1=1", "--max-samples", "2"], "fail", 3, "INCONCLUSIVE"),
    (["--expect", "v1=1", "--max-samples", "2"], "warn", 0, "INCONCLUSIVE"),
    (["--expect", "v1=$(touch broken)"], "warn", 2, "NONE"),
])  # fmt: skip
def test_the_step_of_the_task_ends_as_the_verdict_does(
    step, service, tmp_path, options, inconclusive, code, verdict
):
    ended, told, said = step(*options, url=service.url, inconclusive=inconclusive)

    assert (ended, told) == (code, verdict), said
    assert not (tmp_path / "broken").exists()


def test_the_task_uses_what_it_declares():
    text = (EXAMPLES / "tekton" / "task.yaml").read_text(encoding="utf-8")

    for kind, name in (("params", "name"), ("results", "name"), ("workspaces", "name")):
        for each in TASK[kind]:
            assert f"$({kind}.{each[name]}" in text
    assert [each["name"] for each in TASK["params"] if "default" not in each] == [
        "image", "url", "options",
    ]  # fmt: skip


def test_the_job_after_a_sync_is_one_verdict_and_no_second_try():
    job = YAML_12.load(EXAMPLES / "argo-cd" / "postsync.yaml")

    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PostSync"
    assert (spec["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    name, *arguments = container["args"]
    options = command.make_context(name, list(arguments)).params
    assert (options["is_live"], options["service"], options["out"]) == (True, "app", None)
    longest = options["wait"] + options["max_time"]
    assert longest <= spec["activeDeadlineSeconds"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


@pytest.mark.needs("kubectl")
def test_the_image_of_the_job_is_set_in_one_place():
    done = completed(["kubectl", "kustomize", str(EXAMPLES / "argo-cd")], REPOSITORY)

    (container,) = YAML_12.load(done.stdout)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/team/weighbridge:built"
