"""Connections with several answers, judged by their means."""

from __future__ import annotations

from math import inf, log
from typing import Any

import numpy as np
import pytest

from analysis.bets.hypotheses import Grid, pass_nulls
from analysis.bets.kt import kt_interval
from analysis.bets.mixture import Bets, Results
from analysis.bets.sizing import required_samples
from analysis.data.batch import Outcome
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Band, Split, Tolerance
from analysis.evidence.fold import finish, weigh
from analysis.evidence.intervals import decision_bounds, evidence_of_means, mean_interval
from analysis.evidence.state import Evidence
from analysis.verdict.decision import Ended, decide
from analysis.verdict.reasons import unlabelled_sentence
from tests.kept import cut, kept, of_counts

NINE_ONE = Split.parse("v1=9,v2=1")
TWO_POINTS = Tolerance.parse("2pp")
PATTERN = [1, 0, 2, 1, 0, 3, 1, 1, 0, 1]


def judged(connections, planned=10, *, split=NINE_ONE, end=True, **policy: Any):
    asked: dict[str, Any] = {"tolerance": TWO_POINTS, "per_connection": 10} | policy
    evidence = Evidence.start(split, Policy(**asked))
    evidence = weigh(evidence, kept(connections, planned=planned))
    return finish(evidence) if end else evidence


def test_evidence_of_fail_does_not_grow_on_means_that_lie_on_the_inner_edge_in_a_long_run():
    """No bet against an edge wins from a mean on it; what is staked adds up to 1, and no more."""
    band = TWO_POINTS.bands(NINE_ONE)[1]
    budget, slice_ = 1_000_000, 20_000
    bets = Bets.of([1], [band], 1.0, budget, inf, 10)
    carry, none = bets.start, np.zeros(slice_, dtype=np.intp)
    for first in range(0, budget, slice_):
        n = np.arange(first + 1, first + slice_ + 1)
        results = Results(
            length=np.ones_like(n),
            n=n,
            x=band.high * n[None],
            missing=none,
            kind=none,
            hits=np.array([[band.high]]),
            lost=np.zeros(1),
            agrees=np.tile([[True], [False]], slice_),
            has_parts=True,
        )
        weighed = bets.weigh(results, carry)
        carry = weighed.at(slice_ - 1)

        assert weighed.against_inner.max() <= 1 + 1e-9


def test_where_samples_were_cut_does_not_decide_whether_too_many_have_no_label():
    """A rate is looked at where a label is missing, not where a batch begins."""
    kept_label = [["v1"] * 4, ["v2"] * 4]
    connections = [*kept_label * 10, *[[None, None, "v1", "v1"]] * 5, *kept_label * 40]
    batch = kept(connections, planned=4)
    policy = Policy(
        alpha=0.1,
        beta=0.001,
        tolerance=Tolerance.parse("8pp"),
        per_connection=4,
        max_samples=600,
        max_unlabelled=0.001,
    )
    ends = []
    for at in ((), (32 * 4,)):
        evidence = Evidence.start(Split.parse("v1=1,v2=1"), policy)
        for part in cut(batch, at):
            evidence = weigh(evidence, part)
        ends.append((evidence.settled, evidence.judged))

    assert ends[0] == ends[1] == (None, 105)


def test_sentences_count_whole_connections_and_labels():
    few = decide(judged(of_counts(PATTERN * 20, 10)), Ended.SAMPLES)
    forbidden = decide(
        judged([["v1"] * 10, [*["v1"] * 7, *["v2"] * 3]], split=Split.parse("v1=1,v2=0"))
    )

    assert "None among 2 000 labels." in [check.message for check in few.checks]
    assert "v2 answered connection 2, although its weight is 0" in forbidden.reasons[0].message


def groups_of(evidence):
    assert evidence.groups is not None
    return evidence.groups


def test_means_decide_with_a_tenth_of_the_connections_where_requests_are_balanced():
    many = judged(of_counts(PATTERN * 40, 10))

    assert many.settled is ReasonCode.WITHIN_TOLERANCE
    assert many.judged < required_samples(NINE_ONE, Policy(tolerance=TWO_POINTS)).mean / 8


def test_the_interval_of_a_pass_lies_inside_the_band_and_no_other_does():
    passed = judged(of_counts(PATTERN * 40, 10))
    early = judged(of_counts(PATTERN * 20, 10))

    low, high = decision_bounds(passed, "v2")
    assert 0.08 <= low < passed.counts["v2"] / passed.judged < high <= 0.12
    low, high = decision_bounds(early, "v2")
    assert low < 0.08 or high > 0.12


def test_evidence_of_what_connections_came_to_is_that_of_the_bets():
    evidence = judged([*of_counts(PATTERN * 5, 10), ["v2", None, *["v1"] * 8], ["v1"] * 7])

    nulls = pass_nulls(evidence.bands[1], inf, 10)
    for null, row in zip(nulls, (0, 1), strict=True):
        weight = evidence.bets.passing.weight[row]
        placed = weight > 0
        logs = evidence.carry.passing[row][placed] + np.log(weight[placed])
        assert evidence_of_means(null, evidence.groups.results[1]) == pytest.approx(
            np.logaddexp.reduce(logs), abs=1e-9
        )


def test_one_answer_that_may_not_be_fails_at_its_connection():
    split = Split.parse("v1=10,v2=0")
    connections = of_counts([0] * 5 + [1] + [0] * 5, 10)

    ended = judged(connections, split=split, tolerance=Tolerance.parse("1pp"))
    foreign = judged([["v1"] * 10, ["v1"] * 9 + ["v3"]])

    assert (ended.settled, ended.judged) == (ReasonCode.UNEXPECTED_LABEL, 6)
    assert ended.counts["v2"] == pytest.approx(0.1)
    assert (foreign.settled, foreign.judged) == (ReasonCode.UNEXPECTED_LABEL, 2)
    assert "'v3' answered" in decide(foreign).reasons[0].message


def test_a_share_of_zero_takes_as_many_connections_as_with_one_answer_each():
    split, tolerance = Split.parse("v1=10,v2=0"), Tolerance.parse("1pp")

    ended = judged(of_counts([0] * 500, 10), split=split, tolerance=tolerance)

    assert (ended.settled, ended.judged) == (ReasonCode.WITHIN_TOLERANCE, 459)


def test_missing_answers_count_as_whatever_is_worst():
    whole = judged(of_counts(PATTERN * 8, 10))
    lacking = judged([[None, *answers[1:]] for answers in of_counts(PATTERN * 8, 10)])

    rows = len(whole.peaks)
    for row in range(rows):
        placed = whole.bets.passing.weight[row] > 0
        assert (lacking.carry.passing[row] < whole.carry.passing[row])[placed].all()
    assert lacking.missing == pytest.approx(8.0)
    assert "8 of 80 connections (10.0 %) gave no label" in unlabelled_sentence(lacking)


def test_connections_that_end_early_are_judged_by_their_first_answers_from_then_on():
    """The canary closes after each answer: the mean of what came would be far too large."""
    random = np.random.default_rng(3)
    connections = []
    for _ in range(1500):
        answers = []
        for _ in range(10):
            is_canary = random.random() < 0.1
            answers.append("v2" if is_canary else "v1")
            if is_canary:
                break
        connections.append(answers)
    batch = kept(connections, planned=10)
    last = np.flatnonzero(np.append(np.diff(batch.connection) > 0, True))
    batch.closed[last] = True

    evidence = weigh(Evidence.start(NINE_ONE, Policy(per_connection=10, max_samples=5000)), batch)

    firsts = sum(answers[0] == "v2" for answers in connections[: evidence.judged])
    assert groups_of(evidence).first_from is not None
    assert groups_of(evidence).first_from < 10
    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.counts["v2"] == pytest.approx(firsts, abs=3)


def test_a_few_connections_that_end_early_do_not_change_what_is_judged():
    connections = of_counts(PATTERN * 30, 10)
    connections[5] = connections[5][:4]
    connections[150] = connections[150][:4]

    evidence = judged(connections)

    assert groups_of(evidence).first_from is None
    assert evidence.groups.shorts == 2


def test_requests_that_fail_within_connections_fail_the_run_by_their_own_rate():
    connections = [["v1"] * 9 + ["v2"], *([["v1"] * 4 + [None]] * 2)] * 60
    broken = {(number, 4): Outcome.TIMEOUT for number in range(180) if number % 3}

    evidence = weigh(
        Evidence.start(NINE_ONE, Policy(per_connection=10, max_unlabelled=0.01)),
        kept(connections, planned=10, outcomes=broken),
    )

    assert evidence.settled is ReasonCode.TOO_MANY_UNLABELLED
    # Also where first answers are judged, all of which have a label here.
    assert groups_of(evidence).first_from is not None
    assert evidence.silent > evidence.missing


def test_parts_give_the_interval_of_counts_where_they_are_whole_numbers():
    results = {(10, 0, 10): 30, (0, 0, 10): 270}

    low, high = mean_interval(results, 0.01)
    expected = kt_interval(300, 30, 0.01)

    assert (low, high) == pytest.approx(expected, abs=2e-4)
    assert mean_interval({(1, 0, 10): 300}, 0.01)[1] < 0.125
    assert mean_interval({}, 0.01) == (0.0, 1.0)


def test_missing_parts_widen_the_interval():
    low, high = mean_interval({(1, 0, 10): 300}, 0.01)
    less, more = mean_interval({(1, 1, 10): 300}, 0.01)

    assert less == pytest.approx(low)
    assert more > high + 0.05


def test_further_stakes_stay_off_the_end():
    band = Band("v2", 0.1, 0.02, 0.02)
    below, above = pass_nulls(band, per_connection=10)

    assert above.alternatives == pytest.approx([0.104, 0.112, 0.116, 0.118, 0.088, 0.056, 0.006])
    assert below.alternatives == pytest.approx(
        [0.096, 0.088, 0.084, 0.082, 0.112, 0.144, 0.208, 0.336]
    )
    assert sum(above.weights) == pytest.approx(1)
    assert above.weights[:4] == pytest.approx([0.375, 0.075, 0.035, 0.015])


def test_one_answer_has_the_grid_that_it_always_had():
    assert Grid.of(0.5, 0.02, 1) == Grid()


def test_the_first_edge_is_refuted_later_where_all_answers_are_one_draw():
    plain = Evidence.start(NINE_ONE, Policy(tolerance=TWO_POINTS)).bets.passing
    counts = np.array([3000]), np.array([[300]]), np.array([0])
    one_answer = plain.mixed(plain.log_ratios(*counts))
    means = judged(of_counts([10] + [0] * 9, 10) * 300, beta=1e-9, max_samples=10_000)

    assert means.judged == 3000

    for row in (0, 1):
        weight = means.bets.passing.weight[row]
        placed = weight > 0
        logs = means.carry.passing[row][placed] + np.log(weight[placed])
        log_evidence = np.logaddexp.reduce(logs)
        # Half of the stakes, and what little the other half has won.
        assert 0 < log_evidence - log(one_answer[row, 0] / 2) < 0.1


def test_a_forbidden_label_after_the_first_answer_is_named_where_first_answers_are_judged():
    """It fails the run there, too, although no judged answer met it."""
    early = [["v1"] * 3] * 4
    split, tolerance = Split.parse("v1=10,v2=0"), Tolerance.parse("1pp")

    failed = judged([*early, ["v1"] * 9 + ["v2"]], split=split, tolerance=tolerance)

    assert groups_of(failed).first_from is not None
    assert failed.settled is ReasonCode.UNEXPECTED_LABEL
    assert "v2 answered connection 5, although" in decide(failed).reasons[0].message
