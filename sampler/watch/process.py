"""What this process takes: memory, and room on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sampler.store.writer import folder_name

_STATM = Path("/proc/self/statm")


def memory_bytes() -> int:
    """Return the resident memory of this process; 0 where that is not known."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def disk_bytes(base: Path | None, name: str) -> int:
    """Return the size of all runs of one name in a folder."""
    total = 0
    if base is None:
        return total
    for folder in base.glob(f"*Z-{folder_name(name)}"):
        for file in folder.glob("*"):
            with suppress(OSError):  # removed meanwhile
                total += file.stat().st_size
    return total
