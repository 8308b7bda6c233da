"""Values that `generate.py` beside this file computed with 40 digits."""

from __future__ import annotations

import json
from math import inf, log
from pathlib import Path

import numpy as np
import pytest

from analysis.bets.hypotheses import fail_nulls, pass_nulls
from analysis.bets.mixture import Bets, Results
from analysis.data.split import Band

CASES = json.loads((Path(__file__).parent / "values.json").read_text())


@pytest.fixture(params=CASES, ids=lambda case: case["name"])
def case(request):
    return request.param


@pytest.fixture
def band(case):
    return Band("v2", case["share"], case["below"], case["above"])


def core(nulls, n, x):
    return np.logaddexp(*(null.log_evidence(n, x) for null in nulls)) - log(2)


def test_log_evidence(case, band):
    too_low, too_high = pass_nulls(band)
    failing = fail_nulls(band, case["inner"])
    for n, x, low, high, fail in case["log_evidence"]:
        assert too_low.log_evidence(n, x) == pytest.approx(low, abs=1e-8)
        assert too_high.log_evidence(n, x) == pytest.approx(high, abs=1e-8)
        assert core(failing, n, x) == pytest.approx(fail, abs=1e-8)


def test_counts_that_decide(case, band):
    too_low, too_high = pass_nulls(band)
    failing = fail_nulls(band, case["inner"])
    passes, fails = -log(case["beta"]), -log(case["alpha"]) - log(0.8)
    for n, upper, lower, fail_low, fail_high in case["boundaries"]:
        for x, refuted in ((upper, True), (upper + 1, False)):
            assert reaches(too_high.log_evidence, n, x, passes, beyond=x < 0) == refuted
        for x, refuted in ((lower, True), (lower - 1, False)):
            assert reaches(too_low.log_evidence, n, x, passes, beyond=x > n) == refuted
        for x, failed in ((fail_low, True), (fail_low + 1, False)):
            assert reaches(lambda *c: core(failing, *c), n, x, fails, beyond=x < 0) == failed
        for x, failed in ((fail_high, True), (fail_high - 1, False)):
            assert reaches(lambda *c: core(failing, *c), n, x, fails, beyond=x > n) == failed


def reaches(log_evidence, n, x, threshold, *, beyond):
    """Whether the evidence decides; where no count decides, the one beyond stands for it."""
    return beyond or (log_evidence(n, x) if 0 <= x <= n else -inf) >= threshold


def test_whole_fail_evidence_with_its_restarted_part(case, band, stream):
    for seed, share, n, horizon, expected in case["restarted"]:
        hit = np.array([[label == "v2" for label in stream(seed, share, n)]])
        bets, third = Bets.of([0], [band], case["inner"], horizon), n // 3

        early, late = in_two_parts(bets, hit, third, np.eye(1, 2), 1 - hit[0], has_parts=False)

        assert early.against_inner.shape[1] == third
        assert log(late.against_inner[0, -1]) == pytest.approx(expected, abs=1e-9)


def test_evidence_of_connections_with_several_answers(case, band):
    for _, counts, horizon, low, high, fail in case["means"]:
        hits, third = np.array([counts], dtype=np.float64) / 10, len(counts) // 3
        bets = Bets.of([0], [band], case["inner"], horizon, inf, 10)

        kind = np.arange(len(counts))
        _, late = in_two_parts(bets, hits, third, hits, kind, has_parts=True)

        assert np.log(late.against_band[:, -1]) == pytest.approx([low, high], abs=1e-8)
        assert log(late.against_inner[0, -1]) == pytest.approx(fail, abs=1e-8)


def in_two_parts(bets, met, cut, hits, kind, *, has_parts):
    """Weigh connections, of each of which a part met the arm (1, m), before and after a cut."""
    n = np.arange(1, met.shape[1] + 1)
    carry, found = bets.start, []
    for part in (slice(cut), slice(cut, None)):
        results = Results(
            length=np.ones_like(n[part]),
            n=n[part],
            x=np.cumsum(met, axis=1)[:, part],
            missing=np.zeros_like(n[part]),
            kind=kind[part],
            hits=hits,
            lost=np.zeros(hits.shape[1]),
            agrees=np.concatenate([met > 0, met == 0])[:, part],
            has_parts=has_parts,
        )
        found.append(bets.weigh(results, carry))
        carry = found[-1].at(len(n[part]) - 1)
    return found
