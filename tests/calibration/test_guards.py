"""The guards of PASS: rarely in the way of independent draws, and there when needed.

Beside each guard runs the naive twin: the decision without it, on the same connections.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.guards.drift import Drift
from analysis.guards.runs import log_level, log_tails, runs_z

NINE_ONE = Split.parse("v1=9,v2=1")
PASS = ReasonCode.WITHIN_TOLERANCE
GUARDS = {ReasonCode.NOT_STATIONARY, ReasonCode.DEPENDENT_CONNECTIONS}
NARROW = Policy(tolerance=Tolerance.parse("2pp"), max_samples=8000)


def sticky(random, n, share, rho):
    """Stay with the last pod's version with probability rho, else draw anew."""
    fresh = random.random(n) < share
    anew = random.random(n) >= rho
    anew[0] = True
    return fresh[np.maximum.accumulate(np.where(anew, np.arange(n), 0))].astype(np.int32)


def settled(weigh_codes, codes_of, count, seed, policy=NARROW):
    random = np.random.default_rng(seed)
    return Counter(weigh_codes(NINE_ONE, policy, codes_of(random)).settled for _ in range(count))


def unguarded(ends):
    """What the decision would be without its guards: each of them replaces a PASS."""
    return ends[PASS] + sum(ends[code] for code in GUARDS)


def test_guards_rarely_stop_independent_draws(settle, at_most):
    policy = Policy(alpha=0.05, beta=0.05)

    ends = Counter(e.settled for e in settle(NINE_ONE, policy, [0.9, 0.1], count=800, seed=31))

    assert ends[ReasonCode.NOT_STATIONARY] <= at_most(0.05, 800)
    assert ends[ReasonCode.DEPENDENT_CONNECTIONS] <= at_most(0.002, 800)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_drift_guard_ever_alarms_at_most_at_its_level(share, at_most):
    random = np.random.default_rng(32)
    alarms = sum(
        Drift.start([share], 6400, seed).follow(random.random((1, 6400)) < share).peak >= 20
        for seed in range(700)
    )

    assert alarms <= at_most(0.05, 700)
    assert alarms > 0


def test_a_chi_square_of_windows_that_is_looked_at_again_and_again_alarms_too_often(at_most):
    """The naive twin of the drift guard: homogeneity of the windows so far, at each window."""
    random = np.random.default_rng(33)
    alarms = 0
    for _ in range(250):
        hits = random.binomial(100, 0.1, size=64)
        alarms += any(
            chi2_contingency([hits[:k], 100 - hits[:k]]).pvalue < 0.05 for k in range(2, 65, 2)
        )

    assert alarms > at_most(0.05, 250)


def test_connections_that_stick_together_are_not_passed(weigh_codes, at_least):
    ends = settled(weigh_codes, lambda random: sticky(random, 8000, 0.1, 0.1), 150, 34)

    assert ends[PASS] <= 30
    assert unguarded(ends) >= at_least(0.98, 150)


def test_sticky_connections_at_the_edge_pass_at_most_at_their_level(weigh_codes, at_most):
    """A fifth stays with its last version: without the guard they pass too often."""
    policy = Policy(alpha=0.05, beta=0.05, tolerance=Tolerance.parse("3pp"), max_samples=1500)

    ends = settled(weigh_codes, lambda random: sticky(random, 1500, 0.13, 0.3), 600, 35, policy)

    assert unguarded(ends) > at_most(0.05, 600)
    assert ends[PASS] <= at_most(0.05, 600)


def test_a_change_that_averages_out_is_mostly_not_passed(weigh_codes, at_least):
    """7 % for 1500 connections, then 13 %: on average right, and never right."""
    shares = np.where(np.arange(8000) < 1500, 0.07, 0.13)

    ends = settled(
        weigh_codes, lambda random: (random.random(8000) < shares).astype(np.int32), 100, 36
    )

    assert unguarded(ends) >= at_least(0.95, 100)
    assert ends[ReasonCode.NOT_STATIONARY] >= at_least(0.7, 100)


REGIMES = {
    "99:1": ((99, 1), 6_000),
    "199:1": ((199, 1), 12_000),
    "999:1": ((999, 1), 60_000),
    "98:1:1": ((98, 1, 1), 7_000),
    "998:1:1": ((998, 1, 1), 70_000),
    "20 equal": ((1,) * 20, 2_600),
}
"""Weights, and about the connections after which a right split passes at defaults."""
TRIALS = 4000


def arms_of(weights):
    """Rows that are tested: of two versions one."""
    return range(1, 2) if len(weights) == 2 else range(len(weights))


def runs_of_independent_draws(random, weights, n):
    """Draw (x, runs) of each tested arm, from the places of all but the first version."""
    total = sum(weights)
    rest = np.array(weights[1:]) / (total - weights[0])
    places = np.flatnonzero(random.random(n) >= weights[0] / total)
    labels = 1 + random.choice(len(rest), p=rest, size=len(places))
    for arm in arms_of(weights):
        # The first version is where the others are not: as many changes, the other ends.
        mine = places[labels == arm] if arm else places
        x = len(mine)
        if not 0 < x < n:
            continue
        stretches = 1 + int(np.count_nonzero(np.diff(mine) > 1))
        yield x, 2 * stretches + 1 - int(mine[0] == 0) - int(mine[-1] == n - 1)


@cache
def fewest(n, x, arms):
    """Highest number of runs that the guard takes for too few."""
    low, high = 1, 2 * min(x, n - x) + 1
    while low < high:
        runs = (low + high + 1) // 2
        low, high = (runs, high) if log_tails(runs, n, x)[0] <= log_level(arms) else (low, runs - 1)
    return low


@pytest.mark.parametrize("regime", REGIMES)
def test_the_runs_guard_stops_independent_draws_at_its_level_at_every_split(regime, at_most):
    """The naive twin is the normal approximation, on the same draws."""
    weights, n = REGIMES[regime]
    random = np.random.default_rng(37)
    arms = len(arms_of(weights))
    stopped = by_normal = 0
    for _ in range(TRIALS):
        drawn = list(runs_of_independent_draws(random, weights, n))
        stopped += any(runs <= fewest(n, x, arms) for x, runs in drawn)
        by_normal += any(runs_z(runs, n, x) < -3.29 for x, runs in drawn)

    assert stopped <= at_most(1 / 2000, TRIALS)
    assert by_normal > at_most(1 / 2000, TRIALS)
