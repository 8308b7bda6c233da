"""The manifests of a work tree: read, changed, shown as a diff, committed."""

from __future__ import annotations

import difflib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError, UsageError
from sampler.base.repository import Repository
from sampler.expect.manifests import read_manifests
from sampler.rollout.pair import find_pair
from sampler.rollout.text import Change, ManifestFile, change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.objects import KubeObject
    from sampler.rollout.pair import Names, Pair
    from sampler.rollout.steps import Setting


@dataclass(frozen=True, slots=True)
class Worktree:
    """The manifests of one canary, as they lie on the disk.

    Parameters
    ----------
    path : Path
        Folder or file that was read.
    pair : Pair
        The two Deployments.
    findings : tuple of Finding
        Of reading.
    repository : Repository or None
        That the files lie in.
    trouble : str
        Why git does not read the repository, if there is one.
    """

    path: Path
    pair: Pair
    findings: tuple[Finding, ...]
    repository: Repository | None
    trouble: str = ""

    @classmethod
    def read(cls, manifests: str, names: Names) -> Worktree:
        """Read the manifests and find the pair.

        Raises
        ------
        ExpectationError
            If they cannot be read, or hold no such pair.
        """
        if manifests == "-":
            raise ExpectationError(
                "--manifests -: what comes from stdin cannot be changed", hint="give the folder"
            )
        inventory, findings = read_manifests(manifests, names.namespace)
        path, pair = Path(manifests), find_pair(inventory, names)
        try:
            return cls(path, pair, findings, Repository.around(path))
        except UsageError as error:
            return cls(path, pair, findings, None, str(error))

    @property
    def files(self) -> list[Path]:
        """Files of the two Deployments, each once."""
        sides = (self.pair.stable, self.pair.canary)
        return list(dict.fromkeys(_place(side.deployment)[0] for side in sides))

    @property
    def changed(self) -> list[str]:
        """Those of `files` that differ from the commit; empty outside of Git."""
        return [] if self.repository is None else self.repository.changed(self.files)

    def apply(self, settings: Iterable[Setting]) -> list[ManifestFile]:
        """Give the files with these settings; nothing is written.

        Raises
        ------
        UsageError
            If a value cannot be changed in its place.
        """
        changes: dict[Path, list[Change]] = {}
        for each in dict.fromkeys(settings):
            file, line = _place(each.deployment)
            changes.setdefault(file, []).append(Change(line, each.path, each.value))
        return [change(file, wanted) for file, wanted in changes.items()]

    def require_repository(self) -> Repository:
        """Give the repository.

        Raises
        ------
        UsageError
            If there is none.
        """
        if self.repository is None:
            raise UsageError(
                self.trouble or f"{self.path} is in no Git repository",
                hint="see what git status says there; or leave --commit away",
            )
        return self.repository


def write(files: Sequence[ManifestFile]) -> None:
    """Write all of them, or none: each appears whole, and keeps its mode.

    Raises
    ------
    UsageError
        If one of them cannot be written.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for each in files:
            target = each.path.resolve()
            draft = target.with_name(f".{target.name}.{os.getpid()}.weighbridge")
            written.append((draft, target))
            draft.write_bytes(each.after.encode("utf-8"))
            shutil.copymode(target, draft)
        for draft, target in written:
            draft.replace(target)
    except OSError as error:
        for draft, _ in written:
            draft.unlink(missing_ok=True)
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error


def diff(files: Sequence[ManifestFile]) -> str:
    """Give the changes as a unified diff that ``git apply`` and ``patch -p1`` read."""
    return "".join(_diff(each) for each in files)


def _diff(file: ManifestFile) -> str:
    name = file.path.as_posix().removeprefix("/")
    lines = difflib.unified_diff(
        file.before.splitlines(keepends=True),
        file.after.splitlines(keepends=True),
        f"a/{name}",
        f"b/{name}",
    )
    missing = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + missing for line in lines)


def _place(deployment: KubeObject) -> tuple[Path, int]:
    name, _, line = deployment.place.rpartition(":")
    return Path(name), int(line)
