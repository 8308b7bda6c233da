from __future__ import annotations

from math import exp, inf, log

import pytest

from analysis.bets.hypotheses import (
    Null,
    Side,
    certain_tolerance,
    clean_connections,
    clean_null,
    fail_nulls,
    imputed,
    is_certain,
    log_lost,
    lower_null,
    pass_nulls,
    upper_null,
)
from analysis.data.split import Band

TEN = Band("v2", 0.1, 0.02, 0.02)


def test_bets_of_the_pass_side_lie_between_the_edge_and_the_expected_share():
    too_low, too_high = pass_nulls(TEN)

    assert too_high.side is Side.AT_LEAST
    assert too_high.edge == pytest.approx(0.12)
    assert too_high.alternatives == pytest.approx((0.104, 0.112, 0.116, 0.118))
    assert too_low.side is Side.AT_MOST
    assert too_low.edge == pytest.approx(0.08)
    assert too_low.alternatives == pytest.approx((0.096, 0.088, 0.084, 0.082))


@pytest.mark.parametrize("inner", [0.0, 0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_stakes_of_every_hypothesis_sum_to_one(share, inner):
    band = Band("v2", share, share / 4, (1 - share) / 4)

    for null in (*pass_nulls(band), *fail_nulls(band, inner)):
        assert sum(null.weights) == pytest.approx(1)
        assert all(weight > 0 for weight in null.weights)
        assert all((null.edge - q) * null.side > 0 for q in null.alternatives)
        assert all(0 <= q <= 1 for q in null.alternatives)


def test_the_fail_side_starts_at_a_quarter_of_the_tolerance_when_strict():
    up, down = fail_nulls(TEN, 1.0)

    assert up.alternatives[:3] == pytest.approx((0.125, 0.13, 0.14))
    assert up.alternatives[-1] == 1
    assert up.weights[1] == pytest.approx(2 * up.weights[0])
    assert down.alternatives[:3] == pytest.approx((0.075, 0.07, 0.06))
    assert down.alternatives[-1] == 0


def test_the_fail_side_starts_at_half_the_tolerance_when_half_of_it_is_inner():
    up, _ = fail_nulls(TEN, 0.5)

    assert up.edge == pytest.approx(0.11)
    assert up.alternatives[:2] == pytest.approx((0.12, 0.13))
    assert up.weights[0] == pytest.approx(2 * up.weights[1])


def test_only_the_extreme_is_bet_on_where_no_distance_fits():
    _, down = fail_nulls(Band("v2", 0.101, 0.1, 0.1), 1.0)

    assert down.alternatives == (0.0,)
    assert down.weights == (1.0,)


def test_a_bet_on_none_is_lost_with_one_label():
    null = Null(0.2, Side.AT_LEAST, (0.0,), (1.0,))

    assert null.log_evidence(10, 0) == pytest.approx(-10 * log(0.8))
    assert null.log_evidence(10, 1) == -inf


def test_a_bet_on_all_is_lost_without_one_label():
    null = Null(0.2, Side.AT_MOST, (1.0,), (1.0,))

    assert null.log_evidence(10, 10) == pytest.approx(-10 * log(0.2))
    assert null.log_evidence(10, 9) == -inf


def test_there_is_no_evidence_before_the_first_connection():
    for null in (*pass_nulls(TEN), *fail_nulls(TEN, 1.0)):
        assert null.log_evidence(0, 0) == pytest.approx(0, abs=1e-15)


def test_huge_counts_neither_overflow_nor_lose_the_evidence():
    assert upper_null(0.12, 0.02).log_evidence(10**9, 10**8) == pytest.approx(1.9e6, rel=0.05)


@pytest.mark.parametrize(("n", "x"), [(30, 3), (500, 60), (5000, 480)])
def test_the_two_sides_mirror_each_other(n, x):
    assert upper_null(0.12, 0.02).log_evidence(n, x) == pytest.approx(
        lower_null(0.88, 0.02).log_evidence(n, n - x), abs=1e-9
    )


def test_bets_never_leave_the_unit_interval():
    assert upper_null(0.01, 0.1).alternatives == pytest.approx((0.0, 0.0, 0.0, 0.0))
    assert lower_null(0.99, 0.1).alternatives == pytest.approx((1.0, 1.0, 1.0, 1.0))


def test_clean_connections_is_the_smallest_number_that_suffices():
    n = clean_connections(0.03, 0.02)

    assert 0.97**n <= 0.02 < 0.97 ** (n - 1)


@pytest.mark.parametrize(
    ("share", "certain"), [(0.0, True), (1.0, True), (0.001, False), (0.999, False)]
)
def test_only_shares_of_zero_and_one_are_certain(share, certain):
    assert is_certain(Band("v2", share, 0.01, 0.01)) == certain


def test_a_certain_share_has_one_tolerance():
    assert certain_tolerance(Band("v1", 1.0, 0.01, 0.5)) == 0.01
    assert certain_tolerance(Band("v2", 0.0, 0.5, 0.02)) == 0.02


@pytest.mark.parametrize(
    ("edge", "side", "ratio", "expected"),
    [
        (0.12, Side.AT_LEAST, 1.0, 0.12),
        (0.08, Side.AT_MOST, 1.0, 0.08),
        (0.12, Side.AT_LEAST, 2.0, 0.214285714),
        (0.08, Side.AT_MOST, 2.0, 0.0416666667),
        (0.12, Side.AT_LEAST, 5.0, 0.405405405),
        (0.08, Side.AT_MOST, 5.0, 0.0170940171),
        (0.12, Side.AT_LEAST, inf, 1.0),
        (0.08, Side.AT_MOST, inf, 0.0),
    ],
)
def test_what_a_missing_label_counts_as(edge, side, ratio, expected):
    assert imputed(edge, side, ratio) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("ratio", [1.5, 4.0, 1e6])
@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_what_a_missing_label_counts_as_is_worst_for_the_largest_ratio_and_fair_there(ratio, rate):
    """The mean of what is fed equals the share at the edge."""
    for side, own in ((Side.AT_LEAST, rate), (Side.AT_MOST, rate / ratio)):
        other = rate / ratio if side is Side.AT_LEAST else rate
        lost = 0.3 * own + 0.7 * other

        assert 0.3 * (1 - own) + lost * imputed(0.3, side, ratio) == pytest.approx(0.3)


@pytest.mark.parametrize("alternative", [0.0, 0.05, 0.4, 1.0])
def test_the_factor_of_a_fraction_lies_on_the_line_between_the_two_results(alternative):
    factors = [
        exp(log_lost(alternative, 0.2, y))
        if (alternative, y) not in {(0.0, 1.0), (1.0, 0.0)}
        else 0
        for y in (0.0, 0.25, 1.0)
    ]

    assert factors[1] == pytest.approx(0.75 * factors[0] + 0.25 * factors[2])


def test_missing_labels_at_equal_rates_leave_the_evidence_as_it_was():
    for null in (*pass_nulls(TEN, 1.0), *fail_nulls(TEN, 1.0, 1.0)):
        assert null.log_evidence(130, 10, 30) == pytest.approx(null.log_evidence(100, 10))


def test_a_missing_label_counts_as_the_worst_where_nothing_is_known():
    too_low, too_high = pass_nulls(TEN)

    assert too_low.log_evidence(100, 10, 5) == pytest.approx(too_low.log_evidence(100, 10))
    assert too_high.log_evidence(100, 10, 5) == pytest.approx(too_high.log_evidence(100, 15))


@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize("tolerance", [0.001, 0.01, 0.02, 0.05, 0.3])
def test_the_bet_on_a_clean_run_spares_only_what_the_run_does_not_need(tolerance, level):
    null, n = clean_null(tolerance, level), clean_connections(tolerance, level)

    assert null.log_evidence(n, 0) >= -log(level)
    assert null.log_evidence(n - 1, 0) < -log(level)
    assert sum(null.weights) == pytest.approx(1)
    assert null.log_evidence(10 * n, 0, 1) > -log(level)


def test_nothing_is_spared_where_a_clean_run_needs_all_of_it():
    assert clean_null(0.5, 0.25).alternatives == (0.0,)
