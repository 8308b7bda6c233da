"""Poisson arrivals."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy import stats

from sampler.pacing import poisson_arrivals


def arrivals(rate: float, n: int, seed: int = 1) -> list[int]:
    return list(islice(poisson_arrivals(rate, np.random.default_rng(seed)), n))


def test_arrivals_ascend_across_blocks():
    due = arrivals(5_000, 10_000)

    assert all(a <= b for a, b in pairwise(due))


@pytest.mark.parametrize("rate", [0.5, 1_000, 250_000])
def test_the_mean_rate_is_the_asked_one(rate):
    n = 100_000
    due = arrivals(rate, n)

    # The n-th arrival has a relative standard deviation of 1/sqrt(n).
    assert due[-1] * rate / 1e9 == pytest.approx(n, rel=5 / n**0.5)


def test_gaps_are_exponential_and_not_even():
    gaps = np.diff(arrivals(1_000, 5_001)) / 1e6

    assert stats.kstest(gaps, "expon").pvalue > 1e-6
    even = np.full(5_000, 1.0)
    assert stats.kstest(even, "expon").pvalue < 1e-6


def test_the_same_seed_gives_the_same_arrivals():
    assert arrivals(100, 50, seed=7) == arrivals(100, 50, seed=7)
    assert arrivals(100, 50, seed=7) != arrivals(100, 50, seed=8)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(ValueError, match="rate must be > 0"):
        next(poisson_arrivals(rate, np.random.default_rng(1)))
