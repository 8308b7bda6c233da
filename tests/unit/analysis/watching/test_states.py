"""The states as a table: every state with every sign."""

from __future__ import annotations

import pytest

from analysis.data.live import State
from analysis.data.report import Verdict
from analysis.watching.states import Course, Sign, verdict_in

S = State
TURNS = {
    #           PASSED ALARM    INSIDE        DOUBTED     MOVED       LOST
    S.STARTING: (S.OK, S.DRIFT, S.STARTING, S.STARTING, S.CHANGING, S.BLIND),
    S.OK: (S.OK, S.DRIFT, S.OK, S.STARTING, S.CHANGING, S.BLIND),
    S.DRIFT: (S.OK, S.DRIFT, S.RECOVERING, S.DRIFT, S.CHANGING, S.BLIND),
    S.RECOVERING: (S.OK, S.DRIFT, S.RECOVERING, S.RECOVERING, S.CHANGING, S.BLIND),
}
SIGNS = (Sign.PASSED, Sign.ALARM, Sign.INSIDE, Sign.DOUBTED, Sign.MOVED, Sign.LOST)
WAYS = {
    S.STARTING: (),
    S.OK: (Sign.PASSED,),
    S.DRIFT: (Sign.ALARM,),
    S.RECOVERING: (Sign.ALARM, Sign.INSIDE),
}


def course_in(state, *more):
    course = Course(0.0)
    for sign in (*WAYS[state], *more):
        course.see(sign, 1.0)
    return course


@pytest.mark.parametrize("state", TURNS)
@pytest.mark.parametrize("place", range(len(SIGNS)), ids=lambda place: SIGNS[place].name)
def test_each_sign_turns_a_judged_state_as_the_table_says(state, place):
    course = course_in(state)

    turned = course.see(SIGNS[place], 2.0)

    assert course.state is TURNS[state][place]
    assert turned is (course.state is not state)
    assert course.since == (2.0 if turned else (1.0 if WAYS[state] else 0.0))


@pytest.mark.parametrize("state", TURNS)
def test_a_change_of_the_same_split_returns_and_another_split_begins_anew(state):
    for sign, then in ((Sign.RESUMED, state), (Sign.SETTLED, S.STARTING)):
        course = course_in(state, Sign.MOVED)
        course.see(sign, 2.0)

        assert course.state is then


@pytest.mark.parametrize("state", TURNS)
def test_after_a_blind_time_ok_is_proven_anew_and_a_drift_stands(state):
    course = course_in(state, Sign.LOST)
    course.see(Sign.SEEN, 2.0)

    assert course.state is (S.STARTING if state is S.OK else state)
    assert course.has_forgotten is (state in {S.OK, S.STARTING})


@pytest.mark.parametrize("sign", set(Sign) - {Sign.SEEN, Sign.SETTLED})
def test_nothing_but_sight_ends_a_blind_time(sign):
    course = course_in(S.OK, Sign.LOST)

    assert not course.see(sign, 2.0)


@pytest.mark.parametrize("sign", {Sign.PASSED, Sign.ALARM, Sign.INSIDE, Sign.DOUBTED, Sign.SEEN})
def test_while_the_data_plane_settles_nothing_is_judged(sign):
    assert not course_in(S.OK, Sign.MOVED).see(sign, 2.0)


def test_a_blind_time_within_a_change_returns_to_what_was_judged_last():
    course = course_in(S.DRIFT, Sign.MOVED, Sign.LOST, Sign.SEEN)

    assert course.state is S.DRIFT


@pytest.mark.parametrize("state", State)
def test_fail_in_drift_pass_with_proof_and_nothing_else(state):
    assert [verdict_in(state, has_passed=passed) for passed in (True, False)] == {
        S.OK: [Verdict.PASS, Verdict.INCONCLUSIVE],
        S.DRIFT: [Verdict.FAIL, Verdict.FAIL],
    }.get(state, [Verdict.INCONCLUSIVE] * 2)


@pytest.mark.parametrize("state", TURNS)
def test_another_split_after_a_blind_time_is_judged_from_the_beginning(state):
    course = course_in(state, Sign.LOST)
    course.see(Sign.SETTLED, 2.0)

    assert course.state is S.STARTING
    assert course.has_forgotten


def test_an_alarm_that_is_told_while_a_change_settles_stands_on_the_same_split():
    course = course_in(S.OK, Sign.MOVED, Sign.ALARM)

    course.see(Sign.RESUMED, 2.0)

    assert course.state is S.DRIFT
