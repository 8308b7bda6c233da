"""Stretches: what is judged, held back and begun anew when the expectation changes."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest

from analysis import Batch, Policy, Split, finish
from analysis.data.report import ReasonCode, Source
from analysis.weighing.holding import REPLACED_S
from analysis.weighing.settling import LONGEST_S, Settling
from analysis.weighing.stretches import GUARD_S
from analysis.weighing.watched import MOST_STRETCHES, Watched
from sampler.base.clock import NS_PER_S
from sampler.expect.cluster.news import ExpectationChange
from sampler.expect.rules.model import Expectation

RATE = 100
NINE, EVEN = Split.parse("v1=9,v2=1"), Split.parse("v1=1,v2=1")


class News:
    """Changes that are told at the next look."""

    def __init__(self):
        self.pending = []

    def changes(self):
        told, self.pending = self.pending, []
        return told


def change(at_s, split, text="changed"):
    expectation = None if split is None else Expectation(split, Source("Service", "app", "slice"))
    return ExpectationChange(round(at_s * NS_PER_S), expectation, True, text)


def begin(split=NINE, settle_s=0.5, policy=None, **more):
    policy = policy or Policy()
    return News(), Watched(split, policy, 0, Source(), settle_s=settle_s, **more)


def sent(seconds, labels, first=0):
    """Give a batch of labels sent evenly from the first to the last of two times [s]."""
    batch = Batch.of_labels(labels, first=first)
    times = np.linspace(seconds[0], seconds[1], len(labels), endpoint=False) * NS_PER_S
    columns: dict[str, Any] = {
        name: times.astype(np.int64)
        for name in ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns")
    }
    return replace(batch, **columns)


def mixed(share, n, seed=1):
    rng = np.random.default_rng(seed)
    return ["v2" if each else "v1" for each in rng.random(n) < share]


def test_without_news_every_connection_is_judged():
    news, stretches = begin()

    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((0, 1), mixed(0.1, RATE)))

    assert stretches.evidence.judged == RATE
    assert stretches.history().is_uniform
    assert not stretches.doubt
    assert stretches.events == []


def test_around_a_change_nothing_is_judged_and_a_same_split_goes_on():
    news, stretches = begin(settle_s=0.5)
    stretches.weigh(sent((0, 1), mixed(0.1, 100)))

    news.pending.append(change(1.0, NINE))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1, 2), mixed(0.1, 100), first=100))

    # Of the first batch nothing stays, because it reaches into the guard; half of the second.
    assert stretches.evidence.judged == 50
    assert stretches.history().not_judged == 150
    assert [event.kind for event in stretches.events] == ["endpoints", "settled"]
    assert stretches.events[1].at_s == pytest.approx(1.5)
    assert stretches.previous is None


def test_only_the_batches_within_the_guard_are_taken_back():
    news, stretches = begin(settle_s=0.5)
    for tenth in range(10):
        stretches.weigh(
            sent((tenth / 10, (tenth + 1) / 10), mixed(0.1, 10, seed=tenth), first=10 * tenth)
        )
    news.pending.append(change(1.0, NINE))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1, 1.2), mixed(0.1, 20), first=100))

    assert 100 * (1 - GUARD_S) - 11 <= stretches.evidence.judged <= 100 * (1 - GUARD_S)


def test_news_that_come_late_take_back_what_was_judged_meanwhile():
    news, stretches = begin(settle_s=0.0)
    stretches.weigh(sent((0, 0.5), mixed(0.1, 50)))
    stretches.weigh(sent((0.5, 1.0), mixed(0.5, 50), first=50))
    news.pending.append(change(0.9, EVEN))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1.0, 1.5), mixed(0.5, 50), first=100))

    assert stretches.evidence.split == EVEN
    assert stretches.evidence.judged == 50


@pytest.mark.parametrize(
    ("observed", "early", "is_doubted"), [(NINE, 0.0, True), (EVEN, 0.5, False)]
)
def test_what_speaks_against_a_split_soon_after_a_change_is_judged_anew(
    observed, early, is_doubted
):
    _news, stretches = begin(settle_s=None)
    stretches.notice([replace(change(1.0, NINE), observed=observed)], 0)
    found = []
    for second in range(30):
        labels = mixed(early if second < 11 else 0.1, RATE, seed=second)
        stretches.weigh(sent((second, second + 1), labels, first=RATE * second))
        found.append(stretches.evidence.settled)

    assert (ReasonCode.OUTSIDE_TOLERANCE in found) is not is_doubted
    events = " ".join(each.text for each in stretches.events)
    assert ("spoke against the split" in events) is is_doubted
    if is_doubted:
        assert stretches.history().last.judged[0].since_s == pytest.approx(11.0)


def test_another_split_begins_anew_with_half_of_the_error_rates_that_are_left():
    policy = Policy(alpha=0.02, beta=0.04)
    news, stretches = begin(settle_s=0.5, policy=policy)
    first = stretches.evidence.policy
    stretches.weigh(sent((0, 0.5), mixed(0.1, 50)))
    stretches.weigh(sent((0.5, 1), mixed(0.1, 50), first=50))
    news.pending.append(change(1.0, EVEN))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1, 2), mixed(0.5, 100), first=100))

    second = stretches.evidence
    assert (first.alpha, first.beta) == (0.01, 0.02)
    assert (second.policy.alpha, second.policy.beta) == (0.005, 0.01)
    assert (second.split, second.judged, stretches.previous) == (EVEN, 50, NINE)
    assert stretches.source.where == "slice"


def test_the_error_rates_of_all_stretches_stay_below_those_of_the_run():
    rates = [0.01 * 0.5 ** (k + 1) for k in range(MOST_STRETCHES)]

    assert sum(rates) < 0.01


def test_a_split_that_changes_again_and_again_ends_undecided():
    news, stretches = begin(settle_s=0.0)
    splits = [Split.parse(f"v1={k + 1},v2=1") for k in range(MOST_STRETCHES + 1)]
    for second, split in enumerate(splits):
        news.pending.append(change(second, split))
        stretches.notice(news.changes(), 0)
        for half in (0, 0.5):
            since, first = second + half, round(20 * (second + half))
            stretches.weigh(sent((since, since + 0.5), mixed(0.5, 10), first=first))

    assert f"began anew {MOST_STRETCHES} times" in stretches.doubt


def test_while_nobody_knows_what_should_be_nothing_is_judged():
    news, stretches = begin(settle_s=0.0)
    news.pending.append(change(0.5, None, "no endpoint is ready"))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((0.5, 1.5), mixed(0.1, 100)))
    assert (stretches.evidence.judged, stretches.doubt) == (0, "no endpoint is ready")
    reason = stretches.history().moved()
    assert reason is not None
    assert reason.message.endswith("no endpoint is ready.")

    news.pending.append(change(2.0, NINE))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1.5, 3), mixed(0.1, 150), first=100))

    assert stretches.evidence.judged == 100
    assert not stretches.doubt


def test_connections_that_were_opened_before_the_stretch_are_left_out():
    news, stretches = begin(settle_s=0.5)
    batch = sent((1, 2), mixed(0.1, 100))
    connection = np.arange(100)
    connection[80:] = np.arange(20)  # carried on from before the change
    ordinal = np.where(np.arange(100) < 80, 0, 1).astype(np.int32)
    news.pending.append(change(1.0, NINE))
    stretches.notice(news.changes(), 0)
    stretches.weigh(replace(batch, connection=connection, ordinal=ordinal))

    assert stretches.evidence.judged == 30


def test_connections_with_several_answers_are_judged_whole_or_not_at_all():
    news, stretches = begin(settle_s=0.5, policy=Policy(per_connection=5))
    batch = sent((1, 2), mixed(0.1, 100))
    # Four connections of five requests each at a time; those of the first half second are cut.
    wave, place = np.divmod(np.arange(100), 20)
    columns: dict[str, Any] = {
        "connection": (4 * wave + place % 4).astype(np.int64),
        "ordinal": (place // 4).astype(np.int32),
        "planned": np.full(100, 5, dtype=np.int32),
    }
    news.pending.append(change(1.0, NINE))
    stretches.notice(news.changes(), 0)
    stretches.weigh(replace(batch, **columns))

    # 0.5 s is in the middle of the third wave: the fourth and fifth are whole.
    assert finish(stretches.evidence).judged == 8
    assert stretches.previous is None


def test_a_verdict_stands_only_after_a_moment_without_news():
    _, stretches = begin()
    stretches.weigh(sent((0, 1), ["v3"]))

    assert stretches.evidence.settled is not None
    assert not stretches.is_sure(1 * NS_PER_S)
    assert stretches.is_sure(round((1 + GUARD_S) * NS_PER_S))


@pytest.mark.parametrize("seed", range(5))
def test_auto_finds_when_the_answers_follow_and_waits_as_long_again(seed):
    settling = Settling(0, LONGEST_S * NS_PER_S, old=NINE, new=EVEN)
    labels = [*mixed(0.1, 400, seed), *mixed(0.5, 1600, seed + 100)]
    batch = sent((0, 20), labels)

    first = settling.see(batch, batch.sent_ns)

    assert settling.followed_ns is not None
    followed_s = settling.followed_ns / NS_PER_S
    assert followed_s == pytest.approx(4.0, abs=0.3)
    assert batch.sent_ns[first] / NS_PER_S == pytest.approx(2 * followed_s, abs=0.02)


def test_auto_finds_the_same_however_the_samples_are_cut():
    labels = [*mixed(0.1, 400), *mixed(0.5, 600, 2)]
    batch = sent((0, 10), labels)
    whole = Settling(0, LONGEST_S * NS_PER_S, old=NINE, new=EVEN)
    parts = Settling(0, LONGEST_S * NS_PER_S, old=NINE, new=EVEN)

    whole.see(batch, batch.sent_ns)
    for start in range(0, 1000, 7):
        part = batch[start : start + 7]
        parts.see(part, part.sent_ns)

    assert parts.followed_ns == whole.followed_ns
    assert parts.until_ns == whole.until_ns


def test_auto_gives_up_waiting_for_a_data_plane_that_never_follows():
    news, stretches = begin(settle_s=None)
    news.pending.append(change(1.0, EVEN))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1, 12), mixed(0.1, 1100)))

    assert stretches.evidence.split == EVEN
    assert stretches.events[-1].at_s == pytest.approx(1 + LONGEST_S, abs=0.02)
    assert stretches.lags_s == []


def test_a_split_that_comes_back_is_waited_for_as_long_as_it_was_away():
    news, stretches = begin(settle_s=None)
    stretches.weigh(sent((0, 1), mixed(0.1, 100)))
    news.pending += [change(1.0, EVEN), change(3.0, NINE)]
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((1, 8), mixed(0.1, 700), first=100))

    assert stretches.events[-1].at_s == pytest.approx(3 + 1 + 2, abs=0.02)
    assert stretches.evidence.split == NINE
    assert stretches.previous is None


def test_the_rest_of_the_time_is_waited_for_after_a_change_before_the_run():
    _, stretches = begin(settle_s=2.0, age_s=1.5)
    stretches.weigh(sent((0, 1), mixed(0.1, 100)))

    assert stretches.evidence.judged == 50
    assert [round(event.at_s, 2) for event in stretches.events] == [-1.5, 0.5]


@pytest.mark.parametrize(
    ("beyond", "wrong"), [(-0.02, "outside_tolerance"), (0.02, "within_tolerance")]
)
def test_after_a_change_found_in_the_answers_wrong_verdicts_are_as_rare_as_asked(beyond, wrong):
    # The first split held for a random time after the change; then a share just off the edge.
    policy, runs, mistakes = Policy(alpha=0.2, beta=0.2), 80, 0
    share = policy.tolerance.bands(EVEN)[1].high + beyond
    rng = np.random.default_rng(11)
    for run in range(runs):
        news, stretches = begin(settle_s=None, policy=policy)
        news.pending.append(change(0.0, EVEN))
        stretches.notice(news.changes(), 0)
        lag = int(rng.integers(0, 300))
        labels = [*mixed(0.1, lag, run), *mixed(share, 1900 - lag, run + 1000)]
        stretches.weigh(sent((0, 19), labels))
        mistakes += stretches.evidence.settled == wrong

    # 0.2 / 4 is left for the second stretch; 10 or more of 80 have a chance of 0.5 % at that.
    assert mistakes < 10


def test_an_outage_that_outlasts_a_break_of_the_watch_is_over_when_that_is_known():
    news, stretches = begin()
    lost = change(5, None, "v2 has no ready endpoint")
    news.pending += [
        replace(lost, outage="v2 lost its last ready endpoint", lost="v2"),
        replace(change(6, None, "the watch is lost"), is_unseen=True, outage=lost.text, lost="v2"),
        change(10, NINE),
    ]
    stretches.notice(news.changes(), 0)

    (outage,) = stretches.finish().outages
    assert (outage.since_s, outage.until_s) == (5, 10)


@pytest.mark.parametrize(
    ("now", "waited_s"), [("v1=9,v2=0", 0), ("v1=9", REPLACED_S), ("v1=9,v3=1", REPLACED_S)]
)
def test_a_version_that_is_configured_no_more_is_not_waited_for(now, waited_s):
    news, stretches = begin()
    news.pending.append(change(1, Split.parse(now)))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((0, 1.5), ["v1"] * 30))

    assert stretches.waits_until_ns(120) == (1 + waited_s) * NS_PER_S
    assert stretches.waits_until_ns(0) == NS_PER_S

    # The stable version may be scaled meanwhile; a roll-out is waited for.
    stretches.notice([change(2, Split.parse(now.replace("9", "8")))], 0)
    stretches.weigh(sent((1.5, 2.5), ["v1"] * 30, first=30))
    assert stretches.waits_until_ns(120) == (1 + waited_s) * NS_PER_S
    rolled_out = replace(change(3, None, "v2 is being rolled out"), is_reconfigured=True)
    stretches.notice([rolled_out], 0)
    assert stretches.waits_until_ns(120) == 123 * NS_PER_S
    stretches.weigh(sent((2.5, 3.5), ["v1"] * 30, first=60))
    assert stretches.waits_until_ns(120) == 123 * NS_PER_S
    stretches.notice([change(4, NINE)], 0)
    assert stretches.waits_until_ns(120) == inf


def test_answers_follow_no_new_endpoints_while_some_never_come():
    # 3:2 loses a v1, which is still asked: of what answers, the halves are those of 2:2 already.
    settling = Settling(
        0, LONGEST_S * NS_PER_S, old=Split.parse("v1=3,v2=2"), new=Split.parse("v1=1,v2=1")
    )
    lagging = sent((0, 3), ["v1", "v2", None, "v2", "v1"] * 400)
    assert settling.see(lagging, lagging.sent_ns) == len(lagging)

    batch = sent((3, 9), ["v1", "v2"] * 2000, first=2000)
    first = settling.see(batch, batch.sent_ns)
    assert settling.followed_ns is not None
    assert settling.followed_ns >= 2.9 * NS_PER_S
    assert first < len(batch)


def test_a_split_that_a_series_has_left_before_is_given_the_whole_time():
    more, fewer = Split.parse("v1=3,v2=2"), Split.parse("v1=3,v2=1")
    settling = None
    for at_s, splits in enumerate([(more, fewer), (fewer, more), (more, fewer)]):
        at_ns = at_s * NS_PER_S
        settling = Settling.after(at_ns, 0, splits, settling, None)

    assert settling is not None
    # What follows may be the first change, with the second one still to come.
    batch = sent((2, 11.9), ["v1", "v1", "v1", "v2"] * 500)
    assert settling.see(batch, batch.sent_ns) == len(batch)
    assert settling.until_ns == (2 + LONGEST_S) * NS_PER_S
    assert settling.followed_ns is None
