from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.restarted import CEILING, followed


def loop(factors, start, horizon):
    """Follow the recursion one connection at a time."""
    value, path = start, []
    for factor in factors:
        value = (value + 1 / horizon) * factor
        path.append(value)
    return path


@pytest.mark.parametrize("steepness", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("start", [0.0, 3.5])
def test_the_restarted_part_follows_its_recursion(steepness, start):
    """Also where products of factors, or their inverses, leave the range of floats."""
    random = np.random.default_rng(1)
    logs = steepness * random.choice([-0.9, 0.11], size=(3, 600), p=[0.1, 0.9])
    before = np.array([0.0, -2.5, 40.0])

    found = followed(np.cumsum(logs, axis=1) + before[:, None], before, np.full(3, start), 1000)

    for row in range(3):
        expected = loop(np.exp(logs[row]), start, 1000)
        assert found[1][row] == pytest.approx(expected, rel=1e-9)
        assert found[0][row] == pytest.approx(np.exp(before[row] + np.cumsum(logs[row])), rel=1e-9)


def test_the_restarted_part_is_not_followed_beyond_its_ceiling():
    logs = np.full((1, 5000), 0.5)

    _, found = followed(np.cumsum(logs, axis=1), np.zeros(1), np.zeros(1), 100)

    assert found.max() == CEILING
    assert np.all(np.diff(found[0]) >= 0)
