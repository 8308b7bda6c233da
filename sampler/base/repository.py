"""The Git repository around some files, asked with ``git`` itself.

Nothing here changes a repository but `Repository.commit`, and nothing is ever pushed.

A repository may be somebody else's, and its configuration and attributes can name programs. To
read it, none of them is run: no monitor of the file system, no hook, no filter, no pager. What
differs from the commit is therefore told from the contents as they lie on the disk, but for line
ends. A commit is the user's own act, and runs what a commit of theirs runs.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DIRTY = "-dirty"
"""Ends the name of a commit whose tracked files were changed since, as in ``git describe``."""

_TIMEOUT_S = 30
_COMMIT_TIMEOUT_S = 600
"""A commit may run hooks, and these may run tests."""
_COMMANDS = frozenset({"rev-parse", "status", "commit"})
_QUIET = (
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.pager=cat"),
    *("-c", "diff.external="),
    *("-c", "submodule.recurse=false"),
    *("-c", "core.untrackedCache=false"),
)
"""Options with which git reads and runs no program that a configuration names."""
_NO_PROGRAMS = {
    "GIT_PAGER": "cat",
    "GIT_EXTERNAL_DIFF": "",
    "GIT_ASKPASS": "",
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone would ask its remote
    "GIT_ALLOW_PROTOCOL": "",
}
_FILTERS = re.compile(r"filter\..*\.(clean|smudge|process|required)", re.DOTALL)


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
        done = _ask(
            self.root,
            *_without_filters(self.root),
            # To look into a submodule is to run git with what that configures.
            *("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=dirty", show),
            *("--", *names),
        )
        return [entry[3:] for entry in done.split("\0") if entry]

    def commit(self, paths: Sequence[Path], message: str) -> str:
        """Commit these files, and nothing else that may be staged; return the commit's name.

        Raises
        ------
        UsageError
            If git refuses: no name of an author, a hook, a signer, a file that was never added.
            The index is then as it was.
        """
        names = [str(path.resolve()) for path in paths]
        with self._index_kept():
            _said(_git(self.root, "commit", "--quiet", f"--message={message}", "--", *names))
        return _ask(self.root, "rev-parse", "HEAD").strip()

    @contextmanager
    def _index_kept(self) -> Iterator[None]:
        """Put the index back if what is done here fails: a hook may have staged something."""
        name = _ask(self.root, "rev-parse", "--git-path", "index").strip()
        index = self.root / name
        before = index.read_bytes() if index.exists() else None
        try:
            yield
        except BaseException:
            if before is not None and index.read_bytes() != before:
                draft = index.with_name(f"{index.name}.weighbridge")
                draft.write_bytes(before)
                draft.replace(index)
            raise


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
    """Return what git prints when it reads and runs nothing, or raise with the reason."""
    return _said(_git(folder, *_QUIET, *arguments, is_reading=True))


def _without_filters(folder: Path) -> Iterator[str]:
    """Yield the options that take the place of each filter that is configured."""
    listed = _git(folder, *_QUIET, "config", "--null", "--name-only", "--list", is_reading=True)
    for name in sorted({each for each in listed.stdout.split("\0") if _FILTERS.fullmatch(each)}):
        # An option splits its name from its value at the first "=".
        if "=" in name:
            raise UsageError(
                f"{folder}: git is configured with a filter {name!r}, which is refused"
            )
        yield from ("-c", f"{name}={'false' if name.endswith('.required') else ''}")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()) or f"code {done.returncode}"
        folder, name = done.args[2], next(each for each in done.args[3:] if each in _COMMANDS)
        raise UsageError(
            f"git {name} in {folder} failed: {said[:400]}",
            hint="see git status; a commit needs user.name and user.email",
        )
    return done.stdout


def _git(
    folder: Path, *arguments: str, is_reading: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`; a program that is missing or hangs is a failure like others."""
    command = ["git", "-C", str(folder), *arguments]
    # Git's messages are parsed here, and there is no terminal to type a password.
    words = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        with subprocess.Popen(  # noqa: S603 - no shell, and git's options end before the paths
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | words | (_NO_PROGRAMS if is_reading else {}),
        ) as git:
            try:
                out, err = git.communicate(timeout=_TIMEOUT_S if is_reading else _COMMIT_TIMEOUT_S)
            except BaseException:
                git.terminate()  # killed, it would leave its lock behind
                raise
            return subprocess.CompletedProcess(command, git.returncode, out, err)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
