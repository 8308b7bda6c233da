"""The runs in a folder: listed in their order, found by name, thinned out."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.store.reader import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

LATEST = "latest"
"""Stands for the newest run where the folder of a run is expected."""

_RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[A-Za-z0-9._-]+")


def runs_in(base: Path) -> list[RunFolder]:
    """Return the runs in a folder, the oldest first; what is no run is passed over.

    Parameters
    ----------
    base : Path
        As given to ``--out``.

    Raises
    ------
    UsageError
        If there is no such folder, or it cannot be read.
    """
    try:
        names = sorted(path.name for path in base.iterdir())
    except OSError as error:
        raise UsageError(
            f"expected a folder of runs, got {str(base)!r}: {error.strerror}",
            hint="name the folder that --out named: --runs DIR",
        ) from error
    found = []
    for name in filter(_RUN_ID.fullmatch, names):
        try:
            found.append(RunFolder(base / name))
        except (UsageError, OSError):
            continue
    return found


def find_run(name: Path, base: Path) -> Path:
    """Return the folder of a run: the one that is named, or the newest one for `LATEST`.

    Raises
    ------
    UsageError
        If the newest one is asked for, and there is none.
    """
    if str(name) != LATEST or name.exists():
        return name
    every = runs_in(base)
    if not every:
        raise UsageError(
            f"expected a run in {str(base)!r}, found none",
            hint="weighbridge check writes one; name its folder with --runs DIR",
        )
    return every[-1].path


def keep_newest(base: Path, most: int, name: str | None = None) -> list[Path]:
    """Remove all but the newest runs of a folder.

    Only what is certainly a run that came to its end goes: its name is one that we give, it is
    no link, and it holds a report. A run that cannot be removed stays, for the next call.

    Parameters
    ----------
    base : Path
        As given to ``--out``.
    most : int
        Runs to keep, at least 1.
    name : str or None
        Looks only at runs whose folder ends with it (`sampler.store.writer.folder_name`).

    Returns
    -------
    list of Path
        What was removed, the oldest first.
    """
    finished = [
        run.path
        for run in runs_in(base)
        if run.has_report
        and not run.path.is_symlink()
        and (name is None or run.path.name.partition("Z-")[2] == name)
    ]
    for path in finished[:-most]:
        shutil.rmtree(path, ignore_errors=True)
    return [path for path in finished[:-most] if not path.exists()]
