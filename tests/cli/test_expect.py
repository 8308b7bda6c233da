"""The expectation from manifests, as a user meets it."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from sampler.cli import main
from sampler.demo.process import EmbeddedService
from sampler.expect.rules.findings import FindingCode
from tests.processes import REPOSITORY

pytestmark = pytest.mark.in_process

EXAMPLE = REPOSITORY / "examples" / "gitops" / "i" / "k8s"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The example's manifests, as they stand in a repository of their own."""
    shutil.copytree(EXAMPLE, tmp_path / "i" / "k8s")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_replicas(repository, file, count):
    path = repository / "i" / "k8s" / file
    text, times = re.subn(r"replicas: \d+", f"replicas: {count}", path.read_text())
    assert times == 1
    path.write_text(text)


def test_the_example_expects_ten_pods_of_v1_and_none_of_v2(repository, capsys):
    code = main(["expect", "--manifests", "i/k8s", "--service", "app", "--lint"])

    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        "v1=10,v2=0  (v1 100 %, v2 0 %), from Service app",
        "  v1  10  replicas  Deployment app         i/k8s/deploy.yaml:8",
        "  v2   0  replicas  Deployment app-canary  i/k8s/deploy-canary.yaml:8",
        "no findings",
    ]


def test_the_canary_of_the_example_is_nine_to_one(repository, capsys):
    set_replicas(repository, "deploy.yaml", 9)
    set_replicas(repository, "deploy-canary.yaml", 1)

    main(["expect", "--manifests", "i/k8s", "--service", "app", "--json", "-"])

    expected = json.loads(capsys.readouterr().out)["expected"]
    assert expected["weights"] == {"v1": 9, "v2": 1}
    assert expected["shares"] == {"v1": 0.9, "v2": 0.1}
    low, high = expected["tolerance"]["v2"]
    assert 0 < low < 0.1 < high < 0.2


def test_a_check_weighs_what_the_manifests_declare(weighbridge, repository):
    set_replicas(repository, "deploy.yaml", 9)
    set_replicas(repository, "deploy-canary.yaml", 1)
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        done = weighbridge(
            "check", service.url, "--manifests", "i/k8s", "--service", "app", "--json", "out.json"
        )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((repository / "out.json").read_text())
    assert report["expected"]["weights"] == {"v1": 9, "v2": 1}
    assert report["expected"]["source"] == {
        "kind": "Service",
        "name": "app",
        "where": "i/k8s/deploy.yaml:8, i/k8s/deploy-canary.yaml:8",
    }


def test_a_check_fails_a_canary_that_the_manifests_do_not_declare(weighbridge, repository):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        done = weighbridge("check", service.url, "--manifests", "i/k8s", "--service", "app")

    assert done.returncode == 1, done.stdout + done.stderr


def test_a_check_says_what_may_keep_the_split_from_coming_true(weighbridge, repository):
    path = repository / "i" / "k8s" / "service.yaml"
    path.write_text(path.read_text() + "  sessionAffinity: ClientIP\n")
    with EmbeddedService({"v1": 10}) as service:
        done = weighbridge("check", service.url, "--manifests", "i/k8s", "--service", "app")

    assert re.search(
        r"^error: i/k8s/service\.yaml:\d+: Service app has session", done.stderr, re.MULTILINE
    )


def test_a_check_does_not_start_on_a_weight_that_pods_cannot_make(weighbridge, repository):
    folder = REPOSITORY / "tests" / "manifests" / "rollout_one_replica_set_weight_10"
    with EmbeddedService({"v1": 1}) as service:
        done = weighbridge(
            "check", service.url, "--manifests", str(folder / "input.yaml"),
            "--route", "app", "--step", "0", "--version-from", "stable=v1",
        )  # fmt: skip
        assert service.counts().total == 0

    assert done.returncode == 2
    assert "the nearest is 1 of 2 pods, 50 %" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "http://127.0.0.1:1/"], "one of --expect, --manifests and --cluster"),
        (
            ["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--manifests", "i"],
            "one of --expect, --manifests and --cluster",
        ),
        (
            ["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--service", "app"],
            "not of --expect",
        ),
        (["check", "http://127.0.0.1:1/", "--manifests", "i"], "either --service or --route"),
        (["expect", "--manifests", "i"], "either --service or --route"),
        (["expect", "--service", "app"], "--manifests PATH"),
        (["expect", "--manifests", "i", "--service", "app", "--route", "app"], "either --service"),
        (["expect", "--manifests", "i", "--service", "app", "--map", "v1"], "--map v1"),
        (["expect", "--manifests", "nowhere", "--service", "app"], "no such file or folder"),
        (["expect", "--manifests", "i", "--service", "app", "--json", "no/x.json"], "--json no/"),
        (
            ["expect", "--manifests", "i", "--route", "Service/app"],
            "kind 'Service' is not supported",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(repository, capsys, arguments, said):
    code = main(arguments)

    assert code == 2
    assert said in (printed := capsys.readouterr().err)
    assert "\nhint: " in printed


def test_a_file_name_from_a_stranger_cannot_steer_the_terminal(repository, capsys):
    (repository / "i" / "k8s" / "deploy.yaml").rename(repository / "i" / "k8s" / "\x1b[2J.yaml")

    main(["expect", "--manifests", "i/k8s", "--service", "app"])

    assert "\x1b" not in capsys.readouterr().out


def test_every_finding_is_documented_and_no_other_one_is():
    page = (REPOSITORY / "docs" / "expectations.md").read_text(encoding="utf-8")
    table = page.partition("## Findings")[2]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(FindingCode)


def test_a_check_knows_from_the_manifests_how_many_replicas_there_are(weighbridge, repository):
    set_replicas(repository, "deploy.yaml", 1)
    set_replicas(repository, "deploy-canary.yaml", 2)
    with EmbeddedService({"v1": 1, "v2": 1}, seed=1) as service:
        asked = ("--manifests", "i/k8s", "--service", "app", "--json", "out.json")
        done = weighbridge("check", service.url, *asked)

    assert done.returncode in {0, 1, 3}, done.stdout + done.stderr
    notes = " ".join(json.loads((repository / "out.json").read_text())["notes"])
    assert "v2: 1 of 2 replicas answered none" in notes
