from __future__ import annotations

import numpy as np
import pytest

from analysis.bets.mixture import Bets, Results
from analysis.data.split import Split, Tolerance


def of_hits(hit):
    """Give the results of connections with one answer, given which arm each met: (A, m)."""
    arms, m = hit.shape
    return Results(
        length=np.ones(m, dtype=np.int64),
        n=np.arange(1, m + 1),
        x=np.cumsum(hit, axis=1),
        missing=np.zeros(m, dtype=np.int64),
        kind=np.where(hit.any(axis=0), hit.argmax(axis=0), arms),
        hits=np.eye(arms, arms + 1),
        lost=np.zeros(arms + 1),
        agrees=np.concatenate([hit, ~hit]),
        has_parts=False,
    )


def test_runs_are_counted_across_batches():
    bets = Bets.of([1], [Tolerance().bands(Split.parse("a=6,b=4"))[1]], 1.0, 1000)
    seen = [[True, True, False, True], [True]]

    carry, counted = bets.start, []
    for hits in seen:
        weighed = bets.weigh(of_hits(np.array([hits])), carry)
        counted.append([weighed.at(position).clean for position in range(len(hits))])
        carry = weighed.at(len(hits) - 1)

    assert counted == [[(1, 0), (2, 0), (0, 1), (1, 0)], [(2, 0)]]


def bets_of(split, budget=1000, inner=1.0):
    parsed = Split.parse(split)
    bands = Tolerance().bands(parsed)
    arms = [arm for arm, band in enumerate(bands) if 0 < band.expected < 1]
    return Bets.of(arms, [bands[arm] for arm in arms], inner, budget)


def test_all_stakes_are_worth_one_before_the_first_connection():
    bets = bets_of("a=6,b=3,c=1")
    none = np.array([0])

    logs = bets.passing.log_ratios(none, np.zeros((3, 1), dtype=np.int64), none)

    assert bets.passing.mixed(logs) == pytest.approx(np.ones((6, 1)))
    assert bets.plain(bets.start) == pytest.approx(1)


def test_the_stakes_of_the_restarted_part_are_spread_over_the_horizon():
    """At the end of the budget, however long, the restarted bets have been placed in full."""
    for budget in (10, 10**7):
        assert bets_of("a=6,b=4", budget=budget).horizon == budget


def test_evidence_stays_finite_whatever_comes():
    band = Tolerance().bands(Split.parse("a=999,b=1"))[1]
    bets = Bets.of([1], [band], 1.0, 1000)

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        weighed = bets.weigh(of_hits(np.ones((1, 3000), dtype=bool)), bets.start)

    assert np.isfinite(weighed.against_inner).all()
    assert np.isfinite(weighed.against_band).all()
    assert weighed.at(2999).clean == (3000, 0)


def test_the_evidence_of_several_arms_is_that_of_each():
    """The arms share arrays, not stakes."""
    together = bets_of("a=6,b=3,c=1")
    random = np.random.default_rng(3)
    arms = random.integers(0, 3, size=400)
    hit = np.stack([arms == arm for arm in range(3)])
    found = together.weigh(of_hits(hit), together.start).against_inner

    bands = Tolerance().bands(Split.parse("a=6,b=3,c=1"))
    for arm in range(3):
        alone = Bets.of([arm], [bands[arm]], 1.0, 1000)
        expected = alone.weigh(of_hits(hit[arm : arm + 1]), alone.start).against_inner
        assert found[arm] == pytest.approx(expected[0], rel=1e-12)
