"""The Git repository around some files, asked with ``git`` itself.

Nothing here changes a repository but `Repository.commit`, and nothing is ever pushed.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRTY = "-dirty"
"""Ends the name of a commit whose tracked files were changed since, as in ``git describe``."""

_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Repository:
    """A Git repository with a work tree and at least one commit.

    Parameters
    ----------
    root : Path
        Top of the work tree.
    head : str
        Full name of the commit that is checked out.
    """

    root: Path
    head: str

    @classmethod
    def around(cls, path: Path) -> Repository | None:
        """Find the repository that `path` lies in; None if there is none.

        Raises
        ------
        UsageError
            If there is one, but git does not read it: git is not installed, the repository
            belongs to another user, or it has no commit yet.
        """
        folder = path if path.is_dir() else path.parent
        # Most runs are far from any repository: no process for them.
        if not any((each / ".git").exists() for each in (folder, *folder.resolve().parents)):
            return None
        root, head = _ask(folder, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        return cls(Path(root), head)

    def changed(self, paths: Sequence[Path], *, untracked: bool = True) -> list[str]:
        """List the files among `paths`, or below them, that differ from the commit.

        Parameters
        ----------
        paths : sequence of Path
            Files and folders.
        untracked : bool
            Whether a file that was never added differs.

        Raises
        ------
        UsageError
            If git does not answer.
        """
        names = [str(path.resolve()) for path in paths]
        show = "--untracked-files=all" if untracked else "--untracked-files=no"
        done = _ask(self.root, "status", "--porcelain", "-z", "--no-renames", show, "--", *names)
        return [entry[3:] for entry in done.split("\0") if entry]

    def commit(self, paths: Sequence[Path], message: str) -> str:
        """Commit these files, and nothing else that may be staged; return the commit's name.

        Raises
        ------
        UsageError
            If git refuses: no name of an author, a hook, a file that was never added.
        """
        names = [str(path.resolve()) for path in paths]
        _ask(self.root, "commit", "--quiet", f"--message={message}", "--", *names)
        return _ask(self.root, "rev-parse", "HEAD").strip()


def commit_of(path: Path) -> str:
    """Name the commit that the files at `path` are of, to be written into a report.

    Parameters
    ----------
    path : Path
        A file or a folder.

    Returns
    -------
    str
        The full name; ended by ``-dirty`` if a tracked file there was changed since; empty
        outside of Git, or where git does not answer.
    """
    try:
        repository = Repository.around(path)
        if repository is None:
            return ""
        is_dirty = bool(repository.changed([path], untracked=False))
    except UsageError:
        return ""
    return repository.head + (DIRTY if is_dirty else "")


def _ask(folder: Path, *arguments: str) -> str:
    """Give what git prints, or say why it does not."""
    done = _git(folder, *arguments)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()) or f"code {done.returncode}"
        raise UsageError(
            f"git {arguments[0]} in {folder} failed: {said[:400]}",
            hint="see what git status says; a commit needs user.name and user.email",
        )
    return done.stdout


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`; a program that is missing or hangs is a failure like others."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(  # noqa: S603 - no shell, and git's options end before the paths
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
            # Words of git are read here, and nobody is there to type a password.
            env=os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
