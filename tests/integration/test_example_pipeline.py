"""The script of the example's roll-back job, run by a shell where nothing was weighed.

That is how it finds a project whose deployment failed: the jobs between were skipped, and
left no reports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.needs("git")

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "gitops"


@pytest.fixture
def project(tmp_path):
    """Give what runs a command in a project with a canary, and the project's bare repository."""
    programs, mine, origin = tmp_path / "programs", tmp_path / "mine", tmp_path / "project.git"
    programs.mkdir()
    (tmp_path / "home").mkdir()
    program = programs / "weighbridge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sampler.cli "$@"\n')
    program.chmod(0o755)
    pipeline = YAML(typ="safe").load(EXAMPLE / ".gitlab-ci.yml")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "CI"))}
    environment = kept | {
        **pipeline["variables"],
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "PYTHONPATH": str(REPOSITORY),
        "PUSH_URL": str(origin),
        "CI_COMMIT_BRANCH": "main",
    }

    def run(script):
        return subprocess.run(
            ["/bin/sh", "-e", "-c", script],
            cwd=mine,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

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
