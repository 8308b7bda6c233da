"""The two streams of the process: whatever becomes of them, the exit code stays the verdict's.

How it works. `guarded` puts a stream of ours over each descriptor for as long as a command runs.
A full disk, a reader that went away, a closed descriptor: the first failure is kept and what
follows is dropped, so that nothing that prints can end a run. A pipe that does not block is
waited for. At its end the command asks `failure` whether its data arrived.

Each line is looked at on its way out: none may become a command of the CI that reads the log
(`analysis.render.printable.logged`). Only `command` writes one, which is ours.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each stands in every text that a CI would take for a command; few others are worth a look.
_SIGNS = ("::", "##", "section_")


class _Sink(io.RawIOBase):
    """Takes all bytes and never raises; keeps the first failure.

    Parameters
    ----------
    stream : TextIO or None
        What is behind it; None for a descriptor that was closed when the process began.
    """

    def __init__(self, stream: Any) -> None:
        self.failure: OSError | None = None
        self._buffer = None if stream is None else stream.buffer
        self._fd: int | None = None
        if stream is None:
            self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
            return
        with suppress(OSError, ValueError):
            self._fd = stream.fileno()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._fd is None:
            raise io.UnsupportedOperation("fileno")
        return self._fd

    def isatty(self) -> bool:
        return self._fd is not None and os.isatty(self._fd)

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        taken = len(left)
        while left and self.failure is None:
            try:
                left = left[self._some(left) :]
            except BlockingIOError:
                # As a pipe that blocks would: nothing is lost because its reader is slow.
                select.select([], [self.fileno()], [])
            except (OSError, ValueError) as error:
                self.failure = error if isinstance(error, OSError) else OSError(str(error))
        return taken

    def _some(self, data: memoryview) -> int:
        if self._fd is not None:
            return os.write(self._fd, data)
        if self._buffer is not None:
            self._buffer.write(data)
            self._buffer.flush()
        return len(data)


class _Stream(io.TextIOWrapper):
    """Text for a sink, without what a CI would take for a command."""

    def __init__(self, sink: _Sink, encoding: str) -> None:
        # Verdicts have signs that not every locale can encode; better escaped than lost.
        super().__init__(
            sink,  # type: ignore[arg-type]  # a raw stream that takes everything needs no buffer
            encoding=encoding,
            errors="backslashreplace",
            write_through=True,
        )
        self.sink = sink
        self.carries_data = False

    def write(self, text: str) -> int:
        if any(sign in text for sign in _SIGNS):
            from analysis.render.printable import logged  # noqa: PLC0415 - few texts need it

            super().write(logged(text))
            return len(text)
        return super().write(text)

    def write_command(self, text: str) -> None:
        """Write a command to the CI."""
        super().write(text)


@contextmanager
def guarded() -> Iterator[None]:
    """Guard both streams meanwhile; streams that are no files of text are left as they are."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_guarded, before)
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            if isinstance(stream, _Stream):
                stream.detach()


def occupy_closed() -> None:
    """Put /dev/null where a standard descriptor is closed: no file or socket may become one."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest one that is free: this one


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text on stdout or stderr."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # so it is in a program without a console
        stream.write(text + "\n" if nl else text)
        stream.flush()


def deliver(document: str) -> None:
    """Print a document on stdout, which is data then: if it is lost, the command has failed."""
    say(document, nl=False)
    if isinstance(sys.stdout, _Stream):
        sys.stdout.carries_data = True


def command(text: str, *, err: bool = False) -> None:
    """Print a command to the CI, which `say` would make a plain text."""
    stream = sys.stderr if err else sys.stdout
    if isinstance(stream, _Stream):
        stream.write_command(text)
    else:
        say(text, err=err, nl=False)


def failure() -> OSError | None:
    """Return why stdout took not everything, if so."""
    return sys.stdout.sink.failure if isinstance(sys.stdout, _Stream) else None


def stdout_is_data() -> bool:
    """Return whether a document went to stdout, or was meant to."""
    return isinstance(sys.stdout, _Stream) and sys.stdout.carries_data


def _guarded(stream: Any) -> Any:
    if stream is None:
        return _Stream(_Sink(None), "utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    with suppress(OSError, ValueError):
        stream.flush()
    return _Stream(_Sink(stream), stream.encoding)
