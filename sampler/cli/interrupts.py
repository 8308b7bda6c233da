"""Ctrl-C at any moment ends the process quietly, with 130; SIGTERM ends it also in a container.

How it works. Python turns SIGINT into a KeyboardInterrupt wherever the program stands. While a
module is being imported that goes wrong: the traceback shows, or a C extension makes an
ImportError of it, which looks like a broken installation. Nothing of ours is half done at such
a moment, so the process ends on the spot. Anywhere else the exception is raised as usual. The
first process of a container gets no signal that it has no handler for, so SIGTERM needs one there.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED = 130  # as ExitCode.INTERRUPTED, which has to be imported first
_TERMINATED = 143
_IMPORTER = "<frozen importlib"


def end_quietly() -> None:
    """Make SIGINT end the process during an import, and SIGTERM the first one of a container."""
    signal.signal(signal.SIGINT, _interrupt)
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(_TERMINATED))


@contextmanager
def loop_handles_them() -> Iterator[None]:
    """Leave SIGINT to an event loop meanwhile: it takes over only from Python's own handler."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, b"interrupted\n")
        os._exit(INTERRUPTED)
    signal.default_int_handler(signum, frame)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTER):
            return True
        frame = frame.f_back
    return False
