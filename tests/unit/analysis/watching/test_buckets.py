"""Buckets of time: each second once, wider ones as sums, and never more than their number."""

from __future__ import annotations

from analysis.review.chronicle import Chronicle
from analysis.watching.buckets import MOST_EMPTY, WIDTHS, Buckets


def test_seconds_add_up_to_tens_and_to_minutes():
    buckets = Buckets("shop", 1200.0)
    for second in range(1200, 1800):
        buckets.add(second, {"v1": 2, "": 1}, is_judged=second != 1234)
    told = list(buckets.close(1800.0, {"v1": 1.0}, {"v1": (0.9, 1.0)}))
    by_width = {width: [each for each in told if each.width_s == width] for width in WIDTHS}

    assert [len(by_width[width]) for width in WIDTHS] == [600, 60, 2]
    assert [each.since for each in by_width[300]] == [1200.0, 1500.0]
    for width, found in by_width.items():
        assert all(each.counts == {"v1": 2 * width, "": width} for each in found)
        assert [each.since for each in found if not each.is_judged] == [1234 // width * width]
    assert told[0].share == {"v1": 1.0}


def test_a_second_is_told_when_it_is_over_and_what_comes_late_is_not_lost():
    buckets = Buckets("shop", 0.0)
    buckets.add(0, {"v1": 1}, is_judged=True)

    assert [each.since for each in buckets.close(0.9, {}, {})] == []
    assert [each.counts for each in buckets.close(1.0, {}, {})] == [{"v1": 1}]
    buckets.add(0, {"v2": 1}, is_judged=True)
    assert [each.counts for each in buckets.close(2.0, {}, {})] == [{"v2": 1}]


def test_a_long_gap_is_told_in_part_and_what_is_kept_stays_small():
    buckets = Buckets("shop", 0.0)
    told = list(buckets.close(1e6, {}, {}))

    assert sum(each.width_s == 1 for each in told) == MOST_EMPTY
    chronicle = Chronicle(told)
    for second in range(1_000_000, 1_020_000):
        buckets.add(second, {"v1": 1}, is_judged=True)
        for each in buckets.close(second + 1, {}, {}):
            chronicle.take(each)
    assert [len(kept) for kept in chronicle.targets["shop"].buckets.values()] == [600, 1080, 69]


def test_a_gap_before_something_that_was_sent_is_told_in_part_too():
    buckets = Buckets("shop", 0.0)
    buckets.add(1_000_000, {"v1": 1}, is_judged=True)  # the machine slept before it
    told = [each for each in buckets.close(1_000_002.0, {}, {}) if each.width_s == 1]

    assert len(told) == MOST_EMPTY + 2
    assert [each.since for each in told if each.counts] == [1_000_000.0]
