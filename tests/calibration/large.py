"""The large calibration: ``python -m tests.calibration.large``, as ``make calibrate`` runs it.

Counts false verdicts of many simulated runs over data planes, expectations, error rates and
true shares, with the naive twin of each trap beside it, and writes ``reports/calibration.md``.
Ends with 1 if a rate exceeds its promise by more than chance explains.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from tests.benchmarks.provenance import provenance
from tests.calibration import twins
from tests.calibration.flock import Flock
from tests.calibration.mean_flock import MeanFlock
from tests.calibration.regimes import EXPECTATIONS, LEVELS, REGIMES, falsehoods, rounded, truths
from tests.calibration.right_splits import sections

if TYPE_CHECKING:
    from tests.calibration.regimes import Regime, Truth

REPORT = Path(__file__).resolve().parents[2] / "reports" / "calibration.md"
CHANCE = 1e-6
"""Chance that one cell is called broken although it is right."""
_HELD_AGAINST = 3
_STOPPED_BY_A_GUARD = {ReasonCode.NOT_STATIONARY, ReasonCode.DEPENDENT_CONNECTIONS}


@dataclass(frozen=True, slots=True)
class Cell:
    """Verdicts of the runs of one case."""

    regime: str
    expectation: str
    level: float
    truth: str
    shares: tuple[float, ...]
    runs: int
    passed: int
    failed: int
    pass_is_false: bool
    fail_is_false: bool
    mismatches: int

    @property
    def is_broken(self) -> bool:
        most = binom.isf(CHANCE, self.runs, self.level)
        return bool(
            (self.pass_is_false and self.passed > most)
            or (self.fail_is_false and self.failed > most)
            or self.mismatches
        )


def run_cell(
    regime: Regime, expectation: str, level: float, case: Truth, runs: int, seed: int
) -> Cell:
    """Simulate the runs of one case, and weigh a few of them by the code that judges."""
    split, policy = Split.parse(expectation), Policy(alpha=level, beta=level, max_unlabelled=1.0)
    shares, false = case.shares, (case.pass_is_false, case.fail_is_false)
    if regime.rational:
        shares = rounded(case.shares)
        false = falsehoods(expectation, shares)
    policy = replace(policy, per_connection=regime.requests, missing_ratio=regime.missing_ratio)
    flock = (MeanFlock if regime.requests > 1 else Flock)(split, policy)
    random = np.random.default_rng(seed)
    count = max(round(runs / regime.cost), 50)
    more = {}
    if regime.swings:
        more = {"away": int(np.sign(shares[-1] - split.shares[-1])) or 1}
        false = (false[0], false[1] and case.name == "as expected")
    codes = np.stack([regime.draw(shares, flock.budget, random, **more) for _ in range(count)])
    ends = flock.judge(codes)
    mismatches = sum(
        not agrees(weigh(Evidence.start(split, policy), _batch_of(codes[run], split)), end)
        for run, end in zip(
            range(_HELD_AGAINST), zip(ends.passed, ends.failed, strict=True), strict=False
        )
    )
    return Cell(
        regime.name, expectation, level, case.name, shares, count,
        int(np.count_nonzero(ends.passed)), int(np.count_nonzero(ends.failed)), *false, mismatches,
    )  # fmt: skip


def _batch_of(answers: np.ndarray, split: Split) -> Batch:
    """Make a batch of arm codes, or of answers by connection and arm."""
    if answers.ndim == 1:
        return batch_of(answers, split)
    n, m = len(answers), int(answers[0].sum())
    codes = np.repeat(np.tile(np.arange(len(split.arms)), n), answers.ravel()).reshape(n, m)
    batch = batch_of(np.random.default_rng(n).permuted(codes, axis=1).ravel(), split)
    return replace(
        batch,
        connection=np.repeat(np.arange(n), m),
        ordinal=np.tile(np.arange(m, dtype=np.int32), n),
        planned=np.full(n * m, m, dtype=np.int32),
    )


def batch_of(codes: np.ndarray, split: Split) -> Batch:
    """Make a batch of fresh connections from arm codes."""
    return Batch.of_labels([None if code < 0 else split.arms[code] for code in codes.tolist()])


def agrees(evidence: Evidence, end: tuple[int, int]) -> bool:
    """Whether both ways of judging end at the same connection with the same verdict."""
    passed, failed = end
    match evidence.settled:
        case ReasonCode.OUTSIDE_TOLERANCE | ReasonCode.UNEXPECTED_LABEL:
            return evidence.judged == failed
        case ReasonCode.WITHIN_TOLERANCE:
            return evidence.judged == passed
        case ReasonCode.MISSING_LABELS | ReasonCode.TOO_MANY_UNLABELLED:
            return True  # an early end without a verdict, which the flock does not know
        case None:
            return passed == failed == 0
        case code:
            return code in _STOPPED_BY_A_GUARD and evidence.judged == passed


def main() -> int:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="runs of a case (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="of every draw (default 1)")
    parser.add_argument("--out", type=Path, default=REPORT, help="file to write")
    options = parser.parse_args()
    started = time.monotonic()
    cells = []
    cases = [
        (regime, expectation, level, case)
        for regime in REGIMES
        for expectation in EXPECTATIONS
        for level in LEVELS
        for case in truths(expectation)
    ]
    for number, (regime, expectation, level, case) in enumerate(cases):
        seed = options.seed * 100_003 + number
        cells.append(run_cell(regime, expectation, level, case, options.runs, seed))
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number + 1} of {len(cases)} cases")
    tricked = twins.run_all(max(options.runs // 3, 20), options.seed)
    took = time.monotonic() - started
    text = render(cells, tricked, options, took)
    text += "\n".join(sections(max(options.runs, 20))) + "\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    broken = [cell for cell in cells if cell.is_broken]
    for cell in broken:
        sys.stderr.write(f"broken: {cell}\n")
    sys.stderr.write(f"{len(cells)} cases in {took:.0f} s, {len(broken)} broken: {options.out}\n")
    toothless = [twin for twin in tricked if twin.has_no_teeth]
    for twin in toothless:
        sys.stderr.write(f"the naive twin shows nothing: {twin}\n")
    return 1 if broken or toothless else 0


def render(cells: list[Cell], tricked: list[twins.Twin], options, took: float) -> str:
    """Write the tables as Markdown."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    runs = sum(cell.runs for cell in cells)
    broken = sum(cell.is_broken for cell in cells)
    lines = [
        "# Calibration",
        "",
        (
            f"`make calibrate ARGS='--runs {options.runs} --seed {options.seed}'` at {now}, commit "
            f"{provenance({})['commit']}, {took:.0f} s on one core."
        ),
        "",
        (
            f"{runs} runs in {len(cells)} cases: {len(REGIMES)} data planes, {len(EXPECTATIONS)} "
            f"expectations with the automatic tolerance, alpha = beta of 1 % and 5 %, true shares "
            f"as expected, on both edges and beyond. A case is broken if its false verdicts exceed "
            f"what the promised rate explains but for one chance in a million, or if the code that "
            f"judges ends elsewhere on one of the {_HELD_AGAINST} runs it was held against. "
            f"**{broken} of {len(cells)} are broken.**"
        ),
        "",
        (
            "Guards that turn a PASS into INCONCLUSIVE are left out here: with them there are "
            "fewer false PASSes, not more."
        ),
        "",
        "## Error rates",
        "",
        (
            "The highest rate over the true shares where the verdict is false; then, what becomes "
            "of right splits, and of shares half a tolerance beyond an edge."
        ),
        "",
        (
            "| data plane | expected | alpha = beta | runs | false PASS | false FAIL "
            "| right splits pass | beyond an edge: FAIL |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    keys = dict.fromkeys((cell.regime, cell.expectation, cell.level) for cell in cells)
    for key in keys:
        group = [c for c in cells if (c.regime, c.expectation, c.level) == key]
        false_pass = max((c.passed / c.runs for c in group if c.pass_is_false), default=None)
        false_fail = max((c.failed / c.runs for c in group if c.fail_is_false), default=None)
        right = next(c for c in group if c.truth == "as expected")
        beyond = [c.failed / c.runs for c in group if c.truth.startswith("beyond")]
        lines.append(
            f"| {key[0]} | {key[1]} | {key[2]:.0%} | {sum(c.runs for c in group)} "
            f"| {_rate(false_pass)} | {_rate(false_fail)} | {_rate(right.passed / right.runs)} "
            f"| {' and '.join(_rate(rate) for rate in beyond)} |"
        )
    lines += [
        "",
        "## The naive twin of each trap, on the same draws",
        "",
        'Ten percent expected, alpha = beta = 1 %. "Ours" is what weighbridge does.',
        "",
        "| trap | the truth | false verdict | naive | ours |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {t.trap} | {t.truth} | {t.verdict} | {_rate(t.naive)} | {_rate(t.ours)} |"
            for t in tricked
        ),
        "",
    ]
    return "\n".join(lines)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"


if __name__ == "__main__":
    sys.exit(main())
