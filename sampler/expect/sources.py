"""Which texts ``--manifests PATH`` stands for: a stream, a file, a folder, kustomizations."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.documents import decode
from sampler.expect.kustomize import FILES, Kustomization
from sampler.expect.rules.findings import Finding, FindingCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST_FILES = 10_000
MOST_BYTES = 16 << 20
"""Bytes of all manifests together."""


@dataclass(frozen=True, slots=True)
class Source:
    """One text.

    Parameters
    ----------
    name : str
        As it is shown: a path that can be copied, or the command that printed it.
    text : str
    path : Path or None
        Its file; None if it has none.
    """

    name: str
    text: str
    path: Path | None = None


def sources(
    path: str,
    findings: list[Finding],
    *,
    are_rendered: bool = True,
    instead: Mapping[Path, str] | None = None,
) -> Iterator[Source]:
    """Yield the texts of a file, a folder with everything below it, or stdin.

    Parameters
    ----------
    path : str
        ``-`` is stdin.
    findings : list of Finding
        Those of kustomizations are added.
    are_rendered : bool
        Whether kustomizations are rendered; otherwise the files that they list are read as they
        are, with a finding.
    instead : mapping of Path to str or None
        Texts that take the place of those in these files.

    Raises
    ------
    ExpectationError
        If something cannot be read or rendered, or is larger than `MOST_BYTES`.
    """
    left = MOST_BYTES
    for name, file, data in _data(path, findings, are_rendered=are_rendered):
        with _readable(name):
            if data is not None:
                read = data
            elif file is None:
                read = sys.stdin.buffer.read(left + 1)
            else:
                with file.open("rb") as opened:
                    read = opened.read(left + 1)
            text = decode(read)[0] if len(read) <= left else ""
        if len(read) > left:
            raise ExpectationError(
                f"{name} holds more than {MOST_BYTES >> 20} MB, with those before it",
                hint="give the folder of one application",
            )
        left -= len(read)
        yield Source(
            name, text if instead is None or file is None else instead.get(file, text), file
        )


def _data(
    path: str, findings: list[Finding], *, are_rendered: bool
) -> Iterator[tuple[str, Path | None, bytes | None]]:
    if path == "-":
        yield "stdin", None, None
        return
    root = Path(path)
    if root.name in FILES and root.is_file():
        root = root.parent
    elif root.exists() and not root.is_dir():  # <(kubectl kustomize …) is a pipe
        yield _shown(root), root, None
        return
    if not root.is_dir():
        raise ExpectationError(
            f"--manifests {path}: no such file or folder", hint="give a path, or '-' for stdin"
        )
    with _readable(f"--manifests {path}"):
        files = _files(root)
    kustomizations = [
        found
        for folder in sorted({file.parent for file in files if file.name in FILES})
        if (found := Kustomization.of(_relative(folder))) is not None
    ]
    below = {each.folder.resolve() for each in kustomizations}
    plain = [file for file in files if not below & {*file.resolve().parents}]
    charts = [file for file in plain if file.name == "Chart.yaml"]
    if root.resolve().name == "templates":
        charts += [file for file in [root.resolve().parent / "Chart.yaml"] if file.is_file()]
    for chart in charts:
        if (chart.parent / "templates").is_dir():
            raise _chart(chart)
    for file in plain:
        if file.suffix in _SUFFIXES:
            yield _shown(file), file, None
    if kustomizations:
        yield from _kustomized(kustomizations, files, findings, are_rendered=are_rendered)


def _kustomized(
    kustomizations: list[Kustomization],
    files: list[Path],
    findings: list[Finding],
    *,
    are_rendered: bool,
) -> Iterator[tuple[str, Path | None, bytes | None]]:
    """Yield what kustomizations make of their files: of those that no other one lists."""
    inner = {path.resolve() for each in kustomizations for _, path in each.entries if path.is_dir()}
    read: dict[Path, None] = {}
    if all(each.is_component for each in kustomizations):
        raise ExpectationError(
            f"{kustomizations[0].file} is a Component: only what lists it says what it changes",
            hint="give the folder with the kustomization that lists it",
        )
    for each in kustomizations:
        if each.folder.resolve() in inner or each.is_component:
            continue
        changing = [every for every in each.all() if every.changes]
        if changing and are_rendered:
            command, data = each.render()
            yield command, None, data
            continue
        findings += [not_rendered(every.changes, every.where) for every in changing]
        read |= dict.fromkeys(each.files())
    for file in map(_relative, read):
        yield str(file), file, None
    findings += _not_listed(kustomizations, files)


def not_rendered(changes: Iterable[str], where: str) -> Finding:
    """Return the finding of a kustomization that was not applied."""
    return Finding(
        FindingCode.NOT_RENDERED,
        f"the {', '.join(changes)} of a kustomization change what it lists, and were not applied",
        "render it: kubectl kustomize DIR | weighbridge expect --manifests - …",
        where,
    )


def _not_listed(kustomizations: list[Kustomization], files: list[Path]) -> Iterator[Finding]:
    """Yield a finding for each kustomization beside which manifests lie that none mentions."""
    for each in kustomizations:
        strays = [
            file.name
            for file in files
            if file.parent.resolve() == each.folder.resolve()
            and file.suffix in _SUFFIXES
            and file.name not in FILES
            and not any(every.mentions(file) for every in kustomizations)
        ]
        if strays:
            yield Finding(
                FindingCode.NOT_LISTED,
                f"{', '.join(strays[:5])}{' …' if len(strays) > 5 else ''} beside "
                f"{each.file.name} is in no kustomization, and does not count",
                "list it under resources, or remove it",
                f"{each.file}:1",
            )


def _chart(file: Path) -> ExpectationError:
    return ExpectationError(
        f"{_shown(file)}: a Helm chart is not rendered: its templates are no manifests",
        hint=f"render it: helm template NAME {_shown(file.parent)} | "
        "weighbridge expect --manifests - …",
    )


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Return the error for what cannot be read, and why."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 or UTF-16 text"
        raise ExpectationError(f"{name} cannot be read: {reason}") from error


def _files(root: Path) -> list[Path]:
    found = sorted(
        file
        for file in root.rglob("*")
        if (file.suffix in _SUFFIXES or file.name in FILES)
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
        and file.is_file()
    )
    if len(found) > _MOST_FILES:
        raise ExpectationError(
            f"--manifests {root}: {len(found)} files are more than {_MOST_FILES}",
            hint="give the folder of one application",
        )
    return found


def _relative(file: Path) -> Path:
    """Return a path as it can be copied: relative where it lies below, without ``x/..``."""
    short = Path(os.path.normpath(file))
    if ".." in file.parts and file.exists() and short.exists() and short.samefile(file):
        file = short
    try:
        return file.relative_to(Path.cwd())
    except ValueError:
        return file


def _shown(file: Path) -> str:
    return str(_relative(file))
