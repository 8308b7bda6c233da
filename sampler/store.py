"""The run on disk: a folder that holds every sample and what was made of them.

While a run goes on, its samples are appended to an Arrow IPC stream, at least once a second
from its first second on: a process that is killed loses what it measured since. At the end
the stream becomes ``samples.parquet``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.batch import ABSENT, COLUMNS, Batch, Outcome
from analysis.render import from_json, to_json, to_junit, to_text
from analysis.tally import WINDOW_NS
from sampler.clock import NS_PER_S
from sampler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa

    from analysis import Report, Tally

SAMPLES = "samples.parquet"
STREAM = "samples.arrows"
WINDOWS = "windows.parquet"
REPORT = "report.json"
EXPECTATION = "expectation.json"
JUNIT = "junit.xml"
TEXT = "summary.txt"

FORMAT = "weighbridge.samples/1"
_FLUSH_NS = NS_PER_S
_NAMES = {"label": "labels", "replica": "replicas"}
_UNITS = {"scheduled_ns": "ns", "sent_ns": "ns", "first_byte_ns": "ns", "done_ns": "ns"}


class RunWriter:
    """Writes one run.

    Parameters
    ----------
    base : Path
        Folder of all runs; made if it does not exist.
    name : str
        Last part of the run's id; anything that does not belong in a file name becomes "-".
    started_at : datetime
        Start of the run, first part of its id.

    Raises
    ------
    UsageError
        If the folder cannot be made.
    """

    def __init__(self, base: Path, name: str, started_at: datetime) -> None:
        stamp = started_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
        self.path = base / f"{stamp}-{safe}"
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"the run cannot be written to {self.path}: {error.strerror}",
                hint="choose another folder with --out DIR",
            ) from error
        self._pending: list[Batch] = []
        self._flushed_ns = 0
        self._sink: Any = None
        self._stream: Any = None

    def write(self, batch: Batch) -> None:
        """Keep a batch until the next flush."""
        self._pending.append(batch)

    def is_due(self, now_ns: int) -> bool:
        """Whether a second has passed since the last flush."""
        return now_ns - self._flushed_ns >= _FLUSH_NS

    def flush(self, now_ns: int) -> None:
        """Append what is pending to the stream; may be called in a thread of its own."""
        self._flushed_ns = now_ns
        pending, self._pending = self._pending, []
        if not pending:
            return
        import pyarrow as pa  # noqa: PLC0415 - heavy, and a short run never streams

        if self._stream is None:
            self._sink = pa.OSFile(str(self.path / STREAM), "wb")
            options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
            self._stream = pa.ipc.new_stream(self._sink, sample_schema(), options=options)
        for batch in pending:
            self._stream.write_batch(to_arrow(batch))
        self._sink.flush()

    def finish(self, report: Report, tally: Tally) -> None:
        """Write the documents and turn the stream into ``samples.parquet``."""
        self._write_samples()
        self._write_windows(tally)
        if report.expected is not None:
            document = json.loads(to_json(report))["expected"]
            self._write_text(EXPECTATION, json.dumps(document, indent=2) + "\n")
        if report.verdict is not None:
            self._write_text(JUNIT, to_junit(report))
        self._write_text(TEXT, to_text(report))
        self._write_text(REPORT, to_json(report))

    def _write_text(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")

    def _write_samples(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, needed at the end only

        target = self.path / SAMPLES
        with pq.ParquetWriter(target, sample_schema(), compression="zstd") as writer:
            if self._stream is not None:
                self._stream.close()
                self._sink.close()
                for table in _stream_batches(self.path / STREAM):
                    writer.write_batch(table)
            for batch in self._pending:
                writer.write_batch(to_arrow(batch))
        self._pending = []
        (self.path / STREAM).unlink(missing_ok=True)

    def _write_windows(self, tally: Tally) -> None:
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        keys = sorted(tally.windows)
        table = pa.table(
            {
                "start_ns": pa.array([window * WINDOW_NS for window, _ in keys], pa.int64()),
                "width_ns": pa.array([WINDOW_NS] * len(keys), pa.int64()),
                "label": pa.array([label or None for _, label in keys], pa.string()),
                "count": pa.array([tally.windows[key] for key in keys], pa.int64()),
            }
        )
        pq.write_table(table, self.path / WINDOWS, compression="zstd")


class StoredRun:
    """A run read from disk; what is large is read when it is asked for.

    Parameters
    ----------
    path : Path
        The run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def report(self) -> Report:
        """The report.

        Raises
        ------
        UsageError
            If the run was cut off before its report was written, or the report is not one.
        """
        try:
            return from_json((self.path / REPORT).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} holds no {REPORT}: the run was cut off",
                hint="its samples can still be read: .table",
            ) from error
        except ValueError as error:
            raise UsageError(f"{self.path / REPORT}: {error}") from error

    @cached_property
    def table(self) -> pa.Table:
        """All samples, one row each, in send order (an Arrow table)."""
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        if (self.path / STREAM).exists():  # the run goes on, or was cut off
            batches = list(_stream_batches(self.path / STREAM))
            return pa.Table.from_batches(batches, sample_schema()).unify_dictionaries()
        return pq.read_table(self.path / SAMPLES, memory_map=True)

    def to_pandas(self) -> pd.DataFrame:
        """All samples as a pandas data frame."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        return f"StoredRun({str(self.path)!r})"


def read(path: str | Path) -> StoredRun:
    """Open a run's folder.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """
    folder = Path(path)
    if not any((folder / name).exists() for name in (SAMPLES, STREAM, REPORT)):
        raise UsageError(
            f"expected the folder of a run, with {SAMPLES} in it, got {str(path)!r}",
            hint="runs are written under reports/ unless --out says otherwise",
        )
    return StoredRun(folder)


def sample_schema() -> pa.Schema:
    """Give the Arrow schema of a sample; units are in the fields' metadata."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    names = pa.dictionary(pa.int32(), pa.string())
    types = {
        **dict.fromkeys(COLUMNS, pa.int64()),
        "ordinal": pa.int32(),
        "label": names,
        "replica": names,
        "status": pa.int16(),
        "outcome": pa.dictionary(pa.int32(), pa.string()),
        "worker": pa.uint16(),
    }
    fields = [
        pa.field(
            name,
            types[name],
            nullable=name in {"first_byte_ns", "done_ns", "label", "replica", "status"},
            metadata={"unit": _UNITS[name]} if name in _UNITS else None,
        )
        for name in COLUMNS
    ]
    return pa.schema(fields, metadata={"format": FORMAT})


def to_arrow(batch: Batch) -> pa.RecordBatch:
    """Turn a batch into an Arrow record batch; what is absent becomes null."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    schema = sample_schema()
    columns = []
    for name in COLUMNS:
        values = getattr(batch, name)
        if name in _NAMES:
            codes = pa.array(values, mask=values == ABSENT)
            columns.append(
                pa.DictionaryArray.from_arrays(
                    codes, pa.array(getattr(batch, _NAMES[name]), pa.string())
                )
            )
        elif name == "outcome":
            keys = pa.array([outcome.key for outcome in Outcome], pa.string())
            columns.append(pa.DictionaryArray.from_arrays(pa.array(values, pa.int32()), keys))
        elif schema.field(name).nullable:
            absent = values == (0 if name == "status" else ABSENT)
            columns.append(pa.array(values, schema.field(name).type, mask=absent))
        else:
            columns.append(pa.array(values, schema.field(name).type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _stream_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield what a stream holds; a last batch that was cut off is left out."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    with pa.OSFile(str(path), "rb") as source:
        try:
            yield from pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError):
            return
