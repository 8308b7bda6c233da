"""Missing labels without an end: false alarms as rare as promised, in any batches."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.losses import LEAST_LOST, follow_losses, lost_rates

LIMIT, ALPHA = 0.05, 1 / 500


def alarm_after(lost, limit=LIMIT, alpha=ALPHA):
    """Return the connections to the first alarm; None without one."""
    evidence = follow_losses(lost, (), limit, alpha).mean(axis=0)
    return int(np.argmax(evidence >= 1 / alpha)) + 1 if (evidence >= 1 / alpha).any() else None


@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5, 0.99])
def test_at_the_limit_false_alarms_are_as_far_apart_as_promised(limit):
    rng = np.random.default_rng(1)
    lengths = np.array(
        [alarm_after((rng.random(10_000) < limit) * 1.0, limit) or 10_000 for _ in range(300)]
    )

    assert lengths.mean() + 4 * lengths.std() / np.sqrt(len(lengths)) >= 1 / ALPHA
    assert (lengths <= 100).mean() <= 100 * ALPHA


def test_parts_and_batches_make_no_difference():
    rng = np.random.default_rng(2)
    parts = rng.random(1000) * (rng.random(1000) < 0.2)
    whole = follow_losses(parts, (), LIMIT, ALPHA)
    carried: tuple[float, ...] = ()
    for first in range(0, 1000, 37):
        carried = tuple(follow_losses(parts[first : first + 37], carried, LIMIT, ALPHA)[:, -1])

    assert carried == pytest.approx(tuple(whole[:, -1]))


@pytest.mark.parametrize("alpha", [1e-3, 1e-8])
def test_an_alarm_takes_more_than_a_stutter(alpha):
    found = alarm_after(np.ones(100), alpha=alpha)

    assert found is not None
    assert 0.7 * LEAST_LOST < found <= LEAST_LOST + 2


def test_where_all_may_be_lost_nothing_is_bet():
    assert lost_rates(1.0, ALPHA) == ()
    assert follow_losses(np.ones(5), (), 1.0, ALPHA).shape == (0, 5)
