"""Batches on their way from one process to another, as an Arrow IPC stream.

Each byte is copied a dozen times between a vantage and the coordinator, and a scheduler keeps some
of what it forwards. So a column has the narrowest type that holds it, one of equal values is
a number, and instants count from the earliest one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import COLUMNS, Batch, shifted
from sampler.store.arrow import INSTANTS, NAMES, TYPES, array_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS = (np.int8, np.int16, np.int32, np.int64)
_MOST = [int(np.iinfo(kind).max) for kind in _KINDS]
_HEAD = b"batch"


def to_bytes(batch: Batch | None) -> bytes:
    """Return a batch as a stream; nothing of one without samples. Its `first` is left out."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if batch is None or not len(batch):
        return b""
    origin_ns = int(batch.scheduled_ns.min())
    constants: dict[str, int] = {}
    columns: dict[str, pa.Array] = {}
    for name in COLUMNS:
        values: NDArray[Any] = getattr(batch, name)
        if name in INSTANTS:
            values = shifted(values, -origin_ns)
        least, most = int(values.min()), int(values.max())
        if least == most:
            constants[name] = least
        else:
            kind = _KINDS[np.searchsorted(_MOST, max(most, -least - 1))]
            columns[name] = array_of(values, pa.from_numpy_dtype(kind))
    names = {each: getattr(batch, each) for each in NAMES.values()}
    head = {"rows": len(batch), "origin_ns": origin_ns, "constants": constants, "names": names}
    part = pa.RecordBatch.from_arrays(
        list(columns.values()), list(columns), metadata={_HEAD: json.dumps(head)}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, part.schema) as stream:
        stream.write_batch(part)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_bytes(data: bytes) -> Batch | None:
    """Return the batch of a stream that `to_bytes` made in this version; None of no data.

    The values are taken from the buffers as they stand: a coordinator reads more than a thousand
    streams a second, and a table of each costs ten times as much.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not data:
        return None
    with pa.ipc.open_stream(data) as stream:
        head: dict[str, Any] = json.loads(stream.schema.metadata[_HEAD])
        (part,) = stream
    rows, constants = head["rows"], head["constants"]
    columns: dict[str, Any] = {}
    given = dict(zip(part.schema.names, part.columns, strict=True))
    for name in COLUMNS:
        kind = TYPES.get(name, np.int64)
        if name in constants:
            columns[name] = np.full(rows, constants[name], kind)
        else:
            column = given[name]
            values = np.frombuffer(column.buffers()[1], str(column.type), rows)
            columns[name] = values.astype(kind, copy=False)
        if name in INSTANTS:
            columns[name] = shifted(columns[name], head["origin_ns"])
    for each, known in head["names"].items():
        columns[each] = tuple(known)
    return Batch(first=0, **columns)
