"""What is calibrated: expectations, true shares, and the data planes that give them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import is_certain
from analysis.data.split import Split, Tolerance
from analysis.data.split import tested_arms as arms_under_test
from analysis.planning.fates import true_shares
from analysis.simulate import (
    Affinity,
    Drifting,
    LeastRequest,
    MissingLabels,
    RandomPerConnection,
    RandomPerRequest,
    RoundRobin,
    SmoothRoundRobin,
    simulate,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECTATIONS = ("v1=9,v2=1", "v1=1,v2=1", "v1=10,v2=0", "a=8,b=1,c=1")
LEVELS = (0.01, 0.05)
_LARGEST_DENOMINATOR = 60


@dataclass(frozen=True, slots=True)
class Truth:
    """True shares, and which verdicts are false there."""

    name: str
    shares: tuple[float, ...]
    pass_is_false: bool
    fail_is_false: bool


def truths(expectation: str) -> list[Truth]:
    """Give p0, both edges of the canary's band, and shares beyond them."""
    split = Split.parse(expectation)
    bands = Tolerance().bands(split)
    band = bands[arms_under_test(split)[-1]]
    certain = is_certain(band)
    places = [("as expected", band.expected)]
    if not certain:
        places += [
            ("lower edge", band.low),
            ("beyond it", band.low - band.below / 2),
        ]
    places += [("upper edge", band.high), ("beyond that", band.high + band.above / 2)]
    return [truth(expectation, name, share) for name, share in places]


def truth(expectation: str, name: str, share: float) -> Truth:
    split = Split.parse(expectation)
    bands = Tolerance().bands(split)
    arm = bands[arms_under_test(split)[-1]].arm
    shares = true_shares(split, arm, share)
    return Truth(name, shares, *falsehoods(expectation, shares))


def falsehoods(expectation: str, shares: tuple[float, ...]) -> tuple[bool, bool]:
    """Whether a PASS, and whether a FAIL, would be false of these shares."""
    split = Split.parse(expectation)
    bands = Tolerance().bands(split)
    slack = 1e-12
    outside = inside = False
    for position in arms_under_test(split):
        band, share = bands[position], shares[position]
        if is_certain(band):
            departure = abs(share - band.expected)
            outside |= departure >= 0.01 - slack
            inside |= departure > 0
        else:
            outside |= share <= band.low + slack or share >= band.high - slack
            inside |= share < band.low - slack or share > band.high + slack
    return outside, not inside


@dataclass(frozen=True, slots=True)
class Regime:
    """A data plane: gives the answers of n connections, for true shares.

    Parameters
    ----------
    name : str
    draw : callable
        ``(shares, n, random)`` to codes (n,), or to answers (n, k) by connection and arm.
    cost : float
        Time of a run, relative to independent draws: fewer runs are made where it is high.
    rational : bool
        Whether shares are made of counts of pods, and true ones are rounded to such.
    swings : bool
        Whether shares change during the run: `draw` then takes the direction in which the last
        one departs from the expected one, and at an edge a FAIL is not false, because the
        share does leave the tolerance.
    requests : int
        Requests of each connection; of several, the means are judged.
    missing_ratio : float
        What is stated of how unequally versions lose their labels.
    """

    name: str
    draw: Callable[..., np.ndarray]
    cost: float = 1.0
    rational: bool = False
    swings: bool = False
    requests: int = 1
    missing_ratio: float = inf


def _pods(shares):
    fractions = [Fraction(share).limit_denominator(_LARGEST_DENOMINATOR) for share in shares[1:]]
    fractions.insert(0, 1 - sum(fractions, Fraction(0)))
    common = int(np.lcm.reduce([fraction.denominator for fraction in fractions]))
    return tuple(int(fraction * common) for fraction in fractions)


def rounded(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Give the shares that a rational regime makes of true ones."""
    pods = _pods(shares)
    return tuple(pod / sum(pods) for pod in pods)


def kept_alive(requests: int, pinned: float):
    """Answers of connections with several requests, pinned to a pod with some chance."""

    def draw(shares, n, random):
        free = random.multinomial(requests, shares, size=n)
        stuck = requests * random.multinomial(1, shares, size=n)
        return np.where(random.random((n, 1)) < pinned, stuck, free)

    return draw


def _slow(shares, n, random):
    """A last version five times slower, taken in the order of sending."""
    seconds = (*(1.0 for _ in shares[1:]), 5.0)
    batch = simulate(
        RandomPerConnection(shares), n, random,
        arms=[str(arm) for arm in range(len(shares))], seconds=seconds, in_flight=100,
    )  # fmt: skip
    return batch.label


def _missing(rates):
    def draw(shares, n, random):
        all_rates = (rates[0],) * (len(shares) - 1) + (rates[1],)
        return MissingLabels(RandomPerConnection(shares), all_rates).draw(n, random)

    return draw


def _swinging(smooth):
    """Shares that swing around the true ones, by a tenth, away from the expected ones first."""

    def draw(shares, n, random, away=1):
        if 0 in shares:
            return RandomPerConnection(shares).draw(n, random)
        # The average so far is then never nearer to the expected shares than the true ones.
        swing = 0.1 * min(shares) * away
        out = (shares[0] - swing, *shares[1:-1], shares[-1] + swing)
        back = (shares[0] + swing, *shares[1:-1], shares[-1] - swing)
        # In steps the first half turn is the way out; smoothly it is the way there and back.
        levels = (shares, out, shares, back) if smooth else (out, back)
        stages = tuple((level, 50) for _ in range(n // 100 + 1) for level in levels)
        return Drifting(stages, smooth=smooth).draw(n, random)

    return draw


REGIMES = (
    Regime("iptables, a fresh connection each", lambda s, n, r: RandomPerConnection(s).draw(n, r)),
    Regime("random for each request", lambda s, n, r: RandomPerRequest(s).draw(n, r)),
    *(
        Regime(
            f"keep-alive, {m} requests on a connection, ICC {icc:g}",
            kept_alive(m, icc),
            cost=2,
            requests=m,
        )
        for m in (5, 10)
        for icc in (0.0, 0.3, 1.0)
    ),
    Regime(
        "IPVS round robin",
        lambda s, n, r: RoundRobin(_pods(s), shuffled=True).draw(n, r),
        rational=True,
    ),
    Regime(
        "smooth weighted round robin",
        lambda s, n, r: SmoothRoundRobin(_pods(s)).draw(n, r),
        rational=True,
    ),
    Regime(
        "least-request, versions equally fast",
        lambda s, n, r: LeastRequest(_pods(s), (1.0,) * len(s)).draw(n, r),
        cost=10,
        rational=True,
    ),
    Regime("source hash, many clients", lambda s, n, r: Affinity(s, 10**5).draw(n, r), cost=4),
    Regime("all versions lose 1 % of the labels", _missing((0.01, 0.01))),
    Regime("the canary loses a quarter", _missing((0.0, 0.25))),
    Regime("the others lose 3 %", _missing((0.03, 0.0))),
    Regime(
        "all versions lose 3 % of the labels, a ratio of 2 stated",
        _missing((0.03, 0.03)),
        cost=2,
        missing_ratio=2.0,
    ),
    Regime(
        "the canary loses 10 %, the others 2 %, a ratio of 5 stated",
        _missing((0.02, 0.10)),
        cost=2,
        missing_ratio=5.0,
    ),
    Regime(
        "the others lose 10 %, the canary 2 %, a ratio of 5 stated",
        _missing((0.10, 0.02)),
        cost=2,
        missing_ratio=5.0,
    ),
    Regime("slow canary, 100 in flight, order of sending", _slow, cost=6),
    Regime("shares that swing in steps", _swinging(smooth=False), swings=True),
    Regime("shares that swing smoothly", _swinging(smooth=True), swings=True),
)
