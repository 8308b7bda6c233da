"""Whether files changed since they were read; a mounted Secret changes by another link."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_Stamp = tuple[int, int, int] | None


class Changes:
    """Notices that one of some files is another than at the last look.

    Parameters
    ----------
    files : Path
    """

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._stamps: list[_Stamp] | None = None

    def seen(self) -> bool:
        """Whether this look differs from the one before; the first one does."""
        stamps = [_stamp(file) for file in self._files]
        is_new = stamps != self._stamps
        self._stamps = stamps
        return is_new


def _stamp(file: Path) -> _Stamp:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
