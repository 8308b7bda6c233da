"""Neighbours of one kind, taken together: nothing that is decided on depends on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis import Batch, Evidence, Policy, Split, Tolerance, weigh
from analysis.bets.mixture import LONGEST_RUN
from analysis.evidence.draws import Draws

CASES: dict[str, tuple[str, float, dict[str, Any]]] = {
    "two": ("v1=9,v2=1", 0.0, {}),
    "one in a thousand": ("v1=999,v2=1", 0.0, {"tolerance": Tolerance.parse("0.05pp")}),
    "missing": ("v1=3,v2=1,v3=1", 0.02, {"max_unlabelled": 0.5}),
    "calibrated": ("v1=999,v2=9", 0.0, {"tolerance": Tolerance.parse("0.1pp"), "calibrated": True}),
    "certain": ("v1=1,v2=0", 0.01, {"max_unlabelled": 0.5, "missing_ratio": 3.0}),
    "silent": ("v1=9,v2=1", 0.2, {"max_unlabelled": 0.05}),
    "right": ("v1=3,v2=1", 0.0, {"tolerance": Tolerance.parse("15pp")}),
    "steep": ("v1=1,v2=99", 0.0, {"tolerance": Tolerance.parse("0.01pp")}),
}


@pytest.fixture(params=CASES)
def case(request):
    weights, missing, policy = CASES[request.param]
    split = Split.parse(weights)
    random = np.random.default_rng(3)
    codes = np.repeat(random.choice(len(split.arms), 400, p=split.shares), 2)
    codes[random.random(800) < missing] = len(split.arms) + 1
    evidence = Evidence.start(split, Policy(**({"max_samples": 2000} | policy)), 1)
    return evidence, codes


def test_runs_are_worth_what_their_connections_are(case):
    evidence, codes = case
    draws = Draws.of_answers(evidence, codes)
    runs = draws.in_runs()

    each, found = (evidence.bets.weigh(of, evidence.carry) for of in (draws, runs))

    ends = runs.n - 1
    assert 1 < runs.length.max() <= LONGEST_RUN
    assert runs.length.sum() == len(codes) > len(ends)
    assert found.against_band == pytest.approx(each.against_band[:, ends], rel=1e-11)
    assert found.against_inner == pytest.approx(each.against_inner[:, ends], rel=1e-11)
    assert found.against_dirty == pytest.approx(each.against_dirty[ends[: len(each.against_dirty)]])
    carried, kept = found.at(len(ends) - 1), each.at(len(codes) - 1)
    assert carried.clean == kept.clean
    assert carried.restarts == pytest.approx(kept.restarts, rel=1e-11)
    assert carried.again == pytest.approx(kept.again, rel=1e-11)


def test_a_whole_run_is_judged_as_one_connection_after_the_other(case):
    start, codes = case
    names = [*start.split.arms, "foreign", None]
    labels = [names[code] for code in codes[:300]]

    whole, single = weigh(start, Batch.of_labels(labels)), start
    for label in labels:
        single = weigh(single, Batch.of_labels([label]))

    assert (whole.settled, whole.judged, whole.counts) == (
        single.settled,
        single.judged,
        single.counts,
    )
    assert [(peak.n, peak.x) for peak in whole.peaks] == [(peak.n, peak.x) for peak in single.peaks]
