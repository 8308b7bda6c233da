"""Vantages merged: a function of what was planned and of who was lost, and of nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import ABSENT, Batch, Outcome
from analysis.weighing.merging import SLICE_NS, Merger, merged, sliced

LABELS = ("v1", "v2", None)


@dataclass(frozen=True)
class Sent:
    """What one vantage sent, the slices after which it is lost, and its lease then."""

    batch: Batch
    slices: np.ndarray
    survives: int | None
    lease: int

    def steps(self):
        """Yield the arguments of each `seal`, up to the loss."""
        last = int(self.slices[-1]) + 1 if len(self.slices) else 0
        for upto in range(1, last + 1):
            if self.survives is not None and upto > self.survives:
                return
            rows = np.flatnonzero(self.slices == upto - 1)
            part = self.batch[rows[0] : rows[-1] + 1] if len(rows) else None
            yield upto, part


@st.composite
def vantages(draw):
    """Return what a vantage did."""
    steps = draw(st.lists(st.integers(0, 2 * SLICE_NS // 3), max_size=12))
    labels = [draw(st.sampled_from(LABELS)) for _ in steps]
    order = tuple(draw(st.permutations(["v1", "v2"])))
    batch = Batch.of_labels(labels)
    codes = np.array([-1 if each is None else order.index(each) for each in labels], np.int32)
    planned = np.cumsum(np.array(steps, dtype=np.int64))
    batch = replace(batch, scheduled_ns=planned, label=codes, labels=order)
    # Connections that carry one request, or any number of them.
    opened = [draw(st.booleans()) for _ in steps]
    if draw(st.booleans()):
        batch = replace(
            batch,
            connection=np.cumsum(np.array(opened, dtype=np.int64)),
            planned=np.full(len(steps), ABSENT, dtype=np.int32),
        )
    else:
        batch = replace(batch, planned=np.ones(len(steps), dtype=np.int32))
    survives = draw(st.none() | st.integers(0, 10))
    return Sent(batch, sliced(planned)[0], survives, draw(st.integers(0, 5)))


def rows(batches):
    """Return what matters of each sample, whatever the codes of its labels are."""
    return [
        (worker, planned, None if label < 0 else batch.labels[label], outcome, connection)
        for batch in batches
        for worker, planned, label, outcome, connection in zip(
            batch.worker.tolist(),
            batch.scheduled_ns.tolist(),
            batch.label.tolist(),
            batch.outcome.tolist(),
            batch.connection.tolist(),
            strict=True,
        )
    ]


def expected(fleet):
    """Sort everything at once: the plain twin."""
    plain = []
    for worker, sent in enumerate(fleet):
        steps = list(sent.steps())
        sealed = [part for _, part in steps if part is not None]
        plain += [(each[1], worker, i, each) for i, each in enumerate(rows(sealed))]
        if sent.survives is not None:
            count = sum(map(len, sealed))
            start = (steps[-1][0] if steps else 0) * SLICE_NS
            lost = [
                (worker, start, None, int(Outcome.LOST), ("lost", i)) for i in range(sent.lease)
            ]
            plain += [(start, worker, count + i, each) for i, each in enumerate(lost)]
    numbers: dict[object, int] = {}  # in the order of the merged stream
    return [
        (worker, *each[1:4], numbers.setdefault((worker, each[4]), len(numbers)))
        for _, worker, _, each in sorted(plain, key=lambda row: row[:3])
    ]


@given(st.lists(vantages(), min_size=1, max_size=4), st.data())
def test_any_interleaving_and_any_death_give_the_same_stream_and_exact_sums(fleet, data):
    merger, out = Merger(len(fleet)), []
    steps = [list(sent.steps()) for sent in fleet]
    live = list(range(len(fleet)))
    while live:
        worker = data.draw(st.sampled_from(live))
        sent = fleet[worker]
        if steps[worker]:
            at_once = data.draw(st.integers(1, len(steps[worker])))
            taken, steps[worker] = steps[worker][:at_once], steps[worker][at_once:]
            parts = [part for _, part in taken if part is not None]
            merger.seal(worker, taken[-1][0], *parts)
        else:
            live.remove(worker)
            if sent.survives is None:
                merger.end(worker)
            else:
                merger.lease(worker, merger.rows(worker) + sent.lease)
                assert merger.lose(worker) == sent.lease
                merger.seal(worker, 10**6, sent.batch)  # it wakes up again: too late
        if data.draw(st.booleans()) and (batch := merger.take()) is not None:
            out.append(batch)
    if (batch := merger.take()) is not None:
        out.append(batch)

    assert merger.is_over
    assert [batch.first for batch in out] == [0, *np.cumsum([len(b) for b in out])[:-1]][: len(out)]
    got = rows(out)
    assert got == expected(fleet)
    counts = Counter(worker for worker, *_ in got)
    for worker, _ in enumerate(fleet):
        assert counts[worker] == merger.rows(worker) + merger.lost(worker)


@given(st.lists(vantages(), min_size=1, max_size=3), st.integers(1, 4))
def test_runs_that_are_over_merge_as_they_would_have_live(fleet, size):
    whole = [replace(sent, survives=None) for sent in fleet]
    runs = [[sent.batch[i : i + size] for i in range(0, len(sent.batch), size)] for sent in whole]

    assert rows(merged(runs)) == expected(whole)


def test_losses_that_are_ignored_are_counted_and_left_out():
    merger = Merger(2, counts_lost=False)
    merger.lease(0, 7)

    assert merger.lose(0) == 7
    merger.end(1)
    assert merger.take() is None
    assert merger.lost(0) == 7


def test_nothing_is_handed_out_while_one_vantage_has_not_sealed_it():
    merger = Merger(2)
    merger.seal(0, 2, Batch.of_labels(["v1"]))

    assert merger.take() is None
    merger.seal(1, 1)
    assert rows([merger.take()]) == [(0, 0, "v1", int(Outcome.OK), 0)]


def test_a_sample_of_a_slice_that_is_sealed_is_refused():
    merger = Merger(1)
    merger.seal(0, 1)

    with pytest.raises(ValueError, match="vantage 0: expected plans of the slices from 1"):
        merger.seal(0, 2, Batch.of_labels(["v1"]))
