"""What is kept of a stream of events: bounded, in columns that do not move, and the same again."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from analysis.data.live import to_line
from analysis.data.live_events import BucketTold, NoteTold, StateTold, event_of
from analysis.review.chronicle import KEPT, MOST_HAPPENINGS, Chronicle, points
from tests.stories import BEGIN, CHANGE, SETTLED, Story

EVENTS = list(Story().events())
TOLD = Chronicle(EVENTS).targets["shop"]


def bucket(since, width_s, **counts):
    return BucketTold(
        seq=1, at=since, target="shop", since=since, width_s=width_s, counts=counts, share={},
        interval={},
    )  # fmt: skip


def test_what_was_written_is_what_was_told():
    again = Chronicle(event_of(to_line(each)) for each in EVENTS)

    assert again.targets == {"shop": TOLD}
    assert again.seq == EVENTS[-1].seq


def test_a_week_is_kept_within_bounds():
    made = Chronicle()
    for second in range(2000):
        made.take(bucket(BEGIN + second, 1.0, v1=5))
        made.take(NoteTold(seq=second, at=BEGIN, target="shop", kind="warning", text="x"))
    told = made.targets["shop"]

    assert len(told.buckets[1.0]) == KEPT[1.0]
    assert len(told.happenings) == MOST_HAPPENINGS


def test_every_answer_of_a_time_is_in_one_column():
    columns = TOLD.columns(BEGIN, BEGIN + 600)
    counted = sum((each.counts for each in columns), Counter())

    assert counted.total() == 600 * 20
    assert len(columns) <= 121
    assert all(one.until == other.since for one, other in pairwise(columns))


def test_columns_do_not_move_as_time_goes_on():
    first, later = (
        {each.since for each in TOLD.columns(BEGIN + 40 + shift, BEGIN + 640 + shift)}
        for shift in (0, 7)
    )

    assert len(first & later) > 100


def test_what_a_coarse_bucket_does_not_have_yet_is_taken_from_finer_ones():
    made = Chronicle(
        [
            *(bucket(BEGIN + second, 1.0, v1=1) for second in range(605)),
            *(bucket(BEGIN + second, 10.0, v1=10) for second in range(0, 600, 10)),
        ]
    )
    found = made.targets["shop"].within(BEGIN, BEGIN + 3600)

    assert [each.width_s for each in found] == [*[10.0] * 60, *[1.0] * 5]
    assert sum(each.counts["v1"] for each in found) == 605


def test_what_was_not_judged_has_no_share_and_says_so():
    columns = [
        each for each in TOLD.columns(BEGIN + 500, BEGIN + 640)
        if each.since > BEGIN + CHANGE and each.until <= BEGIN + SETTLED
    ]  # fmt: skip

    assert columns
    assert not any(each.is_judged or each.share or each.interval for each in columns)


@pytest.mark.parametrize("rate", [1, 20, 500])
def test_a_point_stands_for_enough_answers_and_loses_none(rate):
    told = Chronicle(Story(rate=rate, seconds=300).events()).targets["shop"]
    columns = told.columns(BEGIN, BEGIN + 300)
    made = points(columns)

    assert sum(each.labelled for each in made) == sum(each.labelled for each in columns)
    assert len(made) >= 6
    assert len(made) < len(columns) or columns[0].labelled >= 100


def test_each_turn_is_kept_once_with_its_beginning():
    states = [each.state for each in EVENTS if isinstance(each, StateTold)]
    expected = list(dict.fromkeys((each.since, each.state) for each in states))

    assert list(TOLD.turns) == expected


def test_a_new_expectation_begins_where_its_stretch_does():
    last = EVENTS[-1]
    halves = [
        msgspec.structs.replace(each, expected=0.5, band=(0.4, 0.6)) for each in last.state.labels
    ]
    state = msgspec.structs.replace(last.state, labels=halves)
    told = Chronicle([*EVENTS, msgspec.structs.replace(last, state=state)]).targets["shop"]

    assert [each.since for each in told.accepted] == [BEGIN, last.state.stretch.since]
    assert told.accepted[-1].shares["v2"] == (0.5, (0.4, 0.6))


def test_a_bucket_of_a_width_that_nobody_knows_is_passed_over():
    made = Chronicle([bucket(BEGIN, 60.0, v1=1)])

    assert made.targets["shop"].columns(BEGIN, BEGIN + 60) == []
