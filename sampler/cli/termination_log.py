"""The last word of a container, which the kubelet copies into the status of its pod.

``kubectl describe pod``, Argo CD and others show it, so that why a Job failed can be read without
its log.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

PLACE = Path("/dev/termination-log")
"""Where the kubelet mounts a file unless ``terminationMessagePath`` says otherwise."""
MOST_BYTES = 4096
"""What the kubelet keeps, in bytes; it cuts a longer text at its beginning."""


def leave(text: str) -> None:
    """Add a line where the kubelet reads it; elsewhere, and if that fails, do nothing.

    Parameters
    ----------
    text : str
        One line. Control characters are escaped, and it is cut to `MOST_BYTES` bytes.
    """
    # Neither made, nor followed, nor waited for: only what the kubelet mounted is written to.
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError):
        descriptor = os.open(PLACE, flags)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.write(descriptor, _fitted(text))
        finally:
            os.close(descriptor)


def _fitted(text: str) -> bytes:
    from analysis.render.printable import message  # noqa: PLC0415 - not for --help

    data = message(text).encode(errors="replace")[: MOST_BYTES - 1]
    return data.decode(errors="ignore").encode() + b"\n"
