"""What balancing by requests in flight makes of versions that are not equally fast."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data.split import Split
from analysis.simulate import RandomPerConnection, simulate
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.versions.least_request import Pace, least_request_shares, pace_of

SLOW = (0.01, 0.06)


def health(seconds, n=1500):
    """Evidence on times of a run whose versions take so long."""
    batch = simulate(
        RandomPerConnection((0.5, 0.5)), n, np.random.default_rng(1), seconds=seconds, in_flight=8
    )
    started = HealthEvidence.start(Split.parse("v1=1,v2=1"), HealthPolicy())
    assert started is not None
    return started.observe(batch)


@pytest.mark.parametrize("in_flight", [1, 40])
def test_least_request_prefers_nothing_while_one_request_is_in_flight(in_flight):
    pace = Pace({"v1": 0.01, "v2": 0.05}, float(in_flight))

    shares = least_request_shares(("v1", "v2"), (9, 1), pace)

    if in_flight == 1:
        assert shares is None
    else:
        assert shares is not None
        assert 0.015 < shares[1] / sum(shares) < 0.05


def test_least_request_gives_pods_that_are_equally_fast_their_parts():
    shares = least_request_shares(("a", "b"), (3, 1), Pace({"a": 0.02, "b": 0.02}, 50.0))

    assert shares is not None
    assert shares[1] / sum(shares) == pytest.approx(0.25, abs=0.01)
    assert least_request_shares(("a", "c"), (3, 1), Pace({"a": 0.02, "b": 0.02}, 50.0)) is None


def test_the_pace_is_read_from_a_canary_that_is_proven_slower():
    pace = pace_of(health(SLOW), 100.0, 0.01)

    assert pace is not None
    assert 4 < pace.seconds["v2"] / pace.seconds["v1"] < 8
    # Little's law: what is in flight is the rate times the mean time.
    assert pace.in_flight == pytest.approx(100 * sum(pace.seconds.values()) / 2, rel=0.1)


def test_there_is_no_pace_without_proof_or_without_times():
    assert pace_of(health((0.01, 0.01)), 100.0, 0.01) is None
    assert pace_of(health(SLOW, n=40), 100.0, 1e-12) is None
    assert pace_of(None, 100.0, 0.01) is None


def test_a_version_without_pods_is_not_played():
    assert least_request_shares(("v1", "v2"), (9, 0), Pace({"v1": 1.0, "v2": 1.0}, 9.0)) is None


def test_the_same_pace_gives_the_same_shares_each_time():
    pace = Pace({"v1": 0.01, "v2": 0.05}, 40.0)

    assert least_request_shares(("v1", "v2"), (9, 1), pace) == least_request_shares(
        ("v1", "v2"), (9, 1), pace
    )


def test_the_slower_the_canary_the_less_it_gets():
    shares = [
        least_request_shares(("v1", "v2"), (1, 1), Pace({"v1": 0.01, "v2": slow}, 20.0))
        for slow in (0.01, 0.02, 0.08)
    ]

    parts = [counts[1] / sum(counts) for counts in shares if counts is not None]
    assert len(parts) == 3
    assert parts[0] > parts[1] > parts[2]
