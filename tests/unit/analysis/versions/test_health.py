"""The canary against the stable version: the fold, its limits, and what it says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data.batch import ABSENT, Batch, Outcome
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode, Verdict
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.verdict.decision import Ended, decide, with_health
from analysis.versions.health import (
    HealthEvidence,
    HealthPolicy,
    checks_of,
    compared_arms,
    health_of,
    reasons_of,
)
from analysis.versions.twosample import BLOCK

NINE_ONE = Split.parse("v1=9,v2=1")
MS = 1_000_000


def batch_of(answers, first=0):
    """Make a batch of fresh connections from (label, status, time [ms])."""
    labels, statuses, times = zip(*answers, strict=True)
    batch = Batch.of_labels(labels, first=first)
    done = batch.sent_ns + np.array(times, dtype=np.int64) * MS
    return replace(batch, status=np.array(statuses, dtype=np.int16), done_ns=done)


def answers(n, *, every=10, error_every=0, slow_ms=10):
    """Give n answers: each `every`-th is v2's, whose `error_every`-th one is a 503."""
    given = []
    for number in range(n):
        if number % every:
            given.append(("v1", 200, 10 + number % 7))
        else:
            has_failed = error_every and (number // every) % error_every == 0
            given.append(("v2", 503 if has_failed else 200, slow_ms + number % 5))
    return given


def started(seed=0, **policy):
    evidence = HealthEvidence.start(NINE_ONE, HealthPolicy(**policy), seed)
    assert evidence is not None
    return evidence


def observed(given, **policy):
    return started(**policy).observe(batch_of(given))


@pytest.mark.parametrize(
    ("split", "named", "wanted"),
    [
        ("v1=9,v2=1", {}, ("v2", "v1")),
        ("v2=1,v1=9", {}, ("v2", "v1")),
        ("v1=5,v2=5", {}, ("v2", "v1")),
        ("a=8,b=1,c=1,d=0", {}, ("c", "a")),
        ("a=8,b=1,c=1", {"canary": "b"}, ("b", "a")),
        ("a=8,b=1,c=1", {"stable": "c"}, ("b", "c")),
        ("v1=9,v2=1", {"canary": "v1"}, ("v1", "v2")),
        ("v1=9,v2=1", {"stable": "v2"}, ("v1", "v2")),
        ("v1=10,v2=0", {}, None),
        ("v1=1", {}, None),
    ],
)
def test_the_smallest_share_is_the_canary_unless_another_is_named(split, named, wanted):
    assert compared_arms(Split.parse(split), HealthPolicy(**named)) == wanted


@pytest.mark.parametrize(
    ("split", "policy"),
    [
        ("v1=10,v2=0", {"max_slowdown": 2.0}),
        ("v1=10,v2=0", {"canary": "v2"}),
        ("v1=9,v2=1", {"canary": "v3"}),
        ("v1=9,v2=1", {"canary": "v1", "stable": "v1"}),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(split, policy):
    with pytest.raises(ValueError, match=r"must"):
        compared_arms(Split.parse(split), HealthPolicy(**policy))


@pytest.mark.parametrize(
    "policy",
    [
        {"max_error_ratio": 0.5},
        {"max_slowdown": float("nan")},
        {"max_slowdown": float("inf")},
        {"error_status": 99},
    ],
)
def test_a_limit_out_of_range_is_refused(policy):
    with pytest.raises(ValueError, match=r"factor of at least 1|error_status"):
        HealthPolicy(**policy)


@given(
    given=st.lists(
        st.tuples(
            st.sampled_from(["v1", "v2", "v3"]), st.sampled_from([200, 503]), st.integers(1, 40)
        ),
        min_size=1,
        max_size=350,
    ),
    cuts=st.lists(st.integers(1, 349), max_size=6),
)
def test_how_the_samples_were_cut_into_batches_changes_nothing(given, cuts):
    parts = started(max_error_ratio=1.5, max_slowdown=1.5)
    whole = parts.observe(batch_of(given))
    edges = sorted({0, len(given), *(cut for cut in cuts if cut < len(given))})
    for start, end in pairwise(edges):
        parts = parts.observe(batch_of(given[start:end], first=start))

    assert parts == whole
    assert np.array_equal(parts.times.canary, whole.times.canary)
    assert np.array_equal(parts.times.stable, whole.times.stable)


def test_a_canary_like_the_stable_version_gives_no_evidence():
    evidence = observed(answers(1000), max_error_ratio=1.0, max_slowdown=1.5)

    health = health_of(evidence, seed=1)
    assert health.errors.log_evidence == 0
    assert health.times.log_evidence < 1
    assert reasons_of(evidence, 0.01) == ()
    assert [check.verdict for check in checks_of(evidence, 0.01)] == [Verdict.PASS] * 2
    assert "not proven to exceed" in checks_of(evidence, 0.01)[0].message


def test_a_failing_canary_is_proven_after_some_blocks():
    evidence = observed(answers(600, error_every=4), max_error_ratio=2.0)

    (reason,) = reasons_of(evidence, 0.01)
    assert reason.code is ReasonCode.ERROR_RATIO
    assert "15 of 60 answers of v2 had a status of 500 or above (25 %)" in reason.message
    assert "0 of 540 of v1" in reason.message
    assert "more than 2 times as often" in reason.message
    assert reason.remedy
    (check,) = checks_of(evidence, 0.01)
    assert (check.name, check.verdict) == ("errors", Verdict.FAIL)


def test_a_slow_canary_is_proven_by_its_pairs():
    evidence = observed(answers(300, slow_ms=40), max_slowdown=2.0)

    (reason,) = reasons_of(evidence, 0.01)
    assert reason.code is ReasonCode.SLOWDOWN
    assert "v2 took more than 2 times as long as v1 in 29 of 29 pairs" in reason.message
    assert "(medians 39.9 ms and 13 ms)" in reason.message


def test_a_canary_within_the_allowed_factor_is_not_failed():
    evidence = observed(answers(3000, slow_ms=18), max_slowdown=3.0)

    assert evidence.times.peaks[0] > 10
    assert evidence.times.peaks[1] < 1
    assert evidence.exceeded(0.01) == {}


def test_without_a_limit_nothing_is_failed_however_bad_it_is():
    evidence = observed(answers(1000, error_every=1, slow_ms=500))

    assert evidence.failures.peaks[0] > 20
    assert evidence.exceeded(0.01) == {}
    assert checks_of(evidence, 0.01) == ()


def test_the_error_status_can_be_moved():
    given = [("v2" if n % 2 else "v1", 404 if n % 2 else 200, 10) for n in range(100)]

    assert observed(given).failures.totals() == ((50, 0), (50, 0))
    assert observed(given, error_status=400).failures.totals() == ((50, 50), (50, 0))


def test_errors_without_a_label_and_later_answers_of_a_connection_are_left_out():
    batch = batch_of(answers(100))
    ordinal = np.arange(100, dtype=np.int32) % 2
    label = np.where(np.arange(100) < 50, batch.label, ABSENT).astype(np.int32)
    outcome = np.where(label == ABSENT, Outcome.UNLABELLED, Outcome.OK).astype(np.uint8)

    evidence = started().observe(replace(batch, ordinal=ordinal, label=label, outcome=outcome))

    (canary, _), (stable, _) = evidence.failures.totals()
    assert canary + stable == 25


def test_a_block_that_is_not_full_is_not_weighed_yet():
    evidence = observed(answers(2 * BLOCK - 1, error_every=1))
    assert evidence.failures.log_evidence == (0.0,)

    later = evidence.observe(batch_of(answers(1, error_every=1), first=2 * BLOCK))
    assert later.failures.log_evidence[0] > 5


def test_where_the_version_changes_and_changes_back_one_pair_is_drawn():
    """v1 9, v2 20 and v2 5, v1 7 are neighbours; 8 has no later neighbour that is its own."""
    given = [("v1", 200, 99), ("v1", 200, 9), ("v2", 200, 20), ("v2", 200, 5), ("v1", 200, 7),
             ("v2", 200, 8), ("v2", 200, 1)]  # fmt: skip
    came = [started(seed).observe(batch_of(given)).times for seed in range(40)]

    assert {times.weighed for times in came} == {1}
    # 20 against 9, or 5 against 7: about half of the seeds draw the one, half the other.
    assert 8 <= sum(times.slower == (1,) for times in came) <= 32


def test_no_answer_stands_in_two_pairs():
    """Versions take turns: 0 to 2 make a pair, 3 waits for 4, which needs a 5 of its own."""
    turns = [("v1", 200, 10), ("v2", 200, 30)] * 3

    times = observed(turns).times

    assert times.weighed == 2
    assert times.slower == (2,)


def test_a_tie_is_a_pair_in_which_the_canary_was_not_slower():
    times = observed([("v1", 200, 10), ("v2", 200, 10)] * 20).times

    assert times.weighed > 5
    assert (times.slower, times.peaks) == ((0,), (0.0,))


def test_ties_stand_against_the_pairs_in_which_the_canary_was_slower():
    """Slower in two of five pairs, exactly twice as long in the others: no more than half."""
    canary_ms = [30, 30, 20, 20, 20]
    given = [("v1", 200, 10), ("v2", 200, 0), ("v1", 200, 10)] * 400
    given = [
        (label, status, canary_ms[n // 3 % 5] if label == "v2" else took)
        for n, (label, status, took) in enumerate(given)
    ]

    evidence = observed(given, max_slowdown=2.0)

    assert evidence.times.slower[1] / evidence.times.weighed == pytest.approx(0.4, abs=0.01)
    assert evidence.exceeded(0.01) == {}


def test_the_highest_evidence_is_kept():
    bad = observed(answers(400, slow_ms=40), max_slowdown=1.5)
    later = bad.observe(batch_of(answers(5000, slow_ms=1), first=400))

    assert later.times.peaks == bad.times.peaks
    assert list(later.exceeded(0.01)) == [ReasonCode.SLOWDOWN]


def test_the_summary_has_the_quantiles_and_their_differences():
    health = health_of(observed(answers(1000, slow_ms=20)), seed=3)

    assert (health.canary.label, health.canary.responses) == ("v2", 100)
    assert health.stable.times_s["p50"] == pytest.approx(0.013, rel=0.003)
    assert health.canary.times_s["p95"] == pytest.approx(0.020, rel=0.003)
    low, high = health.times.differences_s["p50"]
    assert 0.005 < low <= high < 0.009
    assert health.errors.p_value == 1


def test_nothing_seen_is_no_health():
    evidence = started(max_slowdown=2.0, max_error_ratio=2.0)

    health = health_of(evidence, seed=0)

    assert health.canary.times_s == {}
    assert health.times.differences_s == {}
    assert {check.verdict for check in checks_of(evidence, 0.01)} == {Verdict.INCONCLUSIVE}


def passed():
    evidence = Evidence.start(NINE_ONE, Policy(max_samples=4000))
    rng = np.random.default_rng(1)
    evidence = weigh(
        evidence, Batch.of_labels(rng.choice(["v1", "v2"], 4000, p=[0.9, 0.1]).tolist())
    )
    return decide(evidence)


def test_a_right_split_with_a_canary_that_is_proven_worse_fails():
    health = observed(answers(600, error_every=2, slow_ms=60), max_error_ratio=2, max_slowdown=2)

    decision = with_health(passed(), [health], 0.01)

    assert passed().verdict is Verdict.PASS
    assert decision.verdict is Verdict.FAIL
    assert [reason.code for reason in decision.reasons] == [
        ReasonCode.ERROR_RATIO,
        ReasonCode.SLOWDOWN,
        ReasonCode.WITHIN_TOLERANCE,
    ]
    assert {check.name: check.verdict for check in decision.checks}["split"] is Verdict.PASS


def test_an_undecided_split_gives_way_to_what_is_proven():
    undecided = decide(Evidence.start(NINE_ONE, Policy()), Ended.SAMPLES)
    health = observed(answers(600, slow_ms=60), max_slowdown=2)

    decision = with_health(undecided, [health], 0.01)

    assert [reason.code for reason in decision.reasons] == [ReasonCode.SLOWDOWN]


def test_health_changes_no_verdict_without_a_limit():
    health = observed(answers(600, error_every=2, slow_ms=60))

    assert with_health(passed(), [health], 0.01) == passed()
    assert with_health(passed(), [], 0.01) == passed()


def test_a_limit_that_is_kept_adds_a_check_only():
    decision = with_health(passed(), [observed(answers(600), max_slowdown=2)], 0.01)

    assert decision.verdict is Verdict.PASS
    assert decision.reasons == passed().reasons
    assert decision.checks[-1].name == "response times"
