"""Values that were computed twice, by other programs, from the written procedure."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from analysis.bets.hypotheses import clean_connections, fail_nulls, pass_nulls
from analysis.bets.kt import kt_interval
from analysis.bets.sizing import divergence, required_samples
from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Band, Split, Tolerance
from analysis.evidence.fold import weigh
from analysis.evidence.intervals import decision_bounds, evidence_of_means, lower_bound, upper_bound
from analysis.evidence.state import Evidence
from analysis.versions.correlation import ConnectionCounts
from tests.kept import kept, of_counts

TEN = Band("v2", 0.1, 0.02, 0.02)


def core(band, inner, n, x):
    """Log of the FAIL evidence from the counts alone."""
    up, down = fail_nulls(band, inner)
    return np.logaddexp(up.log_evidence(n, x), down.log_evidence(n, x)) - log(2)


def test_the_first_thousand_labels_of_stream_a_hold_99_ones(stream):
    assert stream("a", 0.1, 1000).count("v2") == 99


def test_divergences():
    assert divergence(0.1, 0.12) == pytest.approx(0.001993414587, abs=1e-12)
    assert divergence(0.1, 0.08) == pytest.approx(0.002533339085, abs=1e-12)


def test_lower_bound_on_the_average_need():
    nats = 0.99 * log(0.99 / 0.01) + 0.01 * log(0.01 / 0.99)

    assert nats / divergence(0.1, 0.12) == pytest.approx(2259.047105, abs=1e-5)


@pytest.mark.parametrize(
    ("n", "x", "expected"),
    [
        (100, 10, 0.1685176205),
        (3000, 300, 5.461935288),
        (3000, 330, 0.9748939864),
        (3000, 270, 10.26795168),
        (50, 0, 0.7901225836),
    ],
)
def test_evidence_against_too_high(n, x, expected):
    assert pass_nulls(TEN)[1].log_evidence(n, x) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("n", "x", "expected"), [(3000, 300, 7.059897868), (3000, 330, 13.03625334)]
)
def test_evidence_against_too_low(n, x, expected):
    assert pass_nulls(TEN)[0].log_evidence(n, x) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("n", "x", "expected"),
    [
        (86, 0, 4.891179129),
        (85, 0, 4.809023269),
        (500, 75, 0.1240083351),
        (500, 50, -1.773012165),
        (4, 4, 6.248647753),
    ],
)
def test_fail_evidence_from_counts(n, x, expected):
    assert core(TEN, 1.0, n, x) == pytest.approx(expected, abs=1e-8)


BOUNDARIES = [
    (0.1, 0.02, 1, 0.01, 50, (-1, 29, -1, 18)),
    (0.1, 0.02, 1, 0.01, 100, (-1, 34, 0, 28)),
    (0.1, 0.02, 1, 0.01, 500, (25, 69, 18, 92)),
    (0.1, 0.02, 1, 0.01, 1000, (81, 113, 48, 163)),
    (0.1, 0.02, 1, 0.01, 2000, (193, 200, 115, 300)),
    (0.1, 0.02, 1, 0.01, 3000, (305, 288, 185, 432)),
    (0.1, 0.02, 1, 0.01, 5000, (529, 463, 330, 690)),
    (0.1, 0.02, 0.5, 0.01, 1000, (81, 113, 57, 151)),
    (0.1, 0.02, 0.5, 0.01, 3000, (305, 288, 213, 397)),
    (0.5, 0.02, 1, 0.05, 1000, (461, 539, 423, 577)),
    (0.01, 0.005, 1, 0.01, 2000, (10, 22, 0, 55)),
]


@pytest.mark.parametrize(("share", "tolerance", "inner", "level", "n", "expected"), BOUNDARIES)
def test_counts_that_decide(share, tolerance, inner, level, n, expected):
    band = Band("v2", share, tolerance, tolerance)
    too_low, too_high = pass_nulls(band)
    threshold = -log(level)
    counts = range(n + 1)
    failing = [x for x in counts if log(0.8) + core(band, inner, n, x) >= threshold]

    found = (
        max((x for x in counts if too_high.log_evidence(n, x) >= threshold), default=-1),
        min((x for x in counts if too_low.log_evidence(n, x) >= threshold), default=n + 1),
        max((x for x in failing if x < n * share), default=-1),
        min((x for x in failing if x > n * share), default=n + 1),
    )

    assert found == expected


@pytest.mark.parametrize(
    ("n", "x", "alpha", "low", "high"),
    [
        (50, 5, 0.05, 0.015847410, 0.286537897),
        (100, 10, 0.05, 0.029060851, 0.227509950),
        (1000, 100, 0.05, 0.068901497, 0.138183584),
        (1000, 100, 0.01, 0.065806189, 0.142976253),
        (3000, 300, 0.01, 0.078551109, 0.124582983),
        (300, 0, 0.05, 0.0, 0.021173966),
        (50, 50, 0.01, 0.866995986, 1.0),
        (5000, 2500, 0.01, 0.469878407, 0.530121593),
        (1000000, 100000, 0.01, 0.098552657, 0.101459864),
    ],
)
def test_krichevsky_trofimov_interval(n, x, alpha, low, high):
    assert kt_interval(n, x, alpha) == pytest.approx((low, high), abs=2e-9)


@pytest.mark.parametrize(
    ("tolerance", "beta", "n"),
    [
        (0.01, 0.05, 299),
        (0.01, 0.01, 459),
        (0.02, 0.01, 228),
        (0.05, 0.05, 59),
        (0.001, 0.01, 4603),
    ],
)
def test_clean_connections_to_pass(tolerance, beta, n):
    assert clean_connections(tolerance, beta) == n


@pytest.mark.parametrize(
    ("seed", "share", "level", "budget", "settled", "n", "x", "log_fail"),
    [
        ("a", 0.1, 0.01, 20000, ReasonCode.WITHIN_TOLERANCE, 3899, 406, -1.786116),
        ("c", 0.1, 0.05, 20000, ReasonCode.WITHIN_TOLERANCE, 2038, 208, -1.633713),
        ("e", 0.0, 0.01, 1000, ReasonCode.OUTSIDE_TOLERANCE, 86, 0, 4.673005),
        ("f", 0.5, 0.01, 1000, ReasonCode.OUTSIDE_TOLERANCE, 33, 14, 5.764297),
        ("h", 0.12, 0.01, 6000, None, 6000, 698, -3.634432),
    ],
)
def test_whole_runs(stream, seed, share, level, budget, settled, n, x, log_fail):
    evidence = run(stream(seed, share, budget), level, budget)

    assert (evidence.settled, evidence.judged, evidence.counts["v2"]) == (settled, n, x)
    assert evidence.log_fail == pytest.approx(log_fail, abs=1e-6)


def test_the_decision_interval_enters_the_band_when_the_verdict_falls(stream):
    labels = stream("b", 0.1, 3000)
    before, after = run(labels[:2547], 0.01, 20000), run(labels, 0.01, 20000)

    assert (after.settled, after.judged) == (ReasonCode.WITHIN_TOLERANCE, 2548)
    assert after.counts["v2"] == 248
    low, high = decision_bounds(after, "v2")
    assert low >= 0.08
    assert high <= 0.12
    assert decision_bounds(before, "v2")[0] < 0.08 or decision_bounds(before, "v2")[1] > 0.12


@pytest.mark.parametrize(
    ("n", "x", "expected"),
    [(3006, 306, 0.119964218), (300, 0, 0.022835836), (1000, 100, 0.143804022)],
)
def test_decision_bounds(n, x, expected):
    assert upper_bound(n, x, 0.02, 0.01) == pytest.approx(expected, abs=2e-9)
    assert 1 - lower_bound(n, n - x, 0.02, 0.01) == pytest.approx(expected, abs=2e-9)


def test_missing_labels_count_against_both_sides(stream):
    """At 2.23 % missing, 10 % +-2 pp cannot pass: (0.12 - 0.10) / 0.90 = 2.22 %."""
    room = 0.0222222222
    assert pytest.approx(room, abs=1e-9) == (0.12 - 0.1) / (1 - 0.1)
    for missing, can_pass in ((room - 0.006, True), (room + 0.002, False)):
        kept = stream("m", 1 - missing, 60000)
        labels = [
            label if keep == "v2" else None
            for label, keep in zip(stream("n", 0.1, 60000), kept, strict=True)
        ]
        evidence = run(labels, 0.01, 60000)
        assert (evidence.settled is ReasonCode.WITHIN_TOLERANCE) == can_pass


@pytest.mark.parametrize(
    ("share", "tolerance", "beta", "mean", "q95", "q99"),
    [
        (0.5, "10pp", 0.05, 239, 446, 641),
        (0.5, "5pp", 0.01, 1381, 2360, 3212),
        (0.25, "5pp", 0.01, 1040, 1778, 2431),
        (0.1, "2pp", 0.01, 3147, 5370, 7355),
        (0.1, "1pp", 0.05, 8728, 16140, 23273),
        (0.02, "1pp", 0.01, 2892, 5039, 6975),
        (0.01, "0.8pp", 0.01, 2463, 4384, 6087),
    ],
)
def test_planner(share, tolerance, beta, mean, q95, q99):
    split = Split(("v1", "v2"), (round(1000 * (1 - share)), round(1000 * share)))

    sizing = required_samples(split, Policy(beta=beta, tolerance=Tolerance.parse(tolerance)))

    # Published rounded to the nearest; a need is rounded up.
    assert (sizing.mean - mean, sizing.q95 - q95, sizing.q99 - q99) in {
        (a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)
    }


PATTERN = (1, 0, 2, 1, 0, 3, 1, 1, 0, 1)
"""Answers of the canary on ten connections with ten answers each."""


def test_evidence_of_the_means_of_connections():
    too_low, _ = pass_nulls(TEN, per_connection=10)
    results = {(hits, 0, 10): 20 * PATTERN.count(hits) for hits in set(PATTERN)}

    assert evidence_of_means(too_low, results) == pytest.approx(3.87678628, abs=1e-8)


@pytest.mark.parametrize("budget", [None, 8000])
@pytest.mark.parametrize("in_flight", [1, 16])
def test_where_the_means_of_connections_pass(budget, in_flight):
    policy = Policy(tolerance=Tolerance.parse("2pp"), max_samples=budget, per_connection=10)
    batch = kept(of_counts(PATTERN * 60, 10), planned=10, in_flight=in_flight)

    evidence = weigh(Evidence.start(Split.parse("v1=9,v2=1"), policy), batch)

    assert (evidence.settled, evidence.judged) == (ReasonCode.WITHIN_TOLERANCE, 372)


def test_intraclass_correlation_by_the_analysis_of_variance():
    counts = ConnectionCounts()
    counts.observe(kept(of_counts((1,) * 8 + (0, 9), 10), planned=10))

    assert counts.finish().icc == pytest.approx(0.390977444, abs=1e-9)


def run(labels, level, budget):
    policy = Policy(alpha=level, beta=level, tolerance=Tolerance.parse("2pp"), max_samples=budget)
    evidence = Evidence.start(Split.parse("v1=9,v2=1"), policy)
    return weigh(evidence, Batch.of_labels(labels))
