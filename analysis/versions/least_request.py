"""The split that least-request balancing makes of versions that are not equally fast.

A balancer that sends each request to the one of two pods that has fewer in flight gives a slow
pod less than its part. How much less follows from the ratio of the times and from the number of
requests in flight, which are measured. No formula is exact, so the balancer is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.versions.twosample import mean_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.versions.health import HealthEvidence

_PLAYED = 20_000
_SETTLING = 2_000
_MOST_IN_FLIGHT = 1_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long versions take to answer.

    Parameters
    ----------
    seconds : mapping of str to float
        Mean time of an answer of a version [s], > 0.
    in_flight : float
        Requests in flight on average, > 0.
    """

    seconds: Mapping[str, float]
    in_flight: float


def pace_of(health: HealthEvidence | None, per_s: float, alpha: float) -> Pace | None:
    """Read the times of canary and stable version, if the canary is proven to take longer.

    Parameters
    ----------
    health : HealthEvidence or None
        Of the run.
    per_s : float
        Requests per second [1/s].
    alpha : float
        Level of the proof.
    """
    if health is None or not health.times.peaks or health.times.peaks[0] < -log(alpha):
        return None
    canary, stable = health.times.canary, health.times.stable
    seconds = {health.canary: mean_s(canary), health.stable: mean_s(stable)}
    # Little's law: what is in flight is what comes in a second times how long it stays.
    return Pace(seconds, per_s * mean_s(canary + stable))


def least_request_shares(
    arms: Sequence[str], pods: Sequence[int], pace: Pace
) -> tuple[int, ...] | None:
    """Simulate a balancer that prefers the pod with fewer requests in flight.

    Parameters
    ----------
    arms : (k,) sequence of str
        The versions.
    pods : (k,) sequence of int
        Pods of each, >= 0.
    pace : Pace
        How long they take.

    Returns
    -------
    (k,) tuple of int or None
        How often each was picked; None if a version has no pod or no known time, or if there are
        never two requests in flight: then no pod is preferred.
    """
    if not all(pods) or any(arm not in pace.seconds for arm in arms) or pace.in_flight < 1.5:
        return None
    from analysis.simulate import LeastRequest  # noqa: PLC0415 - few runs need it

    balancer = LeastRequest(
        tuple(pods),
        tuple(pace.seconds[arm] for arm in arms),
        min(round(pace.in_flight), _MOST_IN_FLIGHT),
    )
    # The same simulation at every call: the cause that is named must not depend on chance.
    picked = balancer.draw(_PLAYED, np.random.default_rng(0))[_SETTLING:]
    return tuple(np.bincount(picked, minlength=len(arms)).tolist())
