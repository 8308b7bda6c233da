"""Records read back, row by row in constant memory: foreign logs, and the runs we wrote.

A foreign log has one row for each request, in the order in which the requests were sent, with
columns for the time, the label and the connection under any names. A row without a label is
an answer without one; a row that cannot be read is counted, named, and judged like one, since
the request behind it met some version.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from analysis.batch import ABSENT, Batch, Outcome
from sampler.clock import NS_PER_S
from sampler.errors import UsageError
from sampler.store import FORMAT, SAMPLES, STREAM, record_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    import pyarrow as pa
    from numpy.typing import NDArray

NONE = "none"
"""Column name that stands for "there is no such column"."""
MOST_LABELS = 1000
"""Distinct labels beyond which the column is not that of the label."""
REMEMBERED = 200_000
"""Connections that are known again: the most recently used ones."""
_ROWS = 4096
_LONGEST_LINE = 1_000_000
_NAMED = 3
_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".log": "csv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
}  # fmt: skip
_DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a log.

    Parameters
    ----------
    time, connection : str or None
        None (or an absent connection column) takes the rows as they stand, and each as a
        connection of its own.
    label : str
        Where the version is.
    """

    time: str | None = "time"
    label: str = "label"
    connection: str | None = "connection"


@dataclass(slots=True)
class Quality:
    """What the rows of a log were like.

    Parameters
    ----------
    rows, bad : int
        Rows so far, and those that could not be read.
    named : list of str
        The first few bad ones, with their line and what is wrong.
    repeated : int
        Rows on a connection that had a row before.
    """

    rows: int = 0
    bad: int = 0
    named: list[str] = field(default_factory=list)
    repeated: int = 0

    def count_bad(self, where: str, problem: str) -> None:
        """Count a bad row, and name it if it is one of the first."""
        self.bad += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{where}: {problem}")

    def require(self, limit: float, name: str) -> None:
        """Refuse a log with too many bad rows.

        Raises
        ------
        UsageError
            If more than `limit` of the rows are bad.
        """
        if self.bad > limit * self.rows:
            raise UsageError(
                f"{name}: {self.describe()}; at most {limit * 100:.4g} % may",
                hint="mend or remove these lines, or accept more with --max-bad-lines",
            )

    def describe(self) -> str:
        """Say how many rows could not be read, and which came first."""
        shown = "; ".join(self.named)
        more = "; ..." if self.bad > len(self.named) else ""
        return f"{self.bad} of {self.rows} lines cannot be read ({shown}{more})"


class Record(Protocol):
    """Something recorded: batches in send order, and what the rows were like."""

    quality: Quality

    def batches(self) -> Iterator[Batch]:
        """Yield the samples; once."""


class _Row(Exception):  # noqa: N818 - no error of the program: a row that cannot be read
    """What is wrong with one row."""


class ForeignLog:
    """A log that another program wrote.

    Parameters
    ----------
    path : str
        The file; ``-`` is a CSV on stdin.
    columns : Columns
        Names of its columns.
    kind : str, default auto
        ``csv`` (also with tabs, semicolons or bars), ``jsonl``, ``parquet``, or ``auto`` by
        the file's name.

    Raises
    ------
    UsageError
        If the kind cannot be told from the name.
    """

    def __init__(self, path: str, columns: Columns, kind: str = "auto") -> None:
        self.path = path
        self.columns = columns
        self.kind = _kind_of(path) if kind == "auto" else kind
        self.quality = Quality()

    def batches(self) -> Iterator[Batch]:
        """Yield the rows.

        Raises
        ------
        UsageError
            If the file cannot be read or lacks a column, a row is earlier than the one before
            it, or there are more than `MOST_LABELS` labels.
        """
        builder = _Builder(self.path, self.quality)
        readers = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}
        for where, values in readers[self.kind]():
            self.quality.rows += 1
            problem = values if isinstance(values, str) else builder.add(where, values)
            if problem:
                self.quality.count_bad(where, problem)
                builder.add_unknown()
            if builder.is_full:
                yield builder.take()
        if not self.quality.rows:
            raise UsageError(f"{self.path} holds no rows", hint="is it the right file?")
        yield builder.take()

    # Each reader yields where a row stands, and its (time, label, connection), or what is wrong.

    def _csv(self) -> Iterator[tuple[str, tuple[Any, Any, Any] | str]]:
        with _open(self.path) as file:
            lines = _lines(file)
            header_line = next((line for _, line in lines if line), None)
            if header_line is None:
                raise UsageError(f"{self.path} is empty", hint="is it the right file?")
            header_line = header_line.removeprefix("\ufeff")
            delimiter = max(_DELIMITERS, key=header_line.count)
            header = _fields(header_line, delimiter)
            wanted = self._positions(header)
            for number, line in lines:
                if not line or line == header_line:
                    continue  # logs are concatenated, with their headers
                where = f"line {number}"
                try:
                    cells = _fields(line, delimiter)
                except csv.Error as error:
                    yield where, str(error)
                    continue
                if len(cells) != len(header):
                    yield where, f"expected {len(header)} columns, got {len(cells)}"
                else:
                    yield where, _pick(cells, wanted)

    def _jsonl(self) -> Iterator[tuple[str, tuple[Any, Any, Any] | str]]:
        names = (self.columns.time, self.columns.label, self.columns.connection)
        with _open(self.path) as file:
            for number, line in _lines(file):
                if not line:
                    continue
                where = f"line {number}"
                try:
                    row = json.loads(line)
                except ValueError as error:
                    yield where, f"no JSON: {error}"
                    continue
                if not isinstance(row, dict):
                    yield where, "expected a JSON object"
                elif self.columns.time is not None and self.columns.time not in row:
                    yield where, f"no {self.columns.time!r}"
                else:
                    time, label, connection = (
                        None if name is None else row.get(name) for name in names
                    )
                    yield where, (time, label, connection)

    def _parquet(self) -> Iterator[tuple[str, tuple[Any, Any, Any] | str]]:
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        number = 0
        try:
            with pq.ParquetFile(self.path) as file:
                wanted = self._positions(file.schema_arrow.names)
                names = [file.schema_arrow.names[at] for at in wanted if at is not None]
                for batch in file.iter_batches(batch_size=_ROWS, columns=list(set(names))):
                    columns = [
                        [None] * batch.num_rows
                        if at is None
                        else _arrow_values(batch.column(file.schema_arrow.names[at]))
                        for at in wanted
                    ]
                    for time, label, connection in zip(*columns, strict=True):
                        number += 1
                        yield f"row {number}", (time, label, connection)
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{self.path} cannot be read as Parquet: {error}") from error

    def _positions(self, header: list[str]) -> tuple[int | None, int, int | None]:
        columns = self.columns
        time = self._position(header, columns.time, "--time-column", optional="none")
        label = self._position(header, columns.label, "--label-column")
        if label is None:
            raise UsageError("a log needs a column of labels", hint="name it with --label-column")
        is_default = columns.connection == Columns().connection
        if is_default and columns.connection not in header:
            return time, label, None
        connection = self._position(
            header, columns.connection, "--connection-column", optional="none"
        )
        return time, label, connection

    def _position(
        self, header: list[str], name: str | None, option: str, optional: str = ""
    ) -> int | None:
        if name is None:
            return None
        if name in header:
            return header.index(name)
        otherwise = f"; {option} {optional} if there is none" if optional else ""
        raise UsageError(
            f"{self.path} has no column {name!r}; it has {', '.join(map(repr, header[:20]))}",
            hint=f"name the right one with {option}{otherwise}",
        )


class StoredSamples:
    """The samples of a run that weighbridge wrote.

    Parameters
    ----------
    folder : Path
        The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.quality = Quality()

    def batches(self) -> Iterator[Batch]:
        """Yield the samples in send order."""
        names = _Names(str(self.folder))
        first = 0
        for table in record_batches(self.folder):
            batch = _of_arrow(table, first, names)
            first += len(batch)
            self.quality.rows += len(batch)
            self.quality.repeated += int(np.count_nonzero(batch.ordinal))
            yield batch


def open_record(path: str, columns: Columns, kind: str = "auto") -> ForeignLog | StoredSamples:
    """Open a run's folder, its ``samples.parquet``, or a foreign log.

    Raises
    ------
    UsageError
        If there is no such file, or its kind cannot be told.
    """
    if path == "-":
        return ForeignLog(path, columns, "csv" if kind == "auto" else kind)
    place = Path(path)
    if place.is_dir():
        if not any((place / name).exists() for name in (SAMPLES, STREAM)):
            raise UsageError(
                f"expected a log, or the folder of a run with {SAMPLES} in it, got {path!r}",
                hint="runs are written under reports/ unless --out says otherwise",
            )
        return StoredSamples(place)
    if not place.is_file():
        raise UsageError(f"{path} does not exist", hint="give a log, or the folder of a run")
    if place.suffix == ".parquet" and _is_ours(place):
        return StoredSamples(place.parent)
    return ForeignLog(path, columns, kind)


def _is_ours(path: Path) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error
    return path.name == SAMPLES and metadata.get(b"format") == FORMAT.encode()


def _kind_of(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"cannot tell from its name what kind of log {path!r} is",
            hint="say it with --format csv, jsonl or parquet",
        )
    return _SUFFIXES[suffix]


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below, apart from errors of its use
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, each cut at a bound; what is no UTF-8 stays visible."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)
        yield number, line.decode(errors="surrogateescape").rstrip("\r\n")


def _fields(line: str, delimiter: str) -> list[str]:
    if len(line) >= _LONGEST_LINE - 2:
        raise csv.Error("the line is too long")
    if "\0" in line:
        raise csv.Error("it holds a NUL")
    if '"' not in line:
        return line.split(delimiter)
    # One line at a time: a quote that is never closed spoils its own line only.
    return next(csv.reader((line,), delimiter=delimiter, strict=True))


def _pick(
    cells: list[str], wanted: tuple[int | None, int, int | None]
) -> tuple[str | None, str | None, str | None]:
    time, label, connection = wanted
    return (
        None if time is None else cells[time],
        cells[label],
        None if connection is None else cells[connection],
    )


def _arrow_values(column: pa.Array) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if pa.types.is_timestamp(column.type):
        nanoseconds = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return [None if t is None else _Nanoseconds(t) for t in nanoseconds.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


class _Nanoseconds(int):
    """An instant that is in nanoseconds already."""


def instant_ns(value: object) -> int:
    """Read an instant: seconds as a number, or an RFC 3339 time; in nanoseconds.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(value, _Nanoseconds):
        return int(value)
    if isinstance(value, datetime):
        return _of_datetime(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("no time")  # noqa: TRY004 - a value of a file, not of a caller
    try:
        seconds = float(value)
    except ValueError:
        try:
            return _of_datetime(datetime.fromisoformat(str(value).strip()))
        except ValueError:
            shown = repr(str(value)[:40])
            raise ValueError(f"{shown} is no time: seconds, or 2026-01-31T12:00:00Z") from None
    if not isfinite(seconds):
        raise ValueError(f"{value!r} is no time")
    return round(seconds * NS_PER_S)


def _of_datetime(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


class _Names:
    """Codes of labels, the same through a whole record."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._codes: dict[str, int] = {}

    def code(self, name: str | None) -> int:
        if name is None:
            return ABSENT
        code = self._codes.setdefault(name, len(self._codes))
        if code >= MOST_LABELS:
            raise UsageError(
                f"{self._where}: more than {MOST_LABELS} different labels, the last one "
                f"{name[:40]!r}",
                hint="is it the column of the label? name the right one with --label-column",
            )
        return code

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self._codes)


class _Connections:
    """Numbers of connections and positions on them; forgets the least recently used."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._opened = 0

    def place(self, key: str | None) -> tuple[int, int]:
        """Give the number of the connection, and the position of this row on it."""
        if key is None:
            self._opened += 1
            return self._opened - 1, 0
        known = self._known.get(key)
        if known is None:
            self._opened += 1
            known = (self._opened - 1, 0)
            if len(self._known) >= REMEMBERED:
                self._known.popitem(last=False)
        self._known[key] = (known[0], known[1] + 1)
        self._known.move_to_end(key)
        return known


class _Builder:
    """Collects rows into batches."""

    def __init__(self, where: str, quality: Quality) -> None:
        self._where = where
        self._quality = quality
        self._names = _Names(where)
        self._connections = _Connections()
        self._first = 0
        self._origin: int | None = None
        self._latest = 0
        self._rows: list[tuple[int, int, int, int]] = []

    def add(self, where: str, values: tuple[Any, Any, Any]) -> str:
        """Add a row; if it cannot be read, say what is wrong with it instead."""
        time, label, key = values
        try:
            name = _text(label)
            if key is not None:
                key = _text(key)
            sent = self._sent(where, time)
        except _Row as problem:
            return str(problem)
        number, ordinal = self._connections.place(key)
        if ordinal:
            self._quality.repeated += 1
        self._rows.append((sent, number, ordinal, self._names.code(name)))
        return ""

    def add_unknown(self) -> None:
        """Add a row of which nothing is known: a connection that gave no label."""
        number, _ = self._connections.place(None)
        self._rows.append((self._latest, number, 0, ABSENT))

    @property
    def is_full(self) -> bool:
        return len(self._rows) >= _ROWS

    def _sent(self, where: str, time: object) -> int:
        if time is None:
            return self._latest
        try:
            moment = instant_ns(time)
        except (ValueError, OverflowError) as error:
            raise _Row(str(error)) from None
        if self._origin is None:
            self._origin = moment
        sent = moment - self._origin
        if sent < self._latest:
            raise UsageError(
                f"{self._where}, {where}: its time {str(time)[:40]!r} is earlier than the one "
                "before; rows must stand in the order in which the requests were sent, or a "
                "slow version is under-counted",
                hint="sort the rows by that time first; or --time-column none, if they stand in "
                "that order and the column says something else",
            )
        self._latest = sent
        return sent

    def take(self) -> Batch:
        """Give what was collected as a batch."""
        rows = np.array(self._rows, dtype=np.int64).reshape(-1, 4)
        self._rows = []
        sent, number, ordinal, label = rows.T
        n = len(rows)
        batch = Batch(
            first=self._first,
            scheduled_ns=sent,
            sent_ns=sent,
            first_byte_ns=np.full(n, ABSENT, dtype=np.int64),
            done_ns=np.full(n, ABSENT, dtype=np.int64),
            connection=number,
            ordinal=ordinal.astype(np.int32),
            label=label.astype(np.int32),
            replica=np.full(n, ABSENT, dtype=np.int32),
            status=np.zeros(n, dtype=np.int16),
            outcome=np.where(label == ABSENT, Outcome.UNLABELLED, Outcome.OK).astype(np.uint8),
            worker=np.zeros(n, dtype=np.uint16),
            labels=self._names.all,
        )
        self._first += n
        return batch


def _text(value: object) -> str | None:
    """Read a label or the name of a connection; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise _Row("labels and connections must be texts or numbers")
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Row("it is no UTF-8")
    return text


def _of_arrow(table: pa.RecordBatch, first: int, names: _Names) -> Batch:
    """Turn stored samples into a batch again."""

    def column(name: str, kind: type[np.generic], absent: int = ABSENT) -> Any:
        return table.column(name).fill_null(absent).to_numpy(zero_copy_only=False).astype(kind)

    outcomes = {outcome.key: int(outcome) for outcome in Outcome}
    label, labels = _encoded(table.column("label"))
    replica, replicas = _encoded(table.column("replica"))
    # Runs of earlier versions have no remote; none at all stands for one that is all absent.
    remote, remotes = (
        _encoded(table.column("remote"))
        if "remote" in table.schema.names
        else (np.zeros(0, dtype=np.int32), ())
    )
    outcome, keys = _encoded(table.column("outcome"))
    # One more at the end: the code of what is absent stays what it is.
    codes = np.array([*map(names.code, labels), ABSENT], dtype=np.int32)
    values = np.array([*(outcomes[key] for key in keys), ABSENT], dtype=np.int32)
    return Batch(
        first=first,
        scheduled_ns=column("scheduled_ns", np.int64),
        sent_ns=column("sent_ns", np.int64),
        first_byte_ns=column("first_byte_ns", np.int64),
        done_ns=column("done_ns", np.int64),
        connection=column("connection", np.int64),
        ordinal=column("ordinal", np.int32),
        label=codes[label],
        replica=replica,
        status=column("status", np.int16, 0),
        outcome=values[outcome].astype(np.uint8),
        worker=column("worker", np.uint16, 0),
        labels=names.all,
        replicas=replicas,
        remote=remote,
        remotes=remotes,
    )


def _encoded(column: pa.Array) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Give the codes of a column of names, `ABSENT` for null, and what they mean."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, tuple(column.dictionary.to_pylist())
