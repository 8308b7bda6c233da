"""Batches come out of a stream as they went in, what is absent included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis import Batch, Outcome
from analysis.data.batch import COLUMNS
from sampler.store.wire import from_bytes, to_bytes


def test_batches_survive_the_way():
    first = Batch.of_labels(["v1", None, "v2"])
    first = replace(
        first,
        first_byte_ns=np.array([1, -1, 3]),
        status=np.array([200, 0, 503], dtype=np.int16),
        outcome=np.array([0, Outcome.TIMEOUT, 0], dtype=np.uint8),
        remote=np.array([0, -1, 0], dtype=np.int32),
        remotes=("10.0.0.1",),
        planned=np.array([3, -1, 3], dtype=np.int32),
        closed=np.array([False, True, True]),
        worker=np.full(3, 300, dtype=np.uint16),
    )
    second = Batch.of_labels(["v3"] * 9)

    out = from_bytes(to_bytes([first, second[:0], second]))

    assert len(out) == 2
    for got, sent in zip(out, (first, second), strict=True):
        assert (got.labels, got.replicas, got.remotes) == (
            sent.labels, sent.replicas, sent.remotes
        )  # fmt: skip
        for name in COLUMNS:
            one, other = getattr(got, name), getattr(sent, name)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), name


def test_nothing_is_nothing():
    assert to_bytes([]) == b""
    assert from_bytes(b"") == []
