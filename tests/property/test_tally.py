from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.data.batch import ABSENT, Batch, Outcome
from analysis.data.tally import UNCONNECTED, WINDOW_NS, Tally


@st.composite
def batches(draw):
    n = draw(st.integers(0, 30))
    names = tuple(draw(st.permutations(["v1", "v2", "v3"])))
    hosts = ("app-1", "app-2")

    def column(values, dtype):
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)

    times = column(st.integers(0, 5 * WINDOW_NS), np.int64)
    outcome = column(st.sampled_from(list(Outcome)), np.uint8)
    label = np.where(
        outcome == Outcome.OK, column(st.integers(0, len(names) - 1), np.int32), ABSENT
    ).astype(np.int32)
    return Batch(
        first=0,
        scheduled_ns=times,
        sent_ns=times,
        first_byte_ns=times,
        done_ns=times,
        connection=np.arange(n, dtype=np.int64),
        ordinal=column(st.integers(0, 2), np.int32),
        label=label,
        replica=column(st.integers(ABSENT, len(hosts) - 1), np.int32),
        status=np.full(n, 200, dtype=np.int16),
        outcome=outcome,
        worker=np.zeros(n, dtype=np.uint16),
        labels=names,
        replicas=hosts,
    )


@given(st.lists(batches(), max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_tallies_add_up_in_any_order(parts, random):
    shuffled = parts[:]
    random.shuffle(shuffled)
    half = len(parts) // 2

    assert Tally.total(parts) == Tally.total(shuffled)
    assert Tally.total(parts) == Tally.total(parts[:half]) + Tally.total(parts[half:])


@given(batches())
@settings(max_examples=60, deadline=None)
def test_every_sample_is_counted_once_by_outcome_and_once_by_window(batch):
    tally = Tally.of(batch)

    assert tally.launched == len(batch) == tally.windows.total()
    assert tally.labelled == np.count_nonzero(batch.label != ABSENT)
    assert tally.connections == sum(
        ordinal == 0 and outcome not in UNCONNECTED
        for ordinal, outcome in zip(batch.ordinal, batch.outcome, strict=True)
    )


@given(batches())
@settings(max_examples=60, deadline=None)
def test_replicas_and_windows_add_up_to_the_labels(batch):
    tally = Tally.of(batch)

    for label, count in tally.labels.items():
        assert sum(n for (name, _), n in tally.replicas.items() if name == label) <= count
        assert sum(n for (_, name), n in tally.windows.items() if name == label) == count
