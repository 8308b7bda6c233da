"""The guard on windows finds connections that stick together, and leaves independent ones alone."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.watching.neighbours import WINDOW, Neighbours


def draws(rng, n, stickiness=0.0):
    """Return draws of 10 %, each of which repeats the one before it with some chance."""
    codes = (rng.random(n) < 0.1).astype(np.int16)
    for place in np.flatnonzero(rng.random(n) < stickiness):
        codes[place] = codes[max(place - 1, 0)]
    return codes


def test_sticky_connections_are_found_within_some_windows():
    guard = Neighbours([1], 1e-7)

    assert guard.see(draws(np.random.default_rng(1), 10 * WINDOW, 0.3))


@pytest.mark.parametrize("size", [1, 700, 50_000])
def test_independent_ones_are_not_however_they_come(size):
    guard, codes = Neighbours([1], 1e-5), draws(np.random.default_rng(2), 50_000)
    codes[::7] = -1

    assert not any(guard.see(codes[first : first + size]) for first in range(0, 50_000, size))


def test_without_a_tested_share_there_is_nothing_to_find():
    assert not Neighbours([], 1e-7).see(np.zeros(5 * WINDOW, dtype=np.int16))
