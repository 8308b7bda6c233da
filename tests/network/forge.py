"""A GitLab on one machine: a bare repository, and gitlab-ci-local that runs its pipelines.

Each pipeline has a fresh clone, as on a runner. Its jobs run in the client's namespace, where
the Services have their addresses and nothing else can be reached.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.network.bed import inside
from tests.network.gitops import ADDRESSES
from tests.network.weighing import RARELY_WRONG
from tests.processes import REPOSITORY, completed
from tests.requirements import path_of

if TYPE_CHECKING:
    from tests.network.gitops import GitOpsCluster

EXAMPLE = REPOSITORY / "examples" / "gitops"
_HOST = "gitlab.example"
# gitlab-ci-local takes the names of the server and the project from this remote.
_REMOTE = f"https://{_HOST}/team/shop.git"
_ALONE = ("--no-color", "--no-evaluate-rule-changes")
"""Without a remote there is nothing that could have changed."""
_TIMEOUT_S = 300
# Real chance is at work: at the default error rates one run in a hundred would end otherwise.
_OPTIONS = " ".join(RARELY_WRONG)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that has ended.

    Parameters
    ----------
    folder : Path
        Where its jobs ran, with all that they wrote.
    printed : str
        Everything that its jobs said.
    jobs : dict of str to str
        ``PASS``, ``WARN`` or ``FAIL`` by job; those that did not run are not there.
    """

    folder: Path
    printed: str
    jobs: dict[str, str]


class Forge:
    """A project with the example in it.

    Parameters
    ----------
    cluster : GitOpsCluster
        What the jobs deploy to.
    folder : Path
        For everything; empty.
    """

    def __init__(self, cluster: GitOpsCluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._pipelines = 0
        self.origin = folder / "project.git"
        self.mine = folder / "mine"
        self._environment = _environment(folder, cluster.kubectl)
        shutil.copytree(EXAMPLE, self.mine)
        copy_template(self.mine)
        self._run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", str(self.origin))
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=Ten pods of v1")
        self.push()

    def git(self, *arguments: str) -> str:
        """Run git where a person works on the project."""
        return self._run("git", "-C", str(self.mine), *arguments).strip()

    def push(self) -> None:
        """Push what the person committed."""
        self.git("push", "--quiet", "origin", "main")

    def pull(self) -> str:
        """Fetch what the pipelines pushed; return the newest commit's message."""
        self.git("pull", "--quiet", "--ff-only", "origin", "main")
        return self.git("log", "-1", "--format=%B")

    def rollout(self, *arguments: str) -> str:
        """Run ``weighbridge rollout`` where a person works on the project."""
        return self._run("weighbridge", "rollout", *arguments, cwd=self.mine)

    def expected(self) -> list[str]:
        """Give the lines of ``weighbridge expect`` on the project, without their blanks."""
        asked = ("expect", "--manifests", "i/k8s", "--service", "app")
        lines = self._run("weighbridge", *asked, cwd=self.mine).splitlines()
        return [" ".join(line.split()) for line in lines]

    def run_pipeline(self, **settings: str) -> Pipeline:
        """Run the pipeline of the newest commit, to its end.

        Parameters
        ----------
        **settings : str
            Variables of the project.
        """
        self._pipelines += 1
        checkout = self._folder / f"pipeline-{self._pipelines}"
        self._run("git", "clone", "--quiet", str(self.origin), str(checkout))
        self._run("git", "-C", str(checkout), "remote", "add", "gcl-origin", _REMOTE)
        variables = {
            "PUSH_URL": str(self.origin),
            "SERVICE_URL": f"http://{ADDRESSES['app']}/",
            "CANARY_URL": f"http://{ADDRESSES['app-canary']}/",
            "SETTLE_S": "0",
            "CHECK_OPTIONS": _OPTIONS,
            **settings,
        }
        done = subprocess.run(
            [
                *(*inside(self._cluster.bed.client), *_runner()),
                *("--force-shell-executor", "--no-color"),
                *("--home", str(self._folder / "home")),
                *(part for pair in variables.items() for part in ("--variable", "=".join(pair))),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=checkout,
            env=self._environment,
            timeout=_TIMEOUT_S,
        )
        printed = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        jobs = {
            job: verdict
            for verdict, job in re.findall(r"^ *(PASS|WARN|FAIL) +(\S+)", printed, re.MULTILINE)
        }
        return Pipeline(checkout, printed, jobs)

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=self._environment,
            timeout=_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout


def _runner() -> list[str]:
    """Return the start of a command line that runs pipelines."""
    return [path_of("node") or "node", path_of("gitlab-ci-local") or "gitlab-ci-local"]


def _environment(folder: Path, programs: Path) -> dict[str, str]:
    """Give an environment in which git knows nobody, and ``weighbridge`` is this one."""
    weighbridge = programs / "weighbridge"
    # gitlab-ci-local gives the project's place in the container that it does not start here.
    weighbridge.write_text(
        f"""#!/bin/sh
export PYTHONPATH={REPOSITORY} CI_PROJECT_DIR="$PWD"
exec {sys.executable} -m sampler.cli "$@"
""",
        encoding="utf-8",
    )
    weighbridge.chmod(0o755)
    (folder / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "CI"))}
    node = Path(path_of("node") or "node").parent
    return kept | {
        "PATH": os.pathsep.join([str(programs), kept.get("PATH", os.defpath), str(node)]),
        "HOME": str(folder / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "A person",
        "GIT_AUTHOR_EMAIL": "person@example.org",
        "GIT_COMMITTER_NAME": "A person",
        "GIT_COMMITTER_EMAIL": "person@example.org",
    }


def preview(folder: Path) -> dict[str, Any]:
    """Give the pipeline in `folder` as it is after includes and merges, checked by GitLab's schema.

    Raises
    ------
    RuntimeError
        If it is not valid.
    """
    copy_template(folder)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "remote", "add", "gcl-origin", _REMOTE],
    ):
        subprocess.run(command, cwd=folder, check=True, timeout=_TIMEOUT_S)
    asked = (*_runner(), "--preview", *_ALONE, "--home", str(folder / "home"))
    done = completed(asked, folder, timeout_s=_TIMEOUT_S)
    if done.returncode != 0 or "json schema validated" not in done.stderr:
        raise RuntimeError(f"{done.stdout}{done.stderr}")
    jobs: dict[str, Any] = YAML(typ="safe").load(done.stdout)
    return jobs


def run_job(folder: Path, job: str, programs: Path) -> str:
    """Run one job of a pipeline that `preview` was asked for; return what it printed.

    Raises
    ------
    RuntimeError
        If the job fails.
    """
    command = (*_runner(), job, "--force-shell-executor", *_ALONE, "--home", str(folder / "home"))
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = completed(command, folder, timeout_s=_TIMEOUT_S, PATH=path)
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout}{done.stderr}")
    return done.stdout


def copy_template(project: Path) -> None:
    """Put the job's template where the example includes it from."""
    (project / "templates").mkdir()
    shutil.copy(REPOSITORY / "templates" / "check.yml", project / "templates")
