"""Events on a time axis: numbered, and never over each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data.events import Event
from analysis.figures import split_over_time
from analysis.figures.marks import MOST_TOLD, drawn, marks
from tests.recorded import recorded


def events(*at_s):
    return tuple(Event(at, "weight", f"v2 gets {number} %") for number, at in enumerate(at_s))


@given(st.lists(st.floats(-1, 11), max_size=60).map(sorted))
def test_labels_of_events_never_touch_and_name_each_of_them(at_s):
    shown = events(*at_s)
    placed = marks(shown, 10.0)

    for one, other in pairwise(placed):
        assert one.at + one.half < other.at - other.half
        assert one.last + 1 == other.first
    numbers = [number for mark in placed for number in range(mark.first, mark.last + 1)]
    assert numbers == [number for number, _ in drawn(shown, 10.0)]


def test_what_was_under_way_before_is_numbered_and_not_drawn():
    assert [number for number, _ in drawn(events(-0.5, 1.0, 12.0), 10.0)] == [2]


@pytest.mark.parametrize("count", [1, 4, 40])
def test_the_split_marks_each_event_in_each_panel_and_tells_some(count):
    batch, report = recorded(["v1", "v2"], [9, 1])
    shown = events(*(2 * number / (count + 1) for number in range(count)))

    figure = split_over_time(batch, replace(report, events=shown))

    lines = [each for each in figure.findobj() if (each.get_gid() or "").startswith("event_")]
    assert len(lines) == 2 * count
    texts = [text.get_text() for text in figure.texts]
    assert sum("v2 gets" in text for text in texts) == min(count, MOST_TOLD)
    assert (f"and {count - MOST_TOLD} more events" in texts) is (count > MOST_TOLD)


def test_a_hostile_event_is_one_line_of_text():
    batch, report = recorded(["v1", "v2"], [9, 1])
    hostile = (Event(1.0, "weight", "$x^2$\n\x1b[2J\u202e" + "x" * 10_000),)

    figure = split_over_time(batch, replace(report, events=hostile))

    (text,) = [text for text in figure.texts if "x^2" in text.get_text()]
    assert "\\x0a\\x1b[2J\\u202e" in text.get_text()
    assert len(text.get_text()) < 80
