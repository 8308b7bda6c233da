from __future__ import annotations

from itertools import pairwise
from math import exp
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, kstest

from analysis.data.report import ReasonCode, Verdict
from analysis.data.split import Tolerance
from analysis.guards.drift import Drift, Homogeneity, hypergeometric, normal_quantile, uniform
from analysis.text.rounding import amount
from analysis.verdict.decision import decide


def test_the_place_of_a_window_given_the_total():
    below, here, above = hypergeometric(200, 20, 100, 13)

    assert below == pytest.approx(0.880956507, abs=1e-9)
    assert below + here == pytest.approx(0.951496482, abs=1e-9)
    assert below + here + above == pytest.approx(1)


@given(st.integers(1, 400), st.data())
def test_chances_of_a_window_are_those_of_an_urn(total, data):
    marked = data.draw(st.integers(0, total))
    drawn = data.draw(st.integers(1, total))
    x = data.draw(st.integers(max(0, drawn - total + marked), min(marked, drawn)))
    law = hypergeom(total, marked, drawn)

    expected = (law.cdf(x - 1), law.pmf(x), law.sf(x))
    assert hypergeometric(total, marked, drawn, x) == pytest.approx(expected, abs=1e-9)


def test_huge_windows_are_judged_near_their_mean_only():
    chances = hypergeometric(10**9, 10**8, 10**8, 10**7 + 3000)

    assert chances[2] == pytest.approx(hypergeom(10**9, 10**8, 10**8).sf(10**7 + 3000), rel=1e-6)


@pytest.mark.parametrize("below", [1e-300, 1e-9, 0.01, 0.3, 0.5, 0.8])
def test_quantiles_of_the_normal_law_in_both_tails(below):
    expected = NormalDist().inv_cdf(below)

    assert normal_quantile(below, 1 - below) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert normal_quantile(1 - below, below) == pytest.approx(-expected, rel=1e-12, abs=1e-12)


def test_a_chance_of_nothing_has_a_finite_quantile():
    assert normal_quantile(0.0, 1.0) == -37
    assert normal_quantile(1.0, 0.0) == 37


def test_ties_are_broken_by_uniform_numbers_that_the_seed_decides():
    draws = np.concatenate([uniform(5, arm, np.arange(100)) for arm in range(20)])

    assert kstest(draws, "uniform").pvalue > 0.001
    assert list(uniform(5, 1, np.arange(2, 5))) == list(uniform(5, 1, np.arange(9))[2:5])
    assert len({uniform(seed, arm, np.arange(3))[2] for seed in (-1, 5) for arm in (0, 1)}) == 4


def test_bets_on_the_deviates_follow_their_recursion():
    """Against the same formulas, summed in another way."""
    deviates = [0.3, -1.2, 2.5, 0.1]
    test = Homogeneity()
    assert test.evidence == 1
    for z in deviates:
        test = test.see(z)

    shifted = sum(
        sum(exp(sum(d * z - d * d / 2 for z in deviates[start:])) for start in range(4)) / 64
        for d in (0.5, -0.5, 1, -1, 2, -2, 4, -4)
    )
    scattered = sum(
        np.prod([exp(z * z * (1 - 1 / t**2) / 2) / t for z in deviates]) for t in (1.4, 2, 4)
    )
    assert test.evidence == pytest.approx((shifted / 8 + 60 / 64 + scattered / 3) / 2, rel=1e-12)
    assert test.squares == pytest.approx(sum(z * z for z in deviates))


def test_evidence_stays_finite_whatever_the_deviates():
    test = Homogeneity()
    for _ in range(100):
        test = test.see(38.0)

    assert 1e100 < test.evidence < 1e300


def test_windows_are_wide_enough_for_the_rarer_label_and_few_enough_for_the_budget():
    assert Drift.start([0.1], 1000, 0).width == 50
    assert Drift.start([0.1], 64_000, 0).width == 1000
    assert Drift.start([0.5, 0.98], 100, 0).width == 250


@given(st.data())
@settings(max_examples=40)
def test_cutting_the_connections_otherwise_changes_nothing(data):
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    hit = random.random((2, 700)) < 0.3
    cuts = sorted(data.draw(st.lists(st.integers(0, 700), max_size=9)))
    cut = Drift.start([0.3, 0.3], 900, 4)
    for first, last in pairwise([0, *cuts, 700]):
        cut = cut.follow(hit[:, first:last])

    assert cut == Drift.start([0.3, 0.3], 900, 4).follow(hit)


def changing(n, before, after):
    """70 and 130 of a thousand, evenly spaced."""
    every = {0.07: 14, 0.13: 8}
    first = ["v2" if i % every[before] == 0 else "v1" for i in range(n)]
    return first + ["v2" if i % every[after] == 0 else "v1" for i in range(6000)]


def test_a_share_that_changed_in_mid_run_does_not_pass_and_is_located(run):
    labels = changing(1500, 0.07, 0.13)

    evidence = run("v1=9,v2=1", labels, tolerance=Tolerance.parse("2pp"), max_samples=8000)
    decision = decide(evidence)

    assert evidence.settled is ReasonCode.NOT_STATIONARY
    assert decision.verdict is Verdict.INCONCLUSIVE
    change = evidence.drift.change(0)
    assert change.earliest <= 1500 <= change.latest
    assert change.at == pytest.approx(1500, abs=evidence.drift.width)
    assert (change.before, change.after) == pytest.approx((0.07, 0.125), abs=0.01)
    assert f"near connection {amount(change.at)}" in decision.reasons[0].message
    assert "Wait" in decision.reasons[0].remedy


def test_a_constant_share_passes_beside_it(run):
    labels = ["v1"] * 9 + ["v2"]

    evidence = run("v1=9,v2=1", labels * 600, tolerance=Tolerance.parse("2pp"), max_samples=8000)

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.drift.peak < 2
