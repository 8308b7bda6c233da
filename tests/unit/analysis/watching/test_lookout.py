"""The lookout on simulated targets: alarms, recoveries, and the same ones in any batches."""

from __future__ import annotations

import re
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Batch, Policy, Split
from analysis.data.live import State, to_line
from analysis.data.live_events import AlarmTold, BucketTold, NoteTold, event_of
from analysis.data.report import Source, Verdict
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.watching.asked import WatchPolicy
from analysis.watching.lookout import Lookout
from analysis.weighing.settling import Settling
from analysis.weighing.stretches import GUARD_S
from analysis.weighing.watched import Watched
from tests.unit.analysis.watching.simulated import (
    NS,
    RATE,
    START,
    Moved,
    Stated,
    Target,
    lookout_of,
    story,
)

RECORDING = Path(__file__).parents[3] / "recordings" / "watch" / "events.jsonl"


def ended(lookout, target, seconds, canary, **lost):
    """Let a target answer for some time, and return what was told."""
    told = []
    for second in seconds:
        lookout.weigh(target.second(second, canary, **lost))
        told += lookout.look(START + second + 1)
    return told


def state_of(lookout):
    return lookout.course.state


def verdict_of(lookout):
    return lookout.verdict


def has_passed(lookout):
    return lookout.watched.evidence.passed_after is not None


def kinds(told):
    return [each.kind for each in told if isinstance(each, NoteTold)]


def rounded(line):
    """Leave out the last digits, which depend on Python: its `sum` is more exact since 3.12."""
    return re.sub(rb"\d+\.\d+(e-?\d+)?", lambda number: b"%.12g" % float(number[0]), line)


def test_the_recorded_stream_is_that_of_the_program():
    """Whoever draws a stream is tested on this one."""
    lines = RECORDING.read_bytes().splitlines()
    events = [event_of(line) for line in lines]

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = [to_line(event) for event in story()]
    assert [rounded(line) for line in told] == [rounded(line) for line in lines]


def test_a_right_split_is_proven_and_stays_proven():
    lookout = lookout_of()
    told = ended(lookout, Target(1), range(300), 0.1)

    assert state_of(lookout) is State.OK
    assert verdict_of(lookout) is Verdict.PASS
    assert lookout.drawn.passed_after is not None
    assert not [each for each in told if isinstance(each, AlarmTold)]
    seconds = [each for each in told if isinstance(each, BucketTold) and each.width_s == 1]
    assert len(seconds) == 299  # the last one may go on
    assert sum(sum(each.counts.values()) for each in seconds) == pytest.approx(
        lookout.counts.totals.total(), abs=50
    )


def test_a_drift_is_found_where_it_began_and_takes_proof_to_end():
    lookout, target = lookout_of(), Target(2)
    ended(lookout, target, range(100), 0.1)
    told = ended(lookout, target, range(100, 120), 0.5)

    alarms = [each.alarm for each in told if isinstance(each, AlarmTold)]
    assert len(alarms) == 1
    assert alarms[0].change is not None
    assert alarms[0].change.range[0] - 1 <= START + 100 <= alarms[0].change.range[1] + 1
    assert verdict_of(lookout) is Verdict.FAIL

    told = ended(lookout, target, range(120, 140), 0.1)
    assert state_of(lookout) is State.RECOVERING
    assert verdict_of(lookout) is Verdict.INCONCLUSIVE  # silence is no proof

    told += ended(lookout, target, range(140, 300), 0.1)
    assert state_of(lookout) is State.OK
    assert verdict_of(lookout) is Verdict.PASS
    assert "recovered" in kinds(told)
    assert lookout.alarms.total() == 1


def test_a_drift_that_goes_on_stays_one_alarm():
    lookout = lookout_of()
    told = ended(lookout, Target(3), range(120), 0.3)

    assert sum(isinstance(each, AlarmTold) for each in told) == 1
    assert state_of(lookout) is State.DRIFT
    low, high = lookout.drawn.intervals(lookout.watched.evidence)["v2"]
    assert low < 0.3 < high
    assert high - low < 0.1  # drawn over the whole drift, not since the last alarm


def test_lost_answers_are_an_alarm_and_then_a_blind_time():
    lookout, target = lookout_of(), Target(4)
    ended(lookout, target, range(100), 0.1)
    told = ended(lookout, target, range(100, 200), 0.1, lost=1.0)

    assert [each.alarm.kind for each in told if isinstance(each, AlarmTold)] == [
        "too_many_unlabelled"
    ]
    assert state_of(lookout) is State.BLIND
    assert verdict_of(lookout) is Verdict.INCONCLUSIVE

    ended(lookout, target, range(200, 201), 0.1)
    assert state_of(lookout) is State.DRIFT  # as before it


def test_no_answer_at_all_is_a_blind_time_after_which_ok_is_proven_anew():
    lookout, target = lookout_of(), Target(5)
    ended(lookout, target, range(100), 0.1)
    told = lookout.look(START + 159)
    assert state_of(lookout) is State.OK

    told = lookout.look(START + 162)
    assert state_of(lookout) is State.BLIND
    assert kinds(told) == ["turn", "blind"]
    buckets = [each for each in lookout.look(START + 182) if isinstance(each, BucketTold)]
    assert buckets
    assert not any(each.share or each.is_judged for each in buckets)  # no line goes on

    ended(lookout, target, range(183, 186), 0.1)
    assert state_of(lookout) is State.STARTING
    ended(lookout, target, range(186, 320), 0.1)
    assert state_of(lookout) is State.OK


def test_a_pass_waits_for_news_that_are_under_way():
    """News take back what was judged of the last moment before them, and a proof with it."""
    lookout, target = lookout_of(is_followed=True), Target(7)
    second = 0
    while not has_passed(lookout):
        lookout.weigh(target.second(second, 0.1))
        second += 1
    lookout.look(START + second)
    assert state_of(lookout) is State.STARTING
    lookout.look(START + second + GUARD_S + 0.01)
    assert state_of(lookout) is State.OK


def test_news_that_take_a_proof_back_leave_no_pass():
    lookout, target = lookout_of(is_followed=True, rate=2000.0), Target(7, 2000.0)
    step, now = 0.1, 0.0
    while not has_passed(lookout):
        lookout.weigh(target.second(now, 0.1, width=step))
        now += step
        lookout.look(START + now)
    split = lookout.watched.evidence.split
    lookout.watched.notice([Moved(round(now * NS), Stated(split, Source()), "endpoints")], 0)
    lookout.weigh(target.second(now, 0.1, width=step))
    lookout.look(START + now + 0.2)
    assert state_of(lookout) is State.CHANGING
    assert not has_passed(lookout)
    lookout.watched._settling = Settling(round(now * NS), 0)  # it has settled at once
    lookout.weigh(target.second(now + step, 0.1, width=0.001))
    lookout.look(START + now + 2 * step)

    assert state_of(lookout) is State.STARTING


def test_where_no_label_ever_came_nothing_departs():
    lookout, target = lookout_of(), Target(5)
    told = ended(lookout, target, range(70), 0.1, lost=1.0)

    assert not any(isinstance(each, AlarmTold) for each in told)
    assert (state_of(lookout), verdict_of(lookout)) == (State.BLIND, Verdict.INCONCLUSIVE)
    assert not lookout.has_measured

    ended(lookout, target, range(70, 72), 0.1)
    assert state_of(lookout) is State.STARTING


@pytest.mark.parametrize("by_s", [-3600.4, 3600.4])
def test_a_clock_that_is_set_holds_no_bucket_back(by_s):
    lookout, target = lookout_of(), Target(5)
    ended(lookout, target, range(10), 0.1)
    lookout.counts.follow_clock(by_s)
    told = []
    for second in range(10, 20):
        lookout.weigh(target.second(second, 0.1))
        told += lookout.look(START + second + 1 + by_s)
    counted = sum(
        sum(each.counts.values())
        for each in told
        if isinstance(each, BucketTold) and each.width_s == 1
    )

    assert counted > 9 * RATE * 0.7


def test_what_the_sampling_cannot_see_is_a_blind_time():
    lookout = lookout_of()
    lookout.look(START + 1, "the target asks for a pause")

    assert (lookout.course.state, lookout.why) == (State.BLIND, "the target asks for a pause")
    lookout.look(START + 2)
    assert state_of(lookout) is State.STARTING


def test_one_forbidden_label_is_an_alarm():
    lookout = lookout_of("v1=10,v2=0")
    told = ended(lookout, Target(6), range(60), 0.01)

    assert [each.alarm.kind for each in told if isinstance(each, AlarmTold)][:1] == [
        "unexpected_label"
    ]


def alarms_of(batches, policy=None, split="v1=9,v2=1"):
    """Return every alarm, and the counts at the end, of the same draws in some batches."""
    asked = WatchPolicy(policy or Policy(), 1e4, 1.0)
    lookout = Lookout("shop", asked, 0.0)
    lookout.attach(
        Watched(Split.parse(split), asked.policy, 0, Source(), judging=lookout), 0.0,
        is_followed=False,
    )  # fmt: skip
    for batch in batches:
        lookout.weigh(batch)
    told = [each.alarm for each in lookout.look(1.0) if isinstance(each, AlarmTold)]
    evidence = lookout.watched.evidence
    return told, evidence.judged, dict(evidence.counts), evidence.log_fail


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.lists(st.integers(0, 1500), max_size=6))
def test_alarms_and_counts_are_the_same_in_any_batches(seed, cuts):
    rng = np.random.default_rng(seed)
    shares = np.repeat([0.1, 0.5, 0.12, 0.0], [400, 200, 500, 400])
    labels = [
        None if lost else "v2" if u < share else "v1"
        for u, share, lost in zip(rng.random(1500), shares, rng.random(1500) < 0.01, strict=True)
    ]
    whole = Batch.of_labels(labels)
    places = sorted({0, *cuts, 1500})
    told, judged, counts, evidence = alarms_of(
        [whole[first:end] for first, end in pairwise(places)]
    )

    assert (told, judged, counts) == alarms_of([whole])[:3]
    assert evidence == pytest.approx(alarms_of([whole])[3], abs=1e-9)


def test_after_an_alarm_the_evidence_is_that_of_a_fresh_start():
    """A reference of its own: R <- (R + 1) * factor, connection by connection."""
    rng = np.random.default_rng(11)
    labels = ["v2" if u < 0.3 else "v1" for u in rng.random(600)]
    told, judged, _, evidence = alarms_of([Batch.of_labels(labels)])
    fresh = Evidence.start(Split.parse("v1=9,v2=1"), Policy(alpha=1e-4), is_endless=True)
    fresh = weigh(fresh, Batch.of_labels(labels[-judged:]))

    assert told
    assert 0 < judged < 600
    assert evidence == pytest.approx(fresh.log_fail)


def test_the_detector_is_the_sum_over_all_starts():
    """By hand: over each bet, the likelihood ratios from each past start on, added up."""
    split, labels = Split.parse("v1=9,v2=1"), ["v1", "v2", "v2", "v1", "v2", "v1", "v1"]
    evidence = weigh(
        Evidence.start(split, Policy(alpha=1e-6), is_endless=True), Batch.of_labels(labels)
    )
    from analysis.bets.hypotheses import fail_nulls  # noqa: PLC0415 - the bets alone

    by_side = []
    for null in fail_nulls(evidence.bands[1], 1.0):
        total = 0.0
        for q, weight in zip(null.alternatives, null.weights, strict=True):
            for start in range(len(labels)):
                ratio = 1.0
                for label in labels[start:]:
                    hit = label == "v2"
                    ratio *= q / null.edge if hit else (1 - q) / (1 - null.edge)
                total += weight * ratio
        by_side.append(total)

    assert evidence.log_fail == pytest.approx(log(sum(by_side) / 2))


def test_several_answers_of_a_connection_are_one_draw():
    """Ten answers that stick to a pod prove no more than one would."""
    rng = np.random.default_rng(4)
    pods = np.repeat(rng.random(1500) < 0.1, 10)
    batch = Batch.of_labels(["v2" if hit else "v1" for hit in pods])
    batch = _grouped(batch, 10)
    told, judged, _, _ = alarms_of([batch], Policy(per_connection=10))

    assert not told
    assert judged > 1400
    # The naive twin: each answer as a draw of its own.
    assert alarms_of([Batch.of_labels(["v2" if hit else "v1" for hit in pods])])[0]


def _grouped(batch, size):
    from dataclasses import replace  # noqa: PLC0415

    n = len(batch)
    return replace(
        batch,
        connection=np.arange(n, dtype=np.int64) // size,
        ordinal=(np.arange(n) % size).astype(np.int32),
        planned=np.full(n, size, dtype=np.int32),
    )


def test_a_false_alarm_is_as_rare_as_the_words_say():
    asked = WatchPolicy(Policy(), 30 * 86_400, RATE)

    assert exp(lookout_of().threshold) == pytest.approx(5.184e7)
    assert asked.words.startswith("false alarms are at least 30 days apart on average at 20 ")
    assert "at most 3.3 %" in asked.words


def test_a_drift_is_not_held_against_other_weights_that_came_in_a_blind_time():
    """Whoever rolls back during an outage must not be told of a drift from the new weights."""
    lookout, target = lookout_of(is_followed=True), Target(1)
    ended(lookout, target, range(100), 0.1)
    ended(lookout, target, range(100, 140), 0.5)
    assert state_of(lookout) is State.DRIFT
    ended(lookout, target, range(140, 215), 0.5, lost=1.0)
    assert state_of(lookout) is State.BLIND
    even = Split.parse("v1=1,v2=1")
    lookout.watched.notice([Moved(215 * NS, Stated(even, Source()), "9:1 to 1:1", even)], 0)
    ended(lookout, target, range(215, 230), 0.5, lost=1.0)

    told = ended(lookout, target, range(230, 232), 0.5)
    assert state_of(lookout) is State.STARTING
    assert "BLIND to STARTING" in [each.text for each in told if isinstance(each, NoteTold)]
    ended(lookout, target, range(232, 330), 0.5)
    assert verdict_of(lookout) is Verdict.PASS


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_an_unexpected_version_that_keeps_coming_is_one_drift(share):
    """Between two of its answers there are dozens of others: that is no recovery."""
    lookout, target = lookout_of("v1=1"), Target(1)
    told = ended(lookout, target, range(0, 600, 5), share, width=5)
    turns = [each.text for each in told if isinstance(each, NoteTold) and each.kind == "turn"]

    assert verdict_of(lookout) is Verdict.FAIL
    assert turns.count("DRIFT to RECOVERING") <= 3

    ended(lookout, target, range(600, 1200, 5), 0.0, width=5)
    assert verdict_of(lookout) is Verdict.PASS


@pytest.mark.parametrize(("lost", "most_s"), [(1.0, 3), (0.3, 15), (0.12, 60)])
def test_lost_labels_are_found_as_soon_after_a_day_as_at_the_beginning(lost, most_s):
    """As where the canary is gone behind a router that sends it its part all the same."""
    lookout, target = lookout_of(rate=50.0), Target(1, 50.0)
    for minute in range(60):
        lookout.weigh(target.second(60 * minute, 0.1, lost=0.02, width=60))
        assert not any(
            isinstance(each, AlarmTold) for each in lookout.look(START + 60 * minute + 60)
        )
    told = ended(lookout, target, range(3600, 3600 + most_s), 0.1, lost=lost)
    [alarm] = [each.alarm for each in told if isinstance(each, AlarmTold)]

    assert (alarm.kind, state_of(lookout)) == ("too_many_unlabelled", State.DRIFT)
    assert alarm.change is not None
    assert alarm.change.at == pytest.approx(START + 3600, abs=most_s / 3)
    assert alarm.change.after == pytest.approx(lost, abs=0.05)
    assert "gave no label; accepted are at most 5 %" in alarm.text


def test_a_stutter_is_no_rate_of_lost_labels():
    lookout, target = lookout_of(), Target(1)
    ended(lookout, target, range(100), 0.1)
    ended(lookout, target, range(100, 101), 0.1, lost=1.0)
    ended(lookout, target, range(101, 110), 0.1)

    assert state_of(lookout) is State.OK


def test_labels_that_go_on_being_lost_are_one_drift():
    lookout, target = lookout_of(), Target(1)
    told = ended(lookout, target, range(0, 1200, 5), 0.1, lost=0.08, width=5)
    turns = [each.text for each in told if isinstance(each, NoteTold) and each.kind == "turn"]

    assert verdict_of(lookout) is Verdict.FAIL
    assert turns.count("DRIFT to RECOVERING") <= 3

    ended(lookout, target, range(1200, 1800, 5), 0.1, width=5)
    assert verdict_of(lookout) is Verdict.PASS
