"""Other stakes of the FAIL side, and what they cost: `python -m tests.calibration.fail_bets`.

Average connections until FAIL, exactly, over the Kullback-Leibler bound for the nearer edge. Each
design is a fair game for all shares in the band, whatever the past: its stakes add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.hypotheses import Null, Side, fail_nulls
from analysis.bets.sizing import divergence
from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.state import Evidence
from analysis.planning.exact import Boundaries, _first, _last, _log_evidence, boundaries, follow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.data.split import Band

SPLIT = Split.parse("v1=9,v2=1")
SHARES = (0.0, 0.02, 2 / 11, 0.2, 0.25, 0.3, 0.5)
ELSEWHERE = {
    Split.parse("v1=1,v2=1"): (0.0, 1 / 3, 2 / 3, 0.8, 1.0),
    Split.parse("v1=19,v2=1"): (0.0, 0.01, 0.1, 0.5, 1.0),
    Split.parse("v1=99,v2=1"): (0.0, 0.02, 0.03, 0.1, 0.5),
}


@dataclass(frozen=True, slots=True)
class Design:
    """Stakes by distance beyond an edge, in tolerances; the last one is on "none" or "all"."""

    name: str
    distances: tuple[float, ...] = ()
    upwards: tuple[float, ...] = ()
    downwards: tuple[float, ...] = ()
    up: float = 0.5
    plain: float = 0.8

    def nulls(self, band: Band) -> tuple[Null, Null]:
        """Return the bets of both directions."""
        up, down = fail_nulls(band, 1.0)
        if not self.distances:
            return up, down
        return (
            _staked(up, band.above, self.distances, self.upwards),
            _staked(down, band.below, self.distances, self.downwards),
        )


_DISTANCES = (0.25, 0.5, 1.0, 1.4, 3.0, 8.0)
_SPREAD = (0.1, 0.3, 0.2, 0.15, 0.1, 0.08)
_DOUBLED = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_AS_NOW = tuple(0.98 * part / 2.593 for part in (1 / 2, 1, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7))
DESIGNS = (
    Design("as it is"),
    Design('2 % on "all"', _DISTANCES, (*_SPREAD, 0.02), (*_SPREAD, 0.2)),
    Design("… and a tenth restarted", _DISTANCES, (*_SPREAD, 0.02), (*_SPREAD, 0.2), plain=0.9),
    Design("… and two thirds upwards", _DISTANCES, (*_SPREAD, 0.02), (*_SPREAD, 0.2), 2 / 3, 0.9),
    Design(
        "aimed at 1.4 and 8 tolerances, four fifths upwards", _DISTANCES,
        (0.05, 0.05, 0.0, 0.45, 0.0, 0.43, 0.02), (*_SPREAD, 0.2), 0.8, 0.9,
    ),
    Design(
        'distances as they are, 2 % on "all", a tenth restarted', _DOUBLED,
        (*_AS_NOW, 0.02), (0.8 / 3, 1.6 / 3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2), plain=0.9,
    ),
)  # fmt: skip


def _staked(
    null: Null, unit: float, distances: tuple[float, ...], stakes: tuple[float, ...]
) -> Null:
    extreme = 1.0 if null.side is Side.AT_MOST else 0.0
    bets = [
        (null.edge - null.side * unit * distance, stake)
        for distance, stake in zip(distances, stakes, strict=False)
        if stake and 0 < null.edge - null.side * unit * distance < 1
    ] + [(extreme, stakes[-1])]
    whole = sum(stake for _, stake in bets)
    shares, weights = zip(*((share, stake / whole) for share, stake in bets), strict=True)
    return Null(null.edge, null.side, shares, weights)


def costs(
    design: Design, split: Split = SPLIT, true: Sequence[float] = SHARES
) -> list[tuple[float, float]]:
    """Return the mean over its bound, and the chance of FAIL, for true shares of the second."""
    policy = Policy()
    band = policy.tolerance.bands(split)[1]
    budget = Evidence.start(split, policy).budget
    n = np.arange(1, budget + 1)
    up, down = design.nulls(band)
    needed = -log(policy.alpha) - log(design.plain)

    def fails(x):
        upwards = _log_evidence(up, n, x) + log(design.up)
        return np.logaddexp(upwards, _log_evidence(down, n, x) + log(1 - design.up)) >= needed

    middle, now = n * band.expected, boundaries(band, policy, budget)
    limits = Boundaries(
        now.upper,
        now.lower,
        _last(fails, np.ceil(middle).astype(np.int64) - 1),
        _first(fails, np.floor(middle).astype(np.int64) + 1, n + 1),
    )
    found = follow(band, limits, true)
    bounds = [
        -log(policy.alpha) / divergence(share, band.high if share > band.expected else band.low)
        for share in true
    ]
    return list(zip((found.mean / bounds).tolist(), found.failed.tolist(), strict=True))


def cheapest() -> Iterator[str]:
    """Yield the tables."""
    yield (
        "9:1 expected, alpha = 1 %: average connections until FAIL over the bound (chance of FAIL "
        "within the budget where it is below 99.9 %). All designs keep alpha given the past; PASS "
        "is the same."
    )
    yield from _table(DESIGNS, SPLIT, SHARES)
    yield from ("", "The third of them at other splits, where it also loses:")
    for split, true in ELSEWHERE.items():
        yield from _table((DESIGNS[0], DESIGNS[2]), split, true)


def _table(designs: Sequence[Design], split: Split, true: Sequence[float]) -> Iterator[str]:
    yield ""
    ratio = ":".join(map(str, split.weights))
    yield f"| stakes, {ratio} | {' | '.join(f'{100 * share:.3g} %' for share in true)} |"
    yield "| --- |" + " --- |" * len(true)
    for design in designs:
        cells = [
            f"{over:.2f}" + (f" ({100 * failed:.1f} %)" if failed < 0.999 else "")
            for over, failed in costs(design, split, true)
        ]
        name = (
            design.name.replace("… and", '2 % on "all" and') if split is not SPLIT else design.name
        )
        yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(cheapest()))
