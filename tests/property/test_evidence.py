from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import exp, inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bets.hypotheses import is_certain
from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.data.split import tested_arms as judged_arms
from analysis.evidence.fold import weigh
from analysis.evidence.intervals import decision_bounds, shares_with_intervals
from analysis.evidence.state import Evidence


def judged(split, policy, labels, cuts=()):
    """Weigh labels, cut into batches at the given positions."""
    evidence = Evidence.start(split, policy)
    edges = [0, *sorted({cut for cut in cuts if cut < len(labels)}), len(labels)]
    for first, last in pairwise(edges):
        evidence = weigh(evidence, Batch.of_labels(labels[first:last], first=first))
    return evidence


policies = st.builds(
    Policy,
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
    beta=st.sampled_from([0.01, 0.05, 0.2]),
    tolerance=st.sampled_from([Tolerance(), Tolerance.parse("20%")]),
    inner=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    max_unlabelled=st.sampled_from([0.02, 0.05, 0.3, 1.0]),
    missing_ratio=st.sampled_from([inf, inf, 1.0, 2.0, 5.0]),
    max_samples=st.sampled_from([None, 50, 400]),
)


@st.composite
def asked(draw, of=None):
    """Draw a split and a policy, which is a calibrated one where that exists."""
    split, policy = draw(splits if of is None else st.just(of)), draw(policies)
    if len(split.arms) < 3 and draw(st.booleans()):
        policy = replace(policy, calibrated=True, missing_ratio=inf)
    return split, policy


splits = st.sampled_from(
    [
        Split(("v1", "v2"), (9, 1)),
        Split(("v1", "v2"), (1, 9)),
        Split(("v1", "v2"), (1, 1)),
        Split(("v1", "v2"), (3, 2)),
        Split(("v1", "v2"), (10, 0)),
        Split(("v1",), (1,)),
        Split(("v1", "v2", "v3"), (8, 1, 1)),
        Split(("v1", "v2", "v3"), (2, 1, 0)),
        Split(("v1", "v2", "v3"), (0, 1, 0)),
    ]
)


@st.composite
def streams(draw, split, most=700):
    """Draw labels of a split that is right or wrong, with and without missing ones."""
    random = Random(draw(st.integers(0, 2**32)))
    weights = draw(
        st.one_of(
            st.just(list(split.weights)),
            st.lists(st.integers(0, 9), min_size=len(split.arms), max_size=len(split.arms)),
        )
    )
    weights = weights if any(weights) else [1] * len(weights)
    missing = draw(st.sampled_from([0, 0, 0, 0.01, 0.1]))
    foreign = draw(st.sampled_from([0, 0, 0, 0.01]))
    n = draw(st.integers(0, most))
    change = draw(st.sampled_from([n, n // 2]))
    labels: list[str | None] = []
    for position in range(n):
        now = weights if position < change else weights[::-1]
        label = random.choices(split.arms, now)[0]
        chance = random.random()
        labels.append(None if chance < missing else "x" if chance > 1 - foreign else label)
    return labels


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_the_fold_agrees_with_its_plain_twin_at_every_stop(plain_fold, data):
    split, policy = data.draw(splits), data.draw(policies)
    labels = data.draw(streams(split))
    evidence = judged(split, policy, labels, data.draw(st.lists(st.integers(1, 700), max_size=3)))

    code, n, fails, bests, missing = plain_fold(labels, split, policy, evidence.budget)

    assert (evidence.settled, evidence.judged, evidence.missing) == (code, n, missing)
    assert evidence.fail_by_arm == pytest.approx(fails, rel=1e-9)
    assert [exp(peak.log_evidence) for peak in evidence.peaks] == pytest.approx(bests, rel=1e-9)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_cutting_a_run_into_other_batches_changes_nothing(data):
    split, policy = data.draw(asked())
    labels = data.draw(streams(split))
    cuts = data.draw(st.lists(st.integers(1, 700), max_size=30))

    whole, cut = judged(split, policy, labels), judged(split, policy, labels, cuts)

    assert (cut.settled, cut.judged, cut.missing) == (whole.settled, whole.judged, whole.missing)
    assert cut.counts == whole.counts
    assert [(peak.n, peak.x) for peak in cut.peaks] == [(peak.n, peak.x) for peak in whole.peaks]
    assert cut.carry.clean == whole.carry.clean
    assert cut.carry.restarts == pytest.approx(whole.carry.restarts, rel=1e-10)
    assert cut.fail_by_arm == pytest.approx(whole.fail_by_arm, rel=1e-10)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_the_verdict_is_pass_exactly_when_each_decision_interval_lies_inside_its_band(data):
    split, policy = data.draw(asked())
    evidence = judged(split, policy, data.draw(streams(split, most=1500)))

    def inside(position):
        band = evidence.bands[position]
        low, high = decision_bounds(evidence, band.arm)
        if band.expected in {0, 1}:
            return band.low <= low and high <= band.high and evidence.departed < band.above
        least, most = evidence.least_and_most(band.arm)
        at_edge = least <= band.low or most >= band.high
        return band.low <= low and high <= band.high and not at_edge

    all_inside = evidence.judged > 0 and all(inside(arm) for arm in judged_arms(split))
    # FAIL and its like win where both would hold at one connection.
    other = evidence.settled not in {None, ReasonCode.WITHIN_TOLERANCE}
    assert (evidence.settled is ReasonCode.WITHIN_TOLERANCE) == (all_inside and not other)


def all_inside(evidence):
    shown = shares_with_intervals(evidence)

    def inside(band):
        share, low, high = shown[band.arm]
        # A share on an edge, as 0 of a band from 0, is none that the band accepts.
        within = is_certain(band) or band.low < share < band.high
        return band.low <= low and high <= band.high and within

    return evidence.judged > 0 and all(map(inside, evidence.bands))


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_all_shown_intervals_lie_inside_their_bands_exactly_when_the_verdict_is_pass(data):
    split, policy = data.draw(asked())
    evidence = judged(split, policy, data.draw(streams(split, most=1500)))

    assert (evidence.settled is ReasonCode.WITHIN_TOLERANCE) == all_inside(evidence)


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.001), (0.001, 0.2), (0.01, 0.01)])
@pytest.mark.parametrize("weights", [(9, 1), (1, 1), (8, 1, 1)])
def test_so_they_do_in_right_splits_near_the_end_of_the_run(weights, alpha, beta):
    split = Split(("v1", "v2", "v3")[: len(weights)], weights)
    policy = Policy(alpha=alpha, beta=beta)
    fresh, ends = Evidence.start(split, policy), set()
    for seed in range(30):
        random = Random(seed)
        n = round(fresh.budget * random.uniform(0.1, 0.9))
        evidence = weigh(fresh, Batch.of_labels(random.choices(split.arms, weights, k=n)))
        ends.add(evidence.settled)

        assert (evidence.settled is ReasonCode.WITHIN_TOLERANCE) == all_inside(evidence)
    assert {None, ReasonCode.WITHIN_TOLERANCE} <= ends


def test_beside_an_unexpected_label_no_interval_is_the_mirror_of_another():
    evidence = judged(Split.parse("v1=9,v2=1"), Policy(), ["v2", "x"])

    share, low, _ = shares_with_intervals(evidence)["v1"]

    assert (share, low) == (0.0, 0.0)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_every_shown_interval_contains_its_share(data):
    split, policy = data.draw(asked())
    evidence = judged(split, policy, data.draw(streams(split)))

    shown = shares_with_intervals(evidence)

    assert set(shown) == set(evidence.counts) >= set(split.arms)
    for share, low, high in shown.values():
        assert 0 <= low <= high <= 1
        assert low <= share <= high or evidence.labelled == 0


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_swapping_the_two_labels_swaps_the_shares_and_nothing_else(data):
    weights = data.draw(st.sampled_from([(9, 1), (3, 2), (10, 0)]))
    split, mirror = Split(("v1", "v2"), weights), Split(("v1", "v2"), weights[::-1])
    _, policy = data.draw(asked(split))
    labels = data.draw(streams(split))
    swap = {"v1": "v2", "v2": "v1", "x": "x", None: None}

    here = judged(split, policy, labels)
    there = judged(mirror, policy, [swap[label] for label in labels])

    assert (here.settled, here.judged, here.missing) == (there.settled, there.judged, there.missing)
    shown, mirrored = shares_with_intervals(here), shares_with_intervals(there)
    assert shown["v1"] == pytest.approx(mirrored["v2"], abs=1e-12)
    assert shown["v2"] == pytest.approx(mirrored["v1"], abs=1e-12)
