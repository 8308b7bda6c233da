"""Batches come out of a stream as they went in, what is absent included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import Batch, Outcome
from analysis.data.batch import COLUMNS
from sampler.store.wire import from_bytes, to_bytes

FIRST = replace(
    Batch.of_labels(["v1", None, "v2"]),
    scheduled_ns=np.array([5, 6, 7]),
    sent_ns=np.array([5, 6, 7]),
    first_byte_ns=np.array([6, -1, 8]),
    done_ns=np.array([7, -1, 9]),
    status=np.array([200, 0, 503], dtype=np.int16),
    outcome=np.array([0, Outcome.TIMEOUT, 0], dtype=np.uint8),
    remote=np.array([0, -1, 0], dtype=np.int32),
    remotes=("10.0.0.1",),
    planned=np.array([3, -1, 3], dtype=np.int32),
    closed=np.array([False, True, True]),
    worker=np.full(3, 300, dtype=np.uint16),
)


def last(name, value):
    """Return the first batch with another value at the end of a column."""
    column = getattr(FIRST, name).copy()
    column[-1] = value
    return replace(FIRST, **{name: column})


@pytest.mark.parametrize(
    "sent",
    [
        FIRST,
        Batch.of_labels(["v3"] * 9),
        Batch.of_labels(["v3"]),
        *(last("done_ns", at) for at in (5 + 2**31 - 1, 5 + 2**31, 2**62)),
        *(last("connection", at) for at in (127, 128, 2**15, 2**31, 2**47 - 1)),
        *(last("planned", most) for most in (128, 2**31 - 1)),
        replace(FIRST, scheduled_ns=FIRST.scheduled_ns + 2**61, sent_ns=FIRST.sent_ns + 2**61),
    ],
)
def test_batches_survive_the_way(sent):
    got = from_bytes(to_bytes(sent))

    assert got is not None
    assert (got.labels, got.replicas, got.remotes) == (sent.labels, sent.replicas, sent.remotes)
    for name in COLUMNS:
        one, other = getattr(got, name), getattr(sent, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), name


def test_nothing_is_nothing():
    assert to_bytes(None) == to_bytes(FIRST[:0]) == b""
    assert from_bytes(b"") is None


def test_a_sample_takes_the_bytes_that_it_needs():
    """It does so at the scheduler, too, which keeps what it forwards."""
    n = 10_000
    times = np.arange(n) * 25_000 + 10**12
    batch = replace(
        Batch.of_labels(["v1", "v2"] * (n // 2)),
        scheduled_ns=times,
        sent_ns=times,
        first_byte_ns=times + 10**6,
        done_ns=times + 10**6,
        connection=np.arange(n) % 64,
    )

    assert len(to_bytes(batch)) < 20 * n  # and 57 as they stand in memory
