"""What a PASS costs by other methods: ``python -m tests.calibration.comparison``.

Average number of connections until a split that is exactly right passes, all at the same error
rates, computed exactly; written to ``reports/comparison.md``.

* KL bound: no test with these error rates needs fewer (Wald 1945, Hoeffding 1960).
* Optimum: the fewest that any test needs at the right share, by backward induction (`optimum`).
* KT confidence sequence: PASS once it lies inside the tolerance, FAIL once it lies outside.
* TOST: the smallest fixed number at which two one-sided binomial tests pass a right split with
  probability 0.99 (Schuirmann 1987).
* chi-square: the smallest fixed number at which "not rejected" passes a share on an edge with
  probability of at most beta, if right splits are rejected with alpha.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, log
from pathlib import Path

import numpy as np
from scipy.special import betaln
from scipy.stats import binom, norm

from analysis.bets.sizing import divergence
from analysis.data.policy import Policy
from analysis.data.split import Band
from analysis.planning.exact import Boundaries, characteristics, follow
from tests.benchmarks.provenance import provenance
from tests.calibration.optimum import optimum

REPORT = Path(__file__).resolve().parents[2] / "reports" / "comparison.md"
SCENARIOS = ((0.5, 0.05), (0.25, 0.05), (0.1, 0.05), (0.1, 0.02), (0.05, 0.02), (0.02, 0.01))
LEVELS = (0.01, 0.05)
HORIZON = 20
"""Times the scale of the bound that runs are followed."""
POWER = 0.99


@dataclass(frozen=True, slots=True)
class Row:
    """Average needs of one scenario; `tost` and `chi_square` are fixed numbers."""

    share: float
    tolerance: float
    level: float
    bound: float
    best: float
    ours: float
    confidence: float
    tost: int
    chi_square: int


def compare(share: float, tolerance: float, level: float) -> Row:
    """Compute one scenario."""
    band = Band("v2", share, tolerance, tolerance)
    nearest = min(divergence(share, band.low), divergence(share, band.high))
    horizon = ceil(HORIZON * -log(level) / nearest)
    bound = ((1 - level) * log((1 - level) / level) + level * log(level / (1 - level))) / nearest
    ours = characteristics(band, Policy(alpha=level, beta=level), [share], horizon)
    theirs = follow(band, confidence_boundaries(band, level, horizon), [share])
    return Row(
        share, tolerance, level, bound, optimum(band, level).mean, float(ours.mean[0]),
        float(theirs.mean[0]), tost(band, level), chi_square(band, level),
    )  # fmt: skip


def confidence_boundaries(band: Band, level: float, budget: int) -> Boundaries:
    """Counts at which a two-sided KT confidence sequence leaves the tolerance, or lies inside."""
    n = np.arange(1, budget + 1)

    def excludes(edge, x):
        nats = betaln(x + 0.5, n - x + 0.5) - betaln(0.5, 0.5)
        return nats - x * np.log(edge) - (n - x) * np.log1p(-edge) >= -log(level)

    def last_below(edge):
        """Largest x below n * edge that excludes the edge; -1 where none does."""
        low, high = np.full(budget, -1), np.ceil(n * edge).astype(int) - 1
        while (low < high).any():
            middle = (low + high + 1) // 2
            found = excludes(edge, np.maximum(middle, 0)) & (middle >= 0)
            low, high = (
                np.where((low < high) & found, middle, low),
                np.where((low < high) & ~found, middle - 1, high),
            )
        return low

    def first_above(edge):
        """By symmetry: x labels against the edge are n - x against its complement."""
        return n - last_below(1 - edge)

    return Boundaries(
        upper=last_below(band.high),
        lower=first_above(band.low),
        fail_low=last_below(band.low),
        fail_high=first_above(band.high),
    )


def tost(band: Band, level: float) -> int:
    """Find the smallest number at which the exact test passes right splits often enough."""

    def passes(n):
        most = binom.ppf(level, n, band.high) - 1
        while binom.cdf(most + 1, n, band.high) <= level:
            most += 1
        least = binom.isf(level, n, band.low) + 1
        inside = binom.cdf(most, n, band.expected) - binom.cdf(least - 1, n, band.expected)
        return inside >= POWER

    return _smallest(passes, band)


def chi_square(band: Band, level: float) -> int:
    """Find the smallest number at which "not rejected" is rare enough on both edges."""
    z = norm.isf(level / 2)

    def is_strict(n):
        reach = z * np.sqrt(n * band.expected * (1 - band.expected))
        low, high = ceil(n * band.expected - reach), int(n * band.expected + reach)
        return all(
            binom.cdf(high, n, edge) - binom.cdf(low - 1, n, edge) <= level
            for edge in (band.low, band.high)
        )

    return _smallest(is_strict, band)


def _smallest(holds, band: Band) -> int:
    """Find the first of a hundred neighbours that hold: both properties jump with n."""
    step = 10
    scale = ceil(1 / min(divergence(band.expected, e) for e in (band.low, band.high)))
    return next(
        n
        for n in range(step, 40 * scale, step)
        if holds(n) and all(holds(n + more) for more in range(step, 10 * step, step))
    )


def render(rows: list[Row]) -> str:
    """Write the table as Markdown."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [
        "# What a PASS costs, by method",
        "",
        f"`python -m tests.calibration.comparison` at {now}, commit {provenance({})['commit']}.",
        "",
        (
            "Average number of connections until a split that is exactly right is decided, exactly "
            "computed; in brackets, times the optimum: what the best of all tests needs, made for "
            "this one share. The last two are fixed numbers, which may not be looked at before."
        ),
        "",
        (
            "| expected | alpha = beta | KL bound | optimum | weighbridge | KT confidence sequence "
            "| TOST | chi-square |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = (row.ours, row.confidence, row.tost, row.chi_square)
        lines.append(
            f"| {row.share:.0%} ±{row.tolerance * 100:g} pp | {row.level:.0%} | {row.bound:.0f} "
            f"| {row.best:.0f} | "
            + " | ".join(f"{cell:.0f} ({cell / row.best:.2f})" for cell in cells)
            + " |"
        )
    return "\n".join([*lines, ""])


def main() -> int:
    """Compute all scenarios and write the report."""
    rows = [compare(*scenario, level) for scenario in SCENARIOS for level in LEVELS]
    REPORT.write_text(render(rows), encoding="utf-8")
    sys.stderr.write(f"{len(rows)} scenarios: {REPORT}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
