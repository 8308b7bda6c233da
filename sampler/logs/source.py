"""The lines of a file or of stdin, in constant memory, whatever they are compressed with."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from sampler.base.errors import UsageError
from sampler.logs.reading import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.logs.envelopes import Envelope

MOST_EXPANSION = 200
"""Times its size that gzip may expand to. Lines of a log that differ in a time stamp alone come to
20 or 30; nothing but line ends, to 1000. What packs better may expand to ten times as much."""
EXPANSION_FROM = 16 << 20
"""Bytes up to which it may expand as it likes."""
SAMPLED = 2000
"""Lines of the sample that a format is recognised from."""
_BLOCK = 1 << 18
_HEAD = 1 << 18
_WIDE = {
    "UTF-32": re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"),
    "UTF-16": re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]"),
}
_PARQUET = b"PAR1"
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Packed(io.RawIOBase):
    """Packed bytes, counted as they are taken.

    Parameters
    ----------
    file : BufferedReader
        Where they are.
    most : int
        Times their size that they may expand to.

    Attributes
    ----------
    taken : int
        How many were taken so far.
    """

    def __init__(self, file: io.BufferedReader, most: int) -> None:
        self._file = file
        self.most = most
        self.taken = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        data = self._file.read(size)
        self.taken += len(data)
        return data


def _zstd(file: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and needed for this encoding only

    return pa.CompressedInputStream(file, "zstd")


# By their first bytes: RFC 1952, bzip2's source, xz's file format 1.1, RFC 8878.
_UNPACKED: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstd),
)
_NOT_UNPACKED = (
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4 -dc"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy", "snzip -dc"),
    (b"LZIP", "compressed with lzip", "lzip -dc"),
    (b"\x1f\x9d", "compressed with compress", "uncompress -c"),
    (b"\x5d\0\0", "compressed with lzma", "xz --format=lzma -dc"),
)
_TAR = (b"ustar", 257)  # POSIX.1, pax: "ustar Interchange Format"


class Source:
    """A log while it is read; made by `opened`.

    Parameters
    ----------
    path : str
        Name of the file, ``-`` for stdin.
    file : object with ``read``
        Its bytes, already unpacked.
    packed : Packed or None
        What they are unpacked from.

    Attributes
    ----------
    envelope : Envelope or None
        What each line was put into on its way, and is taken out of again.
    unfinished : int
        Number of the last line if nothing ends it, once it has been read; 0 otherwise.
    """

    def __init__(self, path: str, file: _Bytes, packed: Packed | None = None) -> None:
        self.path = path
        self._packed = packed
        self._plain_bytes = 0
        self.envelope: Envelope | None = None
        self.unfinished = 0
        self._file = file
        self._head = b""
        self._sample: list[str] | None = None

    @property
    def sample(self) -> list[str]:
        """The first lines as they stand, empty ones too; reading starts before them all the same.

        At most `SAMPLED` of the first 256 kB; the last one may be cut off.
        """
        if self._sample is None:
            parts, size = [], 0
            while size < _HEAD and (more := self._read(_HEAD)):
                parts.append(more)
                size += len(more)
            self._head = b"".join(parts)
            self._refuse_archives()
            self._sample = _split(self._head[:_HEAD].removeprefix(b"\xef\xbb\xbf"))[:SAMPLED]
        return self._sample

    @property
    def is_parquet(self) -> bool:
        """Whether it starts as a Parquet file does."""
        return bool(self.sample) and self._head.startswith(_PARQUET)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield lines with their numbers, without their ends, and out of the envelope.

        Of a line of more than `LONGEST_LINE` bytes, only that much and a little more is kept;
        what is no UTF-8 stays visible as surrogates.
        """
        lines = self._lines()
        return lines if self.envelope is None else self.envelope.opened(lines)

    def _lines(self) -> Iterator[tuple[int, str]]:
        number, rest = 1, b""
        for block in self._blocks():
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                lines = _split(whole)
                yield from enumerate(lines, number)
                number += len(lines)
            rest = rest[:LONGEST_LINE]
        if rest:
            self.unfinished = number
            yield number, _split(rest)[0]

    def _blocks(self) -> Iterator[bytes]:
        if self._sample is None:
            _ = self.sample
        block, self._head = self._head.removeprefix(b"\xef\xbb\xbf"), b""
        if block:
            yield block
        while block := self._read(_BLOCK):
            yield block

    def _read(self, size: int) -> bytes:
        try:
            block = self._file.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise UsageError(
                f"{self.path} cannot be read to its end: {error}",
                hint="is the file complete? copy it again",
            ) from error
        self._plain_bytes += len(block)
        packed = self._packed
        if packed is not None and self._plain_bytes > max(
            EXPANSION_FROM, packed.most * packed.taken
        ):
            raise UsageError(
                f"{self.path} expands to more than {packed.most} times its size, which no log does",
                hint=f"if that is meant, unpack it, as in: zcat {self.path} | weighbridge judge -",
            )
        return block

    def _refuse_archives(self) -> None:
        magic, at = _TAR
        if self._head[at : at + len(magic)] == magic:
            raise UsageError(
                f"{self.path} is a tar archive, not a log",
                hint=f"take the log out of it: tar -xOf {self.path} NAME | weighbridge judge - …",
            )


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a log; it is closed with the block.

    Raises
    ------
    UsageError
        If it cannot be read, or is compressed with something that is not unpacked here.
    """
    if path == "-":
        yield _unpacked(cast("io.BufferedReader", sys.stdin.buffer), "stdin")
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        yield _unpacked(file, path)


def _unpacked(file: io.BufferedReader, path: str) -> Source:
    start = file.peek(16)[:16]
    for encoding, look in _WIDE.items():
        if look.match(start):
            raise UsageError(
                f"{path} is {encoding}, as PowerShell may write it; expected UTF-8",
                hint=f"convert it: iconv -f {encoding} -t UTF-8",
            )
    for magic, what, command in _NOT_UNPACKED:
        if start.startswith(magic):
            raise UsageError(
                f"{path} is {what}; gzip, bzip2, xz and zstd are unpacked here",
                hint=f"unpack it: {command} {path} | weighbridge judge - …",
            )
    for magic, unpack in _UNPACKED:
        if start.startswith(magic):
            is_gzip = unpack is _UNPACKED[0][1]
            packed = Packed(file, MOST_EXPANSION if is_gzip else 10 * MOST_EXPANSION)
            return Source(path, cast("_Bytes", unpack(packed)), packed)
    return Source(path, cast("_Bytes", file))


def _split(block: bytes) -> list[str]:
    text = block.decode(errors="surrogateescape")
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines
