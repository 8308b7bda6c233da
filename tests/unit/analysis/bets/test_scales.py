from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.scales import Scales, restarted, run_lengths
from analysis.data.split import Band, Split, Tolerance


def loop(factors, start, horizon):
    """Follow the recursion one connection at a time."""
    value, path = start, []
    for factor in factors:
        value = (value + 1 / horizon) * factor
        path.append(value)
    return path


@pytest.mark.parametrize("block", [1, 7, 100, 256, 1000])
@pytest.mark.parametrize("start", [0.0, 3.5])
def test_the_restarted_part_follows_its_recursion(block, start):
    random = np.random.default_rng(1)
    logs = random.choice([-0.9, 0.11], size=(3, 600), p=[0.1, 0.9])

    found = restarted(np.cumsum(logs, axis=1), (start,) * 3, 1000, block)

    for row in range(3):
        expected = loop(np.exp(logs[row]), start, 1000)
        assert found[row] == pytest.approx(expected, rel=1e-9)


def test_the_restarted_part_is_not_followed_beyond_its_ceiling():
    logs = np.full((1, 5000), 0.5)

    found = restarted(np.cumsum(logs, axis=1), (0.0,), 100, 256)

    assert found.max() == 1e150
    assert np.all(np.diff(found[0]) >= 0)


def test_runs_are_counted_across_batches():
    agrees = np.array([[True, True, False, True], [False, True, True, True]])

    first = run_lengths(agrees, (5, 0))
    second = run_lengths(np.array([[True], [True]]), tuple(first[:, -1]))

    assert first.tolist() == [[6, 7, 0, 1], [0, 1, 2, 3]]
    assert second.tolist() == [[2], [4]]


def scales_of(split, budget=1000, inner=1.0):
    parsed = Split.parse(split)
    bands = Tolerance().bands(parsed)
    arms = [arm for arm, band in enumerate(bands) if 0 < band.expected < 1]
    return Scales.of(arms, [bands[arm] for arm in arms], inner, budget)


def test_all_stakes_are_worth_one_before_the_first_connection():
    scales = scales_of("a=6,b=3,c=1")
    n = np.array([0])
    x = np.zeros((6, 1), dtype=np.int64)

    assert scales.pass_evidence(n, x) == pytest.approx(np.ones((6, 1)))


def test_the_stakes_of_the_restarted_part_are_spread_over_the_horizon():
    """At the end of the budget, however long, the restarted bets have been placed in full."""
    for budget in (10, 10**7):
        assert scales_of("a=6,b=4", budget=budget).horizon == budget


def test_bets_so_steep_that_their_products_overflow_are_followed_in_smaller_blocks():
    band = Band("b", 1e-6, 0.9e-6, 0.9e-6)

    steep, gentle = Scales.of([0], [band], 1.0, 1000), scales_of("a=1,b=1")

    assert steep.block < gentle.block


def test_evidence_stays_finite_whatever_comes():
    band = Tolerance().bands(Split.parse("a=999,b=1"))[1]
    scales = Scales.of([1], [band], 1.0, 1000)
    n = np.arange(1, 3001)
    hit = np.ones((2, 3000), dtype=bool)

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        evidence, after = scales.fail_evidence(n, np.cumsum(hit, axis=1), hit, scales.start)
        passing = scales.pass_evidence(n, np.cumsum(hit, axis=1))

    assert np.isfinite(evidence).all()
    assert np.isfinite(passing).all()
    assert after.at(-1).clean == (3000, 0)


def test_the_evidence_of_several_arms_is_that_of_each():
    """The arms share arrays, not stakes."""
    together = scales_of("a=6,b=3,c=1")
    random = np.random.default_rng(3)
    arms = random.integers(0, 3, size=400)
    hit = np.stack([arms == arm for arm in range(3)])
    x, n = np.cumsum(hit, axis=1), np.arange(1, 401)
    found, _ = together.fail_evidence(
        n, np.concatenate([x, x]), np.concatenate([hit, hit]), together.start
    )

    bands = Tolerance().bands(Split.parse("a=6,b=3,c=1"))
    for arm in range(3):
        alone = Scales.of([arm], [bands[arm]], 1.0, 1000)
        expected, _ = alone.fail_evidence(
            n, np.stack([x[arm]] * 2), np.stack([hit[arm]] * 2), alone.start
        )
        assert found[arm] == pytest.approx(expected[0], rel=1e-12)
