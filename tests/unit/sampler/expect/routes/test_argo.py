from __future__ import annotations

import pytest

from sampler.expect.routes.argo import canary_pods


@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "pods"),
    [
        (10, 10, 1, (1, 10)),
        (10, 0, 1, (0, 10)),
        (10, 100, 1, (10, 10)),
        (1, 10, 1, (1, 2)),
        (1, 50, 1, (1, 2)),
        (1, 90, 1, (1, 2)),
        (1, 10, 0, (0, 1)),
        (5, 10, 0, (1, 5)),
        (5, 10, 1, (1, 6)),
        (3, 50, 0, (2, 3)),
        (3, 50, 1, (2, 4)),
        (5, 99, 0, (4, 5)),
        (0, 10, 1, (0, 0)),
    ],
)
def test_pods_come_as_close_to_a_weight_as_they_can(replicas, weight, surge, pods):
    assert canary_pods(replicas, weight, surge) == pods


@pytest.mark.parametrize("replicas", range(2, 30))
@pytest.mark.parametrize("surge", [0, 1])
def test_neither_version_is_without_a_pod_in_between(replicas, surge):
    for weight in range(1, 100):
        canary, pods = canary_pods(replicas, weight, surge)

        # Halfway between the last two counts the controller is left without a candidate.
        is_left = not surge and 100 * (replicas - 1) + 50 == replicas * weight
        assert (canary == 0) if is_left else (0 < canary < pods)
