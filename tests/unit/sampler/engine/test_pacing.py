"""Poisson arrivals."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy import stats

from sampler.engine.pacing import RateCap, poisson_arrivals


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


@pytest.mark.parametrize(("rate", "slots"), [(2_000.0, 16), (100.0, 1_000), (3.0, 1), (1e6, 64)])
def test_a_cap_holds_in_every_stretch_of_time(rate, slots):
    cap = RateCap(rate, slots)
    launches = []
    now = 5_000_000_000
    for step in range(2_000):
        while cap.take(now):
            launches.append(now)
        now += (step * 7_919) % 3_000_000
    for start in range(0, len(launches), 97):
        for end in range(start, len(launches), 89):
            seconds = (launches[end] - launches[start]) / 1e9
            assert end - start + 1 <= cap.burst + rate * seconds + 1e-6


def test_a_cap_gives_its_whole_rate_to_a_sender_whose_timer_is_late():
    cap = RateCap(2_000.0, 16)
    launched = 0
    for now in range(0, 1_000_000_000, 1_700_000):
        while cap.take(now):
            launched += 1
    assert launched == pytest.approx(2_000, rel=0.01)


def test_a_cap_lets_no_more_than_a_short_burst_go_at_once():
    cap = RateCap(100.0, 1_000)
    assert sum(cap.take(0) for _ in range(1_000)) == cap.burst == 2


def test_a_cap_says_when_the_next_launch_is_free():
    cap = RateCap(10.0, 4)
    while cap.take(1_000):
        pass
    wait_ns = cap.wait_ns(1_000)
    assert 0 < wait_ns <= 100_000_000
    assert not cap.take(1_000 + wait_ns - 1)
    assert cap.take(1_000 + wait_ns)


def test_a_cap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="> 0"):
        RateCap(0.0, 1)
