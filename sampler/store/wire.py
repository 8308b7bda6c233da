"""Batches on their way from one process to another, as an Arrow IPC stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import COLUMNS, Batch
from sampler.store.arrow import NAMES, TYPES, sample_schema, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa


def to_bytes(batches: Iterable[Batch]) -> bytes:
    """Return batches as one stream; empty if there are none."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    parts = [to_arrow(batch) for batch in batches if len(batch)]
    if not parts:
        return b""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, sample_schema()) as stream:
        for part in parts:
            stream.write_batch(part)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_bytes(data: bytes) -> list[Batch]:
    """Return the batches of a stream that `to_bytes` made in this version; none of no data.

    The values are taken from the buffers as they stand, which `array_of` filled, absent ones too: a
    coordinator reads more than a thousand streams a second, and a table of each costs ten times
    as much.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not data:
        return []
    with pa.ipc.open_stream(data) as stream:
        return [_of_buffers(part) for part in stream]


def _of_buffers(part: pa.RecordBatch) -> Batch:
    columns: dict[str, Any] = {}
    for name, column in zip(COLUMNS, part.columns, strict=True):
        kind = np.int32 if name in NAMES else TYPES.get(name, np.int64)
        if name in NAMES:
            columns[NAMES[name]] = tuple(column.dictionary.to_pylist())
        if name in NAMES or name == "outcome":
            codes = np.frombuffer(column.indices.buffers()[1], np.int32, len(column))
            columns[name] = codes.astype(kind)
        elif kind is np.bool_:
            bits = np.frombuffer(column.buffers()[1], np.uint8)
            columns[name] = np.unpackbits(bits, count=len(column), bitorder="little").astype(kind)
        else:
            columns[name] = np.frombuffer(column.buffers()[1], kind, len(column))
    return Batch(first=0, **columns)
