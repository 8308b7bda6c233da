"""The classical test: its p-value, which test is chosen, and what it says that it is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chisquare, multinomial

from analysis import Verdict
from analysis.data.report import Decided, Expected, Observed, Source
from analysis.render import from_json
from analysis.review.classical import Classical, chi_square, classical_test, exact_p_value

RUN = Path(__file__).parents[4] / "notebooks" / "runs" / "first-look" / "report.json"
EARLIER = from_json(RUN.read_text(encoding="utf-8"))
"""A report that was written before there was a classical test in it."""


def asked(counts, weights, verdict=Verdict.INCONCLUSIVE, missing=0, per_connection=1) -> Classical:
    """Test a report with some counts against some weights."""
    total, n = sum(weights.values()), sum(counts.values())
    shares = {arm: weight / total for arm, weight in weights.items()}
    report = replace(
        EARLIER,
        verdict=verdict,
        expected=Expected(Source(), weights, shares, dict.fromkeys(weights, (0.0, 1.0))),
        observed=Observed(counts, {}, {}),
        samples=replace(EARLIER.samples, independent=n + missing),
        decision=Decided(0.01, 0.01, n + missing, per_connection=per_connection),
    )
    found = classical_test(report)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ((120, 101), (1, 1)),
        ((576, 63), (9, 1)),
        ((5, 995), (1, 99)),
        ((410, 35, 55), (8, 1, 1)),
        ((30, 40, 50, 80), (1, 1, 1, 1)),
        ((100, 0), (19, 1)),
        ((300, 290, 310), (1, 1, 1)),
        ((2_000, 10, 10, 1), (97, 1, 1, 1)),
        (tuple(range(40, 101)), (1,) * 61),
    ],
)
def test_chi_square_is_that_of_scipy(counts, weights):
    wanted = chisquare(counts, np.array(weights) / sum(weights) * sum(counts))

    assert chi_square(counts, weights) == pytest.approx(tuple(wanted), rel=1e-9)


def test_a_chi_square_of_equal_counts_is_no_surprise():
    assert chi_square((50, 50), (1, 1)) == (0, 1)


@pytest.mark.parametrize("n", [1, 7, 28, 49, 4000])
@pytest.mark.parametrize("weights", [(9, 1), (1, 1), (999, 1)])
def test_two_versions_are_tested_as_by_scipys_binomial_test(n, weights):
    share = weights[1] / sum(weights)
    for x in {0, 1, n // 3, n // 2, n}:
        wanted = binomtest(x, n, share).pvalue
        assert exact_p_value((n - x, x), weights) == pytest.approx(wanted, rel=1e-7, abs=1e-290)


@pytest.mark.parametrize("weights", [(8, 1, 1), (1, 1, 1), (5, 3, 1, 1)])
def test_several_versions_are_tested_by_all_outcomes(weights):
    n, arms = 9, len(weights)
    law = multinomial(n, np.array(weights) / sum(weights))
    outcomes = [each for each in product(range(n + 1), repeat=arms) if sum(each) == n]
    chance = {each: float(law.pmf(each)) for each in outcomes}

    assert sum(chance.values()) == pytest.approx(1)
    for seen in outcomes[:: 1 + len(outcomes) // 40]:
        wanted = sum(each for each in chance.values() if each <= chance[seen] * (1 + 1e-7))
        assert exact_p_value(seen, weights) == pytest.approx(wanted, rel=1e-9)


def test_the_likeliest_outcome_has_a_p_value_of_one():
    assert exact_p_value((8, 1, 1), (8, 1, 1)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("counts", "weights", "test", "df"),
    [
        ({"v1": 45, "v2": 5}, {"v1": 9, "v2": 1}, "chi-square", 1),
        ({"v1": 44, "v2": 5}, {"v1": 9, "v2": 1}, "exact binomial", None),
        ({"v1": 40, "v2": 5, "v3": 5}, {"v1": 8, "v2": 1, "v3": 1}, "chi-square", 2),
        ({"v1": 39, "v2": 5, "v3": 5}, {"v1": 8, "v2": 1, "v3": 1}, "exact multinomial", None),
    ],
)
def test_small_expected_counts_are_tested_exactly(counts, weights, test, df):
    found = asked(counts, weights)

    assert (found.test, found.df, found.n) == (test, df, sum(counts.values()))
    assert (found.statistic is None) is (df is None)
    assert "Approximate" not in found.note


def test_where_outcomes_are_too_many_to_add_up_the_note_says_approximate():
    rare = asked({"v1": 3990, "v2": 6, "v3": 4}, {"v1": 998, "v2": 1, "v3": 1})

    assert (rare.test, rare.df) == ("chi-square", 2)
    assert "Approximate: fewer than 5" in rare.note


def test_it_holds_its_level_at_a_size_fixed_in_advance():
    random = np.random.default_rng(11)
    draws = random.binomial(400, 0.1, size=2000).tolist()
    found = [asked({"v1": 400 - x, "v2": x}, {"v1": 9, "v2": 1}).p_value for x in draws]

    rejected = sum(p is not None and p < 0.05 for p in found)
    assert binom.isf(1 - 1e-6, 2000, 0.03) <= rejected <= binom.isf(1e-6, 2000, 0.06)


def test_versions_that_must_not_answer_are_left_out_and_counted():
    weights = {"v1": 1, "v2": 1, "old": 0}
    counts = {"v1": 60, "v2": 52, "old": 2, "stranger": 1}

    with_others = asked(counts, weights, missing=4)
    alone = asked({"v1": 60, "v2": 52}, {"v1": 1, "v2": 1})

    assert with_others.n == 112
    assert with_others.p_value == alone.p_value
    assert "Left out: 3 connections to versions not expected." in with_others.note
    assert "Left out: 4 connections without a label." in with_others.note
    assert "Left out" not in alone.note


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_run_that_chose_its_end_says_so(verdict):
    found = asked({"v1": 60, "v2": 52}, {"v1": 1, "v2": 1}, verdict)

    assert ("ended once it was decided" in found.note) is (verdict is not Verdict.INCONCLUSIVE)
    assert found.note.startswith("Not the verdict")
    assert "fixed in advance" in found.note


@pytest.mark.parametrize(
    ("counts", "weights", "more", "why"),
    [
        ({"v1": 9, "v2": 1}, {"v1": 9, "v2": 1}, {"per_connection": 10}, "several answers"),
        ({"v1": 9}, {"v1": 1}, {}, "one version"),
        ({"v1": 9, "v2": 0}, {"v1": 1, "v2": 0}, {}, "one version"),
        ({}, {"v1": 9, "v2": 1}, {"missing": 3}, "no connection"),
        ({"old": 5}, {"v1": 9, "v2": 1}, {}, "no connection"),
    ],
)
def test_where_no_test_holds_the_note_says_why(counts, weights, more, why):
    found = asked(counts, weights, **more)

    assert (found.test, found.statistic, found.df, found.p_value) == (None,) * 4
    assert why in found.note
    assert str(found) == "no classical test"


def test_a_measurement_has_none():
    unjudged = replace(EARLIER, verdict=None, expected=None, decision=None)

    assert classical_test(unjudged) is None


def test_a_report_of_an_earlier_version_has_one():
    assert str(classical_test(EARLIER)).startswith("chi-square(1) = ")


def test_it_is_told_on_one_line():
    large = asked({"v1": 120, "v2": 101}, {"v1": 1, "v2": 1})
    small = asked({"v1": 15, "v2": 13}, {"v1": 9, "v2": 1})

    assert str(large) == "chi-square(1) = 1.633, n = 221, p = 0.2"
    assert str(small) == "exact binomial, n = 28, p = 8.7e-07"
