"""The commit that a report names, asked of git itself."""

from __future__ import annotations

import subprocess

import pytest

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
