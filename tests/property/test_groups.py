"""Connections with several answers: how they were cut, and the same by hand."""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bets.hypotheses import fail_nulls, pass_nulls
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.evidence.fold import finish, weigh
from analysis.evidence.intervals import decision_bounds, shares_with_intervals
from analysis.evidence.state import Evidence
from tests.kept import cut, kept

EVEN = Split.parse("v1=1,v2=1")
POLICY = Policy(
    alpha=0.1, beta=0.1, tolerance=Tolerance.parse("20pp"), per_connection=4, max_samples=60
)

answers = st.lists(st.sampled_from(["v1", "v2", "v1", "v2", None]), min_size=1, max_size=4)
runs = st.lists(answers, min_size=1, max_size=80)


def weighed(batches, policy=POLICY):
    evidence = Evidence.start(EVEN, policy)
    for batch in batches:
        evidence = weigh(evidence, batch)
    return finish(evidence)


@settings(deadline=None, max_examples=80)
@given(connections=runs, in_flight=st.integers(1, 5), data=st.data())
def test_how_samples_were_cut_changes_nothing(connections, in_flight, data):
    batch = kept(connections, planned=4, in_flight=in_flight)
    at = data.draw(st.sets(st.integers(0, len(batch))))

    whole, parts = weighed([batch]), weighed(cut(batch, at))

    assert parts.settled is whole.settled
    assert parts.judged == whole.judged
    assert parts.counts == whole.counts
    assert parts.missing == whole.missing
    assert parts.groups.results == whole.groups.results
    assert parts.groups.at_peaks == whole.groups.at_peaks
    assert parts.fail_by_arm == pytest.approx(whole.fail_by_arm, rel=1e-9)
    assert parts.drift == whole.drift
    assert parts.runs == whole.runs


class ByHand:
    """The decision, one connection after the other, from the written procedure."""

    def __init__(self, split, policy):
        self.policy, self.n = policy, 0
        band = policy.tolerance.bands(split)[1]
        self.band = band
        self.horizon = policy.max_samples
        self.passing = [(null, [1.0] * len(null.weights)) for null in pass_nulls(band, inf, 4)]
        self.failing = [
            (null, [1.0] * len(null.weights), [0.0] * len(null.weights))
            for null in fail_nulls(band, policy.inner)
        ]
        self.peaks = [0.0, 0.0]
        self.hits = self.lost = 0.0

    def see(self, hit, lost):
        """Take a connection: the parts of it with the label, and that could have had it."""
        self.n += 1
        self.hits += hit
        self.lost += lost
        for position, (null, bets) in enumerate(self.passing):
            grow(null, bets, hit, lost)
            value = sum(w * bet for w, bet in zip(null.weights, bets, strict=True))
            self.peaks[position] = max(self.peaks[position], value)
        total = 0.0
        for null, bets, again in self.failing:
            grow(null, bets, hit, lost)
            again[:] = [value + 1 / self.horizon for value in again]
            grow(null, again, hit, lost)
            for weight, bet, value in zip(null.weights, bets, again, strict=True):
                total += weight * (0.8 * bet + 0.2 * value) / 2
        self.evidence = total + 0.2 * max(self.horizon - self.n, 0) / self.horizon

    @property
    def verdict(self):
        if self.evidence >= 1 / self.policy.alpha:
            return "FAIL"
        least, most = self.hits / self.n, (self.hits + self.lost) / self.n
        inside = self.band.low < least and most < self.band.high
        return "PASS" if inside and min(self.peaks) >= 1 / self.policy.beta else None


def grow(null, bets, hit, lost):
    y = hit + null.lost * lost
    for position, q in enumerate(null.alternatives):
        bets[position] *= y * q / null.edge + (1 - y) * (1 - q) / (1 - null.edge)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.1, 0.3, 0.5, 0.65]))
def test_the_verdict_falls_where_it_falls_by_hand(seed, share):
    random = np.random.default_rng(seed)
    counts = random.binomial(4, random.beta(8 * share, 8 * (1 - share), 60))
    connections = [["v2"] * count + ["v1"] * (4 - count) for count in counts.tolist()]
    by_hand = ByHand(EVEN, POLICY)
    expected = None
    for count in counts.tolist():
        by_hand.see(count / 4, 0.0)
        if by_hand.verdict is not None:
            expected = by_hand.verdict
            break

    evidence = weighed([kept(connections, planned=4, in_flight=3)])

    verdicts = {
        ReasonCode.WITHIN_TOLERANCE: "PASS",
        ReasonCode.NOT_STATIONARY: "PASS",
        ReasonCode.DEPENDENT_CONNECTIONS: "PASS",
        ReasonCode.OUTSIDE_TOLERANCE: "FAIL",
        None: None,
    }
    assert verdicts[evidence.settled] == expected
    assert evidence.judged == by_hand.n
    assert evidence.log_fail == pytest.approx(log(by_hand.evidence), abs=1e-8)
    for peak, value in zip(evidence.peaks, by_hand.peaks, strict=True):
        assert exp(peak.log_evidence) == pytest.approx(max(value, 1.0), rel=1e-8)


@settings(deadline=None, max_examples=60)
@given(connections=runs)
def test_a_pass_is_an_interval_inside_the_band(connections):
    evidence = weighed([kept(connections, planned=4)])

    low, high = decision_bounds(evidence, "v2")
    inside = evidence.bands[1].low <= low and high <= evidence.bands[1].high

    guards = {ReasonCode.NOT_STATIONARY, ReasonCode.DEPENDENT_CONNECTIONS}
    passed = evidence.settled is ReasonCode.WITHIN_TOLERANCE or evidence.settled in guards
    assert passed == inside


@pytest.mark.parametrize("text", ["v1=10", "v1=10,v2=0", "v1=9,v2=1,v3=0", "v1=1,v2=0,v3=0"])
@pytest.mark.parametrize("missing_ratio", [inf, 3.0])
def test_a_pass_with_a_share_of_zero_and_answers_missing_has_all_intervals_inside(
    text, missing_ratio
):
    """A part of a connection that is missing is not the loss of the bet on a clean run."""
    split = Split.parse(text)
    policy = Policy(
        beta=0.1, alpha=0.1, per_connection=3, max_samples=4000, missing_ratio=missing_ratio,
        tolerance=Tolerance.parse("4pp"), max_unlabelled=1.0,
    )  # fmt: skip
    drawn = np.random.default_rng(7).choice(split.arms, size=(1500, 3), p=split.shares).tolist()
    drawn[3][2] = drawn[100][1] = None
    evidence = Evidence.start(split, policy)

    evidence = finish(weigh(evidence, kept(drawn, planned=3, in_flight=2)))

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.missing
    shown = shares_with_intervals(evidence)
    for band in evidence.bands:
        share, low, high = shown[band.arm]
        assert band.low <= low <= share <= high <= band.high
        assert share <= 1
