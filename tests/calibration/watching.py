"""Continuous weighing by simulation: ``python -m tests.calibration.watching``.

Writes ``reports/watch.md``: how long a change takes to be found, how far apart false alarms are at
the edges of the band and inside it, whether change points are where they are said to be, and what
repeated fixed tests do.

The reference of another kind is that of Shekhar and Ramdas (2023): a confidence sequence is begun
at each of many connections, and an alarm is raised once one of them leaves the band.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaln
from scipy.stats import binom

from analysis import Batch, Policy, Split
from analysis.bets.losses import follow_losses
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.watching.departure import locate
from tests.benchmarks.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

REPORT = Path(__file__).resolve().parents[2] / "reports" / "watch.md"
SPLIT = Split.parse("v1=9,v2=1")
LOW, HIGH = 0.05, 31 / 220
"""The band of 9 + 1 pods."""
BEFORE = 300
"""Right connections before a change."""
CHANGES = (0.0, 0.02, 0.2, 0.3, 0.5, 1.0)
THRESHOLDS = (1e5, 1e7)
SHORT = 2_000.0
"""The threshold at which run lengths are measured."""
WINDOW = 100
"""Connections of each of the repeated fixed tests."""


def evidence_of(threshold: float, policy: Policy | None = None) -> Evidence:
    """Return a detector at its start."""
    asked = policy or Policy()
    return Evidence.start(
        SPLIT,
        Policy(alpha=1 / threshold, per_connection=asked.per_connection),
        is_endless=True,
    )


def coded(hits: NDArray[np.bool_]) -> Batch:
    """Return connections of which some met the canary."""
    return Batch.of_labels([SPLIT.arms[hit] for hit in hits.astype(int).tolist()])


def run_length(rng: np.random.Generator, threshold: float, share: float, most: int) -> int:
    """Return the connections to the first alarm under one share; `most` without any."""
    evidence = evidence_of(threshold)
    while evidence.settled is None and evidence.judged < most:
        evidence = weigh(evidence, coded(rng.random(min(2_000, most - evidence.judged)) < share))
    return evidence.judged


@dataclass(frozen=True, slots=True)
class Delay:
    """How a change was found: connections after it, and where it was located."""

    after: int
    first: int
    range: tuple[int, int]


def delay(
    rng: np.random.Generator, threshold: float, share: float, most: int = 12_000
) -> Delay | None:
    """Return how a change from 10 % is found; None if an alarm came before it."""
    hits = np.concatenate([rng.random(BEFORE) < 0.1, rng.random(most) < share])
    evidence = weigh(evidence_of(threshold), coded(hits))
    found = locate(evidence, hits[: evidence.judged].astype(np.int16))
    if evidence.judged <= BEFORE or found is None:
        return None
    return Delay(evidence.judged - BEFORE, found.first, found.range)


def reference_delay(hits: NDArray[np.bool_], threshold: float, every: int = 10) -> int:
    """Return the connections at which a confidence sequence of some start leaves the band.

    Starts are thinned; each sequence has the level 1 / threshold and stakes nothing on any other.
    """
    x = np.concatenate([[0], np.cumsum(hits)])
    starts = np.arange(0, len(hits), every)
    for end in range(every, len(hits) + 1, every):
        past = starts[starts < end]
        n, k = end - past, x[end] - x[past]
        mixture = betaln(k + 0.5, n - k + 0.5) - log(np.pi)
        nearest = np.clip(k / n, LOW, HIGH)
        against = mixture - k * np.log(nearest) - (n - k) * np.log1p(-nearest)
        if (against >= log(threshold)).any():
            return end
    return len(hits)


def naive_alarms(rng: np.random.Generator, runs: int, connections: int) -> float:
    """Return the part of right runs in which a repeated binomial test at 5 % finds a departure."""
    counts = rng.binomial(WINDOW, 0.1, size=(runs, connections // WINDOW))
    low, high = (float(binom.ppf(level, WINDOW, 0.1)) for level in (0.025, 0.975))
    return float(((counts < low) | (counts > high)).any(axis=1).mean())


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95 % quantile, and the standard error of the median by resampling."""
    array = np.array(values, dtype=np.float64)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(array, size=(500, len(array))), axis=1)
    return float(np.median(array)), float(np.quantile(array, 0.95)), float(medians.std())


def head(*columns: str) -> list[str]:
    """Return the first two lines of a table."""
    return [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]


def delays_table(rng: np.random.Generator, runs: int) -> list[str]:
    """Measure delays and change points."""
    rows = head(
        "after the change", "c", "median", "95 %", "se of the median", "early alarms",
        "off by (median)", "range holds it",
    )  # fmt: skip
    for share in CHANGES:
        for threshold in THRESHOLDS:
            found = [delay(rng, threshold, share) for _ in range(runs)]
            seen = [each for each in found if each is not None]
            middle, late, error = quantiles([each.after for each in seen])
            off = np.median([abs(each.first - BEFORE) for each in seen])
            held = np.mean([each.range[0] <= BEFORE <= each.range[1] for each in seen])
            rows.append(
                f"| {100 * share:g} % | {threshold:.0e} | {middle:.0f} | {late:.0f} | "
                f"{error:.1f} | {runs - len(seen)} | {off:.0f} | {100 * held:.0f} % |"
            )
    return rows


def losses_table(rng: np.random.Generator, runs: int) -> list[str]:
    """Measure how soon lost labels are found, after right connections of which 2 % had none."""
    rows = head("lost", "right ones before", "c", "median", "95 %")
    for rate in (0.07, 0.1, 0.3, 1.0):
        for before in (BEFORE, 100 * BEFORE):
            found = []
            for _ in range(runs // 4):
                lost = np.concatenate([rng.random(before) < 0.02, rng.random(12_000) < rate])
                path = follow_losses(lost * 1.0, (), Policy().max_unlabelled, 1 / THRESHOLDS[-1])
                found.append(int(np.argmax(path.mean(axis=0) >= THRESHOLDS[-1])) + 1 - before)
            middle, late, _ = quantiles(found)
            told = f"{THRESHOLDS[-1]:.0e} | {middle:.0f} | {late:.0f}"
            rows.append(f"| {100 * rate:g} % | {before} | {told} |")
    return rows


def lengths_table(rng: np.random.Generator, runs: int) -> list[str]:
    """Measure run lengths without a change."""
    rows = head(
        "share", "mean connections to an alarm", "se", "at least", "runs cut off",
        "alarms within 1 000", "at most",
    )  # fmt: skip
    most = 40_000
    for share in (LOW, 0.07, 0.1, 0.12, HIGH):
        lengths = np.array([run_length(rng, SHORT, share, most) for _ in range(runs)])
        early = float((lengths <= 1_000).mean())
        rows.append(
            f"| {100 * share:.3g} % | {lengths.mean():.0f} | "
            f"{lengths.std() / sqrt(runs):.0f} | {SHORT:.0f} | {(lengths >= most).sum()} | "
            f"{early:.3f} | {1_000 / SHORT:g} |"
        )
    return rows


def reference_rows(rng: np.random.Generator, runs: int) -> list[str]:
    """Compare delays with the reference on the same draws, at c = 1e5."""
    rows = head("after the change", "detector", "reference")
    for share in (0.0, 0.3, 0.5):
        ours, theirs = [], []
        for _ in range(runs):
            hits = np.concatenate([rng.random(BEFORE) < 0.1, rng.random(2_000) < share])
            ours.append(weigh(evidence_of(1e5), coded(hits)).judged - BEFORE)
            theirs.append(reference_delay(hits, 1e5) - BEFORE)
        rows.append(f"| {100 * share:g} % | {np.median(ours):.0f} | {np.median(theirs):.0f} |")
    return rows


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, runs = np.random.default_rng(options.seed), options.runs
    made: dict[str, Any] = provenance({})
    naive = naive_alarms(rng, 10 * runs, 10_000)
    delays, lengths = "\n".join(delays_table(rng, runs)), "\n".join(lengths_table(rng, runs))
    losses = "\n".join(losses_table(np.random.default_rng(options.seed), runs))
    reference = "\n".join(reference_rows(rng, max(runs // 8, 10)))
    text = f"""\
# Continuous weighing, by simulation

Made by `make watch-calibration ARGS='--runs {runs} --seed {options.seed}'` at
{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {made["commit"]}. Expected 9:1, accepted
{100 * LOW:g} to {100 * HIGH:.3g} %; c is the mean number of connections to a false alarm, at least.

## From a change to its alarm [connections], after {BEFORE} right ones

{delays}

Early alarms came before the change. The change point is off by so many connections; its range
is that of the places within 2 nats.

## Run lengths without a change, c = {SHORT:.0f}

{lengths}

A run that is cut off at 40 000 connections counts as that long: such means are too small.

## From a loss of labels to its alarm [connections]; 5 % are accepted

{losses}

## Against confidence sequences begun everywhere, c = 1e5

{reference}

## Repeated fixed tests

A binomial test at 5 % of each {WINDOW} connections finds a departure of a right split within 10 000
connections in {100 * naive:.0f} % of runs. The chance of the detector is at most
{100 * 1e4 / 1e7:.1f} % at c = 1e7.
"""
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
