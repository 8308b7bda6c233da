"""The hook that other repositories run before a commit: it finds a broken manifest."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from tests.packaging.offline import OFFLINE
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed

HOOKS = YAML(typ="safe").load(REPOSITORY / ".pre-commit-hooks.yaml")


@pytest.fixture
def shop(tmp_path):
    """Return a repository with manifests that hold what they promise."""
    folder = tmp_path / "shop"
    shutil.copytree(REPOSITORY / "examples" / "gitops" / "i" / "k8s", folder / "k8s")
    for arguments in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, timeout=60)
    return folder


@pytest.mark.needs("git")
def test_the_hook_stops_the_commit_of_a_broken_manifest(shop):
    broken = shop / "k8s" / "deploy.yaml"
    broken.write_text(broken.read_text().replace("replicas: 10", "replicas: ten"))

    command = [
        *(sys.executable, "-m", "pre_commit", "try-repo", str(REPOSITORY)),
        *("weighbridge-expect-lint", "--all-files", "--color=never"),
    ]
    variables = OFFLINE | {"PRE_COMMIT_HOME": str(shop.parent / "kept")}
    done = completed(command, shop, timeout_s=280, **variables)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "exit code: 1" in done.stdout
    assert "k8s/deploy.yaml:8: Deployment app: expected an integer" in done.stdout


@pytest.mark.needs("git")
def test_what_the_hook_runs_lets_right_manifests_pass(shop):
    (hook,) = HOOKS
    program, *arguments = shlex.split(" ".join([hook["entry"], *hook["args"]]))

    done = completed([*WEIGHBRIDGE, *arguments], shop)

    assert program == "weighbridge"
    assert (done.returncode, done.stdout) == (0, "no findings\n"), done.stderr
