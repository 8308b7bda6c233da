"""A proxy as a process of its own on the node, in the foreground."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.network.bed import GATEWAY, inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.network.bed import Bed

PORT = 80
URL = f"http://{GATEWAY}/"
LISTEN = f"{GATEWAY}:{PORT}"
_TIMEOUT_S = 30


@contextmanager
def serving(bed: Bed, command: Sequence[str]) -> Iterator[str]:
    """Run `command` on the node while the block lasts; yield the URL that it serves.

    Whatever it prints is shown if the block fails, since it may say why.

    Raises
    ------
    TimeoutError
        If it had to be killed.
    """
    log = bed.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*inside(bed.node), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=bed.folder,
        )
    try:
        yield URL
    except BaseException as error:
        error.add_note(f"{command[0]} printed: {log.read_text('utf-8', 'replace')[-4000:]}")
        raise
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise TimeoutError(f"{process.args!r} did not end within {_TIMEOUT_S} s") from error
