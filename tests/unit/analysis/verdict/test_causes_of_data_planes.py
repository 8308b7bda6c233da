"""Causes that show in more than the counts: on simulated data planes that have them, or not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.simulate import Drifting, LeastRequest, Outage, RandomPerConnection, Sticky, simulate
from analysis.verdict.causes import Surroundings, likely_causes
from analysis.versions.health import HealthEvidence, HealthPolicy
from analysis.versions.least_request import pace_of
from analysis.versions.replicas import ReplicaCounts

NINE_ONE = Split.parse("v1=9,v2=1")
EVEN = (0.01, 0.01)
SLOW = (0.01, 0.06)


def weighed(router, n, *, seconds=EVEN, in_flight=32, seed=1, split=NINE_ONE, **policy):
    """Give evidence and pace of a simulated run."""
    batch = simulate(router, n, np.random.default_rng(seed), seconds=seconds, in_flight=in_flight)
    health = HealthEvidence.start(split, HealthPolicy())
    assert health is not None
    health = health.observe(batch)
    per_s = len(batch) / (float(batch.done_ns.max()) / 1e9)
    return weigh(Evidence.start(split, Policy(**policy)), batch), pace_of(health, per_s, 0.01)


def names(evidence, **around):
    return [cause.message for cause in likely_causes(evidence, around=Surroundings(**around))]


def test_a_slow_canary_behind_least_request_is_named_with_share_and_factor():
    router = LeastRequest((9, 1), SLOW, in_flight=32)

    evidence, pace = weighed(router, 1500, seconds=SLOW, inner=0.5)

    assert evidence.settled is ReasonCode.OUTSIDE_TOLERANCE
    message = names(evidence, pace=pace)[0]
    assert "for v2, which takes 5" in message
    assert "(least-request) (likelihood " in message


def test_a_small_share_of_a_canary_that_is_not_slow_is_not_laid_to_least_request():
    evidence, pace = weighed(RandomPerConnection((0.97, 0.03)), 1500, inner=0.5)

    assert evidence.settled is ReasonCode.OUTSIDE_TOLERANCE
    assert pace is None
    assert not any("least-request" in name for name in names(evidence, pace=pace))


def test_a_slow_canary_whose_share_is_another_one_is_not_laid_to_least_request():
    """Half of the traffic is more than its part, however the balancer counts."""
    evidence, pace = weighed(RandomPerConnection((0.5, 0.5)), 400, seconds=SLOW)

    assert pace is not None
    (message,) = names(evidence, pace=pace)
    assert "1:1" in message


def met(**counts):
    return ReplicaCounts.of(
        {
            label: {f"{label}-{pod}": each for pod in range(number)}
            for label, (number, each) in counts.items()
        }
    )


def test_a_client_that_reaches_the_pods_of_its_zone_only_is_told_so():
    evidence, _ = weighed(RandomPerConnection((0.75, 0.25)), 600)

    (message,) = names(
        evidence, declared_replicas={"v1": 9, "v2": 1}, replicas=met(v1=(3, 40), v2=(1, 40))
    )

    assert (
        "look like 3:1, the pods that this client reached (3 of 9 of v1, 1 of 1 of v2)" in message
    )
    assert "zone" in message


def test_a_zone_without_the_canary_is_named_before_everything_to_one_version():
    evidence, _ = weighed(RandomPerConnection((1.0, 0.0)), 300)

    (message,) = names(evidence, declared_replicas={"v1": 9, "v2": 1}, replicas=met(v1=(3, 80)))

    assert "3:0, the pods that this client reached (3 of 9 of v1, 0 of 1 of v2)" in message


@pytest.mark.parametrize(
    ("declared", "replicas"),
    [
        ({"v1": 9, "v2": 1}, met(v1=(9, 40), v2=(1, 40))),  # all of them
        ({}, met(v1=(3, 40), v2=(1, 40))),  # nobody knows how many there are
        ({"v1": 9, "v2": 1}, met(v1=(3, 2), v2=(1, 2))),  # too few answers to have met all
    ],
)
def test_no_zone_is_named_where_pods_may_be_unseen_or_none_is_missing(declared, replicas):
    evidence, _ = weighed(RandomPerConnection((0.75, 0.25)), 600)

    assert not any(
        "zone" in name for name in names(evidence, declared_replicas=declared, replicas=replicas)
    )


def test_connections_that_stay_with_their_version_are_told_from_a_wrong_share():
    evidence, _ = weighed(Sticky((0.8, 0.2), 0.6), 1500, max_samples=1500)

    assert evidence.settled is ReasonCode.OUTSIDE_TOLERANCE
    message = names(evidence)[-1]
    assert "Consecutive connections are not independent" in message
    assert "after a connection to v2, " in message


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "router",
    [
        RandomPerConnection((0.8, 0.2)),
        RandomPerConnection((0.5, 0.5)),
        Outage((0.9, 0.1), arm=1, first=300, length=600),
        Drifting((((0.9, 0.1), 400), ((0.3, 0.7), 1100))),
    ],
    ids=["too much", "half", "an outage", "a change"],
)
def test_nothing_is_said_of_neighbours_that_do_not_know_of_each_other(router, seed):
    evidence, _ = weighed(router, 1500, seed=seed)

    assert evidence.settled is not None
    assert not any("Consecutive" in name for name in names(evidence))
