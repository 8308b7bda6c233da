"""The lines of a file or of stdin, in constant memory, and out of gzip if they are in it."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE = 1_000_000
"""Bytes of a line that are looked at; no tool writes a longer one."""
MOST_EXPANSION = 200
"""Times its size that gzip may expand to. Lines of a log that differ in a time stamp alone come to
20 or 30; nothing but line ends, to 1000."""
EXPANSION_FROM = 16 << 20
"""Bytes up to which it may expand as it likes."""
_BLOCK = 1 << 18
_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_WIDE = {
    "UTF-32": re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"),
    "UTF-16": re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]"),
}
_PARQUET = b"PAR1"
_HEAD = 1 << 16


class Source:
    """A log while it is read; made by `opened`.

    Parameters
    ----------
    path : str
        Name of the file, ``-`` for stdin.
    file : BufferedReader
        Its bytes, already out of gzip.
    packed : Packed or None
        What they are unpacked from.
    """

    def __init__(self, path: str, file: io.BufferedReader, packed: Packed | None = None) -> None:
        self.path = path
        self._file = file
        self._packed = packed
        self._plain_bytes = 0
        self._head = b""

    @property
    def first(self) -> str:
        """The first line that is not empty, cut at 64 kB; reading starts before it all the same."""
        while len(self._head) < _HEAD and b"\n" not in self._head.lstrip():
            more = self._read(_HEAD)
            if not more:
                break
            self._head += more
        head = self._head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
        return head[:_HEAD].decode(errors="surrogateescape").rstrip("\r")

    @property
    def is_parquet(self) -> bool:
        """Whether it starts as a Parquet file does."""
        return self.first.startswith(_PARQUET.decode())

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield lines with their numbers, without their ends; see `blocks`."""
        for first, lines in self.blocks():
            yield from enumerate(lines, first)

    def blocks(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of a line, and it and those after it, without their ends.

        Of a line of more than `LONGEST_LINE` bytes, only that much and a little more is kept;
        what is no UTF-8 stays visible as surrogates.
        """
        number, rest = 1, b""
        for block in self._blocks():
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                lines = _split(whole)
                yield number, lines
                number += len(lines)
            rest = rest[:LONGEST_LINE]
        if rest:
            yield number, _split(rest)

    def _blocks(self) -> Iterator[bytes]:
        block, self._head = self._head, b""
        if block:
            yield block
        while block := self._read(_BLOCK):
            yield block

    def _read(self, size: int) -> bytes:
        with self._unbroken():
            block = self._file.read1(size)
        self._plain_bytes += len(block)
        if self._packed is not None and self._plain_bytes > max(
            EXPANSION_FROM, MOST_EXPANSION * self._packed.taken
        ):
            raise UsageError(
                f"{self.path} expands to more than {MOST_EXPANSION} times its size, which no log "
                "does",
                hint=f"if that is meant, unpack it: gunzip -c {self.path} | weighbridge judge -",
            )
        return block

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, zlib.error) as error:
            raise UsageError(
                f"{self.path} cannot be read to its end: {error}",
                hint="is the file complete? copy it again",
            ) from error


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a log; it is closed with the block.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    if path == "-":
        yield _unzipped(cast("io.BufferedReader", sys.stdin.buffer), "stdin")
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        yield _unzipped(file, path)


class Packed:
    """Bytes of gzip, counted as they are taken.

    Parameters
    ----------
    file : BufferedReader
        Where they are.

    Attributes
    ----------
    taken : int
        How many were taken so far.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        data = self._file.read(size)
        self.taken += len(data)
        return data


def _unzipped(file: io.BufferedReader, path: str) -> Source:
    start = file.peek(4)[:4]
    for encoding, look in _WIDE.items():
        if look.match(start):
            raise UsageError(
                f"{path} is {encoding}, as PowerShell may write it; expected UTF-8",
                hint=f"convert it: iconv -f {encoding} -t UTF-8",
            )
    if not start.startswith(_GZIP):
        return Source(path, file)
    packed = Packed(file)
    plain = gzip.GzipFile(fileobj=cast("BinaryIO", packed))
    return Source(path, io.BufferedReader(cast("io.RawIOBase", plain)), packed)


def _split(block: bytes) -> list[str]:
    lines = block.decode(errors="surrogateescape").split("\n")
    return [line.removesuffix("\r") for line in lines] if b"\r" in block else lines
