"""Parquet files with columns of time, label and connection."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler.base.errors import UsageError
from sampler.logs.instants import Nanoseconds
from sampler.store.files import require_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

_PARQUET_ROWS = 4096


class ParquetTable:
    """A Parquet file as a shape, of which no more is read than what was looked for.

    Parameters
    ----------
    path : str
        The file.

    Raises
    ------
    UsageError
        If it is none.
    """

    names: tuple[str, ...] | None
    front = 0

    def __init__(self, path: str) -> None:
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        if path == "stdin":
            raise UsageError(
                "Parquet cannot be read from stdin: its index is at the end",
                hint="give the name of the file",
            )
        self._path = path
        self._read: list[str] = []
        try:
            with Path(path).open("rb") as file:
                self._schema = pq.read_schema(file)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise unreadable_parquet(path, error) from error
        self.names = tuple(self._schema.names)

    def find(self, name: str) -> Callable[[Any], Any]:
        """Return a reader of one column, which is read from now on."""
        if name not in self._read:
            self._read.append(name)
        return itemgetter(self._read.index(name))

    def parse(self, line: str) -> Any:
        """Refuse a line: there are none."""
        return f"not a line of text: {line[:20]!r}"

    def has_trace(self, line: str) -> bool:  # noqa: ARG002 - there are no lines
        """Whether it may be a row."""
        return True

    def loses_spelling(self, name: str) -> bool:
        """Whether a column holds numbers that are spelled in no way of their own."""
        import pyarrow as pa  # noqa: PLC0415 - heavy

        return name in self._schema.names and pa.types.is_floating(self._schema.field(name).type)

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yield the number of each row, and it.

        Raises
        ------
        UsageError
            If the file is damaged.
        """
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        number = 0
        try:
            with Path(self._path).open("rb") as source, pq.ParquetFile(source) as file:
                require_bounded(file.metadata, self._path)
                for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=self._read):
                    columns = [_values(batch.column(name)) for name in self._read]
                    for row in zip(*columns, strict=True):
                        number += 1
                        yield number, row
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise unreadable_parquet(self._path, error) from error


def unreadable_parquet(path: object, error: Exception) -> UsageError:
    """Return the error for a file that is no Parquet, or not all of one."""
    what = str(error).partition("\n")[0]
    return UsageError(
        f"{path} cannot be read as Parquet: {what}",
        hint="is the file complete? its index is at the end, which is written last",
    )


def _values(column: pa.Array) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        exact = pa.timestamp("ns", kind.tz) if pa.types.is_timestamp(kind) else pa.duration("ns")
        nanoseconds = column.cast(exact).cast(pa.int64())
        return [None if t is None else Nanoseconds(t) for t in nanoseconds.to_pylist()]
    values: list[Any] = column.to_pylist()
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return [None if value is None else str(np.float32(value)) for value in values]
    if pa.types.is_decimal(kind):  # these keep their spelling
        return [None if value is None else str(value) for value in values]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None if each is None else each.decode(errors="surrogateescape") for each in values]
    return values
