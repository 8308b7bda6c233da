"""Batches on their way from one process to another, as an Arrow IPC stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.store.arrow import sample_schema, to_arrow, to_batch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis import Batch


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


def from_bytes(data: bytes) -> Batch | None:
    """Return the samples of a stream as one batch; None if there are none.

    Raises
    ------
    ValueError
        If they are not what a run can hold.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not data:
        return None
    with pa.ipc.open_stream(data) as stream:
        return to_batch(stream.read_all())
