"""What becomes of right splits at the defaults: `python -m tests.calibration.right_splits`.

Each run is weighed by the real fold, with its guards. The chance that the counts alone do not pass
it is given besides: exactly (`analysis.planning.exact`), or simulated many times.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from analysis.bets.hypotheses import is_certain
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, tested_arms
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.planning.exact import characteristics
from analysis.planning.fates import LONGEST_EXACT
from analysis.planning.simulated import Simulation
from tests.calibration.conftest import batch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SPLITS = (
    (1, 1), (2, 1), (9, 1), (99, 1), (199, 1), (999, 1), (10, 0),
    (1, 1, 1), (8, 1, 1), (998, 1, 1), (1,) * 20,
)  # fmt: skip
SEED = 1101
SIMULATED = 20_000
HEADER = (
    "| split | budget | by counts | not a PASS | runs | undecided | FAIL | drift | dependent |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)
STEP = 2048


def of_weights(weights: Sequence[int]) -> Split:
    """Name the versions by their places."""
    return Split(tuple(f"v{arm:02d}" for arm in range(len(weights))), tuple(weights))


def ends(split: Split, runs: int, policy: Policy | None = None) -> Counter[ReasonCode | None]:
    """Count why runs of a right split ended; None where the budget was spent."""
    random = np.random.default_rng([SEED, *split.weights])
    fresh = Evidence.start(split, policy or Policy())
    found: Counter[ReasonCode | None] = Counter()
    for _ in range(runs):
        evidence = fresh
        while evidence.settled is None and evidence.judged < evidence.budget:
            codes = random.choice(len(split.arms), size=STEP, p=split.shares)
            evidence = weigh(evidence, batch_of(codes, split.arms, evidence.judged))
        found[evidence.settled] += 1
    return found


def is_exact(split: Split) -> bool:
    """Whether `not_passed` follows all paths of the counts, or simulates some."""
    return len(split.arms) == 2 and Evidence.start(split, Policy()).budget <= LONGEST_EXACT


def not_passed(split: Split) -> float:
    """Return the chance that a right split ends without a verdict or as a FAIL.

    Guards are left out. Simulated, it errs upward by what `analysis.planning.simulated` says.
    """
    policy = Policy()
    band = policy.tolerance.bands(split)[tested_arms(split)[0]]
    if is_certain(band):
        return 0.0
    budget = Evidence.start(split, policy).budget
    if not is_exact(split):
        found = Simulation(split, policy, budget).run(split.shares, SIMULATED)
        return 1 - float(found.passed.mean())
    return 1 - float(characteristics(band, policy, [band.expected], budget).passed[0])


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a rate at 95 %."""
    low = beta.ppf(0.025, hits, runs - hits + 1) if hits else 0.0
    return float(low), float(beta.ppf(0.975, hits + 1, runs - hits))


def row(weights: Sequence[int], runs: int) -> str:
    """Return one row of the table."""
    split = of_weights(weights)
    found, exact = ends(split, runs), not_passed(split)
    stopped = runs - found[ReasonCode.WITHIN_TOLERANCE]
    low, high = interval(stopped, runs)
    name = f"{len(weights)} equal" if len(weights) > 3 else ":".join(map(str, weights))
    by_reason = " | ".join(
        str(found[code])
        for code in (
            None,
            ReasonCode.OUTSIDE_TOLERANCE,
            ReasonCode.NOT_STATIONARY,
            ReasonCode.DEPENDENT_CONNECTIONS,
        )
    )
    budget = Evidence.start(split, Policy()).budget
    shown = f"{100 * exact:.2f} %" + ("" if is_exact(split) else f" of {SIMULATED}")
    return (
        f"| {name} | {budget} | {shown} | {100 * stopped / runs:.2f} % "
        f"[{100 * low:.2f}, {100 * high:.2f}] | {runs} | {by_reason} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--only", default="", help="splits such as 9:1, separated by commas")
    options = parser.parse_args()
    wanted = [tuple(map(int, text.split(":"))) for text in options.only.split(",") if text]
    print("\n".join(HEADER))
    for weights in wanted or SPLITS:
        print(row(weights, options.runs))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
