from __future__ import annotations

from collections import Counter
from itertools import combinations, groupby, pairwise
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data.report import ReasonCode, Verdict
from analysis.data.split import Tolerance
from analysis.guards.runs import Runs, log_level, log_tails, runs_z
from analysis.verdict.decision import decide


def test_runs_of_versions_that_take_turns_exactly():
    assert runs_z(60, 300, 30) == pytest.approx(1.6161095, abs=1e-8)


def test_runs_of_a_known_stream():
    assert runs_z(175, 1000, 99) == pytest.approx(-0.781391385, abs=1e-9)


@pytest.mark.parametrize(("n", "x"), [(0, 0), (1, 1), (2, 1), (50, 0), (50, 50)])
def test_counts_that_leave_no_choice_say_nothing(n, x):
    assert runs_z(1 + (0 < x < n), n, x) == 0
    assert log_tails(1 + (0 < x < n), n, x) == (0, 0)


@pytest.mark.parametrize("n", range(2, 13))
def test_the_chances_of_runs_are_those_of_every_order_counted_out(n):
    for x in range(1, n):
        orders = [[i in places for i in range(n)] for places in combinations(range(n), x)]
        seen = Counter(len(list(groupby(order))) for order in orders)
        for runs in seen:
            fewer, more = log_tails(runs, n, x)
            few = sum(count for r, count in seen.items() if r <= runs) / len(orders)
            many = sum(count for r, count in seen.items() if r >= runs) / len(orders)

            assert (exp(fewer), exp(more)) == pytest.approx((few, many), rel=1e-12)


def test_the_chances_of_runs_in_many_connections_are_exact_too():
    """Two of 100 000: 2 orders have them at one end, n - 3 side by side elsewhere, 1 at both."""
    n = 100_000
    pairs = n * (n - 1) / 2

    assert log_tails(2, n, 2)[0] == pytest.approx(log(2 / pairs), rel=1e-12)
    assert log_tails(3, n, 2)[0] == pytest.approx(log(n / pairs), rel=1e-12)
    assert log_tails(50_001, n, n // 2)[0] == pytest.approx(log(0.5), abs=0.01)
    # About 41 standard deviations: a power of ten that no float holds.
    assert -1e4 < log_tails(43_500, n, n // 2)[0] < -800


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=80), st.lists(st.integers(0, 80), max_size=5)
)
def test_runs_are_counted_whatever_the_cuts(codes, cuts):
    hit = np.array([[code == arm for code in codes] for arm in (1, 2)])
    runs = Runs.start(2)
    for first, last in pairwise([0, *sorted(min(cut, len(codes)) for cut in cuts), len(codes)]):
        runs = runs.follow(hit[:, first:last])

    assert [n + 1 for n in runs.changes] == [len(list(groupby(row))) for row in hit.tolist()]


def sticky(n, every, length):
    """One canary in ten, in stretches."""
    return [("v2" if position // length % every == 0 else "v1") for position in range(n)]


def test_connections_that_hang_together_do_not_pass(run):
    """10 % in total, always three in a row: the counts alone pass it."""
    evidence = run("v1=9,v2=1", sticky(6000, 10, 3), tolerance=Tolerance.parse("2pp"))
    decision = decide(evidence)

    assert evidence.settled is ReasonCode.DEPENDENT_CONNECTIONS
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.is_final
    assert "are not independent" in decision.reasons[0].message
    assert "affinity" in decision.reasons[0].remedy
    assert evidence.runs_z_of(0) < -10
    assert evidence.runs_tails_of(0)[0] < log_level(1)
    assert "more than a million to one" in decision.reasons[0].message
    assert decision.notes == ()


def test_round_robin_passes_and_is_said_to_be_harmless(run):
    decision = decide(
        run("v1=9,v2=1", (["v1"] * 9 + ["v2"]) * 600, tolerance=Tolerance.parse("2pp"))
    )

    assert decision.verdict is Verdict.PASS
    assert "harmless" in decision.notes[0]


def test_missing_labels_are_left_out_of_the_runs(run):
    lost = run("v1=1,v2=1", ["v1", None, "v1", "v2", None, None, "v2"])

    assert lost.runs == run("v1=1,v2=1", ["v1", "v1", "v2", "v2"]).runs


def test_a_run_without_a_verdict_says_when_its_connections_hang_together(run):
    decision = decide(run("v1=9,v2=1", sticky(300, 10, 5), max_samples=300, alpha=1e-9))

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reasons[0].code is ReasonCode.BUDGET_SPENT
    assert "are not independent" in decision.notes[0]


CANARY_AT = [
    *(
        69,
        207,
        538,
        555,
        556,
        789,
        1012,
        1137,
        1239,
        1325,
        1364,
        1520,
        1680,
        1842,
        1894,
        2110,
        2227,
    ),
    *(2255, 2362, 2587, 2651, 2680, 2782, 3124, 3547, 3681, 3868, 3963, 4206, 4324, 4395),
    *(4396, 4400, 4488, 4496, 4671, 4876, 5192, 5361, 5563, 5609, 5624, 5683, 5773, 5908, 5910),
    *(5920, 5974, 6001),
]
"""Connections, from 1, of a right 99:1 that met the canary: twice two in a row, z = -3.4."""


def test_a_right_split_with_few_runs_is_not_stopped_for_two_neighbours(run):
    labels = ["v2" if at in set(CANARY_AT) else "v1" for at in range(1, 6052)]

    evidence = run("v1=99,v2=1", labels)

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.runs_z_of(0) < -3.3
    assert exp(evidence.runs_tails_of(0)[0]) == pytest.approx(0.00764, abs=5e-6)
