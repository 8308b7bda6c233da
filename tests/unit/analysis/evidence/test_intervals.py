from __future__ import annotations

import pytest

from analysis.bets.kt import kt_interval
from analysis.data.report import ReasonCode
from analysis.data.split import Tolerance
from analysis.evidence.intervals import (
    decision_bounds,
    lower_bound,
    shares_with_intervals,
    upper_bound,
)

MIXED = (["v1"] * 4 + ["v2"] + ["v1"] * 5) * 200


def test_a_pass_shows_the_interval_it_was_decided_on(run):
    evidence = run("v1=9,v2=1", MIXED)

    share, low, high = shares_with_intervals(evidence)["v2"]

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert (low, high) == decision_bounds(evidence, "v2")
    assert 0.05 <= low < share < high <= 0.1 + 0.9 / 22


def test_anything_else_shows_the_confidence_sequence(run):
    evidence = run("v1=9,v2=1", {"v1": 40, "v2": 4})

    assert shares_with_intervals(evidence)["v2"] == (4 / 44, *kt_interval(44, 4, 0.01))


def test_an_undecided_run_is_shown_at_the_level_of_the_pass_side(run):
    """At level alpha all intervals would lie inside: 9.5 to 14.1 % of a band to 14.1 %."""
    evidence = run("v1=9,v2=1", {"v1": 1998, "v2": 264}, alpha=0.2, beta=0.001)

    _, low, high = shares_with_intervals(evidence)["v2"]

    assert evidence.settled is None
    assert kt_interval(2262, 264, 0.2)[1] < evidence.bands[1].high < high
    assert (low, high) == kt_interval(2262, 264, 0.001)


def test_a_late_fail_does_not_show_an_interval_inside_the_band(run):
    """Its share is still near what was expected; PASS has not refuted that it is too low."""
    policy = {"alpha": 0.2, "beta": 1e-9, "max_samples": 5000}
    evidence = run("v1=9,v2=1", MIXED[:1000] + ["v1"] * 500, **policy)
    band, (_, low, high) = evidence.bands[1], shares_with_intervals(evidence)["v2"]

    alone = kt_interval(evidence.judged, evidence.counts["v2"], 0.2)
    assert evidence.settled is ReasonCode.OUTSIDE_TOLERANCE
    assert band.low < alone[0] < alone[1] < band.high
    assert low < band.low
    assert high > band.high


def test_the_two_arms_of_a_pair_mirror_each_other(run):
    shares = shares_with_intervals(run("v1=9,v2=1", MIXED))

    assert shares["v1"] == pytest.approx(
        (1 - shares["v2"][0], 1 - shares["v2"][2], 1 - shares["v2"][1])
    )


def test_a_clean_run_bounds_a_share_of_zero_by_the_rule_of_three(run):
    share, low, high = shares_with_intervals(run("v1=10,v2=0", ["v1"] * 459))["v2"]

    assert (share, low) == (0, 0)
    assert high == pytest.approx(1 - 0.01 ** (1 / 459))
    assert high <= 0.01


def test_missing_labels_widen_the_interval_on_the_side_they_may_be_on(run):
    share, low, high = shares_with_intervals(run("v1=9,v2=1", {"v1": 90, "v2": 9, None: 1}))["v2"]

    assert share == 9 / 99
    assert (low, high) == (kt_interval(100, 9, 0.01)[0], kt_interval(100, 10, 0.01)[1])


def test_an_unexpected_label_has_an_interval_too(run):
    shares = shares_with_intervals(run("v1=9,v2=1", ["v1", "v1", "x"]))

    assert list(shares) == ["v1", "v2", "x"]
    assert shares["x"][0] == pytest.approx(1 / 3)


def test_nothing_is_known_before_the_first_connection(run):
    evidence = run("v1=9,v2=1", [])

    assert shares_with_intervals(evidence) == {"v1": (0, 0, 1), "v2": (0, 0, 1)}
    assert decision_bounds(evidence, "v2") == (0, 1)


def test_a_best_moment_in_the_past_still_counts(run):
    """Bounds only ever tighten, as the running maxima of the decision do."""
    early = run("v1=9,v2=1", ["v1"] * 60)
    later = run("v1=9,v2=1", ["v1"] * 60 + ["v2"] * 3)

    assert decision_bounds(later, "v2")[1] == pytest.approx(decision_bounds(early, "v2")[1])
    assert upper_bound(63, 3, 0.9 / 22, 0.01) > decision_bounds(early, "v2")[1]


@pytest.mark.parametrize(("first", "then"), [("v1", "v2"), ("v2", "v1")])
def test_bounds_from_the_past_never_exclude_the_share_of_now(run, first, then):
    policy = {"tolerance": Tolerance.parse("10pp"), "beta": 0.05, "alpha": 1e-12}
    evidence = run("v1=1,v2=1", [first] * 20 + [then] * 50, **policy)

    low, high = decision_bounds(evidence, "v2")

    assert low <= evidence.counts["v2"] / evidence.judged <= high


def test_bounds_that_nothing_refutes_are_zero_and_one():
    assert upper_bound(3, 3, 0.02, 0.01) == 1
    assert lower_bound(3, 0, 0.02, 0.01) == 0


@pytest.mark.parametrize(("n", "x"), [(50, 3), (1000, 100), (20000, 2000)])
def test_bounds_lie_on_either_side_of_the_share(n, x):
    assert lower_bound(n, x, 0.02, 0.01) < x / n < upper_bound(n, x, 0.02, 0.01)
