"""What is sent before the first label, and when a run without one is given up."""

from __future__ import annotations

from sampler.base.clock import NS_PER_S
from sampler.engine.probing import ENOUGH, MOST, ROUND, STALLED_NS, Probing


def test_rounds_follow_each_other_until_most_of_them_has_ended_without_a_label():
    probing, sent = Probing(timeout_s=5), list[int]()

    while not probing.is_hopeless(1, ended=sum(sent), in_order=sum(sent)):
        sent.append(probing.quota - sum(sent))
        probing.look(1, launched=sum(sent), ended=sum(sent))

    assert sent == [ROUND] * (ENOUGH // ROUND)


def test_a_request_that_hangs_holds_up_no_round_and_no_end():
    probing = Probing(timeout_s=5)

    probing.look(STALLED_NS - 1, launched=ROUND, ended=ROUND - 1)
    assert probing.quota == ROUND
    probing.look(STALLED_NS, launched=ROUND, ended=ROUND - 1)
    assert probing.quota == 2 * ROUND
    assert probing.is_hopeless(STALLED_NS, ended=ENOUGH, in_order=0)


def test_quick_failures_do_not_speak_for_answers_that_take_their_time():
    probing = Probing(timeout_s=5)

    # Every second request fails at once; the others, with the first, are on their way.
    assert not probing.is_hopeless(2 * NS_PER_S, ended=ENOUGH - 1, in_order=0)


def test_a_slow_target_is_given_up_after_one_round_and_a_very_slow_one_after_three_timeouts():
    probing = Probing(timeout_s=5)

    assert not probing.is_hopeless(NS_PER_S - 1, ended=ROUND, in_order=ROUND)
    assert probing.is_hopeless(NS_PER_S, ended=ROUND, in_order=ROUND)
    assert not probing.is_hopeless(15 * NS_PER_S - 1, ended=2, in_order=2)
    assert probing.is_hopeless(15 * NS_PER_S, ended=3, in_order=3)


def test_after_a_pause_it_is_asked_once_more_up_to_the_same_limit():
    probing = Probing(timeout_s=5)

    for pauses in range(1, 6):
        launched = probing.quota
        probing.begin(pauses * NS_PER_S, launched)
        assert not probing.is_hopeless(20 * NS_PER_S, ended=launched, in_order=launched)
        assert probing.quota == min((pauses + 1) * ROUND, MOST)
