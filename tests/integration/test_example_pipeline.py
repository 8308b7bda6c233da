"""The script of the example's roll-back job, run by a shell where nothing was weighed.

That is how it finds a project whose deployment failed: the jobs between were skipped, and
left no reports.
"""

from __future__ import annotations

import os
import shutil

import pytest
from ruamel.yaml import YAML

from tests.processes import REPOSITORY, completed, program_in

pytestmark = pytest.mark.needs("git")

EXAMPLE = REPOSITORY / "examples" / "gitops"


@pytest.fixture
def project(tmp_path):
    """Give what runs a command in a project with a canary, and the project's bare repository."""
    mine, origin = tmp_path / "mine", tmp_path / "project.git"
    (tmp_path / "home").mkdir()
    pipeline = YAML(typ="safe").load(EXAMPLE / ".gitlab-ci.yml")
    environment = {
        **pipeline["variables"],
        "PATH": program_in(tmp_path / "programs"),
        "HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "PUSH_URL": str(origin),
        "CI_COMMIT_BRANCH": "main",
    }

    def run(script):
        return completed(["/bin/sh", "-e", "-c", script], mine, **environment)

    shutil.copytree(EXAMPLE, mine)
    done = run(
        f"git init -q --bare --initial-branch=main '{origin}'\n"
        "git init -q --initial-branch=main\ngit add .\ngit commit -q -m 'Ten pods of v1'\n"
        "weighbridge rollout start --manifests i/k8s --service app --replicas 1 --commit\n"
        f"git push -q '{origin}' main"
    )
    assert done.returncode == 0, done.stderr

    def run_job(name):
        job = pipeline[".decide"] | pipeline[name]
        return run("\n".join(job["script"]))

    return run, run_job


def test_after_a_failed_deployment_the_canary_is_rolled_back_without_any_report(project):
    run, run_job = project

    done = run_job("roll-back")

    assert done.returncode == 0, done.stderr
    pushed = run('git --git-dir "$PUSH_URL" log -1 --format=%s main').stdout.strip()
    assert pushed == "Roll app back to v1 on all 10 pods"


def test_without_any_report_nothing_is_promoted(project):
    run, run_job = project

    done = run_job("promote")

    assert done.returncode == 2
    assert "no such file or folder" in done.stderr
    pushed = run('git --git-dir "$PUSH_URL" log -1 --format=%s main').stdout.strip()
    assert pushed.startswith("Start the canary of app")
