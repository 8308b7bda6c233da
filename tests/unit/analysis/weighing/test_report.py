"""The assembly: what samples came to, and what happened around them, make one report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import ABSENT, Batch, Outcome, Policy, Split, Verdict
from analysis.data.report import Performance, Reason, ReasonCode, Run, Source, View
from analysis.verdict.decision import Ended
from analysis.weighing.expectation import Fixed, Retold
from analysis.weighing.fold import Fold
from analysis.weighing.history import History, Part, Stretch
from analysis.weighing.report import Account, Asked, assemble

SPLIT, EVEN = Split.parse("v1=9,v2=1"), Split.parse("v1=1,v2=1")
WHY = Reason(ReasonCode.UNMEASURABLE, "nothing could be measured", "look")
ACCOUNT = Account(
    Performance(
        transport="fast",
        duration_s=1.0,
        rate_per_s=1000.0,
        cpu_us_per_request=10.0,
        client_saturated=False,
        concurrency=16,
        offered_per_s=None,
        connection="fresh",
    ),
    Run("run", None, 7, "2026-01-01T00:00:00.000+00:00", "0", "GET http://a/", "/label"),
)


def labels(n, share=0.1, seed=1):
    rng = np.random.default_rng(seed)
    return ["v2" if each else "v1" for each in rng.random(n) < share]


def made(asked, end, account=ACCOUNT):
    return assemble(asked, end, account)


def folded(batch, expectation=None, **more):
    fold = Fold(expectation or Fixed(SPLIT, Policy()), **more)
    fold.take(batch)
    return fold.finish()


RIGHT = Batch.of_labels(labels(3000))
WRONG = Batch.of_labels(labels(3000, 0.5))


def test_a_run_that_was_judged_has_its_verdict_its_expectation_and_its_decision():
    report = made(Asked(source=Source(name="app")), folded(RIGHT))

    assert report.verdict is Verdict.PASS
    assert report.reasons[0].code is ReasonCode.WITHIN_TOLERANCE
    assert report.expected.source.name == "app"
    assert report.decision.decided_after == report.samples.independent
    assert report.samples.launched == 3000
    assert (report.performance, report.run) == (ACCOUNT.performance, ACCOUNT.run)


@pytest.mark.parametrize("batch", [RIGHT, WRONG])
def test_a_doubt_about_the_client_takes_a_verdict_back(batch):
    doubt = Reason(ReasonCode.CLIENT_SATURATED, "the client was late")
    asked = []

    def doubts(reason):
        asked.append(reason.code)
        return doubt

    report = made(Asked(), folded(batch), replace(ACCOUNT, doubt=doubts))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == [doubt]
    assert [check.message for check in report.decision.checks] == [doubt.message]
    assert len(asked) == 1


def test_who_has_no_doubt_leaves_the_verdict_alone():
    report = made(Asked(), folded(WRONG), replace(ACCOUNT, doubt=lambda _: None))

    assert report.verdict is Verdict.FAIL


def test_an_undecided_run_is_not_doubted():
    few = Batch.of_labels(labels(20))

    report = made(Asked(), folded(few), replace(ACCOUNT, doubt=lambda reason: reason))

    assert report.reasons[0].code is ReasonCode.FEW_CONNECTIONS


def test_what_could_not_be_measured_claims_nothing_even_where_counts_would():
    report = made(Asked(), folded(WRONG), replace(ACCOUNT, unmeasurable=WHY))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == [WHY]


def test_a_measurement_has_neither_verdict_nor_decision_but_says_what_stopped_it():
    fold = Fold(None)
    fold.take(RIGHT)
    end = fold.finish()
    overload = Reason(ReasonCode.TARGET_OVERLOADED, "it asks for a pause")

    plain = made(Asked(), end)
    stopped = made(Asked(), end, replace(ACCOUNT, overload=overload))
    nothing = made(Asked(), end, replace(ACCOUNT, overload=overload, unmeasurable=WHY))

    assert (plain.verdict, plain.decision, plain.expected) == (None, None, None)
    assert plain.reasons == []
    assert stopped.reasons == [overload]
    assert nothing.reasons == [WHY]
    assert nothing.verdict is None


def test_a_measurement_has_intervals_only_of_independent_samples():
    fold = Fold(None)
    fold.take(RIGHT)
    end = fold.finish()

    assert set(made(Asked(), end).observed.intervals) == {"v1", "v2"}
    assert made(Asked(is_fresh=False), end).observed.intervals == {}


def test_a_remedy_of_the_record_takes_the_place_of_the_usual_one():
    odd = Batch.of_labels([*labels(30), "v9"])
    account = replace(ACCOUNT, remedies={ReasonCode.UNEXPECTED_LABEL: "name the right column"})

    reason = made(Asked(), folded(odd), account).reasons[0]

    assert reason.code is ReasonCode.UNEXPECTED_LABEL
    assert reason.remedy == "name the right column"
    assert "v9" in reason.message


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (Ended.TIME, ReasonCode.TIME_SPENT),
        (Ended.INTERRUPTED, ReasonCode.INTERRUPTED),
        (Ended.OVERLOADED, ReasonCode.TARGET_OVERLOADED),
        (Ended.CLIENT_LIMIT, ReasonCode.CLIENT_LIMIT),
    ],
)
def test_why_no_more_samples_came_is_the_reason_of_an_undecided_run(ended, code):
    few = Batch.of_labels(labels(20))

    report = made(Asked(), folded(few), replace(ACCOUNT, ended=ended))

    assert report.reasons[0].code is code


def limited(batch, unsent, addresses):
    """Let some connections fail on a limit of this machine: those that went to the last address."""
    outcome = np.where(unsent, Outcome.CLIENT_LIMIT, batch.outcome).astype(np.uint8)
    return replace(
        batch,
        outcome=outcome,
        label=np.where(unsent, ABSENT, batch.label).astype(np.int32),
        remote=np.where(unsent, len(addresses) - 1, 0).astype(np.int32),
        remotes=addresses,
    )


@pytest.mark.parametrize("batch", [RIGHT, WRONG])
def test_a_limit_towards_one_of_several_addresses_takes_a_verdict_back(batch):
    some = np.arange(len(batch)) % 50 == 7

    report = made(Asked(), folded(limited(batch, some, ("10.0.0.1", "10.0.0.2"))))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.CLIENT_LIMIT
    assert "60 requests could not be sent" in report.reasons[0].message
    assert "one of 2 addresses" in report.reasons[0].message
    assert "ulimit" in report.reasons[0].remedy


def test_a_version_behind_an_address_without_ports_is_not_passed_as_absent():
    half = np.arange(1000) % 2 == 1  # what was meant for the other address, where v2 is
    batch = limited(Batch.of_labels(["v1"] * 1000), half, ("10.0.0.1", "10.0.0.2"))
    expectation = Fixed(Split.parse("v1=1,v2=0"), Policy())
    without = replace(batch, remote=np.zeros(1000, dtype=np.int32))

    assert made(Asked(), folded(batch, expectation)).verdict is Verdict.INCONCLUSIVE
    # The twin, which knows of one address only, leaves them out and passes.
    twin = folded(without, Fixed(Split.parse("v1=1,v2=0"), Policy()))
    assert made(Asked(), twin).verdict is Verdict.PASS


def test_with_one_address_what_was_not_sent_is_no_draw():
    some = np.arange(len(RIGHT)) % 50 == 7

    assert made(Asked(), folded(limited(RIGHT, some, ("10.0.0.1",)))).verdict is Verdict.PASS


def test_a_label_that_must_not_come_is_proof_whatever_was_not_sent():
    odd = Batch.of_labels([*labels(30), "v9"])
    first = np.arange(len(odd)) == 0

    report = made(Asked(), folded(limited(odd, first, ("10.0.0.1", "10.0.0.2"))))

    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].code is ReasonCode.UNEXPECTED_LABEL


def test_notes_of_the_account_come_before_those_of_the_samples():
    account = replace(ACCOUNT, notes=("seen from outside",))
    asked = Asked(replica_counts={"v1": 3}, is_fresh=False)

    report = made(asked, folded(RIGHT, has_connections=True), account)

    assert report.notes[0] == "seen from outside"
    assert report.groups is not None


def moved(*stretches, doubt="", not_judged=0):
    parts = [Stretch.of(split, Source(name=name), judged) for split, name, judged in stretches]
    return History(tuple(parts), doubt=doubt, not_judged=not_judged)


def test_the_verdict_is_about_the_last_stretch_and_names_where_its_split_was_read():
    history = moved((EVEN, "before", (Part(0, 0),)), (SPLIT, "after", (Part(),)))
    views = (View("declared", Source(), {"v1": 1.0}),)
    asked = Asked(source=Source(name="before"), views=views)

    report = made(asked, folded(RIGHT, Retold(history, Policy())))

    assert report.expected.source.name == "after"
    assert report.expected.weights == SPLIT.weight_of
    assert report.expected.views == ()  # they were about the start


def test_the_split_of_a_stretch_before_is_recognised_in_what_came_after_it():
    half = Batch.of_labels(labels(400, 0.5))
    history = moved((EVEN, "before", (Part(0, 0),)), (SPLIT, "after", (Part(),)))

    report = made(Asked(), folded(half, Retold(history, Policy())))

    assert report.verdict is Verdict.FAIL
    assert any(reason.code is ReasonCode.LOOKS_LIKE for reason in report.reasons)


def test_a_run_that_ends_while_nothing_can_be_judged_says_so_first():
    history = moved((SPLIT, "app", (Part(0, 10),)), doubt="No pod is ready", not_judged=2990)

    report = made(Asked(), folded(RIGHT, Retold(history, Policy())))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert [reason.code for reason in report.reasons[:2]] == [
        ReasonCode.EXPECTATION_MOVED,
        ReasonCode.FEW_CONNECTIONS,
    ]
