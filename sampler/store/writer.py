"""Writes the folder of a run: every sample, and what was made of them.

While a run goes on, its samples are appended to an Arrow IPC stream, at least once a second
from its first second on: a process that is killed loses what it measured since. At the end
the stream becomes ``samples.parquet``.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import Batch
from analysis.data.tally import WINDOW_NS
from analysis.render import to_json, to_junit, to_markdown, to_metrics
from sampler.base.clock import NS_PER_S
from sampler.base.errors import StorageError, UsageError
from sampler.store.arrow import INSTANTS, array_of, sample_schema, strings_of, to_arrow
from sampler.store.files import whole
from sampler.store.layout import (
    EXPECTATION,
    JUNIT,
    MARKDOWN,
    METRICS,
    PLAN,
    REPORT,
    SAMPLES,
    STREAM,
    WINDOWS,
)
from sampler.store.reader import stream_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from analysis import Report, Tally

FLUSH_NS = 8 * NS_PER_S // 10
"""Between two flushes: with the time that one takes, a killed run loses less than a second."""

_ROW_GROUP = 65_536
_LOT = 8_192  # samples beyond which joining would save nothing, and take memory
_PARQUET: dict[str, Any] = {
    # Instants and counters hardly differ from one row to the next: as differences they take
    # half the room and a third of the time.
    "compression": "zstd",
    "compression_level": 1,
    "write_page_checksum": True,
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
    "column_encoding": dict.fromkeys((*INSTANTS, "connection"), "DELTA_BINARY_PACKED"),
}


def folder_name(name: str) -> str:
    """Return the name of a run as it stands in its folder's, with "-" for what cannot."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"


def import_for_writing() -> None:
    """Import now what a run needs to be written, in a process that will write many."""
    import concurrent.futures.thread  # noqa: PLC0415, F401 - what `RunWriter.flush` is called in

    import pyarrow.parquet  # noqa: PLC0415, F401 - heavy


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
        self.path = base / f"{stamp}-{folder_name(name)}"
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"the run cannot be written to {self.path}: {error.strerror}",
                hint="choose another folder with --out DIR, or keep nothing: --out none",
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
                self._sink = pa.OSFile(os.fsencode(self.path / STREAM), "wb")
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
        for batch in self._all_pending():
            self.open_stream()
            with self._keeping():
                self._stream.write_batch(batch)
                self._streamed += batch.num_rows
                self._sink.flush()

    def _all_pending(self) -> Iterator[pa.RecordBatch]:
        """Take what is pending; short batches together, since making one Arrow has its price."""
        pending, self._pending = self._pending, []
        lot: list[Batch] = []
        for number, batch in enumerate(pending, 1):
            lot.append(batch)
            if number == len(pending) or sum(map(len, lot)) >= _LOT:
                yield to_arrow(Batch.joined(lot))
                lot = []

    def finish(
        self, report: Report, tally: Tally, expected: Mapping[str, Any] | None = None
    ) -> None:
        """Write the documents and turn the stream into ``samples.parquet``.

        Parameters
        ----------
        report : Report
        tally : Tally
            All samples.
        expected : mapping or None
            What ``expectation.json`` holds; None if nothing was judged.

        Each file appears whole or not at all, so that a run that is killed here, or finds the
        disk full, is still read from its stream.
        """
        self._verdict = "" if report.verdict is None else f" (the verdict was {report.verdict})"
        if self._stream is not None:
            self.flush(self._flushed_ns)
        with self._keeping():
            self._write_samples()
            self._write_windows(tally)
            if expected is not None:
                self._write_text(EXPECTATION, json.dumps(expected, indent=2) + "\n")
            if report.verdict is not None:
                self._write_text(JUNIT, to_junit(report))
            self._write_text(MARKDOWN, to_markdown(report))
            self._write_text(METRICS, to_metrics(report))
            self._write_text(REPORT, to_json(report))
            (self.path / STREAM).unlink(missing_ok=True)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Turn an error of the disk into a `StorageError` that names what was kept."""
        try:
            yield
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            kept = (
                f"its first {self._streamed} samples were kept in {STREAM}"
                if self._streamed
                else "nothing of it was kept"
            )
            raise StorageError(
                f"the run cannot be written to {self.path}: {why}; {kept}{self._verdict}",
                hint="free some space, or choose another folder with --out DIR"
                + (
                    f"; see what was kept: weighbridge report {self.path}" if self._streamed else ""
                ),
            ) from error

    def _write_text(self, name: str, text: str) -> None:
        with whole(self.path / name) as path:
            path.write_text(text, encoding="utf-8")

    def _write_samples(self) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, needed at the end only

        streamed: Iterable[pa.RecordBatch] = ()
        if self._stream is not None:
            self._stream.close()
            self._sink.close()
            streamed = stream_batches(self.path / STREAM)
        batches = chain(streamed, self._all_pending())
        with (
            whole(self.path / SAMPLES) as path,
            path.open("wb") as file,  # Arrow takes no name that is not UTF-8
            pq.ParquetWriter(file, sample_schema(), **_PARQUET) as writer,
        ):
            for table in _row_groups(batches):
                writer.write_table(table, row_group_size=table.num_rows)

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
        with whole(self.path / WINDOWS) as path, path.open("wb") as file:
            pq.write_table(table, file, compression="zstd")


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
