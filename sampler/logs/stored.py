"""The samples of a run that weighbridge wrote, as batches again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.batch import ABSENT, Batch, Outcome
from sampler.columns import FORMAT
from sampler.errors import UsageError
from sampler.logs.reading import Quality
from sampler.logs.rows import Names
from sampler.store import SAMPLES, STREAM, record_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray


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
        names = Names(str(self.folder))
        first = 0
        for table in record_batches(self.folder):
            batch = _of_arrow(table, first, names)
            first += len(batch)
            self.quality.rows += len(batch)
            self.quality.repeated += int(np.count_nonzero(batch.ordinal))
            yield batch


def holds_a_run(folder: Path) -> None:
    """Refuse a folder without samples.

    Raises
    ------
    UsageError
        If there are none in it.
    """
    if not any((folder / name).exists() for name in (SAMPLES, STREAM)):
        raise UsageError(
            f"expected a log, or the folder of a run with {SAMPLES} in it, got {str(folder)!r}",
            hint="runs are written under reports/ unless --out says otherwise",
        )


def is_ours(path: Path) -> bool:
    """Whether a Parquet file holds the samples of a run.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error
    return path.name == SAMPLES and metadata.get(b"format") == FORMAT.encode()


def _of_arrow(table: pa.RecordBatch, first: int, names: Names) -> Batch:
    """Turn stored samples into a batch again."""

    def column(name: str, kind: type[np.generic], absent: int = ABSENT) -> Any:
        return table.column(name).fill_null(absent).to_numpy(zero_copy_only=False).astype(kind)

    outcomes = {outcome.key: int(outcome) for outcome in Outcome}
    label, labels = _encoded(table.column("label"))
    replica, replicas = _encoded(table.column("replica"))
    # Runs of earlier versions lack these columns; none stands for one that is all absent.
    remote, remotes = (
        _encoded(table.column("remote"))
        if "remote" in table.schema.names
        else (np.zeros(0, dtype=np.int32), ())
    )
    planned, closed = (
        (column("planned", np.int32), column("closed", np.bool_, absent=False))
        if "planned" in table.schema.names
        else (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.bool_))
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
        planned=planned,
        closed=closed,
    )


def _encoded(column: pa.Array) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Give the codes of a column of names, `ABSENT` for null, and what they mean."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, tuple(column.dictionary.to_pylist())
