"""Values that `generate.py` beside this file computed with 40 digits."""

from __future__ import annotations

import json
from math import inf, log
from pathlib import Path

import numpy as np
import pytest

from analysis.bets.hypotheses import fail_nulls, pass_nulls
from analysis.bets.means import MeanScales
from analysis.bets.scales import Scales
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
        hit = np.array([label == "v2" for label in stream(seed, share, n)])
        x = np.cumsum(hit)
        scales = Scales.of([0], [band], case["inner"], horizon)
        third, counts = n // 3, np.arange(1, n + 1)

        def part(cut, carry):
            rows = np.stack([x[cut]] * 2), np.stack([hit[cut]] * 2)  # noqa: B023 - used at once
            return scales.fail_evidence(counts[cut], *rows, carry)  # noqa: B023 - as above

        _, after = part(slice(third), scales.start)
        evidence, _ = part(slice(third, n), after.at(-1))

        assert log(evidence[0, -1]) == pytest.approx(expected, abs=1e-9)


def test_evidence_of_connections_with_several_answers(case, band):
    for _, counts, horizon, low, high, fail in case["means"]:
        hits = np.array([counts], dtype=np.float64) / 10
        scales = MeanScales.of([0], [band], case["inner"], horizon, inf, 10, None)
        third, n = len(counts) // 3, np.arange(1, len(counts) + 1)

        def part(cut, stakes):
            parts, lost = hits[:, cut], np.zeros(hits[:, cut].shape[1])  # noqa: B023 - used at once
            return scales.weigh(n[cut], parts, lost, np.arange(len(lost)), stakes)  # noqa: B023

        *_, course = part(slice(third), scales.start)
        passing, failing, _, _ = part(slice(third, None), course.at(-1))

        assert np.log(passing[:, -1]) == pytest.approx([low, high], abs=1e-8)
        assert log(failing[0, -1]) == pytest.approx(fail, abs=1e-8)
