"""Routers: how a data plane picks the version of the next connection or request.

Each has ``draw``, which gives the arm of each of n consecutive picks as a code, and says
whether it picks once for each connection or for each request.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from analysis.data.batch import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray


class Router(Protocol):
    """Picks an arm for each connection, or for each request."""

    @property
    def by_connection(self) -> bool:
        """Whether all requests of a connection go to the same pod."""

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw the arms of n consecutive picks.

        Parameters
        ----------
        n : int
            Picks, >= 0.
        random : numpy.random.Generator
            Source of chance; the same seed gives the same arms.

        Returns
        -------
        (n,) int32
            Codes of arms; `ABSENT` where the answer carries no label.
        """


@dataclass(frozen=True, slots=True)
class RandomPerConnection:
    """Kube-proxy's iptables and nftables rules: a pod by chance, once for each connection.

    Parameters
    ----------
    shares : (k,) tuple of float
        Chance of each arm, adding up to 1.
    """

    shares: tuple[float, ...]
    by_connection: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_shares(self.shares)

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw independent arms; see `Router.draw`."""
        return _independent(self.shares, n, random)


@dataclass(frozen=True, slots=True)
class RandomPerRequest:
    """Weighted clusters of a proxy: a version by chance, anew for each request.

    Parameters
    ----------
    shares : (k,) tuple of float
        Chance of each arm, adding up to 1.
    """

    shares: tuple[float, ...]
    by_connection: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _require_shares(self.shares)

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw independent arms; see `Router.draw`."""
        return _independent(self.shares, n, random)


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """IPVS ``rr``: pod after pod in a fixed order, once for each connection.

    Parameters
    ----------
    pods : (k,) tuple of int
        Pods of each arm.
    shuffled : bool, default False
        Whether the pods stand in a random order; else those of one arm stand together, and
        chance picks the first one only.
    """

    pods: tuple[int, ...]
    shuffled: bool = False
    by_connection: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_weights(self.pods)

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Walk around the pods; see `Router.draw`."""
        order = np.repeat(np.arange(len(self.pods)), self.pods)
        return _cycle(random.permutation(order) if self.shuffled else order, n, random)


@dataclass(frozen=True, slots=True)
class SmoothRoundRobin:
    """nginx and HAProxy with weights: the arms interleaved as evenly as they can be.

    Parameters
    ----------
    weights : (k,) tuple of int
        Weight of each arm.
    by_connection : bool, default False
        Whether the proxy picks once for each connection (as at layer 4).

    Notes
    -----
    Each pick adds every arm's weight to its credit, takes the arm with the most, and charges
    it the sum of all weights.
    """

    weights: tuple[int, ...]
    by_connection: bool = False

    def __post_init__(self) -> None:
        _require_weights(self.weights)

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Walk through the cycle from a random place; see `Router.draw`."""
        weights = np.array(self.weights)
        credit = np.zeros(len(weights), dtype=np.int64)
        cycle = []
        for _ in range(int(weights.sum())):
            credit += weights
            picked = int(credit.argmax())
            credit[picked] -= weights.sum()
            cycle.append(picked)
        return _cycle(np.array(cycle), n, random)


@dataclass(frozen=True, slots=True)
class LeastRequest:
    """Envoy's least-request: of two pods picked by chance, the one with fewer in flight.

    A version that is slow has more in flight and is avoided, so shares follow the pods only
    while all versions are equally fast.

    Parameters
    ----------
    pods : (k,) tuple of int
        Pods of each arm.
    seconds : (k,) tuple of float
        Mean service time of each arm, > 0; times are exponential.
    in_flight : int, default 100
        Requests in flight at once, >= 1.
    """

    pods: tuple[int, ...]
    seconds: tuple[float, ...]
    in_flight: int = 100
    by_connection: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _require_weights(self.pods)
        if len(self.seconds) != len(self.pods) or not min(self.seconds) > 0:
            raise ValueError(f"expected a mean time > 0 for each arm, got {self.seconds!r}")
        if not self.in_flight >= 1:
            raise ValueError(f"in_flight must be at least 1, got {self.in_flight!r}")

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Follow a closed loop of requests; see `Router.draw`."""
        arm_of = np.repeat(np.arange(len(self.pods)), self.pods).tolist()
        pairs = random.integers(len(arm_of), size=(n, 2)).tolist()
        times = random.exponential(1.0, n).tolist()
        active = [0] * len(arm_of)
        running: list[tuple[float, int]] = []
        arms = np.empty(n, dtype=np.int32)
        now = 0.0
        for position, ((one, other), time) in enumerate(zip(pairs, times, strict=True)):
            if len(running) >= self.in_flight:
                now, done = heapq.heappop(running)
                active[done] -= 1
            pod = one if active[one] <= active[other] else other
            active[pod] += 1
            heapq.heappush(running, (now + time * self.seconds[arm_of[pod]], pod))
            arms[position] = arm_of[pod]
        return arms


@dataclass(frozen=True, slots=True)
class Affinity:
    """Session affinity by client address: each client keeps the pod it first met.

    Parameters
    ----------
    shares : (k,) tuple of float
        Chance of each arm for a new client.
    clients : int, default 1
        Addresses that connections come from, in turns. One run has one.
    """

    shares: tuple[float, ...]
    clients: int = 1
    by_connection: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_shares(self.shares)
        if not self.clients >= 1:
            raise ValueError(f"clients must be at least 1, got {self.clients!r}")

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw an arm for each client, and repeat it; see `Router.draw`."""
        return np.resize(_independent(self.shares, self.clients, random), n)


@dataclass(frozen=True, slots=True)
class Sticky:
    """Stay with the last version with some chance, else pick one anew (a Markov chain).

    Parameters
    ----------
    shares : (k,) tuple of float
        Chance of each arm of a new pick; also the long-run shares.
    stay : float
        Chance of staying, in [0, 1).
    by_connection : bool, default True
        Whether picks are made for connections.
    """

    shares: tuple[float, ...]
    stay: float
    by_connection: bool = True

    def __post_init__(self) -> None:
        _require_shares(self.shares)
        if not 0 <= self.stay < 1:
            raise ValueError(f"stay must lie in [0, 1), got {self.stay!r}")

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw the chain from its long-run shares on; see `Router.draw`."""
        fresh = _independent(self.shares, n, random)
        is_new = random.random(n) >= self.stay
        is_new[:1] = True
        last_new = np.maximum.accumulate(np.where(is_new, np.arange(n), 0))
        return fresh[last_new]


@dataclass(frozen=True, slots=True)
class Drifting:
    """Shares that change while the run goes on.

    Parameters
    ----------
    stages : tuple of ((k,) tuple of float, int)
        Shares and for how many picks they hold; the last shares go on for ever.
    smooth : bool, default False
        Whether shares move evenly from each stage to the next instead of in steps.
    by_connection : bool, default True
        Whether picks are made for connections.
    """

    stages: tuple[tuple[tuple[float, ...], int], ...]
    smooth: bool = False
    by_connection: bool = True

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("expected at least one stage")
        for shares, length in self.stages:
            _require_shares(shares)
            if not length >= 0:
                raise ValueError(f"a stage cannot last {length!r} picks")

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw independent arms with the shares of their time; see `Router.draw`."""
        return _with_shares(self.shares_at(n), random)

    def shares_at(self, n: int) -> NDArray[np.float64]:
        """Return the shares (n, k) of each of n picks."""
        levels = np.array([shares for shares, _ in self.stages], dtype=np.float64)
        starts = np.cumsum([0, *(length for _, length in self.stages[:-1])])
        at = np.arange(n)
        if not self.smooth:
            return levels[np.searchsorted(starts, at, side="right") - 1]
        return np.column_stack([np.interp(at, starts, column) for column in levels.T])


@dataclass(frozen=True, slots=True)
class Outage:
    """A version that gets nothing for a while; the others take its part.

    Parameters
    ----------
    shares : (k,) tuple of float
        Chance of each arm outside the outage.
    arm : int
        The arm that is out.
    first, length : int
        First pick without it, and how many there are.
    """

    shares: tuple[float, ...]
    arm: int
    first: int
    length: int
    by_connection: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_shares(self.shares)
        if not self.shares[self.arm] < 1:
            raise ValueError("an arm with an outage must leave traffic to others")

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw independent arms, without the one that is out; see `Router.draw`."""
        left = tuple(0.0 if arm == self.arm else p for arm, p in enumerate(self.shares))
        without = tuple(p / sum(left) for p in left)
        stages = ((self.shares, self.first), (without, self.length), (self.shares, 0))
        return Drifting(stages).draw(n, random)


@dataclass(frozen=True, slots=True)
class MissingLabels:
    """A router some of whose answers carry no label, by version.

    Parameters
    ----------
    router : Router
        Picks the arms.
    rates : (k,) tuple of float
        Chance of each arm's answer to carry no label, in [0, 1].
    """

    router: Router
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(0 <= rate <= 1 for rate in self.rates):
            raise ValueError(f"rates must lie in [0, 1], got {self.rates!r}")

    @property
    def by_connection(self) -> bool:
        """As the router."""
        return self.router.by_connection

    def draw(self, n: int, random: Generator) -> NDArray[np.int32]:
        """Draw arms, and lose some labels; see `Router.draw`."""
        arms = self.router.draw(n, random)
        lost = random.random(n) < np.array(self.rates)[arms]
        return np.where(lost, ABSENT, arms).astype(np.int32)


def _independent(shares: Sequence[float], n: int, random: Generator) -> NDArray[np.int32]:
    return np.searchsorted(_steps(np.array(shares)), random.random(n), side="right").astype(
        np.int32
    )


def _with_shares(shares: NDArray[np.float64], random: Generator) -> NDArray[np.int32]:
    """Draw one arm for each row of shares."""
    steps = np.cumsum(shares, axis=1)[:, :-1]
    picks: NDArray[np.int32] = (random.random(len(shares))[:, None] >= steps).sum(
        axis=1, dtype=np.int32
    )
    return picks


def _steps(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(shares)[:-1]


def _cycle(arms: NDArray[np.int64], n: int, random: Generator) -> NDArray[np.int32]:
    return np.resize(np.roll(arms, -int(random.integers(len(arms)))), n).astype(np.int32)


def _require_shares(shares: Sequence[float]) -> None:
    if not shares or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares must lie in [0, 1] and add up to 1, got {tuple(shares)!r}")


def _require_weights(weights: Sequence[int]) -> None:
    if not weights or min(weights) < 0 or not sum(weights):
        raise ValueError(f"weights must be >= 0 and not all 0, got {tuple(weights)!r}")
