from __future__ import annotations

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
