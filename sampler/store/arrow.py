"""Batches, which the analysis reads, as Arrow tables, which are stored; and back."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import ABSENT, COLUMNS, Batch, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT = "weighbridge.samples/1"
NAMES = {"label": "labels", "replica": "replicas", "remote": "remotes"}
INSTANTS = ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns")
_NULLABLE = {"first_byte_ns", "done_ns", "label", "replica", "status", "remote", "planned"}
TYPES: dict[str, type[np.generic]] = {
    "ordinal": np.int32,
    "label": np.int32,
    "replica": np.int32,
    "status": np.int16,
    "outcome": np.uint8,
    "worker": np.uint16,
    "remote": np.int32,
    "planned": np.int32,
    "closed": np.bool_,
}
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_NO_STATUS = 0
_ABSENT = {"status": _NO_STATUS, "closed": False}
_FARTHEST_NS = 1 << 62
"""Instants of a run lie below it: differences of two of them fit into 64 bits."""
_BOUNDS = {
    "scheduled_ns": (0, _FARTHEST_NS),
    "sent_ns": (0, _FARTHEST_NS),
    "connection": (0, 1 << 47),  # beside the number of the worker in 64 bits
    "ordinal": (0, (1 << 31) - 1),
    "status": (0, 999),  # RFC 9110 section 15
    "worker": (0, (1 << 16) - 1),
    "planned": (ABSENT, (1 << 31) - 1),
    "closed": (False, True),
}
"""Least and greatest value of a column; instants that may be absent are not in it."""
_LATER = ("remote", "planned", "closed")
"""Columns that runs of earlier versions do not have."""


def sample_schema() -> pa.Schema:
    """Return the Arrow schema of a sample; units are in the fields' metadata."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    names = pa.dictionary(pa.int32(), pa.string())
    types = {
        **dict.fromkeys(COLUMNS, pa.int64()),
        "ordinal": pa.int32(),
        "label": names,
        "replica": names,
        "remote": names,
        "status": pa.int16(),
        "outcome": names,
        "worker": pa.uint16(),
        "planned": pa.int32(),
        "closed": pa.bool_(),
    }
    fields = [
        pa.field(
            name,
            types[name],
            nullable=name in _NULLABLE,
            metadata={"unit": "ns"} if name in INSTANTS else None,
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
        values, kind = getattr(batch, name), schema.field(name).type
        if name == "outcome":
            keys = strings_of([outcome.key for outcome in Outcome])
            column = pa.DictionaryArray.from_arrays(array_of(values, pa.int32()), keys)
        elif name in NAMES:
            codes = array_of(values, pa.int32(), values == ABSENT)
            column = pa.DictionaryArray.from_arrays(codes, strings_of(getattr(batch, NAMES[name])))
        elif schema.field(name).nullable:
            column = array_of(values, kind, values == (_NO_STATUS if name == "status" else ABSENT))
        else:
            column = array_of(values, kind)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def array_of(
    values: NDArray[Any], kind: pa.DataType, absent: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Turn integers or truth values into an Arrow array, null where they are absent.

    `pyarrow.array` would import pandas, where that is installed, to ask whether the values
    are of it: a sixth of a second in the midst of a run; and `to_pandas_dtype` of pyarrow 23
    demands pandas. The layout is that of the Arrow columnar format: a bitmap of what is valid,
    and the values.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if pa.types.is_boolean(kind):
        data = np.packbits(values, bitorder="little")
    else:
        data = np.ascontiguousarray(values, dtype=str(kind))
    return pa.Array.from_buffers(kind, len(values), [_valid(absent), pa.py_buffer(data)])


def strings_of(names: Sequence[str | None]) -> pa.Array:
    """Turn names into an Arrow array, for the same reason; None is null."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    encoded = [(name or "").encode() for name in names]
    offsets = np.zeros(len(names) + 1, dtype=np.int32)
    offsets[1:] = np.cumsum([len(each) for each in encoded])
    absent = np.array([name is None for name in names], dtype=np.bool_)
    return pa.StringArray.from_buffers(
        len(names), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)), _valid(absent)
    )


def _valid(absent: NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Return the bitmap of what is not absent; none stands for all."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if absent is None or not absent.any():
        return None
    return pa.py_buffer(np.packbits(~absent, bitorder="little"))


def is_packed(metadata: bytes) -> bool:
    """Return whether the buffers of a message of a stream are compressed.

    Read from its Flatbuffers, which pyarrow does not show: ``Message.header`` is a
    ``RecordBatch``, or a ``DictionaryBatch`` with one, whose fourth field is ``compression``
    (Message.fbs of Apache Arrow).

    Raises
    ------
    ValueError
        If it is no message.
    """

    def field(table: int, number: int) -> int | None:
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        at = 4 + 2 * number
        if at >= struct.unpack_from("<H", metadata, vtable)[0]:
            return None
        offset: int = struct.unpack_from("<H", metadata, vtable + at)[0]
        return table + offset if offset else None

    def follow(at: int | None) -> int:
        if at is None:
            raise ValueError("the message lacks a part")
        return at + int(struct.unpack_from("<I", metadata, at)[0])

    try:
        message = follow(0)
        kind, header = field(message, 1), field(message, 2)
        number = None if kind is None else metadata[kind]
        if number not in {_DICTIONARY_BATCH, _RECORD_BATCH}:
            return False
        batch = follow(header)
        if number == _DICTIONARY_BATCH:
            batch = follow(field(batch, 1))
        return field(batch, 3) is not None
    except (struct.error, IndexError) as error:
        raise ValueError("the message is damaged") from error


def to_batch(table: pa.Table) -> Batch:
    """Turn samples of a run back into a batch; the reverse of `to_arrow`.

    Parameters
    ----------
    table : pyarrow.Table
        All samples of a run, or some, with the columns of ``samples.parquet``.

    Raises
    ------
    ValueError
        If a column is missing or of another type, a value lies outside of what a run can hold,
        or an outcome has a name that this version does not know.
    """
    missing = [name for name in COLUMNS if name not in {*table.column_names, *_LATER}]
    if missing:
        raise ValueError(f"the samples lack the columns {', '.join(missing)}")
    label, labels = _decode(table, "label")
    replica, replicas = _decode(table, "replica")
    remote, remotes = (
        _decode(table, "remote")
        if "remote" in table.column_names
        else (np.full(len(label), ABSENT, dtype=np.int32), ())
    )
    columns: dict[str, NDArray[Any]] = {
        "label": label,
        "replica": replica,
        "remote": remote,
        "outcome": _outcomes(table),
    }
    schema = sample_schema()
    for name in COLUMNS:
        if name not in columns and name in table.column_names:
            columns[name] = _numbers(table[name], schema.field(name))
    return Batch(first=0, labels=labels, replicas=replicas, remotes=remotes, **columns)


def _numbers(column: pa.ChunkedArray, field: pa.Field) -> NDArray[Any]:
    """Return a column of numbers or truth values, within what a run can hold."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    name = field.name
    try:
        column = column.cast(field.type)
    except pa.ArrowException as error:
        raise ValueError(f"the column {name} cannot be read: {error}") from error
    absent = _ABSENT.get(name, ABSENT)
    filled = column.fill_null(absent) if column.null_count else column
    values: NDArray[Any] = filled.to_numpy().astype(TYPES.get(name, np.int64), copy=False)
    least, most = _BOUNDS.get(name, (ABSENT, _FARTHEST_NS))
    if len(values) and not least <= int(values.min()) <= int(values.max()) <= most:
        raise ValueError(
            f"the column {name} holds {values.min()} to {values.max()}, and the samples of a run "
            f"lie in [{least}, {most}]: the file is damaged"
        )
    return values


def _decode(table: pa.Table, name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return the codes of a column of names, `ABSENT` for null, and what they mean."""
    codes, names = _codes(table[name])
    if not all(isinstance(each, str) for each in names):
        raise ValueError(f"the column {name} must hold texts, and is {table[name].type}")
    return codes, names


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[Any, ...]]:
    """Return the codes of a column of categories, `ABSENT` for null, and what they mean."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # a column without a row
        return np.zeros(0, dtype=np.int32), ()
    codes = whole.indices.fill_null(ABSENT).to_numpy().astype(np.int32, copy=False)
    return codes, tuple(whole.dictionary.to_pylist())


def _outcomes(table: pa.Table) -> NDArray[np.uint8]:
    codes, names = _decode(table, "outcome")
    known = {outcome.key: outcome.value for outcome in Outcome}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(
            f"the samples have the outcome {unknown[0]!r}, which this version of weighbridge "
            "does not know"
        )
    if len(codes) and codes.min() == ABSENT:
        raise ValueError("the samples hold a row without an outcome")
    return np.array([known[name] for name in names], dtype=np.uint8)[codes]


_UNITS_NS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_WIDTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m)")
_COUNTED = ("label", "replica", "outcome", "status", "connection", "worker")
_NS_PER_MS = 1e6


def parse_width(text: str) -> int:
    """Read the width of a window, such as ``1s``, ``100ms`` or ``5m`` [ns].

    Raises
    ------
    ValueError
        If the text has another form, or is not a time.
    """
    match = _WIDTH.fullmatch(text.strip())
    width_ns = round(float(match[1]) * _UNITS_NS[match[2]]) if match else 0
    if width_ns <= 0:
        raise ValueError(f"expected a width such as 1s, 100ms or 5m, got {text!r}")
    return width_ns


def windows_of(batch: Batch, width_ns: int) -> pa.Table:
    """Count labels by window of sending.

    Parameters
    ----------
    batch : Batch
        All samples of a run.
    width_ns : int
        Width of a window, > 0 [ns].

    Returns
    -------
    pyarrow.Table
        ``start_s``, ``label`` (null where there was none), ``count`` and ``share`` of the
        window's labelled samples (null without a label); a row for each pair that occurs.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    # Windows are counted from the first that holds something to the next: between them there may
    # be years.
    start, place = np.unique(batch.sent_ns // width_ns, return_inverse=True)
    width = len(batch.labels) + 1
    keys, counts = np.unique(place * width + batch.label - ABSENT, return_counts=True)
    # The absent label comes first in each window.
    place, code = keys // width, keys % width + ABSENT
    has_label = code != ABSENT
    labelled = np.bincount(place[has_label], counts[has_label], minlength=len(start))[place]
    names = [None, *batch.labels]
    return pa.table(
        {
            "start_s": pa.array(start[place] * (width_ns / 1e9), pa.float64()),
            "label": pa.array([names[each - ABSENT] for each in code.tolist()], pa.string()),
            "count": pa.array(counts, pa.int64()),
            "share": pa.array(counts / np.maximum(labelled, 1), pa.float64(), mask=~has_label),
        }
    )


def grouped(table: pa.Table, column: str) -> pa.Table:
    """Count samples by the values of one column, with quantiles of their response time.

    Parameters
    ----------
    table : pyarrow.Table
        Samples.
    column : str
        ``label``, ``replica``, ``outcome``, ``status``, ``connection`` or ``worker``.

    Returns
    -------
    pyarrow.Table
        The column, ``count``, and ``p50_ms``, ``p90_ms`` and ``p99_ms`` of done minus scheduled
        (null where nothing was answered), the most frequent value first.

    Raises
    ------
    ValueError
        If there is no such column, or it does not hold categories.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if column not in _COUNTED:
        raise ValueError(f"expected one of {', '.join(_COUNTED)}, got {column!r}")
    batch = to_batch(table)
    took_ms = (batch.done_ns - batch.scheduled_ns) / _NS_PER_MS
    took_ms[batch.done_ns == ABSENT] = np.nan
    codes, names = _codes(table[column])
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(ABSENT, len(names) + 1)).tolist()
    places: dict[Any, NDArray[np.intp]] = {
        value: order[start:end]
        for value, start, end in zip([None, *names], bounds, bounds[1:], strict=False)
        if end > start
    }
    ranked = sorted(places, key=lambda value: (-len(places[value]), str(value)))
    kind = pa.string() if pa.types.is_dictionary(table[column].type) else table[column].type
    columns: dict[str, Any] = {
        column: pa.array(ranked, kind),
        "count": pa.array([len(places[value]) for value in ranked], pa.int64()),
    }
    spread = [_quantiles(took_ms[places[value]]) for value in ranked]
    for position, name in enumerate(("p50_ms", "p90_ms", "p99_ms")):
        columns[name] = pa.array([each[position] for each in spread], pa.float64())
    return pa.table(columns)


def _quantiles(took_ms: NDArray[np.float64]) -> list[float | None]:
    known = took_ms[np.isfinite(took_ms)]
    if not len(known):
        return [None, None, None]
    # As in the figures and reports: a time that occurred, which so many answers did not exceed.
    levels = [0.5, 0.9, 0.99]
    return [float(value) for value in np.quantile(known, levels, method="inverted_cdf")]
