from __future__ import annotations

import re

import pytest

from analysis.data.policy import Policy
from analysis.data.report import ReasonCode, Verdict
from analysis.data.split import Tolerance
from analysis.verdict.decision import Ended, decide, decided

MIXED = (["v1"] * 4 + ["v2"] + ["v1"] * 5) * 200


def check(decision, name):
    return next(check for check in decision.checks if check.name == name)


def test_a_run_that_goes_on_is_not_final(run):
    decision = decide(run("v1=9,v2=1", {"v1": 9, "v2": 1}))

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert not decision.is_final
    assert decision.reasons[0].message == "Undecided after 10 connections."


def test_a_pass_gives_share_interval_and_expectation(run):
    decision = decide(run("v1=9,v2=1", MIXED))

    assert (decision.verdict, decision.is_final) == (Verdict.PASS, True)
    (reason,) = decision.reasons
    assert reason.code is ReasonCode.WITHIN_TOLERANCE
    n = decision.decided_after
    assert reason.message.startswith("v2 received ")
    assert reason.message.endswith(f"] of {n} connections; 10 % [5.0, 14.1] was expected.")
    assert {part.verdict for part in decision.checks} == {Verdict.PASS}


def test_the_checks_have_stable_names(run):
    checks = decide(run("a=2,b=1,c=1", ["a"] * 90)).checks

    assert [part.label for part in checks] == [None, "a", "b", "c", None, None]
    assert [part.name for part in checks] == [
        "split", "share of a", "share of b", "share of c", "unexpected labels", "unlabelled",
    ]  # fmt: skip


def test_a_canary_whose_weight_never_took_effect_fails_and_says_what_it_looks_like(run):
    decision = decide(run("v1=9,v2=1", ["v1", "v2"] * 100))

    assert decision.verdict is Verdict.FAIL
    first, second = decision.reasons
    assert first.code is ReasonCode.OUTSIDE_TOLERANCE
    assert "v2 received 5" in first.message
    assert "10 % [5.0, 14.1] was expected" in first.message
    assert second.code is ReasonCode.LOOKS_LIKE
    assert "1:1" in second.message
    assert check(decision, "share of v2").verdict is Verdict.FAIL


def test_of_three_versions_the_one_that_departs_most_fails(run):
    decision = decide(run("a=8,b=1,c=1", {"a": 160, "b": 40}))

    assert decision.verdict is Verdict.FAIL
    failed = [part.name for part in decision.checks if part.verdict is Verdict.FAIL]
    assert failed == ["split", "share of c"]


def test_an_unexpected_label_is_named_and_escaped(run):
    decision = decide(run("v1=9,v2=1", ["v1", "<b>\n" + "x" * 100]))

    assert decision.verdict is Verdict.FAIL
    assert decision.reasons[0].code is ReasonCode.UNEXPECTED_LABEL
    assert r"'<b>\nxxx" in decision.reasons[0].message
    assert len(decision.reasons[0].message) < 140
    assert check(decision, "unexpected labels").verdict is Verdict.FAIL


def test_a_version_of_weight_zero_that_answers_is_named(run):
    decision = decide(run("v1=10,v2=0", ["v1"] * 36 + ["v2"]))

    assert decision.verdict is Verdict.FAIL
    assert decision.reasons[0].message == ("v2 answered connection 37, although its weight is 0.")
    assert check(decision, "share of v2").verdict is Verdict.FAIL


def test_a_promotion_passes_after_a_clean_run(run):
    decision = decide(run("v1=0,v2=10", ["v2"] * 459))

    assert decision.verdict is Verdict.PASS
    assert decision.decided_after == 459
    assert "v1 received 0.0 % [0.0, 1.0] of 459 connections" in decision.reasons[0].message


def test_too_many_unlabelled_say_how_many(run):
    decision = decide(run("v1=5,v2=5", ["v1", "v2", None] * 100))

    assert decision.verdict is Verdict.FAIL
    reason = decision.reasons[0]
    assert reason.code is ReasonCode.TOO_MANY_UNLABELLED
    assert "gave no label; the limit is 5 %." in reason.message
    assert "--max-unlabelled" in reason.remedy
    assert check(decision, "unlabelled").verdict is Verdict.FAIL


def test_missing_labels_that_hide_a_version_never_make_it_absent(run):
    labels = (["v1"] * 9 + [None]) * 100

    decision = decide(run("v1=9,v2=1", labels, max_unlabelled=0.5))

    assert decision.verdict is Verdict.INCONCLUSIVE
    reason = decision.reasons[0]
    assert reason.code is ReasonCode.MISSING_LABELS
    assert len(decision.reasons) == 1
    assert "v2 answered 0.0 %" in reason.message
    assert "received" not in reason.message
    assert "more gave no label" in reason.message
    assert "--timeout" in reason.remedy


def test_too_many_missing_labels_leave_a_share_of_zero_undecided(run):
    decision = decide(run("v1=10,v2=0", (["v1"] * 19 + [None]) * 50, max_unlabelled=1.0))

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.is_final
    assert decision.reasons[0].code is ReasonCode.MISSING_LABELS
    assert "PASS needs less than 1 %" in decision.reasons[0].message
    assert "--missing-ratio" in decision.reasons[0].remedy


@pytest.mark.parametrize(
    ("ended", "code", "remedy"),
    [
        (Ended.SAMPLES, ReasonCode.FEW_CONNECTIONS, "--connection fresh"),
        (Ended.TIME, ReasonCode.TIME_SPENT, "--max-time"),
        (Ended.INTERRUPTED, ReasonCode.INTERRUPTED, "Run again"),
        (Ended.CLIENT_LIMIT, ReasonCode.CLIENT_LIMIT, "--concurrency"),
    ],
)
@pytest.mark.parametrize("counts", [{}, {"v1": 36, "v2": 4}])
def test_a_run_that_ends_early_is_inconclusive(run, counts, ended, code, remedy):
    decision = decide(run("v1=9,v2=1", counts, max_samples=900), ended)

    assert (decision.verdict, decision.is_final) == (Verdict.INCONCLUSIVE, True)
    assert decision.reasons[0].code is code
    assert remedy in decision.reasons[0].remedy


def test_a_spent_budget_says_how_much_would_suffice(run):
    decision = decide(run("v1=9,v2=1", {"v1": 90, "v2": 10}, max_samples=100))

    assert (decision.verdict, decision.is_final) == (Verdict.INCONCLUSIVE, True)
    assert decision.reasons[0].code is ReasonCode.BUDGET_SPENT
    assert "Raise --max-samples to about 1822, or widen --tolerance." in decision.reasons[0].remedy


def test_a_spent_budget_near_the_edge_does_not_promise_a_pass(run):
    decision = decide(run("v1=9,v2=1", {"v1": 430, "v2": 70}, max_samples=500))

    assert decision.reasons[0].code is ReasonCode.BUDGET_SPENT
    assert "close to its edge" in decision.reasons[0].remedy


@pytest.mark.parametrize("ended", list(Ended))
def test_a_verdict_that_has_fallen_stays_however_the_run_ended(run, ended):
    assert decide(run("v1=9,v2=1", ["v2"] * 9), ended).verdict is Verdict.FAIL
    assert decide(run("v1=9,v2=1", MIXED), ended).verdict is Verdict.PASS


@pytest.mark.parametrize("ended", [None, *Ended])
@pytest.mark.parametrize("split", ["v1=9,v2=1", "v1=1", "v1=1,v2=0"])
def test_no_data_is_never_a_pass(run, split, ended):
    decision = decide(run(split, []), ended)

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.decided_after == 0
    assert all(part.verdict is Verdict.INCONCLUSIVE for part in decision.checks)


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (["v1"] * 200, r"The last 1\d\d connections never reached it\."),
        (["v2"] * 50, r"The last \d connections all reached it\."),
        (["v1", "v2"] * 300, r"The share was far off during a part of the run\."),
    ],
)
def test_a_departure_within_the_run_is_said_to_be_one(run, tail, says):
    right = (["v1"] * 4 + ["v2"] + ["v1"] * 5) * 100
    policy = {"tolerance": Tolerance.parse("2pp"), "max_samples": 8000}

    decision = decide(run("v1=9,v2=1", right + tail, **policy))

    assert decision.verdict is Verdict.FAIL
    assert decision.decided_after > 1000
    assert re.fullmatch(rf"v2 received .* was expected\. {says}", decision.reasons[0].message)


def test_an_assumption_about_missing_labels_is_named_where_it_was_used(run):
    lost = decide(run("v1=10", [None] + ["v1"] * 999, missing_ratio=2.0))
    whole = decide(run("v1=10", ["v1"] * 999, missing_ratio=2.0))

    assert lost.verdict is whole.verdict is Verdict.PASS
    assert "2 times as often" in lost.notes[0]
    assert whole.notes == ()


@pytest.mark.parametrize(
    ("tolerance", "verdict"),
    [("5pp", Verdict.PASS), ("c=0.5pp,5pp", Verdict.FAIL), ("c=-1pp+5pp,5pp", Verdict.PASS)],
)
def test_a_label_is_held_to_its_own_tolerance_on_each_side(run, tolerance, verdict):
    """12 % where 10 % are expected: too much for half a point, and not too little for one."""
    labels = {"a": 6900, "b": 1900, "c": 1200}

    decision = decide(
        run("a=70,b=20,c=10", labels, tolerance=Tolerance.parse(tolerance), max_samples=10**4)
    )

    assert decision.verdict is verdict
    if verdict is Verdict.FAIL:
        assert check(decision, "share of c").verdict is Verdict.FAIL
        assert "[9.50, 10.50] was expected" in decision.reasons[0].message


def test_a_decision_is_written_down_with_all_that_was_asked_of_it():
    policy = Policy(tolerance=Tolerance.parse("v2=-2pp+4pp"), inner=0.5, missing_ratio=2)

    written = decided(policy, 7, ())

    assert (written.tolerance, written.inner, written.missing_ratio) == ("v2=-2pp+4pp", 0.5, 2)
    assert decided(Policy(), 7, ()).missing_ratio is None
