"""Kustomizations: what they list, whether they change it, and what they make of it.

A kustomization that only lists files is read as those files, so that every number has its
place. One that changes something is rendered by ``kubectl kustomize`` (or ``kustomize build``),
kept away from the network; without either it is refused with the command that renders it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError
from sampler.expect.documents import Document, decode, documents

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""The names under which kustomize finds a kustomization."""
_RENDERERS = (("kubectl", "kustomize"), ("kustomize", "build"))
_LISTS = ("resources", "bases")
_HARMLESS = frozenset(
    {
        *_LISTS,
        *("apiVersion", "kind", "metadata", "crds", "openapi", "sortOptions", "buildMetadata"),
        *("generatorOptions", "configMapGenerator", "secretGenerator"),
    }
)
"""Fields that change no number, version or name of what divides traffic."""
_OFFLINE = {
    "PATH": "/nonexistent",  # no git, no ssh
    "HOME": "/nonexistent",
    **dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1"
    ),
}
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Kustomization:
    """The kustomization of a folder.

    Parameters
    ----------
    folder : Path
    file : Path
        That it was read from.
    document : Document
    """

    folder: Path
    file: Path
    document: Document

    @classmethod
    def of(cls, folder: Path) -> Kustomization | None:
        """Read the kustomization of a folder, if it has one.

        Raises
        ------
        ExpectationError
            If it cannot be read, is no kustomization, or has another one beside it.
        """
        present = [folder / name for name in FILES if (folder / name).is_file()]
        if len(present) > 1:
            raise ExpectationError(
                f"{present[0]} and {present[1].name} are both there", hint="keep one of them"
            )
        if not present:
            return None
        file = present[0]
        try:
            text, _ = decode(file.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            raise ExpectationError(f"{file} cannot be read: {error}") from error
        document = next(documents(str(file), text), None)
        body: Any = None if document is None else document.value
        lists = [] if not isinstance(body, dict) else [body.get(key) for key in _LISTS]
        if document is None or not lists or not all(_is_list_of_text(each) for each in lists):
            raise ExpectationError(
                f"{file}: expected a kustomization, with a list of texts under resources",
                hint=f"kubectl kustomize {folder} says what is wrong",
            )
        group = body.get("apiVersion")
        is_other = isinstance(group, str) and not group.startswith("kustomize.config.k8s.io/")
        return None if is_other else cls(folder, file, document)  # Flux has a kind of that name

    @cached_property
    def changes(self) -> list[str]:
        """Fields that change what it lists."""
        return changes(self.document.value)

    @property
    def is_component(self) -> bool:
        """Whether it is only a part, which says nothing without a kustomization that lists it."""
        return bool(self.document.value.get("kind") == "Component")

    @property
    def where(self) -> str:
        """Place of the first of its changes."""
        key = self.changes[0].partition(" ")[0] if self.changes else ""
        return f"{self.file}:{self.document.line((key,))}"

    @property
    def entries(self) -> list[tuple[str, Path]]:
        """What it lists: each entry as it is written, and where that would be."""
        listed = [each for key in _LISTS for each in self.document.value.get(key) or ()]
        return [(each, self.folder / each) for each in listed]

    def mentions(self, file: Path) -> bool:
        """Whether any field names a file."""
        pending: list[Any] = [self.document.value]
        while pending:
            here = pending.pop()
            if isinstance(here, str) and len(here) < 1000 and "\n" not in here:
                here = here.rpartition("=")[2]  # of a generator: KEY=FILE
                if (self.folder / here).resolve() == file.resolve():
                    return True
            elif isinstance(here, dict | list):
                pending += here.values() if isinstance(here, dict) else here
        return False

    def all(self) -> list[Kustomization]:
        """Return this one and those that it lists, each once.

        Raises
        ------
        ExpectationError
            If an entry is not on this disk.
        """
        found = {self.folder.resolve(): self}
        pending: list[Kustomization] = [self]
        while pending:
            each = pending.pop(0)
            for entry, path in each.entries:
                if path.is_file() or path.resolve() in found:
                    continue
                inner = Kustomization.of(path) if path.is_dir() else None
                if inner is None:
                    raise each.refused(f"lists {entry}, which is no file and no kustomization here")
                found[path.resolve()] = inner
                pending.append(inner)
        return list(found.values())

    def files(self) -> list[Path]:
        """Return the files that it lists, directly or not, each once.

        Raises
        ------
        ExpectationError
            As `all`.
        """
        found = [path for each in self.all() for _, path in each.entries if path.is_file()]
        return list(dict.fromkeys(found))

    def refused(self, what: str) -> ExpectationError:
        """Return the error for a kustomization that is not rendered."""
        body = self.document.value
        charts = "--enable-helm " if any(each.startswith("helm") for each in body) else ""
        return ExpectationError(
            f"{self.file} is not rendered: it {what}",
            hint=f"render it: kubectl kustomize {charts}{self.folder} | "
            "weighbridge expect --manifests - …",
        )

    def render(self) -> tuple[str, bytes]:
        """Return the command that renders it, and what that prints.

        Raises
        ------
        ExpectationError
            If there is no such program, or it fails.
        """
        for program, verb in _RENDERERS:
            found = shutil.which(program)
            if found is None:
                continue
            try:
                done = subprocess.run(  # noqa: S603 - a program of this machine, and a folder
                    [found, verb, str(self.folder)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env=_OFFLINE,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise self.refused(f"could not be rendered by {program}: {error}") from error
            if done.returncode:
                said = " ".join(done.stderr.decode("utf-8", "replace").split())
                said = said.rpartition("err=")[2].removeprefix("error: ")
                raise self.refused(f"could not be rendered by {program} {verb}: {said[:300]}")
            return f"{program} {verb} {self.folder}", done.stdout
        raise self.refused(
            f"changes {', '.join(self.changes)} of what it lists, and kubectl, which would render "
            "it, is not on the PATH"
        )


def _is_list_of_text(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def changes(body: dict[str, Any]) -> list[str]:
    """Return what a kustomization changes: its fields, and the replicas that it sets."""
    found = [key for key, value in body.items() if value and key not in _HARMLESS]
    counts = body.get("replicas")
    if isinstance(counts, list):
        said = [
            f"{each.get('name')}: {each.get('count')}" for each in counts if isinstance(each, dict)
        ]
        found = [f"{key} ({', '.join(said)})" if key == "replicas" else key for key in found]
    return found
