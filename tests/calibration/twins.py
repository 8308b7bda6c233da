"""Naive twins: what usual ways of counting make of the same draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom, chi2

from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.simulate import (
    MissingLabels,
    Outage,
    RandomPerConnection,
    RandomPerRequest,
    Sticky,
    by_completion,
    simulate,
)
from analysis.weighing.merging import SLICE_NS, Merger
from tests.calibration.flock import ABSENT, Flock
from tests.calibration.mean_flock import MeanFlock

SPLIT = Split.parse("v1=9,v2=1")
STRICT = Policy(tolerance=Tolerance.parse("2pp"), max_unlabelled=1.0)
AUTOMATIC = Policy(max_unlabelled=1.0)
_MORE = 12
_ENOUGH = 100
EDGE = 0.1 + 0.9 / 22
"""Upper edge of the automatic tolerance."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Rates of one false verdict, counted naively and as we count."""

    trap: str
    truth: str
    verdict: str
    naive: float
    ours: float
    runs: int = 1
    should_break: bool = True

    @property
    def is_broken(self) -> bool:
        """Whether the naive rate exceeds 1 % but for one chance in a million."""
        return bool(self.naive * self.runs > binom.isf(1e-6, self.runs, 0.01))

    @property
    def has_no_teeth(self) -> bool:
        """Whether there were runs enough to show the trap, and they do not."""
        return self.should_break and self.runs >= _ENOUGH and not self.is_broken


def run_all(runs: int, seed: int) -> list[Twin]:
    """Run each twin."""
    return [
        *keep_alive(runs, seed),
        completion_order(max(runs // 2, 20), seed),
        order_of_arrival(max(runs // 2, 20), seed),
        lost_labels(runs, seed),
        outage(runs, seed),
        sticky(runs, seed),
        peeking(runs, seed),
    ]


def keep_alive(runs, seed, requests=(1, 5, 10), correlations=(0.0, 0.3, 1.0)):
    """Each answer counted, against the mean of each connection."""
    twins = []
    for number in requests:
        for icc in correlations:
            for share, verdict in ((0.1, "FAIL"), (EDGE, "PASS"), (EDGE, "FAIL")):
                random = np.random.default_rng([seed, number, round(10 * icc)])
                policy = replace(AUTOMATIC, per_connection=number)
                flock = (MeanFlock if number > 1 else Flock)(SPLIT, policy)
                shape = (runs, flock.budget, number)
                answers = RandomPerRequest((1 - share, share)).draw(int(np.prod(shape)), random)
                answers = answers.reshape(shape)
                pinned = random.random(shape[:2]) < icc
                answers[pinned] = answers[pinned][:, :1]
                naive = Flock(SPLIT, AUTOMATIC).judge(answers.reshape(runs, -1))
                canary = answers.sum(axis=2)
                counts = np.stack([number - canary, canary], axis=2)
                ours = flock.judge(counts if number > 1 else answers[:, :, 0])
                twins.append(
                    Twin(
                        f"each of {number} answers of a connection counted, ICC {icc:g}",
                        f"{share:.1%}",
                        verdict,
                        _rate(naive, verdict),
                        _rate(ours, verdict),
                        runs,
                        # Wrong FAILs come with any correlation; a wrong PASS is rarer than one,
                        # because the run has failed before.
                        should_break=number > 1 and icc > 0 and verdict == "FAIL",
                    )
                )
    return twins


def completion_order(runs, seed):
    """A canary at its edge, five times slower, tallied as answers come."""
    flock = Flock(SPLIT, STRICT)
    random = np.random.default_rng([seed, 50])
    sent, completed = [], []
    for _ in range(runs):
        batch = simulate(
            RandomPerConnection((0.88, 0.12)), flock.budget + 500, random,
            seconds=(1, 5), in_flight=100,
        )  # fmt: skip
        sent.append(batch.label)
        completed.append(by_completion(batch).label)
    naive, ours = flock.judge(np.stack(completed)), flock.judge(np.stack(sent))
    return Twin(
        "tallied in the order of completion, canary 5 times slower, 100 in flight",
        "12 % (10 % +-2 pp)", "PASS", _rate(naive, "PASS"), _rate(ours, "PASS"), runs,
    )  # fmt: skip


def order_of_arrival(runs, seed, vantages=3):
    """The same seen from several vantages, each answer merged as it arrives."""
    flock = Flock(SPLIT, STRICT)
    random = np.random.default_rng([seed, 55])
    planned, arrived = [], []
    for _ in range(runs):
        parts = [
            simulate(
                RandomPerConnection((0.88, 0.12)), flock.budget // vantages + 200, random,
                seconds=(1, 5), in_flight=100 // vantages,
            )
            for _ in range(vantages)
        ]  # fmt: skip
        merger = Merger(vantages)
        for number, part in enumerate(parts):
            merger.seal(number, int(part.scheduled_ns[-1]) // SLICE_NS + 1, part)
            merger.end(number)
        stream = merger.take()
        assert stream is not None
        planned.append(stream.label[: flock.budget])
        arrived.append(by_completion(stream).label[: flock.budget])
    naive, ours = flock.judge(np.stack(arrived)), flock.judge(np.stack(planned))
    return Twin(
        f"{vantages} vantages merged in the order of arrival, canary 5 times slower",
        "12 % (10 % +-2 pp)", "PASS", _rate(naive, "PASS"), _rate(ours, "PASS"), runs,
    )  # fmt: skip


def lost_labels(runs, seed):
    """A canary at its edge that loses a third of its labels, ignored."""
    flock = Flock(SPLIT, AUTOMATIC)
    random = np.random.default_rng([seed, 51])
    router = MissingLabels(RandomPerConnection((1 - EDGE, EDGE)), (0.0, 1 / 3))
    codes = np.stack([router.draw(2 * flock.budget, random) for _ in range(runs)])
    kept = np.stack([row[row != ABSENT][: flock.budget] for row in codes])
    naive, ours = flock.judge(kept), flock.judge(codes)
    return Twin(
        "answers without a label left out, canary loses a third", f"{EDGE:.1%}", "PASS",
        _rate(naive, "PASS"), _rate(ours, "PASS"), runs,
    )  # fmt: skip


def outage(runs, seed):
    """No canary for 200 connections in the middle, by the counts alone and as we do."""
    random = np.random.default_rng([seed, 52])
    router = Outage((0.9, 0.1), arm=1, first=1000, length=200)
    policy = Policy(tolerance=Tolerance.parse("2pp"), max_samples=8000)
    flock = Flock(SPLIT, policy)
    codes = np.stack([router.draw(flock.budget, random) for _ in range(runs)])
    naive = np.count_nonzero(flock._passes(codes)) / runs
    return Twin(
        "the counts alone (no restarted evidence), no canary for 200 connections",
        "10 % (+-2 pp) but for an outage", "PASS", naive, _rate(flock.judge(codes), "PASS"), runs,
    )  # fmt: skip


def sticky(runs, seed):
    """Connections that stay with the last version with 20 %, with and without the guards.

    What dependence does to a PASS is a few percent: it takes more runs than the other traps.
    """
    flock = Flock(SPLIT, STRICT)
    random = np.random.default_rng([seed, 53])
    router = Sticky((0.88, 0.12), 0.2)
    unguarded = guarded = 0
    for _ in range(_MORE):
        codes = np.stack([router.draw(flock.budget, random) for _ in range(runs)])
        passing = np.flatnonzero(flock.judge(codes).passed)
        unguarded += len(passing)
        for run in passing:
            labels = [SPLIT.arms[code] for code in codes[run].tolist()]
            evidence = weigh(Evidence.start(SPLIT, STRICT), Batch.of_labels(labels))
            guarded += evidence.settled is ReasonCode.WITHIN_TOLERANCE
    total = _MORE * runs
    return Twin(
        "stickiness of 20 %, no guard", "12 % (10 % +-2 pp)", "PASS",
        unguarded / total, guarded / total, total,
    )  # fmt: skip


def peeking(runs, seed):
    """A chi-square at 1 % that is looked at every 50 connections, on a right split."""
    random = np.random.default_rng([seed, 54])
    flock = Flock(SPLIT, STRICT)
    router = RandomPerConnection((0.9, 0.1))
    codes = np.stack([router.draw(flock.budget, random) for _ in range(runs)])
    looks = np.arange(100, flock.budget + 1, 50)
    hits = np.cumsum(codes, axis=1)[:, looks - 1]
    statistic = (hits - 0.1 * looks) ** 2 / (0.09 * looks)
    naive = (statistic > chi2.isf(0.01, 1)).any(axis=1).mean()
    return Twin(
        "a chi-square at 1 %, looked at every 50 connections", "10 % (+-2 pp)", "FAIL",
        float(naive), _rate(flock.judge(codes), "FAIL"), runs,
    )  # fmt: skip


def _rate(ends, verdict):
    column = ends.passed if verdict == "PASS" else ends.failed
    return float(np.count_nonzero(column) / len(column))
