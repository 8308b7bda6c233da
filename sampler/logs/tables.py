"""CSV, JSON lines and Parquet with columns of time, label and connection."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from sampler.base.errors import UsageError
from sampler.labels.names import MAX_NAME_LENGTH
from sampler.labels.pointer import MISSING, follow, parse_pointer
from sampler.logs.instants import Instants, Nanoseconds
from sampler.logs.reading import DEFAULT, UNLABELLED
from sampler.logs.source import LONGEST_LINE
from sampler.store.files import require_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from sampler.logs.reading import LogRows, Reading
    from sampler.logs.source import Source

_DELIMITERS = (",", "\t", ";", "|")
_PARQUET_ROWS = 4096
_STATUS_DIGITS = 3  # RFC 9110 section 15
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")


def text_of(value: object) -> str | None:
    """Read a label or the name of a connection; None where there is none.

    Raises
    ------
    ValueError
        If it is neither a text nor a number.
    """
    if type(value) is str:
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise ValueError("it is not UTF-8")
        if len(value) > MAX_NAME_LENGTH:  # nothing that is kept may grow without bound
            return value[:MAX_NAME_LENGTH] + "…"
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError("labels and connections must be strings or numbers")  # noqa: TRY004 - of a file
    return str(value)


def status_of(value: object) -> int:
    """Read an HTTP status; 0 where there is none."""
    text = str(value)
    return int(text) if len(text) == _STATUS_DIGITS and text.isdecimal() else 0


def column_name(name: str | None, default: str) -> str | None:
    """Return the name of a column: as it was asked for, or as the format calls it."""
    return default if name == DEFAULT else name


def csv_rows(source: Source, reading: Reading) -> LogRows:
    """Read text between delimiters, under a header.

    Raises
    ------
    UsageError
        If there is no header, or a column is not in it.
    """
    table = CsvTable(source)
    time_at, label_at, key_at = positions(table.header, reading, source.path)
    instant = Instants(reading.unit).read
    for number, cells in table.rows():
        if isinstance(cells, str):
            yield number, cells
            continue
        try:
            yield (
                number,
                (
                    None if time_at is None else instant(cells[time_at]),
                    text_of(cells[label_at]),
                    None if key_at is None else text_of(cells[key_at]),
                    0,
                    UNLABELLED,
                ),
            )
        except (ValueError, OverflowError) as error:
            yield number, str(error)


class CsvTable:
    """A CSV file with its header read.

    Parameters
    ----------
    source : Source
        Its lines.

    Attributes
    ----------
    header : list of str
        Names of the columns.

    Raises
    ------
    UsageError
        If there is no line at all, or the header cannot be read.
    """

    def __init__(self, source: Source) -> None:
        self._blocks = source.blocks()
        self._pending: tuple[int, list[str]] = (1, [])
        for first, lines in self._blocks:
            at = next((at for at, line in enumerate(lines) if line.strip("\ufeff")), None)
            if at is not None:
                self._pending = (first + at + 1, lines[at + 1 :])
                break
        else:
            raise UsageError(f"{source.path} is empty", hint="is it the right file?")
        self._header_line = lines[at].removeprefix("\ufeff")
        self._delimiter = max(_DELIMITERS, key=self._header_line.count)
        _, *others = self._header_line.split(self._delimiter)
        # Some write a blank after each delimiter; it is no part of what follows.
        self._has_blanks = bool(others) and all(each.startswith(" ") for each in others)
        try:
            self.header = _cells(self._header_line, self._delimiter, has_blanks=self._has_blanks)
        except csv.Error as error:
            raise UsageError(
                f"{source.path}: its header cannot be read: {error}", hint="is it the right file?"
            ) from error

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the number and the cells of each line, or what is wrong with it."""
        width, delimiter, header = len(self.header), self._delimiter, self._header_line
        for first, lines in chain((self._pending,), self._blocks):
            for number, line in enumerate(lines, first):
                if not line or line == header:
                    continue  # logs are concatenated, with their headers
                if '"' in line or "\0" in line or len(line) >= LONGEST_LINE:
                    try:
                        cells = _cells(line, delimiter, has_blanks=self._has_blanks)
                    except csv.Error as error:
                        yield number, str(error)
                        continue
                else:
                    cells = line.split(delimiter)
                    if self._has_blanks:
                        cells = [cell.lstrip(" ") for cell in cells]
                if len(cells) != width:
                    yield number, f"expected {width} columns, got {len(cells)}"
                else:
                    yield number, cells


def _cells(line: str, delimiter: str, *, has_blanks: bool) -> list[str]:
    if len(line) >= LONGEST_LINE:
        raise csv.Error("the line is too long")
    if "\0" in line:
        raise csv.Error("it holds a NUL")
    # One line at a time: a quote that is never closed spoils its own line only.
    return next(csv.reader((line,), delimiter=delimiter, skipinitialspace=has_blanks, strict=True))


def json_rows(source: Source, reading: Reading) -> LogRows:
    """Read one JSON object a line; a column that starts with "/" is a JSON pointer into it."""
    columns = reading.columns
    time_name = column_name(columns.time, "time")
    find_time = None if time_name is None else finder(time_name)
    find_label = finder(column_name(columns.label, "label") or "label")
    key_name = column_name(columns.connection, "connection")
    find_key = finder(key_name) if key_name else None
    instant = Instants(reading.unit).read
    for number, row in objects(source):
        if isinstance(row, str):
            yield number, row
            continue
        try:
            sent = None
            if find_time is not None:
                time = find_time(row)
                if time is MISSING:
                    yield number, f"no {time_name!r}"
                    continue
                sent = instant(time)
            label = find_label(row)
            key = MISSING if find_key is None else find_key(row)
            yield (
                number,
                (
                    sent,
                    None if label is MISSING else text_of(label),
                    None if key is MISSING else text_of(key),
                    0,
                    UNLABELLED,
                ),
            )
        except (ValueError, OverflowError) as error:
            yield number, str(error)


def objects(source: Source) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number and the JSON object of each line that is not empty, or what is wrong."""
    import msgspec  # noqa: PLC0415 - needed only where JSON is read

    start = source.first[:64].strip()
    if start[:1] == "[" or start == "{":
        raise UsageError(
            f"{source.path} is one JSON document over several lines; expected one object per line",
            hint=f"jq -c '{'.[]' if start[0] == '[' else '.'}' FILE | weighbridge judge - ...",
        )
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in source.lines():
        if not line:
            continue
        if len(line) >= LONGEST_LINE:
            yield number, "the line is too long"
            continue
        try:
            row = decode(line.removeprefix("\ufeff"))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            yield number, f"not a JSON object: {error}"
        else:
            yield number, row


def finder(name: str) -> Callable[[dict[str, Any]], Any]:
    """Return a reader of one member, or of what a JSON pointer names; it may find `MISSING`.

    Raises
    ------
    UsageError
        If the name begins with a slash and is no pointer.
    """
    if not name.startswith("/"):
        return lambda row: row.get(name, MISSING)
    tokens = parse_pointer(name)
    return lambda row: follow(row, tokens)


def parquet_rows(path: str, reading: Reading) -> LogRows:
    """Read a Parquet file by row groups.

    Raises
    ------
    UsageError
        If it is none, or lacks a column.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415

    if path == "-":
        raise UsageError(
            "Parquet cannot be read from stdin: its index is at the end",
            hint="give the name of the file",
        )
    instant = Instants(reading.unit).read
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            require_bounded(file.metadata, path)
            names = file.schema_arrow.names
            wanted = [None if at is None else names[at] for at in positions(names, reading, path)]
            read = list(dict.fromkeys(name for name in wanted if name is not None))
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=read):
                nothing = [None] * batch.num_rows
                columns = [
                    nothing if name is None else _values(batch.column(name)) for name in wanted
                ]
                for time, label, key in zip(*columns, strict=True):
                    number += 1
                    try:
                        sent = None if wanted[0] is None else instant(time)
                        yield number, (sent, text_of(label), text_of(key), 0, UNLABELLED)
                    except (ValueError, OverflowError) as error:
                        yield number, str(error)
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise unreadable_parquet(path, error) from error


def unreadable_parquet(path: object, error: Exception) -> UsageError:
    """Return the error for a file that is no Parquet, or not all of one."""
    what = str(error).partition("\n")[0]
    return UsageError(
        f"{path} cannot be read as Parquet: {what}",
        hint="is the file complete? its index is at the end, which is written last",
    )


def _values(column: pa.Array) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if pa.types.is_timestamp(column.type):
        nanoseconds = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return [None if t is None else Nanoseconds(t) for t in nanoseconds.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def positions(
    header: Sequence[str], reading: Reading, where: str
) -> tuple[int | None, int, int | None]:
    """Find the columns of time, label and connection in a header.

    Raises
    ------
    UsageError
        If one that was asked for is not there.
    """
    columns = reading.columns
    time = _position(
        header, column_name(columns.time, "time"), "--time-column", where, optional=True
    )
    label = _position(header, column_name(columns.label, "label"), "--label-column", where)
    if label is None:
        raise UsageError("a log needs a column of labels", hint="name it with --label-column")
    if columns.connection == DEFAULT and "connection" not in header:
        return time, label, None
    connection = column_name(columns.connection, "connection")
    key = _position(header, connection, "--connection-column", where, optional=True)
    return time, label, key


def _position(
    header: Sequence[str], name: str | None, option: str, where: str, *, optional: bool = False
) -> int | None:
    if name is None:
        return None
    if (count := list(header).count(name)) > 1:
        raise UsageError(
            f"{where} has {count} columns {name!r}: it is unclear which one is meant",
            hint="rename or remove the others",
        )
    if count:
        return list(header).index(name)
    otherwise = f"; {option} none if there is none" if optional else ""
    is_data = any(_NUMBER.fullmatch(each) for each in header)
    raise UsageError(
        f"{where} has no column {name!r}; it has {', '.join(map(repr, header[:20]))}",
        hint="its first line looks like data, but must name the columns: time,label,connection"
        if is_data
        else f"name the right one with {option}{otherwise}; or is it the log of a tool? see "
        "--format",
    )
