"""Counts by label stay within bounds, and none is lost."""

from __future__ import annotations

from analysis import Batch
from analysis.data.live import MOST_LABELS
from analysis.watching.counts import Counts
from tests.unit.analysis.watching.simulated import START


def test_what_is_counted_stays_counted_when_labels_are_forgotten():
    """Many stretches of other labels each: the few without a label are not among the first."""
    counts, sent = Counts("shop", START), 0
    for n in range(40):
        counts.expect((f"a{n}", f"b{n}"))
        labels = [f"a{n}"] * 30 + [f"b{n}"] * 30 + [None] * (n < 2)
        batch = Batch.of_labels(labels, first=sent)
        sent += len(batch)
        counts.judged(counts.codes(batch), counts.at(batch.sent_ns))

    assert counts.totals[""] == 2
    assert counts.totals.total() == sent == 40 * 60 + 2
    assert len(counts.totals) <= 5 * MOST_LABELS
