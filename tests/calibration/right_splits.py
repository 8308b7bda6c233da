"""What becomes of right splits at the defaults: `python -m tests.calibration.right_splits`.

Each run is weighed by the real fold, with its guards. The chance that the counts alone do not pass
it is given besides: exactly (`analysis.planning.exact`), or simulated many times.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from analysis.bets.hypotheses import is_certain
from analysis.bets.sizing import divergence
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, tested_arms
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.planning.exact import characteristics
from analysis.planning.fates import LONGEST_EXACT
from analysis.planning.simulated import Simulation
from tests.calibration.conftest import batch_of
from tests.calibration.fail_bets import cheapest
from tests.calibration.optimum import optimum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SPLITS = (
    (1, 1), (2, 1), (9, 1), (99, 1), (199, 1), (999, 1), (10, 0),
    (1, 1, 1), (8, 1, 1), (998, 1, 1), (1,) * 20,
)  # fmt: skip
SEED = 1101
NINE_ONE = Split.parse("v1=9,v2=1")
SIMULATED = 20_000
HEADER = (
    "| split | budget | by counts | not a PASS | runs | undecided | FAIL | drift | dependent |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)
STEP = 2048
_LONG = 20_000
"""Budget from which on whole folds are run less often."""


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


def calibrated() -> Iterator[str]:
    """Compare the default with calibrated thresholds and with what bounds both, exactly."""
    yield "| 9:1, alpha = beta | default | `--calibrated` | bound |"
    yield "| --- | --- | --- | --- |"
    for level in (0.01, 0.05):
        plain = Policy(alpha=level, beta=level)
        band = plain.tolerance.bands(NINE_ONE)[1]
        budget = Evidence.start(NINE_ONE, plain).budget
        both = [
            characteristics(
                band, replace(plain, calibrated=spent),
                [0.1, 0.2, 0.5, 2 / 11, band.low, band.high], budget,
            )
            for spent in (False, True)
        ]  # fmt: skip
        bounds = [-np.log(level) / divergence(share, band.high) for share in (0.2, 0.5)]
        rows = (
            ("mean to PASS of a right split", [f"{each.mean[0]:.0f}" for each in both],
             f"{optimum(band, level).mean:.0f} (optimum)"),
            ("mean to FAIL at 20 %", [f"{each.mean[1]:.0f}" for each in both],
             f"{bounds[0]:.0f} (Kullback-Leibler)"),
            ("mean to FAIL at 1:1", [f"{each.mean[2]:.1f}" for each in both],
             f"{bounds[1]:.1f} (Kullback-Leibler)"),
            ("FAIL at 18.2 %, one pod more", [f"{each.failed[3]:.1%}" for each in both], ""),
            ("PASS on the edges", [f"{each.passed[4:].max():.2%}" for each in both],
             f"{level:.0%}"),
            ("FAIL on the edges, without its restarted part",
             [f"{each.failed[4:].max():.2%}" for each in both], f"{0.8 * level:.1%}"),
        )  # fmt: skip
        for what, cells, most in rows:
            yield f"| {level:.0%}: {what} | {' | '.join(cells)} | {most} |"


def sections(runs: int) -> Iterator[str]:
    """Yield the part of `reports/calibration.md` on the defaults and what could replace them."""
    yield from ("## Right splits at the defaults", "")
    yield (
        "What the counts do not pass within the budget: exactly for two versions and budgets up to "
        "50 000, else by simulation, which errs upward. Then whole runs, with the guards, and why "
        "they were no PASS. The goal is 1.2 % at most."
    )
    yield ""
    yield from HEADER
    for weights in SPLITS:
        is_long = Evidence.start(of_weights(weights), Policy()).budget * len(weights) > _LONG
        yield row(weights, runs // 2 if is_long else 5 * runs)
    yield from ("", "## Calibrated thresholds", "", *calibrated())
    yield from ("", "## The FAIL side beside its bound", "")
    yield from cheapest()


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
