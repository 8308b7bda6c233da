"""The samples of a run that weighbridge wrote, as batches again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT, Batch
from analysis.weighing.merging import merged
from sampler.base.errors import UsageError
from sampler.logs.names import Names
from sampler.logs.parquet import unreadable_parquet
from sampler.logs.reading import Quality
from sampler.store.arrow import FORMAT, to_batch
from sampler.store.layout import SAMPLES, STREAM
from sampler.store.reader import record_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa


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
            try:
                batch = _of_arrow(table, first, names)
            except ValueError as error:
                raise UsageError(f"{self.folder}: {error}") from error
            first += len(batch)
            self.quality.take(batch)
            yield batch


class MergedSamples:
    """The samples of several runs, merged as those of one run with several vantages are.

    Parameters
    ----------
    runs : sequence of StoredSamples
        In the order of the vantages; each has a time of its own that starts with 0.
    """

    def __init__(self, runs: Sequence[StoredSamples]) -> None:
        self._runs = runs
        self.quality = Quality()

    def batches(self) -> Iterator[Batch]:
        """Yield the samples in the order in which they were planned."""
        for batch in merged([run.batches() for run in self._runs]):
            self.quality.take(batch)
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
        with path.open("rb") as file:
            metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise unreadable_parquet(path, error) from error
    return path.name == SAMPLES and metadata.get(b"format") == FORMAT.encode()


def _of_arrow(part: pa.RecordBatch, first: int, names: Names) -> Batch:
    """Turn stored samples into a batch that shares its labels' codes with the others."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    batch = to_batch(pa.Table.from_batches([part]))
    # One more at the end: the code of what is absent stays what it is.
    codes = np.array([*map(names.code, batch.labels), ABSENT], dtype=np.int32)
    return replace(batch, first=first, label=codes[batch.label], labels=names.all)
