"""The commit that a report names, asked of git itself."""

from __future__ import annotations

import os
import subprocess

import pytest

from sampler.base import repository
from sampler.base.errors import UsageError
from sampler.base.repository import Repository, commit_of

pytestmark = pytest.mark.needs("git")


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Run git in a repository with one commit of one file, ``k8s/a.yaml``."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "person@example.org")
    for config in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(config, "/dev/null")

    def run(*arguments):
        done = subprocess.run(
            ["git", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "a.yaml").write_text("a: 1\n")
    run("init", "--quiet")
    run("add", ".")
    run("commit", "--quiet", "--message=First")
    return run


def test_the_commit_is_that_of_the_file_or_the_folder(git, tmp_path):
    head = git("rev-parse", "HEAD")

    assert commit_of(tmp_path) == head
    assert commit_of(tmp_path / "k8s") == head
    assert commit_of(tmp_path / "k8s" / "a.yaml") == head


def test_a_change_below_counts_and_one_beside_does_not(git, tmp_path):
    head = git("rev-parse", "HEAD")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "new.yaml").write_text("")
    assert commit_of(tmp_path) == head  # reports and other new files change nothing

    (tmp_path / "k8s" / "a.yaml").write_text("a: 2\n")

    assert commit_of(tmp_path / "k8s") == f"{head}-dirty"
    assert commit_of(tmp_path / "other") == head
    git("add", ".")
    assert commit_of(tmp_path) == f"{head}-dirty"


def test_a_linked_work_tree_has_a_commit_of_its_own(git, tmp_path):
    git("worktree", "add", "--quiet", "--detach", "linked")
    (tmp_path / "k8s" / "a.yaml").write_text("a: 2\n")
    git("commit", "--quiet", "--all", "--message=Second")

    assert commit_of(tmp_path / "linked" / "k8s") == git("rev-parse", "HEAD~")


def test_outside_of_git_and_without_it_there_is_no_commit(
    git, tmp_path, tmp_path_factory, monkeypatch
):
    assert commit_of(tmp_path_factory.mktemp("elsewhere")) == ""

    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path) == ""
    with pytest.raises(UsageError, match="git rev-parse"):
        Repository.around(tmp_path)


def test_files_with_odd_names_are_listed_as_they_are(git, tmp_path):
    odd = tmp_path / 'a "b"\té\n.yaml'
    odd.write_text("")
    repository = Repository.around(tmp_path)

    assert repository is not None
    assert repository.changed([odd]) == [odd.name]
    assert repository.changed([tmp_path], untracked=False) == []


def found(path):
    around = Repository.around(path)
    assert around is not None
    return around


@pytest.mark.parametrize(
    "settings",
    [
        {"core.fsmonitor": "{program}"},
        {"core.hooksPath": "{folder}"},
        {"filter.x.clean": "{program}", "filter.x.required": "true"},
        {"filter.x.process": "{program}"},
        {"core.pager": "{program}", "pager.status": "true"},
        {"diff.external": "{program}", "diff.x.textconv": "{program}"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_no_program_of_a_repository_is_run_to_read_it(git, tmp_path, settings):
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "post-index-change"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/RAN\ncat\n")
    program.chmod(0o755)
    (tmp_path / ".gitattributes").write_text("*.yaml filter=x diff=x\n")
    git("add", ".gitattributes")
    git("commit", "--quiet", "--message=Attributes")
    head = git("rev-parse", "HEAD")
    for name, value in settings.items():
        git("config", name, value.format(program=program, folder=folder))
    file = tmp_path / "k8s" / "a.yaml"
    os.utime(file, (1, 1))  # git has to read it again to see whether it differs

    assert commit_of(tmp_path / "k8s") == head
    file.write_text("a: 2\n")
    assert commit_of(tmp_path / "k8s") == f"{head}-dirty"
    assert found(tmp_path).changed([file]) == ["k8s/a.yaml"]

    assert not (tmp_path / "RAN").exists()


def test_a_filter_whose_name_no_option_can_carry_is_refused(git, tmp_path):
    git("config", "filter.a=b.clean", "true")

    with pytest.raises(UsageError, match=r"filter 'filter\.a=b\.clean'"):
        found(tmp_path).changed([tmp_path])
    assert commit_of(tmp_path) == ""


def test_a_hook_that_hangs_is_ended_and_leaves_no_lock(git, tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "_COMMIT_TIMEOUT_S", 1)
    hook = tmp_path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec >/dev/null 2>&1\nexec sleep 5\n")
    hook.chmod(0o755)
    (tmp_path / "k8s" / "a.yaml").write_text("a: 2\n")

    with pytest.raises(UsageError, match="git commit"):
        found(tmp_path).commit([tmp_path / "k8s" / "a.yaml"], "Second")

    assert not list((tmp_path / ".git").glob("*.lock"))
    assert git("status", "--porcelain") == "M k8s/a.yaml"
