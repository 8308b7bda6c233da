"""The run on disk: a folder that holds every sample and what was made of them.

While a run goes on, its samples are appended to an Arrow IPC stream, at least once a second
from its first second on: a process that is killed loses what it measured since. At the end
the stream becomes ``samples.parquet``.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from analysis.data.batch import Batch
from analysis.data.tally import WINDOW_NS
from analysis.render import from_json, to_json, to_junit, to_markdown, to_metrics, to_text
from sampler.base.clock import NS_PER_S
from sampler.base.errors import StorageError, UsageError
from sampler.store.arrow import FORMAT, array_of, sample_schema, strings_of, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure

    from analysis import Policy, Report, Tally
    from analysis.review.trace import Trace
    from sampler.store.expectation_history import History

SAMPLES = "samples.parquet"
STREAM = "samples.arrows"
WINDOWS = "windows.parquet"
REPORT = "report.json"
EXPECTATION = "expectation.json"
PLAN = "plan.json"
JUNIT = "junit.xml"
MARKDOWN = "summary.md"
METRICS = "metrics.txt"

FLUSH_NS = NS_PER_S
_ROW_GROUP = 65_536
_PARQUET: dict[str, Any] = {
    # Instants and counters hardly differ from one row to the next: as differences they take
    # half the room and a third of the time.
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": [
        "ordinal",
        "label",
        "replica",
        "status",
        "outcome",
        "worker",
        "remote",
        "planned",
    ],
    "column_encoding": dict.fromkeys(
        ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns", "connection"), "DELTA_BINARY_PACKED"
    ),
}


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
        self._streamed = 0
        self._verdict = ""

    def begin(self, plan: Mapping[str, Any], expected: Mapping[str, Any] | None) -> None:
        """Write what the run sets out to do; with the stream it makes a report of a killed run.

        Raises
        ------
        StorageError
            If the disk is full, or fails; so do `flush` and `finish`.
        """
        with self._keeping():
            self._write_text(PLAN, json.dumps(plan, indent=2) + "\n")
            if expected is not None:
                self._write_text(EXPECTATION, json.dumps(expected, indent=2) + "\n")

    def expect(self, expected: Mapping[str, Any]) -> None:
        """Write what is expected anew, because it changed while the run went on."""
        with self._keeping():
            self._write_text(EXPECTATION, json.dumps(expected, indent=2) + "\n")

    def open_stream(self) -> None:
        """Open the stream now: later there may be no descriptor left for it."""
        import concurrent.futures.thread  # noqa: PLC0415, F401 - what `flush` is called in

        import pyarrow as pa  # noqa: PLC0415 - heavy, and a short run never streams

        if self._stream is None:
            with self._keeping():
                self._sink = pa.OSFile(str(self.path / STREAM), "wb")
                options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
                self._stream = pa.ipc.new_stream(self._sink, sample_schema(), options=options)
                to_arrow(Batch.of_labels((None,)))  # opens what a conversion imports

    def write(self, batch: Batch) -> None:
        """Keep a batch until the next flush."""
        self._pending.append(batch)

    def is_due(self, now_ns: int) -> bool:
        """Whether a second has passed since the last flush."""
        return now_ns - self._flushed_ns >= FLUSH_NS

    def flush(self, now_ns: int) -> None:
        """Append what is pending to the stream; may be called in a thread of its own."""
        self._flushed_ns = now_ns
        pending, self._pending = self._pending, []
        if not pending:
            return
        self.open_stream()
        with self._keeping():
            for batch in pending:
                self._stream.write_batch(to_arrow(batch))
                self._streamed += len(batch)
            self._sink.flush()

    def finish(
        self, report: Report, tally: Tally, history: Mapping[str, Any] | None = None
    ) -> None:
        """Write the documents and turn the stream into ``samples.parquet``.

        Parameters
        ----------
        report : Report
        tally : Tally
            All samples.
        history : mapping or None
            What ``expectation.json`` holds besides, where the expectation was watched.

        Each file appears whole or not at all, so that a run that is killed here, or finds the
        disk full, is still read from its stream.
        """
        self._verdict = "" if report.verdict is None else f" (the verdict was {report.verdict})"
        if self._stream is not None:
            self.flush(self._flushed_ns)
        with self._keeping():
            self._write_samples()
            self._write_windows(tally)
            if report.expected is not None:
                document = json.loads(to_json(report))["expected"] | dict(history or {})
                self._write_text(EXPECTATION, json.dumps(document, indent=2) + "\n")
            if report.verdict is not None:
                self._write_text(JUNIT, to_junit(report))
            self._write_text(MARKDOWN, to_markdown(report))
            self._write_text(METRICS, to_metrics(report))
            self._write_text(REPORT, to_json(report))
            (self.path / STREAM).unlink(missing_ok=True)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Say what is kept, if the disk takes no more."""
        try:
            yield
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            kept = (
                f"its first {self._streamed} samples are kept in {STREAM}"
                if self._streamed
                else "nothing of it is kept"
            )
            raise StorageError(
                f"the run cannot be written to {self.path}: {why}; {kept}{self._verdict}",
                hint="free some space, or choose another folder with --out DIR"
                + (f"; see what is kept: weighbridge report {self.path}" if self._streamed else ""),
            ) from error

    def _write_text(self, name: str, text: str) -> None:
        with _whole(self.path / name) as path:
            path.write_text(text, encoding="utf-8")

    def _write_samples(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, needed at the end only

        streamed: Iterable[pa.RecordBatch] = ()
        if self._stream is not None:
            self._stream.close()
            self._sink.close()
            streamed = _stream_batches(self.path / STREAM)
        batches = chain(streamed, map(to_arrow, self._pending))
        with (
            _whole(self.path / SAMPLES) as path,
            pq.ParquetWriter(path, sample_schema(), **_PARQUET) as writer,
        ):
            for table in _row_groups(batches):
                writer.write_table(table, row_group_size=table.num_rows)
        self._pending = []

    def _write_windows(self, tally: Tally) -> None:
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        keys = sorted(tally.windows)
        columns = {
            "start_ns": array_of(np.array([window * WINDOW_NS for window, _ in keys]), pa.int64()),
            "width_ns": array_of(np.full(len(keys), WINDOW_NS), pa.int64()),
            "label": strings_of([label or None for _, label in keys]),
            "count": array_of(np.array([tally.windows[key] for key in keys]), pa.int64()),
        }
        table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
        with _whole(self.path / WINDOWS) as path:
            pq.write_table(table, path, compression="zstd")


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
                hint=f"make one of what it left: weighbridge report {self.path}",
            ) from error
        except ValueError as error:
            raise UsageError(f"{self.path / REPORT}: {error}") from error

    @cached_property
    def plan(self) -> dict[str, Any] | None:
        """What the run set out to do, as ``plan.json`` says it; None where that was not kept.

        Raises
        ------
        UsageError
            If the file cannot be read.
        """
        try:
            plan: dict[str, Any] = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path / PLAN} cannot be read: {error}") from error
        return plan

    @cached_property
    def history(self) -> History | None:
        """What happened to the expectation; None of a run that did not watch any.

        Raises
        ------
        UsageError
            If the file cannot be read.
        """
        from sampler.store.expectation_history import read_history  # noqa: PLC0415 - few readers ask for it

        return read_history(self.path / EXPECTATION)

    @cached_property
    def table(self) -> pa.Table:
        """All samples, one row each, in send order (an Arrow table).

        The file is mapped, not copied; its columns are unpacked when this is first asked for.

        Raises
        ------
        UsageError
            If the samples cannot be read, or were written in a format that is not known here.
        """
        import pyarrow as pa  # noqa: PLC0415 - heavy
        import pyarrow.parquet as pq  # noqa: PLC0415

        if not (self.path / SAMPLES).exists():  # the run goes on, or was cut off
            batches = list(_stream_batches(self.path / STREAM))
            # Earlier versions lack columns; those of a stream are as it says.
            schema = batches[0].schema if batches else sample_schema()
            _refuse_unknown(schema, self.path)
            return pa.Table.from_batches(batches, schema).unify_dictionaries()
        try:
            table = pq.read_table(self.path / SAMPLES, memory_map=True)
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{self.path / SAMPLES} cannot be read: {error}") from error
        _refuse_unknown(table.schema, self.path)
        return table

    @cached_property
    def policy(self) -> Policy | None:
        """What the run was judged by; None if it has no plan that can be read."""
        from analysis import Policy  # noqa: PLC0415 - few readers ask for it

        try:
            document = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
            return msgspec.convert(document["policy"], Policy)
        except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
            return None

    @cached_property
    def batch(self) -> Batch:
        """All samples as one `analysis.Batch`, in send order."""
        from sampler.store.arrow import to_batch  # noqa: PLC0415 - as pyarrow

        try:
            return to_batch(self.table)
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}") from error

    def windows(self, width: str = "1s") -> pa.Table:
        """Count labels by window of sending; see `sampler.store.arrow.windows_of`.

        Parameters
        ----------
        width : str, default "1s"
            Such as ``1s``, ``100ms`` or ``5m``.

        Raises
        ------
        ValueError
            If the width has another form.
        """
        from sampler.store.arrow import parse_width, windows_of  # noqa: PLC0415 - as pyarrow

        return windows_of(self.batch, parse_width(width))

    def by(self, column: str) -> pa.Table:
        """Count samples by ``label``, ``replica``, ``outcome``, ``status`` …, with quantiles.

        Raises
        ------
        ValueError
            If there is no such column, or it does not hold categories.
        """
        from sampler.store.arrow import grouped  # noqa: PLC0415 - as pyarrow

        return grouped(self.table, column)

    def figure(self, name: str = "split") -> Figure:
        """Draw ``split``, ``evidence``, ``replicas``, ``times`` or ``connections`` (matplotlib).

        As the last line of a cell it shows itself, whatever backend matplotlib has.

        Raises
        ------
        ValueError
            If there is no such figure.
        UsageError
            If the run has no report.
        """
        from sampler.show.drawing import showing  # noqa: PLC0415 - matplotlib

        return showing(self._draw(name))

    def _draw(self, name: str) -> Figure:
        from analysis import figures  # noqa: PLC0415 - heavy

        report, batch = self.report, self.batch
        match name:
            case "split":
                return figures.split_over_time(batch, report)
            case "evidence":
                return figures.evidence_over_connections(self._trace(), report)
            case "replicas":
                return figures.shares_by_replica(report)
            case "times":
                return figures.response_times(batch, report)
            case "connections":
                return figures.connections(batch, report)
        raise ValueError(f"expected split, evidence, replicas, times or connections, got {name!r}")

    def _trace(self) -> Trace:
        from sampler.store.expectation_history import traced  # noqa: PLC0415 - as matplotlib

        found = traced(self.batch, self.report, self.policy, self.history)
        if found is None:
            raise UsageError(
                f"{self.path} does not hold the plan, the samples and the report of one decision",
                hint="the evidence can be drawn for runs of weighbridge check",
            )
        return found

    def to_pandas(self) -> pd.DataFrame:
        """All samples as a pandas data frame."""
        return self.table.to_pandas()

    def text(self) -> str:
        """Give the report as the terminal shows it.

        Raises
        ------
        UsageError
            If the run has no report.
        """
        return to_text(self.report)

    def _repr_html_(self) -> str:
        from sampler.show.cell import to_cell  # noqa: PLC0415 - a notebook asks for it

        try:
            return to_cell(self.report, self.batch)
        except UsageError as error:
            return f"<p>{escape(str(error))}</p>"

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
    if not any((folder / name).exists() for name in (SAMPLES, STREAM, REPORT, PLAN)):
        raise UsageError(
            f"expected the folder of a run, with {SAMPLES} in it, got {str(path)!r}",
            hint="runs are written under reports/ unless --out says otherwise",
        )
    return StoredRun(folder)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a place to write to that becomes `path` when it is complete, or goes away."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def record_batches(folder: Path, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """Yield the samples of a run in send order, in constant memory.

    Parameters
    ----------
    folder : Path
        Of a run, finished or cut off.
    rows : int, default 4096
        Samples of a batch, at most.

    Raises
    ------
    UsageError
        If what is there cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415

    if (folder / STREAM).exists():  # the run goes on, or was cut off
        for batch in _stream_batches(folder / STREAM):
            _refuse_unknown(batch.schema, folder)
            yield batch
        return
    try:
        with pq.ParquetFile(folder / SAMPLES) as file:
            _refuse_unknown(file.schema_arrow, folder)
            yield from file.iter_batches(batch_size=rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{folder / SAMPLES} cannot be read: {error}") from error


def _refuse_unknown(schema: pa.Schema, folder: Path) -> None:
    """Refuse samples whose columns may mean something else than here (docs/runs.md)."""
    written = (schema.metadata or {}).get(b"format", b"").decode("utf-8", "replace")
    if written != FORMAT:
        raise UsageError(
            f"the samples in {folder} are in the format {written or 'of another program'!r}, "
            f"this weighbridge reads {FORMAT!r}",
            hint="read them with a newer weighbridge",
        )


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join batches: each row group costs memory and room for its own statistics."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= _ROW_GROUP:
            yield pa.Table.from_batches(group).unify_dictionaries()
            group, rows = [], 0
    if group:
        yield pa.Table.from_batches(group).unify_dictionaries()


def _stream_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield what a stream holds; a last batch that was cut off is left out."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not path.exists():  # cut off within its first second
        return
    with pa.OSFile(str(path), "rb") as source:
        try:
            yield from pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError):
            return
