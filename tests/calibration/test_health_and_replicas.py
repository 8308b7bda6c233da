"""Canary against stable, and replicas: false alarms at any look, with naive twins that break.

Each bound is crossed by chance once in a million; seeds are fixed besides.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from analysis.versions.health import CONFIDENCE, Failures, Times
from analysis.versions.replicas import (
    ReplicaCounts,
    replica_warnings,
    requests_to_see_all,
    uniformity_log_evidence,
)
from analysis.versions.twosample import (
    BLOCK,
    histogram,
    quantile_difference_s,
    sign_log_evidence,
)

ALPHA = 0.05
THRESHOLD = -np.log(ALPHA)


def roles_of(random, n):
    """Draw who answers: the canary in one of ten."""
    return random.random(n) < 0.1


def alarms_on_errors(rate_canary, rate_stable, *, bounds, count, length, seed):
    """Count the runs in which the evidence on errors ever reaches 1/alpha, for each bound."""
    random = np.random.default_rng(seed)
    hits = np.zeros(len(bounds), dtype=int)
    for _ in range(count):
        canary = roles_of(random, length)
        failed = random.random(length) < np.where(canary, rate_canary, rate_stable)
        peaks = Failures(bounds).observe(canary, failed).peaks
        hits += np.array(peaks) >= THRESHOLD
    return hits.tolist()


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_equal_error_rates_rarely_raise_an_alarm_at_any_look(at_most, rate):
    (hits,) = alarms_on_errors(rate, rate, bounds=(1.0,), count=1500, length=3000, seed=31)

    assert hits <= at_most(ALPHA, 1500)


def test_an_error_ratio_at_its_limit_rarely_fails_and_one_beyond_it_does(at_most, at_least):
    """15 % against 5 %: a ratio of 3 is kept, a ratio of 1 is not."""
    beyond, kept = alarms_on_errors(0.15, 0.05, bounds=(1.0, 3.0), count=800, length=3000, seed=32)

    assert kept <= at_most(ALPHA, 800)
    assert beyond >= at_least(0.9, 800)


def test_a_z_test_on_errors_that_is_looked_at_after_each_block_raises_false_alarms(at_most):
    """The naive twin, on the same blocks."""
    random = np.random.default_rng(33)
    limit, alarms, count, length = norm.isf(ALPHA), 0, 600, 10_000
    looks = np.arange(BLOCK, length + 1, BLOCK) - 1
    for _ in range(count):
        canary = roles_of(random, length)
        failed = random.random(length) < 0.2
        n_c, k_c = np.cumsum(canary)[looks], np.cumsum(canary & failed)[looks]
        n_s, k_s = looks + 1 - n_c, np.cumsum(~canary & failed)[looks]
        pooled = (k_c + k_s) / (n_c + n_s)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n_c, 1) + 1 / n_s))
        z = (k_c / np.maximum(n_c, 1) - k_s / n_s) / np.maximum(spread, 1e-9)
        alarms += bool((z > limit).any())

    assert alarms > 3 * at_most(ALPHA, count) // 2


def alarms_on_times(factor, *, bounds, count, length, seed):
    random = np.random.default_rng(seed)
    hits = np.zeros(len(bounds), dtype=int)
    for _ in range(count):
        canary = roles_of(random, length)
        times = random.lognormal(16, 0.5, length) * np.where(canary, factor, 1.0)
        peaks = Times(bounds).observe(canary, times.astype(np.int64)).peaks
        hits += np.array(peaks) >= THRESHOLD
    return hits.tolist()


def test_equal_times_rarely_raise_an_alarm_at_any_look(at_most):
    (hits,) = alarms_on_times(1.0, bounds=(1.0,), count=2000, length=3000, seed=34)

    assert hits <= at_most(ALPHA, 2000)
    assert hits > 0


def test_a_slowdown_at_its_limit_rarely_fails_and_one_beyond_it_does(at_most, at_least):
    beyond, kept = alarms_on_times(1.5, bounds=(1.0, 1.5), count=1000, length=3000, seed=35)

    assert kept <= at_most(ALPHA, 1000)
    assert beyond >= at_least(0.97, 1000)


def sawtooth(n):
    """Rise fivefold over forty answers and fall at once, whoever answers [ns]."""
    return (10e6 * (1 + 4 * (np.arange(n) % 40) / 40)).astype(np.int64)


def ramp(n):
    return (10e6 * (1 + np.arange(n) / n)).astype(np.int64)


@pytest.mark.parametrize("latency", [sawtooth, ramp])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_versions_that_share_a_moving_latency_rarely_raise_an_alarm(at_most, latency, share):
    random = np.random.default_rng(39)
    count, length = 1000, 2000
    times = latency(length)
    alarms = 0
    for seed in range(count):
        canary = random.random(length) < share
        (peak,) = Times((1.0,), seed).observe(canary, times).peaks
        alarms += peak >= THRESHOLD

    assert alarms <= at_most(ALPHA, count)


@pytest.mark.parametrize("latency", [sawtooth, ramp])
def test_the_later_one_of_each_pair_alarms_on_a_latency_that_both_share(at_most, latency):
    """The naive twin: each answer is paired with the next one of the other version."""
    random = np.random.default_rng(40)
    count, length = 200, 2000
    times = latency(length)
    alarms = 0
    for _ in range(count):
        canary = random.random(length) < 0.1
        places = np.flatnonzero(canary[1:] & ~canary[:-1]) + 1
        slower = np.cumsum(times[places] > times[places - 1])
        alarms += (sign_log_evidence(np.arange(1, len(places) + 1), slower) >= THRESHOLD).any()

    assert alarms > 3 * at_most(ALPHA, count)


def test_a_mann_whitney_test_looked_at_every_hundred_answers_raises_false_alarms(at_most):
    """The naive twin of the pairs."""
    random = np.random.default_rng(36)
    alarms, count, length = 0, 200, 2000
    for _ in range(count):
        canary = roles_of(random, length)
        times = random.lognormal(16, 0.5, length)
        alarms += any(
            mannwhitneyu(
                times[:n][canary[:n]], times[:n][~canary[:n]], alternative="greater",
                method="asymptotic",
            ).pvalue < ALPHA
            for n in range(100, length + 1, 100)
        )  # fmt: skip

    assert alarms > at_most(ALPHA, count)


@pytest.mark.parametrize(("level", "n"), [(0.5, 16), (0.5, 600), (0.95, 160)])
def test_the_interval_of_a_quantile_difference_holds_it_about_as_often_as_it_says(
    at_least, level, n
):
    """A bootstrap, so three points are granted; the canary takes 1.3 times as long."""
    random = np.random.default_rng(37)
    true = (1.3 - 1) * np.exp(16 + 0.5 * norm.ppf(level)) / 1e9
    held = 0
    for _ in range(600):
        canary = histogram((1.3 * random.lognormal(16, 0.5, n)).astype(np.int64))
        stable = histogram(random.lognormal(16, 0.5, 9 * n).astype(np.int64))
        interval = quantile_difference_s(canary, stable, level, confidence=CONFIDENCE, seed=1)
        assert interval is not None
        held += interval[0] <= true <= interval[1]

    assert held >= at_least(CONFIDENCE - 0.03, 600)


def test_equal_replicas_rarely_raise_an_alarm_at_any_look(at_most):
    """Looked at after each answer from the one on at which all must have been seen."""
    random = np.random.default_rng(38)
    replicas, length, count = 5, 800, 300
    start = requests_to_see_all(replicas, ALPHA)
    alarms = 0
    for _ in range(count):
        counts = np.cumsum(np.eye(replicas, dtype=int)[random.integers(replicas, size=length)], 0)
        alarms += any(
            uniformity_log_evidence(counts[n].tolist()) >= THRESHOLD
            for n in range(start - 1, length)
        )

    assert alarms <= at_most(ALPHA, count)


def test_equal_replicas_are_rarely_warned_of_in_any_way_at_any_look(at_most):
    """Unseen ones and unequal parts are two questions, asked of each of several versions."""
    random = np.random.default_rng(40)
    versions, replicas, alpha, count = 2, 10, 0.2, 1200
    names = [f"p{i}" for i in range(replicas)]
    declared = {f"v{version}": replicas for version in range(versions)}
    looks = [*range(20, 60, 4), *range(60, 200, 10), *range(200, 801, 50)]
    warned = 0
    for _ in range(count):
        drawn = random.integers(replicas, size=(versions, 800))
        counts = np.cumsum(np.eye(replicas, dtype=int)[drawn], axis=1)
        warned += any(
            replica_warnings(
                ReplicaCounts.of(
                    {
                        label: {name: x for name, x in zip(names, row, strict=True) if x}
                        for label, row in zip(declared, counts[:, n - 1].tolist(), strict=True)
                    }
                ),
                declared,
                alpha,
            )
            for n in looks
        )

    assert warned <= at_most(alpha, count)


def test_a_replica_at_half_weight_is_found(at_least):
    random = np.random.default_rng(39)
    parts = np.array([0.5, 1, 1, 1, 1]) / 4.5
    found = sum(
        uniformity_log_evidence(random.multinomial(800, parts).tolist()) >= THRESHOLD
        for _ in range(300)
    )

    assert found >= at_least(0.9, 300)


def test_an_unseen_replica_is_rarely_a_false_alarm(at_most):
    random = np.random.default_rng(40)
    n = requests_to_see_all(10, ALPHA)
    unseen = sum(len(set(random.integers(10, size=n).tolist())) < 10 for _ in range(2000))

    assert 0 < unseen <= at_most(ALPHA, 2000)


def test_a_chi_square_on_replicas_looked_at_after_each_answer_raises_false_alarms(at_most):
    """The naive twin."""
    random = np.random.default_rng(41)
    replicas, length, count = 5, 800, 300
    limit = 9.487729  # chi-square with 4 degrees of freedom, 5 %
    alarms = 0
    for _ in range(count):
        counts = np.cumsum(np.eye(replicas)[random.integers(replicas, size=length)], 0)[24:]
        part = np.arange(25, length + 1)[:, None] / replicas
        alarms += bool((((counts - part) ** 2 / part).sum(axis=1) > limit).any())

    assert alarms > at_most(ALPHA, count)
