"""Plans beside runs that are judged at every connection: `python -m tests.calibration.plans`.

The runs have all that a check has but its guards: the restarted part of FAIL, too, which no plan
follows.
"""

from __future__ import annotations

import numpy as np

from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.planning.fates import Fate, forecast_of, true_shares
from tests.calibration.flock import Flock

CASES = (
    ("v1=9,v2=1", "auto", 0.01, 1.0),
    ("v1=1,v2=1", "auto", 0.05, 0.5),
    ("v1=1,v2=1", "auto", 0.2, 1.0),
    ("a=1,b=1,c=1", "5pp", 0.01, 1.0),
    ("a=1,b=1,c=1", "5pp", 0.05, 1.0),
    ("a=5,b=1,c=2,d=5", "40%", 0.05, 0.5),
    ("a=20,b=3,c=20", "auto", 0.2, 1.0),
)
PARTS = (-1.5, 0.5, 1.6)
"""Distances of the true share of the first version, in tolerances."""
_AT_ONCE = 250


def judged(flock: Flock, shares: tuple[float, ...], runs: int, seed: int = 3) -> Fate:
    """Return what becomes of so many runs with these true shares."""
    passed = failed = connections = 0
    random = np.random.default_rng(seed)
    for first in range(0, runs, _AT_ONCE):
        draws = random.random((min(_AT_ONCE, runs - first), flock.budget))
        codes = np.searchsorted(np.cumsum(shares)[:-1], draws, side="right").astype(np.int32)
        ends = flock.judge(codes)
        end = ends.passed + ends.failed
        passed += int(np.count_nonzero(ends.passed))
        failed += int(np.count_nonzero(ends.failed))
        connections += int(np.where(end > 0, end, flock.budget).sum())
    return Fate(passed / runs, failed / runs, connections / runs)


def main(runs: int = 3000) -> None:
    """Print the table."""
    print(
        "| expected | tolerance | alpha = beta | inner | share | method | plan: PASS, FAIL, mean "
        "| judged | within |"
    )
    print("| --- |" + " --- |" * 8)
    for text, tolerance, level, inner in CASES:
        split = Split.parse(text)
        policy = Policy(level, level, Tolerance.parse(tolerance), inner)
        flock, band = Flock(split, policy), policy.tolerance.bands(split)[0]
        for exact in (False, True) if len(split.arms) == 2 else (False,):
            forecast = forecast_of(split, policy, flock.budget, exact=exact)
            for part in PARTS:
                share = band.expected + part * (band.above if part > 0 else band.below)
                (plan,) = forecast.fates(band, [share])
                seen = judged(flock, true_shares(split, band.arm, share), runs)
                cells = [
                    f"{each.passed:.1%}, {each.failed:.1%}, {each.mean:.0f}"
                    for each in (plan, seen)
                ]
                most = f"{forecast.margin:.1%}, {forecast.mean_margin:.0%}"
                row = (
                    text,
                    tolerance,
                    f"{level:.0%}",
                    f"{inner:g}",
                    f"{share:.1%}",
                    forecast.method,
                )
                print(f"| {' | '.join((*row, *cells, most))} |", flush=True)


if __name__ == "__main__":
    main()
