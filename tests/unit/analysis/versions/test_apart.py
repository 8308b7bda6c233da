"""Zones compared: batches change nothing, and a label that is new tells nothing in advance."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from analysis import Batch
from analysis.versions.apart import Apart

ABC = ("a", "b", "c")


def stream(labels, workers):
    batch = Batch.of_labels(labels)
    return replace(batch, worker=np.array(workers, dtype=np.uint16))


def drawn(n, seed):
    random = np.random.default_rng(seed)
    workers = random.integers(0, 3, n)
    names = np.array(["v1", "v2", "v3", None], dtype=object)
    labels = names[(random.integers(0, 3, n) + (workers == 2) * random.integers(0, 2, n))]
    return stream(labels.tolist(), workers)


def test_the_evidence_does_not_depend_on_how_samples_were_cut():
    batch, random = drawn(1234, 1), np.random.default_rng(2)
    whole = Apart(ABC)
    whole.observe(batch)

    for _ in range(5):
        cuts = [0, *np.sort(random.integers(0, 1234, 9)).tolist(), 1234]
        parts = Apart(ABC)
        for first, end in pairwise(cuts):
            parts.observe(batch[first:end])
        assert parts.log_evidence == pytest.approx(whole.log_evidence, abs=1e-9)
        assert parts.peak == pytest.approx(whole.peak, abs=1e-9)
        assert parts.found(0.05).counts == whole.found(0.05).counts


def test_later_answers_of_a_connection_and_answers_without_a_label_do_not_count():
    batch = stream(["v1", "v1", None, "v2"], [0, 1, 1, 2])
    batch = replace(batch, ordinal=np.array([0, 1, 0, 0], dtype=np.int32))
    apart = Apart(ABC)
    apart.observe(batch)

    assert apart.found(0.05).counts == {"a": {"v1": 1}, "b": {}, "c": {"v2": 1}}


def test_nothing_is_bet_on_labels_that_have_not_come_yet():
    """The dictionary of a batch holds labels of its later samples: no bet may know them."""
    n = 300
    early = ["v1"] * 200
    late = [f"w{i % 3}" for i in range(100)]
    known, unknown = Apart(ABC), Apart(ABC)
    known.observe(stream([*early, *late], [i % 3 for i in range(n)]))
    unknown.observe(stream(early, [i % 3 for i in range(200)]))
    before = unknown.log_evidence.copy()

    # Three labels, one in each zone, that nothing told of.
    unknown.observe(stream(late, [(200 + i) % 3 for i in range(100)]))
    assert unknown.log_evidence == pytest.approx(known.log_evidence)
    assert unknown.log_evidence == pytest.approx(before)


def test_vantages_of_one_zone_are_one():
    batch = drawn(900, 3)
    apart = Apart(("a", "b", "a"))
    apart.observe(batch)

    assert set(apart.found(0.05).counts) == {"a", "b"}
