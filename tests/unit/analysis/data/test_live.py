"""The live state and the events: what a line holds is read back whole, and nothing else is read."""

from __future__ import annotations

import json

import pytest

from analysis.data.live import (
    SCHEMA,
    Alarm,
    Change,
    ChangePoint,
    Cost,
    Detector,
    LiveLabel,
    LiveState,
    State,
    Stretch,
    state_of,
    to_line,
)
from analysis.data.live_events import (
    AlarmTold,
    BucketTold,
    ChangeTold,
    Event,
    NoteTold,
    StateTold,
    event_of,
)
from analysis.data.report import Verdict

POINT = ChangePoint(at=98.5, range=(98.0, 99.25), label="v2", before=0.1, after=0.5, connections=44)
ALARM = Alarm(at=100.0, kind="outside_tolerance", text="v2 is too high.", change=POINT, delay_s=1.5)
STATE = LiveState(
    target="shop", url="http://shop/", run="", at=101.0, started=1.0, state=State.DRIFT,
    since=100.0, verdict=Verdict.FAIL, line="DRIFT", why="", labels=[LiveLabel(label="v1")],
    stretch=Stretch(since=100.0),
    detector=Detector(
        evidence=1.0, threshold=17.8, false_alarm_s=2.6e6, connections=5.2e7, words="rare"
    ),
    connections=300, requests=301, unlabelled=0, outcomes={"ok": 301},
    alarms={"outside_tolerance": 1}, changes={}, last_alarm=ALARM, last_changes=[], lags_s=[],
    last_judged=100.9, health=None, replicas=[], cost=Cost(rate_per_s=5.0, asked_per_s=5.0),
    last_event=4,
)  # fmt: skip
EVENTS: list[Event] = [
    NoteTold(seq=1, at=1.0, target="shop", kind="start", text="begins"),
    ChangeTold(seq=2, at=2.0, target="shop", change=Change(at=2.0, kind="weight", text="9:1")),
    BucketTold(
        seq=3, at=3.0, target="shop", since=2.0, width_s=1.0, counts={"v1": 4, "": 1},
        share={"v1": 1.0}, interval={"v1": (0.2, 1.0)},
    ),
    AlarmTold(seq=4, at=100.0, target="shop", alarm=ALARM),
    StateTold(seq=5, at=101.0, target="shop", state=STATE),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__struct_config__.tag)
def test_an_event_is_one_line_that_is_read_back(event):
    line = to_line(event)

    assert b"\n" not in line
    assert json.loads(line)["event"] == event.__struct_config__.tag
    assert event_of(line) == event


def test_a_reader_passes_over_what_it_does_not_know():
    document = json.loads(to_line(EVENTS[0])) | {"later": 1}

    assert event_of(json.dumps(document)) == EVENTS[0]


@pytest.mark.parametrize(
    "line", ["", "[]", '{"event":"other","seq":1}', '{"event":"note","seq":"1"}']
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011 - of msgspec
        event_of(line)


def test_a_state_names_its_schema_and_another_one_is_refused():
    document = json.loads(to_line(STATE))

    assert document["schema"] == SCHEMA
    assert state_of(json.dumps(document)) == STATE
    with pytest.raises(ValueError, match="schema"):
        state_of(json.dumps(document | {"schema": "weighbridge.watch/2"}))
