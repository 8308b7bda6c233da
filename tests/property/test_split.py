from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from analysis.data.split import Split, Tolerance
from analysis.data.split import tested_arms as judged_arms

names = st.text(
    st.characters(blacklist_characters="=,", blacklist_categories=["Cs", "Z", "Cc"]),
    min_size=1,
    max_size=12,
)
weighted = st.dictionaries(names, st.integers(0, 1000), min_size=1, max_size=5).filter(
    lambda weights: any(weights.values())
)


@example({"{": 1})
@example({"a%/b": 1, "c=9%/d": 2})
@given(weighted)
def test_a_split_reads_back_what_it_writes(weights):
    split = Split(tuple(weights), tuple(weights.values()))

    assert Split.parse(str(split)) == split


@given(weighted)
def test_shares_add_up_to_one(weights):
    split = Split(tuple(weights), tuple(weights.values()))

    assert split.shares.sum() == pytest.approx(1)
    assert [split.share(arm) for arm in split.arms] == pytest.approx(split.shares)


@given(weighted)
def test_automatic_bands_hold_their_share_and_can_be_refuted(weights):
    split = Split(tuple(weights), tuple(weights.values()))

    bands = Tolerance().bands(split)

    assert [band.arm for band in bands] == list(split.arms)
    for position in judged_arms(split):
        band = bands[position]
        assert band.low < band.expected < band.high
        assert band.expected == 0 or band.low > 0
        assert band.expected == 1 or band.high < 1


@given(st.integers(1, 60), st.integers(1, 60))
def test_one_pod_more_or_fewer_is_told_apart_or_the_floor_is_wider(canary, stable):
    """The band ends at least half a pod away on either side."""
    assume(canary < stable)
    total = canary + stable
    share = canary / total

    band = Tolerance().bands(Split(("v1", "v2"), (stable, canary)))[1]

    assert band.above >= ((canary + 1) / (total + 1) - share) / 2 - 1e-15
    assert band.below >= (share - (canary - 1) / (total - 1)) / 2 - 1e-15


@given(weighted, st.sampled_from(["2pp", "0.5pp", "10%", "95%"]))
def test_given_tolerances_are_taken_as_they_are_or_refused(weights, text):
    split, tolerance = Split(tuple(weights), tuple(weights.values())), Tolerance.parse(text)
    try:
        bands = tolerance.bands(split)
    except ValueError as error:
        assert "and pass" in str(error)  # noqa: PT017 - refusal is one of two right answers
        return
    for position in judged_arms(split):
        assert bands[position].low > 0 or bands[position].expected == 0
