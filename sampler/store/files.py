"""Files of a run's folder, which may come from anywhere: read within bounds, written in place.

A folder that was downloaded may hold links, devices and pipes in place of files. Nothing is
written through a link, and nothing is read that is no file.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_BYTES = 64 << 20
"""Bytes of a document that is read; the report of a run with 10 000 pods has a hundredth."""
MOST_ROWS = 100_000_000
"""Rows of a table: with 2 000 requests per second, half a day."""
MOST_GROUP_BYTES = 1 << 30
"""Bytes that a part of a Parquet file (a row group), or a batch of a stream, may unpack to."""
_BEYOND = 1 << 63


def require_file(file: Path) -> None:
    """Refuse what would block or never end, such as a pipe or a device.

    Raises
    ------
    FileNotFoundError
        If there is nothing of that name.
    UsageError
        If it is no file.
    """
    if not stat.S_ISREG(file.stat().st_mode):
        raise UsageError(f"{file} cannot be read: it is not a regular file")


def require_bounded(metadata: Any, file: object) -> None:
    """Refuse a Parquet file that says itself that it unpacks to more than may be.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
    file : Path or str
        Its name.

    Raises
    ------
    UsageError
        If it has more than `MOST_ROWS`, or a part with more than `MOST_GROUP_BYTES`.
    """
    if metadata.num_rows > MOST_ROWS:
        raise UsageError(
            f"{file} cannot be read: it has {metadata.num_rows} rows, of at most {MOST_ROWS}"
        )
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > MOST_GROUP_BYTES:
            raise UsageError(
                f"{file} cannot be read: a part of it unpacks to {size} bytes, of at most "
                f"{MOST_GROUP_BYTES}"
            )


def read_text(file: Path) -> str:
    """Read a document of a run.

    Raises
    ------
    FileNotFoundError
        If there is none.
    UsageError
        If it cannot be read, or has more than `MOST_BYTES`.
    """
    try:
        require_file(file)
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UsageError(f"{file} cannot be read: it has more than {MOST_BYTES >> 20} MB")
        return data.decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} cannot be read: it is not UTF-8 text") from error


def read_object(file: Path, *, is_finite: bool = False) -> dict[str, Any]:
    """Read a JSON object of a run.

    Parameters
    ----------
    file : Path
    is_finite : bool
        Whether it must hold finite numbers only, of a size that occurs.

    Raises
    ------
    FileNotFoundError
        If there is none.
    UsageError
        If it cannot be read, is no JSON object, or holds a number that no run has.
    """
    text = read_text(file)
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise UsageError(f"{file}: expected an object, got {type(document).__name__}")
        _require_bounded(document, is_finite=is_finite)
    except RecursionError as error:
        raise UsageError(f"{file} cannot be read: it is nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return document


def _require_bounded(part: object, *, is_finite: bool) -> None:
    match part:
        case float() if is_finite and not abs(part) <= _BEYOND:
            raise ValueError(f"it holds {part}, which is out of range")
        case int() if not -_BEYOND <= part < _BEYOND:
            raise ValueError("it holds a number of more than 64 bits")
        case dict():
            for value in part.values():
                _require_bounded(value, is_finite=is_finite)
        case list():
            for value in part:
                _require_bounded(value, is_finite=is_finite)


def put(path: Path, data: bytes) -> None:
    """Write a file that the user named: all of it, or nothing.

    A link is followed, and its file keeps its mode. What is no file (a device, a pipe) is written
    to, and so is a file in a folder in which no other one may be made.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = path.resolve()
    mode = target.stat().st_mode if target.exists() else None
    if (mode is not None and not stat.S_ISREG(mode)) or not os.access(target.parent, os.W_OK):
        target.write_bytes(data)
        return
    with whole(target) as part:
        part.write_bytes(data)
        if mode is not None:
            part.chmod(stat.S_IMODE(mode))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a place to write to that becomes `path` when it is complete, or goes away.

    It is a new file, and takes the place of what was there: a link is replaced, never followed.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # another process may write it, too
    part.unlink(missing_ok=True)
    part.touch(exist_ok=False)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
