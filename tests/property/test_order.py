"""The order in which labels are named changes no band, verdict, stop or interval."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Batch, Policy, Split, Tolerance, Verdict, judge
from analysis.data import split as splits
from analysis.evidence.intervals import shares_with_intervals
from analysis.versions.health import HealthPolicy, compared_arms
from analysis.weighing.expectation import Fixed

TOLERANCES = ["auto", "4pp", "10%", "-2pp+3pp"]
SPLITS = [(9, 1), (1, 1), (2, 2), (10, 0), (3, 2), (1, 1, 1), (8, 1, 1), (5, 3, 2), (4, 4, 2, 0)]


def split_of(weights, order):
    labels = [f"v{position}" for position in range(len(weights))]
    return Split(tuple(labels[i] for i in order), tuple(weights[i] for i in order))


def orders(weights):
    return list(permutations(range(len(weights))))


@pytest.mark.parametrize("weights", SPLITS, ids=str)
@pytest.mark.parametrize("tolerance", [*TOLERANCES, "v0=1pp", "v1=1pp", "v0=-1pp+2pp,v1=2pp,3pp"])
def test_bands_and_what_is_tested_do_not_depend_on_it(weights, tolerance):
    seen = []
    for order in orders(weights):
        split = split_of(weights, order)
        bands = Tolerance.parse(tolerance).bands(split)
        seen.append(
            (
                {band.arm: (band.below, band.above) for band in bands},
                {split.arms[arm] for arm in splits.tested_arms(split)},
                compared_arms(split, HealthPolicy()),
            )
        )

    assert all(each == seen[0] for each in seen)


@settings(max_examples=40)
@given(
    weights=st.sampled_from(SPLITS),
    tolerance=st.sampled_from(TOLERANCES),
    tilt=st.floats(0.0, 0.2),
    seed=st.integers(0, 2**32),
    per_connection=st.sampled_from([1, 3]),
    missing=st.sampled_from([0.0, 0.02]),
    calibrated=st.booleans(),
)
def test_verdict_stop_and_intervals_do_not_depend_on_it(
    weights, tolerance, tilt, seed, per_connection, missing, calibrated
):
    rng = np.random.default_rng(seed)
    shares = np.array(weights) / sum(weights)
    shares = (1 - tilt) * shares + tilt / len(weights)
    drawn = rng.choice(len(weights), 900, p=shares)
    labels = [None if rng.random() < missing else f"v{each}" for each in drawn]
    batch = Batch.of_labels(labels)
    if per_connection > 1:
        batch = replace(
            batch,
            connection=np.arange(900) // per_connection,
            ordinal=(np.arange(900) % per_connection).astype(np.int32),
            planned=np.full(900, per_connection, dtype=np.int32),
        )
    policy = Policy(
        tolerance=Tolerance.parse(tolerance),
        max_samples=700,
        per_connection=per_connection,
        calibrated=calibrated and per_connection == 1 and len(weights) == 2,
    )
    seen = []
    for order in (orders(weights)[0], orders(weights)[-1]):
        split = split_of(weights, order)
        decision = judge(batch, split, policy, seed=seed)
        fixed = Fixed(split, policy, seed)
        fixed.weigh(batch)
        seen.append(
            (
                decision.verdict,
                decision.decided_after,
                decision.reasons[0].code,
                fixed.evidence.answers,
                {
                    label: tuple(np.round(values, 9))
                    for label, values in shares_with_intervals(fixed.evidence).items()
                },
            )
        )

    assert all(each == seen[0] for each in seen)


@pytest.mark.parametrize(
    "labels",
    [["v0", "v1"] * 300, [f"v{place // 4 % 4}" for place in range(3200)]],
    ids=["two of four are absent", "all stick together"],
)
def test_the_version_that_is_named_does_not_depend_on_it(labels):
    """Where several do equally badly it is the first by name."""
    seen = set()
    for order in orders((1, 1, 1, 1)):
        decision = judge(Batch.of_labels(labels), split_of((1, 1, 1, 1), order))
        failed = frozenset(check.name for check in decision.checks if check.verdict is Verdict.FAIL)
        seen.add((decision.reasons[0].message, failed))

    assert len(seen) == 1


def test_what_a_user_sees_of_an_even_split_is_symmetrical():
    even = Split.parse("v1=1,v2=1")
    many = Batch.of_labels((["v1"] * 7 + ["v2"] * 3) * 200)
    turned = Batch.of_labels((["v2"] * 7 + ["v1"] * 3) * 200)

    assert judge(many, even).verdict.value == judge(turned, even).verdict.value == "FAIL"
    low, high = Tolerance().bands(even)[0].clipped
    assert low == pytest.approx(0.5 - 1 / 12)
    assert high == pytest.approx(0.5 + 1 / 12)
