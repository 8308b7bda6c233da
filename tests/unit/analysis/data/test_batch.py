from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.data.batch import ABSENT, COLUMNS, Batch, Outcome


def test_labels_become_codes_in_the_order_of_their_first_appearance():
    batch = Batch.of_labels(["b", "a", None, "b"], first=7)

    assert batch.labels == ("b", "a")
    assert batch.label.tolist() == [0, 1, ABSENT, 0]
    assert batch.first == 7
    assert batch.outcome.tolist() == [Outcome.OK, Outcome.OK, Outcome.UNLABELLED, Outcome.OK]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="must have one length"):
        replace(Batch.of_labels(["a", "b"]), ordinal=np.zeros(3, dtype=np.int32))


@pytest.mark.parametrize("code", [-2, 1])
def test_codes_outside_their_dictionary_are_refused(code):
    with pytest.raises(ValueError, match="label codes must lie in"):
        replace(Batch.of_labels(["a"]), label=np.array([code], dtype=np.int32))


def test_an_empty_batch_has_all_its_columns():
    batch = Batch.of_labels([])

    assert len(batch) == 0
    assert all(len(getattr(batch, name)) == 0 for name in COLUMNS)


def test_outcomes_are_named_in_lower_case():
    assert Outcome.CONNECT_FAILED.key == "connect_failed"


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["v1", "v2", None, "v1"], "<Batch of 4 samples: v1 2, v2 1>"),
        ([None], "<Batch of 1 samples: none labelled>"),
        ([], "<Batch of 0 samples: none labelled>"),
    ],
)
def test_a_batch_shows_what_it_counts_and_not_its_columns(labels, shown):
    assert repr(Batch.of_labels(labels)) == shown


def test_parts_of_a_run_join_to_what_they_were_cut_from():
    whole = Batch.of_labels(["b", None, "a", "b", "c"], first=7)
    parts = [replace(whole[:2], labels=("b",)), whole[2:2], whole[2:]]

    joined = Batch.joined(parts)

    assert (joined.first, joined.labels) == (7, whole.labels)
    for name in COLUMNS:
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()
        assert getattr(joined, name).dtype == getattr(whole, name).dtype
