"""The two-sample e-values: exact expectations, reference values, and the bounded histogram."""

from __future__ import annotations

from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from analysis.versions.twosample import (
    BINS,
    block_log_evidence,
    fisher_p_value,
    histogram,
    quantile_difference_s,
    quantile_s,
    sign_log_evidence,
)


def expected_evidence(sizes, p_c, p_s, rates, ratio):
    """Give the mean of the evidence of one block, summed over all outcomes."""
    n_c, n_s = sizes
    of_canary = binom.pmf(np.arange(n_c + 1), n_c, p_c)
    of_stable = binom.pmf(np.arange(n_s + 1), n_s, p_s)
    return sum(
        of_canary[k_c]
        * of_stable[k_s]
        * exp(block_log_evidence((n_c, k_c), (n_s, k_s), rates, ratio))
        for k_c, k_s in product(range(n_c + 1), range(n_s + 1))
    )


@pytest.mark.parametrize("ratio", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("sizes", [(3, 7), (10, 30), (20, 20), (1, 0), (0, 4)])
@pytest.mark.parametrize("rates", [(0.2, 0.05), (0.9, 0.02), (0.5, 0.1)])
def test_a_block_is_a_fair_game_at_best_for_every_allowed_pair_of_rates(ratio, sizes, rates):
    for p_s in (0.001, 0.03, 0.1, 0.3):
        for part in (1.0, 0.7, 0.1):
            p_c = min(ratio * p_s * part, 1.0)

            assert expected_evidence(sizes, p_c, p_s, rates, ratio) <= 1 + 1e-12


def test_a_block_gains_where_the_canary_is_worse_than_allowed():
    assert expected_evidence((10, 30), 0.5, 0.1, (0.5, 0.1), 2.0) > 2


def test_rates_that_the_hypothesis_allows_are_not_bet_on():
    assert block_log_evidence((10, 5), (90, 5), (0.15, 0.1), 2.0) == 0
    assert block_log_evidence((0, 0), (0, 0), (0.5, 0.1), 1.0) == 0


def test_for_equal_rates_the_null_is_the_pooled_rate():
    """Turner, Ly & Grunwald's own form, typed again."""
    a, b, r = 0.2, 0.05, (10 * 0.2 + 90 * 0.05) / 100
    direct = 3 * log(a / r) + 7 * log((1 - a) / (1 - r)) + 4 * log(b / r)
    direct += 86 * log((1 - b) / (1 - r))

    assert block_log_evidence((10, 3), (90, 4), (a, b), 1.0) == pytest.approx(direct, abs=1e-12)


def test_evidence_of_signs_has_its_reference_value():
    assert sign_log_evidence(np.array([40]), np.array([30]))[0] == pytest.approx(
        3.97256413, abs=1e-8
    )


def test_a_pair_is_a_fair_game_if_either_is_slower_equally_often():
    slower = np.arange(11)
    evidence = np.exp(sign_log_evidence(np.full(11, 10), slower))

    assert (binom.pmf(slower, 10, 0.5) * evidence).sum() == pytest.approx(1)
    assert (binom.pmf(slower, 10, 0.4) * evidence).sum() < 1


@pytest.mark.parametrize(
    ("canary", "stable"),
    [((64, 5), (630, 9)), ((10, 0), (90, 3)), ((640, 12), (5000, 3)), ((5, 5), (5, 0)),
     ((100, 50), (900, 480)), ((20_000, 300), (180_000, 2_400)), ((0, 0), (10, 3))],
)  # fmt: skip
def test_fishers_test_agrees_with_scipy(canary, stable):
    table = np.array([[canary[1], canary[0] - canary[1]], [stable[1], stable[0] - stable[1]]])

    wanted = fisher_exact(table, alternative="greater")[1]

    assert fisher_p_value(canary, stable) == pytest.approx(wanted, rel=1e-7)


def test_a_histogram_keeps_quantiles_to_three_per_mille():
    times_ns = np.random.default_rng(1).lognormal(15, 1, 5001).astype(np.int64)
    counts = histogram(times_ns)

    for level in (0.05, 0.5, 0.95, 1.0):
        exact = np.quantile(times_ns, level, method="inverted_cdf") / 1e9
        assert quantile_s(counts, level) == pytest.approx(exact, rel=0.003)


def test_times_beyond_the_range_stay_in_the_last_bins():
    counts = histogram(np.array([0, 10, 1 << 62]))

    assert (counts[0], counts[BINS - 1], int(counts.sum())) == (2, 1, 3)


def test_no_interval_is_given_for_a_quantile_that_the_answers_cannot_reach():
    """Of 159 answers fewer than 8 are expected above the 95 % quantile."""
    few, enough = (histogram(np.arange(1, n + 1) * 10**6) for n in (159, 160))

    assert quantile_difference_s(few, enough, 0.95, confidence=0.95, seed=1) is None
    assert quantile_difference_s(enough, enough, 0.95, confidence=0.95, seed=1) is not None
    assert (
        quantile_difference_s(histogram(np.array([], int)), few, 0.5, confidence=0.9, seed=1)
        is None
    )


def test_the_same_seed_gives_the_same_interval():
    counts = histogram(np.random.default_rng(2).lognormal(16, 0.5, 300).astype(np.int64))
    other = histogram(np.random.default_rng(3).lognormal(16.5, 0.5, 300).astype(np.int64))
    intervals = {
        quantile_difference_s(other, counts, 0.5, confidence=0.95, seed=seed) for seed in (5, 5, 6)
    }

    assert len(intervals) == 2
    assert all(interval is not None and interval[0] > 0 for interval in intervals)
