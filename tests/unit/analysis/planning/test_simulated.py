"""Simulated chances: those of the recursion for two versions, and of the fold's rules for three."""

from __future__ import annotations

import pytest

from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.state import Evidence
from analysis.planning.exact import characteristics
from analysis.planning.fates import forecast_of, true_shares
from analysis.planning.simulated import Simulation
from tests.calibration.flock import Flock
from tests.calibration.plans import judged

RUNS = 4000
NOISE = 4 * 0.5 / RUNS**0.5


@pytest.mark.parametrize("text", ["v1=9,v2=1", "v1=1,v2=1"])
def test_two_versions_meet_the_recursion_and_err_on_the_side_that_is_said(text):
    split, policy = Split.parse(text), Policy()
    band, budget = policy.tolerance.bands(split)[1], Evidence.start(split, policy).budget
    half, beyond = (band.expected + band.high) / 2, band.high + 1.4 * band.above
    shares = [0.0, band.expected, half, beyond]
    exact = characteristics(band, policy, shares, budget)
    simulation = Simulation(split, policy, budget)

    for position, share in enumerate(shares):
        found = simulation.run((1 - share, share), RUNS)

        for got, chance in (
            (found.passed, exact.passed[position]), (found.failed, exact.failed[position]),
        ):  # fmt: skip
            assert chance - 0.02 - NOISE <= got.mean() <= chance + NOISE
        error = 4 * found.ended.std() / RUNS**0.5
        assert -error <= found.ended.mean() - exact.mean[position] <= 0.025 * budget / 2 + error


@pytest.mark.parametrize("part", [0.5, -0.5, 1.8])
def test_three_versions_meet_runs_that_are_judged_at_every_connection(part):
    """Half the tolerance away, the closed form was 34 points too low."""
    split, policy = Split.parse("a=8,b=1,c=1"), Policy()
    band, budget = policy.tolerance.bands(split)[1], Evidence.start(split, policy).budget
    shares = true_shares(split, "b", band.expected + part * band.above)
    count = 400

    seen = judged(Flock(split, policy), shares, count)
    found = Simulation(split, policy, budget).run(shares, RUNS)

    noise = 4 * 0.5 / count**0.5
    assert found.passed.mean() == pytest.approx(seen.passed, abs=0.02 + noise)
    assert found.failed.mean() == pytest.approx(seen.failed, abs=0.02 + noise)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_a_plan_of_three_is_as_near_as_it_says_where_fail_is_a_toss(level):
    """Its restarted part is not followed, and adds to FAIL what the margin has to allow for."""
    split, policy = Split.parse("a=20,b=3,c=20"), Policy(alpha=level, beta=level)
    band, budget = policy.tolerance.bands(split)[0], Evidence.start(split, policy).budget
    share = band.expected + 1.6 * band.above
    forecast = forecast_of(split, policy, budget)

    (plan,) = forecast.fates(band, [share])
    seen = judged(Flock(split, policy), true_shares(split, "a", share), 500)

    assert plan.failed == pytest.approx(seen.failed, abs=forecast.margin)
    assert plan.mean == pytest.approx(seen.mean, rel=forecast.mean_margin)


def test_a_forbidden_label_fails_and_a_clean_run_of_the_needed_length_passes():
    simulation = Simulation(Split.parse("a=1,b=0,c=0"), Policy(), 1000)

    clean, dirty = simulation.run((1, 0, 0), 5), simulation.run((0, 1, 0), 5)

    assert clean.passed.all()
    assert (clean.ended >= 459).all()
    assert (clean.ended < 459 * 1.02).all()
    assert dirty.failed.all()
    assert (dirty.ended == 1).all()
