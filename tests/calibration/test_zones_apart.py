"""Zones that differ: false alarms at any look, with a naive twin that breaks.

Each bound is crossed by chance once in a million; seeds are fixed besides.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from analysis import Batch
from analysis.versions.apart import Apart
from analysis.versions.twosample import BLOCK

ALPHA = 0.05
RUNS, LENGTH = 150, 3000


def runs(shares, seed):
    """Draw who asks and what answers, of each connection: (RUNS, LENGTH) each."""
    random = np.random.default_rng(seed)
    zone = random.integers(0, 3, (RUNS, LENGTH))
    chance = np.asarray(shares)
    # Zones whose shares differ, or one share that changes with time.
    chance = chance[zone] if chance.shape == (3,) else np.broadcast_to(chance, zone.shape)
    return zone, random.random(zone.shape) < chance


def alarms(zone, is_canary):
    """Count the runs whose evidence ever reaches 1/alpha."""
    whole = Batch.of_labels(["v1"] * LENGTH)
    hits = 0
    for where, who in zip(zone, is_canary, strict=True):
        apart = Apart(("a", "b", "c"))
        codes, workers = who.astype(np.int32), where.astype(np.uint16)
        apart.observe(replace(whole, label=codes, labels=("v1", "v2"), worker=workers))
        hits += apart.found(ALPHA).proven
    return hits


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_equal_zones_rarely_differ_at_any_look(at_most, share):
    assert alarms(*runs(share, 41)) <= at_most(ALPHA, RUNS)


def test_a_share_that_moves_for_all_zones_alike_is_no_difference(at_most):
    """A roll-out, and a zone that sends in the first half only."""
    moved = np.where(np.arange(LENGTH) < LENGTH // 2, 0.1, 0.5)
    zone, is_canary = runs(moved, 42)
    zone[:, LENGTH // 2 :] = np.minimum(zone[:, LENGTH // 2 :], 1)

    assert alarms(zone, is_canary) <= at_most(ALPHA, RUNS)


def test_one_zone_that_differs_is_found(at_least):
    assert alarms(*runs([0.1, 0.25, 0.1], 43)) >= at_least(0.95, RUNS)


def test_a_chi_square_test_that_is_looked_at_after_each_block_raises_false_alarms(at_most):
    """The naive twin, on the same blocks."""
    zone, is_canary = runs(0.1, 41)
    looks = np.arange(BLOCK, LENGTH + 1, BLOCK) - 1
    here = zone[:, None, :] == np.arange(3)[:, None]
    n = here.cumsum(axis=2)[..., looks]
    k = (here & is_canary[:, None, :]).cumsum(axis=2)[..., looks]
    pooled = k.sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    statistic = ((k - n * pooled) ** 2 / (n * pooled * (1 - pooled))).sum(axis=1)
    hits = np.count_nonzero((statistic > chi2.isf(ALPHA, 2)).any(axis=1))

    assert hits > 3 * at_most(ALPHA, RUNS) // 2
