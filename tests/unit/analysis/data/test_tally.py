from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np

from analysis.data.batch import Batch, Outcome
from analysis.data.tally import WINDOW_NS, Tally


def test_labels_and_outcomes_are_counted():
    tally = Tally.of(Batch.of_labels(["v1", "v2", None, "v1"]))

    assert tally.labels == {"v1": 2, "v2": 1}
    assert tally.outcomes == {Outcome.OK: 3, Outcome.UNLABELLED: 1}
    assert (tally.launched, tally.labelled, tally.connections) == (4, 3, 4)


def test_kept_connections_are_counted_once():
    batch = Batch.of_labels(["v1"] * 4)
    ordinal = np.array([0, 1, 2, 0], dtype=np.int32)

    assert Tally.of(replace(batch, ordinal=ordinal)).connections == 2


def test_attempts_that_opened_no_connection_are_not_counted_as_such():
    batch = Batch.of_labels([None, None, None])
    outcome = np.array(
        [Outcome.CONNECT_FAILED, Outcome.CLIENT_LIMIT, Outcome.TIMEOUT], dtype=np.uint8
    )

    assert Tally.of(replace(batch, outcome=outcome)).connections == 1


def test_samples_are_counted_in_the_window_of_their_sending():
    batch = Batch.of_labels(["v1", "v2", None])
    sent = np.array([0, WINDOW_NS - 1, WINDOW_NS], dtype=np.int64)

    assert Tally.of(replace(batch, sent_ns=sent)).windows == {
        (0, "v1"): 1,
        (0, "v2"): 1,
        (1, ""): 1,
    }


def test_replicas_are_counted_within_their_label():
    batch = replace(
        Batch.of_labels(["v1", "v2", "v1"]),
        replica=np.array([0, 1, -1], dtype=np.int32),
        replicas=("app-1", "app-2"),
    )

    assert Tally.of(batch).replicas == {("v1", "app-1"): 1, ("v2", "app-2"): 1}


def test_the_empty_tally_is_neutral():
    tally = Tally.of(Batch.of_labels(["v1", None]))

    assert Tally() + tally == tally == tally + Tally()
    assert Tally.total([]) == Tally()


def peak_bytes_of(call):
    call()  # what is imported on the way is not of this call
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_one_odd_time_takes_no_memory_for_the_time_between():
    batch = Batch.of_labels(["v1", "v2", "v1"])
    sent = np.array([0, 1, 10 * 86_400 * 10**9], dtype=np.int64)  # ten days: 70 MB of windows
    odd = replace(batch, sent_ns=sent)

    assert peak_bytes_of(lambda: Tally.of(odd)) < 1_000_000
    assert Tally.of(odd).windows == {(0, "v1"): 1, (0, "v2"): 1, (8_640_000, "v1"): 1}


def test_names_that_are_many_and_rare_take_no_table_of_all_their_pairs():
    n = 3000
    codes = np.arange(n, dtype=np.int32)
    names = tuple(map(str, range(n)))
    batch = replace(
        Batch.of_labels(names), replica=codes, replicas=names, remote=codes, remotes=names
    )

    assert peak_bytes_of(lambda: Tally.of(batch)) < 8_000_000  # a table takes 72 MB
    assert Tally.of(batch).replicas == {(name, name): 1 for name in names}


def test_windows_are_counted_only_where_they_are_asked_for():
    batch = Batch.of_labels(["v1", None])

    tally = Tally.of(batch, has_windows=False)

    assert not tally.windows
    assert replace(tally, windows=Tally.of(batch).windows) == Tally.of(batch)
