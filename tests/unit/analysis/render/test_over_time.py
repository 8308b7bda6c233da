"""The chart of a live page: everything that is drawn lies where its numbers are."""

from __future__ import annotations

import re

import msgspec
import pytest

from analysis.data.live import LiveLabel
from analysis.render.over_time import chart_of
from analysis.review.chronicle import Chronicle
from tests.stories import ALARM, BEGIN, CHANGE, DRIFT, PROVEN, SETTLED, Story

EVENTS = list(Story().events())


def chart(events=EVENTS, since=BEGIN):
    told = Chronicle(events).targets["shop"]
    return chart_of(told, since, range(1, len(told.happenings) + 1))


def at(second, seconds=640):
    return pytest.approx(1000 * second / seconds, abs=0.1)


def numbers(path):
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path)]


def shares(panel):
    """Return a function from heights to shares, by the ticks of a panel."""
    low, high = panel.ticks[0], panel.ticks[-1]
    ends = [float(each.text.removesuffix(" %")) / 100 for each in (low, high)]

    def share(height):
        part = (height - low.at) / (high.at - low.at)
        return ends[0] + part * (ends[1] - ends[0])

    return share


def test_a_state_is_on_the_strip_for_as_long_as_it_lasted():
    strip = {each.state: each for each in chart().strip}

    assert strip["DRIFT"].at == at(ALARM + 1)
    assert strip["CHANGING"].at == at(CHANGE + 1)
    assert strip["CHANGING"].width == at(SETTLED - CHANGE)
    assert sum(each.width for each in chart().strip) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("stranger", [False, True])
def test_of_many_labels_the_one_that_departed_has_a_panel(stranger):
    names = tuple(f"v{n}" for n in range(20))
    events = list(Story(names, (3,) * 20, ALARM + 10).events())
    if stranger:
        state = events[-1].state
        labels = [*state.labels, LiveLabel(label="stray", connections=3, total=3)]
        state = msgspec.structs.replace(state, labels=labels)
        events[-1] = msgspec.structs.replace(events[-1], state=state)
    shown = [each.name for each in chart(events).panels]

    rest = ["v19", "stray"] if stranger else ["v4", "v19"]
    assert shown == ["v0", "v1", "v2", "v3", *rest]


def test_alarms_and_changes_are_marked_with_the_numbers_of_their_rows():
    made = chart()
    alarm = next(each for each in made.marks if each.kind == "alarm")

    assert [each.kind for each in made.marks] == ["change", "alarm", "change", "change"]
    assert alarm.at == at(ALARM + 1)
    assert alarm.began == (at(DRIFT - 1), pytest.approx(1.5 / 0.64, abs=0.1))
    assert [each.text for each in made.numbers] == ["2-3", "5-6"]


def test_what_is_before_the_window_is_not_drawn():
    made = chart(since=BEGIN + PROVEN + 1)

    assert [each.kind for each in made.marks] == ["change", "change"]
    assert {each.state for each in made.strip} == {"OK", "CHANGING", "STARTING"}


def test_band_and_expectation_lie_where_their_shares_are():
    panel = chart().panels[1]
    share = shares(panel)
    _, top, _, bottom, _ = numbers(panel.accepted)

    assert panel.name == "v2"
    assert share(top) == pytest.approx(0.141, abs=0.002)
    assert share(bottom) == pytest.approx(0.05, abs=0.002)
    assert share(numbers(panel.expected)[1]) == pytest.approx(0.1, abs=0.002)


def test_the_line_ends_at_the_present_share_inside_its_interval():
    panel = chart().panels[1]
    share = shares(panel)
    label = EVENTS[-1].state.labels[1]
    height = float(re.findall(r"V([\d.]+)", panel.share)[-1])
    _, top, _, bottom, _ = numbers(panel.interval.split("Z")[-2])

    assert share(height) == pytest.approx(label.share, abs=0.002)
    assert share(top) == pytest.approx(label.interval[1], abs=0.002)
    assert share(bottom) == pytest.approx(label.interval[0], abs=0.002)
    assert f"{100 * label.share:.1f} %" in panel.told


def test_nothing_leaves_the_panel():
    for panel in chart().panels:
        for path in (panel.accepted, panel.expected, panel.interval, panel.share, panel.dots):
            assert all(0 <= each <= 1000 for each in numbers(path.replace("h0", "")))


def test_what_was_not_judged_is_shaded_and_has_no_line():
    made = chart()
    left = numbers(made.idle)[0]

    assert left == pytest.approx(1000 * CHANGE / 640, abs=10)
    assert f"H{left:g}" not in made.panels[0].share.split("M", 1)[0]
    assert made.panels[0].share.count("M") == 2  # before, and after


def test_a_column_can_be_read_as_words():
    first = chart().panels[1].readings[0]

    assert first.told.startswith("14:46:40 to 14:46:50: ")
    assert "so far" in first.told
    assert " of 200)" in first.told.replace("\N{NO-BREAK SPACE}", " ")


def test_the_table_has_the_newest_time_first_and_every_label():
    made = chart()

    assert made.head == ("time, UTC", "v1", "v2", "without a label")
    assert [row[0] for row in made.rows] == sorted((row[0] for row in made.rows), reverse=True)
    assert all(len(row) == 4 for row in made.rows)


def test_labels_beyond_the_panels_are_left_to_the_tables():
    names = tuple(f"r{number}" for number in range(12))

    assert len(chart(Story(names, (1,) * 12, 20).events()).panels) == 6


def test_without_a_second_that_is_over_there_is_nothing_to_draw():
    assert chart(EVENTS[:1]) is None
    state = next(each for each in EVENTS if hasattr(each, "state"))
    assert chart([state]) is None


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [(60, ["14:46:50", "14:47:00"]), (640, ["14:48", "14:50"]), (7200, ["15:00", "15:30"])],
)
def test_times_are_round(seconds, texts):
    told = Chronicle(EVENTS).targets["shop"]
    late = msgspec.structs.replace(EVENTS[-1].state, at=BEGIN + seconds)
    told.take(msgspec.structs.replace(EVENTS[-1], state=late))
    made = chart_of(told, BEGIN, range(1, len(told.happenings) + 1))

    assert made is not None
    assert [each.text for each in made.ticks][:2] == texts
