"""Reads the folder of a run: its documents, its plan, its samples. Draws and shows nothing."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analysis import Split
from analysis.render import from_json
from sampler.base.errors import UsageError
from sampler.plan.document import StoredPlan
from sampler.store.arrow import FORMAT, is_packed, sample_schema, to_batch
from sampler.store.expectation_history import read_history
from sampler.store.files import MOST_ROWS, read_object, read_text, require_bounded, require_file
from sampler.store.layout import EXPECTATION, PLAN, REPORT, SAMPLES, STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from analysis import Batch, Policy, Report
    from analysis.weighing.history import History


class RunFolder:
    """A run on disk; what is large is read when it is asked for.

    Parameters
    ----------
    path : Path
        The run's folder.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """

    def __init__(self, path: Path) -> None:
        if not any((path / name).exists() for name in (SAMPLES, STREAM, REPORT, PLAN)):
            raise UsageError(
                f"expected the folder of a run, with {SAMPLES} in it, got {str(path)!r}",
                hint="runs are written under reports/ unless --out says otherwise",
            )
        self.path = path

    @property
    def has_report(self) -> bool:
        """Whether the run came to its end: its report was written."""
        return (self.path / REPORT).exists()

    @cached_property
    def report(self) -> Report:
        """The report.

        Raises
        ------
        UsageError
            If the run was cut off before its report was written, or the report is not one.
        """
        try:
            read_object(self.path / REPORT, is_finite=True)
            return _with_a_split(from_json(read_text(self.path / REPORT)))
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} holds no {REPORT}: the run was cut off",
                hint=f"make one from what it left: weighbridge report {self.path}",
            ) from error
        except ValueError as error:
            raise UsageError(f"{self.path / REPORT}: {error}") from error

    def digest(self) -> bytes:
        """Return what tells its samples from those of any other run."""
        there = [self.path / name for name in (STREAM, SAMPLES) if (self.path / name).exists()]
        if not there:
            return str(self.path).encode()
        with there[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    @cached_property
    def plan(self) -> dict[str, Any] | None:
        """What the run set out to do, as ``plan.json`` says it; None where that was not kept.

        Raises
        ------
        UsageError
            If the file cannot be read.
        """
        try:
            return read_object(self.path / PLAN)
        except FileNotFoundError:
            return None

    @cached_property
    def stored_plan(self) -> StoredPlan | None:
        """The same, typed; None where it was not kept.

        Raises
        ------
        UsageError
            If the file cannot be read, or is no plan of this version.
        """
        if self.plan is None:
            return None
        try:
            return StoredPlan.from_document(self.plan)
        except UsageError as error:
            raise UsageError(f"{self.path / PLAN}: {error}", hint=error.hint) from error

    @property
    def readable_plan(self) -> StoredPlan | None:
        """The same; None where nothing can be read, too: then its defaults have to do."""
        try:
            return self.stored_plan
        except UsageError:
            return None

    @property
    def policy(self) -> Policy | None:
        """What the run was judged by; None if it has no plan that can be read."""
        plan = self.readable_plan
        return None if plan is None else plan.policy

    @cached_property
    def history(self) -> History | None:
        """What happened to the expectation; None of a run that did not watch any.

        Raises
        ------
        UsageError
            If the file cannot be read.
        """
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
            batches = list(stream_batches(self.path / STREAM))
            # Earlier versions lack columns; those of a stream are as it says.
            schema = batches[0].schema if batches else sample_schema()
            _refuse_unknown(schema, self.path)
            with _readable(self.path / STREAM):
                return pa.Table.from_batches(batches, schema).unify_dictionaries()
        with _readable(self.path / SAMPLES):
            require_file(self.path / SAMPLES)
            with pa.memory_map(os.fsencode(self.path / SAMPLES)) as source:
                require_bounded(pq.read_metadata(source), self.path / SAMPLES)
                table = pq.read_table(source, page_checksum_verification=True)
            table.validate(full=True)
        _refuse_unknown(table.schema, self.path)
        return table

    @cached_property
    def batch(self) -> Batch:
        """All samples as one `analysis.Batch`, in send order."""
        try:
            return to_batch(self.table)
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}") from error


def _with_a_split(report: Report) -> Report:
    """Return a report; refuse one whose weights are no split."""
    if report.expected is not None:
        Split.of(report.expected.weights)
    return report


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
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    if (folder / STREAM).exists():  # the run goes on, or was cut off
        for batch in stream_batches(folder / STREAM):
            _refuse_unknown(batch.schema, folder)
            yield batch
        return
    with _readable(folder / SAMPLES):
        require_file(folder / SAMPLES)
        with (
            (folder / SAMPLES).open("rb") as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            require_bounded(file.metadata, folder / SAMPLES)
            _refuse_unknown(file.schema_arrow, folder)
            for batch in file.iter_batches(batch_size=rows):
                batch.validate(full=True)
                yield batch


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn any error in reading a file into a `UsageError` that names the file."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    try:
        yield
    # What is damaged may ask for more memory than there is.
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        what = str(error).partition("\n")[0]
        raise UsageError(
            f"{file} cannot be read: {what}", hint="is it complete? copy it again"
        ) from error


def _refuse_unknown(schema: pa.Schema, folder: Path) -> None:
    """Refuse samples whose columns may mean something else than here (docs/runs.md)."""
    written = (schema.metadata or {}).get(b"format", b"").decode("utf-8", "replace")
    if written != FORMAT:
        raise UsageError(
            f"the samples in {folder} are in the format {written or 'of another program'!r}, "
            f"this version of weighbridge reads {FORMAT!r}",
            hint="read them with a newer weighbridge",
        )


def _refuse_packed(source: Any, path: Path) -> None:
    """Refuse a stream with compressed buffers, which could unpack to any size; runs have none."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    try:
        for message in pa.ipc.MessageReader.open_stream(source):
            if is_packed(message.metadata.to_pybytes()):
                raise UsageError(f"{path} cannot be read: it is compressed, which no run is")
    except (pa.ArrowException, OSError, ValueError):
        return  # damaged from here on, and read up to here


def stream_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield what a stream holds, up to where it was cut off or damaged.

    Raises
    ------
    UsageError
        If it is no file.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not path.exists():  # cut off within its first second
        return
    require_file(path)
    # Mapped: a length that is damaged ends at the end of the file, and takes no memory.
    with pa.memory_map(os.fsencode(path)) as source:
        try:
            _refuse_packed(source, path)
            source.seek(0)
            rows = 0
            for batch in pa.ipc.open_stream(source):
                batch.validate(full=True)
                rows += batch.num_rows
                if rows > MOST_ROWS:
                    return
                yield batch
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            return
