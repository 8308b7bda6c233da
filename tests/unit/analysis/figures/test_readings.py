"""The values that a page shows under the pointer are those that are drawn."""

from __future__ import annotations

import re

import pytest

from analysis.figures import evidence_reading, split_reading, times_reading
from analysis.review.timeline import Timeline
from tests.recorded import recorded, traced


@pytest.fixture(scope="module")
def run():
    return recorded(["v1", "v2"], [9, 1], n=3000, lost=0.002)


def readings(batch, report):
    return (
        split_reading(Timeline.of(batch, report), report),
        times_reading(batch, report),
        evidence_reading(traced(batch, report), report),
    )


def test_every_place_has_a_head_and_a_text_of_each_row(run):
    for reading in readings(*run):
        assert len(reading.heads) == len(reading.at) >= 10
        assert all(len(row.texts) == len(reading.at) for row in reading.rows)
        assert all(0 <= at <= 1 for at in reading.at)
        assert list(reading.at) == sorted(reading.at)


def test_windows_are_told_with_their_counts(run):
    batch, report = run
    timeline = Timeline.of(batch, report)
    texts = split_reading(timeline, report).rows[1].texts

    count, n = int(timeline.by_label[1][5]), int(timeline.by_label[:, 5].sum())
    middle = (timeline.edges_s[5] + timeline.edges_s[6]) / 2
    look = max(place for place, at in enumerate(timeline.looks.at_s) if at <= middle)
    looks = timeline.looks
    so_far = 100 * looks.counts[1][look] / (looks.judged[look] - looks.missing[look])
    low, high = 100 * timeline.band(1, report)[:, look]
    assert texts[5].startswith(
        f"v2: {100 * count / n:.1f} % ({count} of {n}), so far {so_far:.1f} % ["
    )
    told = [float(end) for end in texts[5].partition("[")[2].rstrip("]").split(", ")]
    assert told[0] <= low <= told[0] + 0.1
    assert told[1] - 0.1 <= high <= told[1]


def test_after_an_early_fail_the_share_so_far_is_that_of_all_until_then():
    batch, report = recorded(["v1", "v2"], [9, 1], expect=[5, 5], n=3000)
    timeline = Timeline.of(batch, report)

    reading = split_reading(timeline, report)

    later = timeline.later
    share = 100 * later.counts[1, -2] / later.judged[-2]
    told = re.search(r"so far ([\d.]+) % \[", reading.rows[1].texts[-1])
    assert told is not None
    assert float(told[1]) == pytest.approx(share, abs=0.3)
    assert reading.last == "panel-1"
    assert len(set(reading.heads)) == len(reading.heads)


def test_the_last_look_of_the_evidence_tells_the_decision():
    batch, report = recorded(["v1", "v2"], [9, 1])
    reading = evidence_reading(traced(batch, report), report)

    assert report.decision is not None
    assert reading.heads[-1] == f"after {report.decision.decided_after} connections"
    assert reading.rows[0].texts[-1].startswith("inside 10")
    assert reading.rows[1].version == 1
    assert re.fullmatch(
        r"v2: not too low more than 10 000:1, not too high \d+:1", reading.rows[1].texts[-1]
    )


def test_all_answers_have_come_at_the_end_of_the_axis(run):
    reading = times_reading(*run)

    assert reading is not None
    assert [row.texts[-1] for row in reading.rows] == ["v1: 100.0 % within", "v2: 100.0 % within"]
    assert reading.rows[0].texts[0] == "v1: 0.0 % within"
