"""A terminal for tests: runs a command on one, and reads what its screen shows.

As a script it records ``docs/terminal.md``: ``.venv/bin/python -m tests.terminal``.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import tempfile
import termios
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, WEIGHBRIDGE, surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 40
PAGE = REPOSITORY / "docs" / "terminal.md"
WIDTHS = (60, 80, 120)
INTRODUCTION = """\
Recorded by `python -m tests.terminal`: `weighbridge check URL --expect v1=9,v2=1 --rate 150/s` on
the embedded Service, half way to the verdict and at its end. `[` and `]` are the ends of the
accepted share, the thick line is the interval, `●` the share. Where nothing can be drawn (a pipe,
the log of a CI job, `TERM=dumb`), a run that takes longer prints a line every ten seconds instead.
`NO_COLOR` is respected."""


class Terminal:
    """A command on a terminal; `screens` yields what it shows after each output."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], columns: int, **environment: str):
        self.screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._own, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self.process = subprocess.Popen(
            [*WEIGHBRIDGE, *arguments], cwd=folder, stdin=its, stdout=its, stderr=its,
            env=surroundings(**{"TERM": "xterm-256color", "COLUMNS": "", **environment}),
        )  # fmt: skip
        os.close(its)

    def screens(self) -> Iterator[list[str]]:
        """Yield the lines of the screen each time that something was written, until the end."""
        with suppress(OSError):  # Linux makes an error of the end
            while part := os.read(self._own, 65_536):
                self.raw += part
                self._stream.feed(part)
                yield self.lines()

    def lines(self) -> list[str]:
        """Return the lines of the screen, without blank ones at its end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def close(self) -> int:
        """Return the exit code; end the command if it goes on."""
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._own)


@contextmanager
def terminal(
    folder: Path, *arguments: str, columns: int = 120, **environment: str
) -> Iterator[Terminal]:
    """Run a command on a terminal of that many columns."""
    running = Terminal(folder, arguments, columns, **environment)
    try:
        yield running
    finally:
        running.close()


def recorded(url: str, folder: Path, columns: int) -> tuple[list[str], list[str]]:
    """Record a check: its view half way to the verdict, and its last screen."""
    asked = ("check", url, "--expect", "v1=9,v2=1", "--rate", "150/s", "--seed", "7")
    middle: list[str] = []
    with terminal(folder, *asked, columns=columns) as running:
        for lines in running.screens():
            found = re.search(r" (\d+) % of the way", "\n".join(lines))
            if found and int(found[1]) <= 60 and any("▕" in line for line in lines):
                middle = lines
        return middle, running.lines()


def main() -> None:
    """Record a check at several widths."""
    parts = ["# What a terminal shows", INTRODUCTION]
    for columns in WIDTHS:
        with (
            EmbeddedService({"v1": 9, "v2": 1}, seed=4) as service,
            tempfile.TemporaryDirectory() as folder,
        ):
            middle, end = recorded(service.url, Path(folder), columns)
        parts.append(f"## {columns} columns")
        parts += [f"```text\n{chr(10).join(lines)}\n```" for lines in (middle, end)]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
