"""Labels of which none is expected: no verdict, and what may have been meant."""

from __future__ import annotations

from collections import Counter

import pytest

from analysis.data.report import ReasonCode
from analysis.data.split import Split
from analysis.data.tally import Tally
from analysis.verdict.strangers import REMEDY, only_strangers

SPLIT = Split.parse("v1=9,v2=1")


def reason(*found, split=SPLIT):
    return only_strangers(split, Tally(labels=Counter(dict.fromkeys(found, 5))))


@pytest.mark.parametrize("found", [(), ("v1", "v3"), ("v2",)])
def test_an_expected_label_among_them_or_none_at_all_is_left_to_the_verdict(found):
    assert reason(*found) is None


def test_a_label_with_weight_zero_is_an_expected_one():
    assert reason("v2", split=Split.parse("v1=1,v2=0")) is None


def test_the_labels_that_came_are_named_the_most_frequent_first():
    tally = Tally(labels=Counter({"a": 1, "b": 30, "c": 2, "d": 1, "e": 1}))

    told = only_strangers(SPLIT, tally)

    assert told is not None
    assert told.code is ReasonCode.UNMEASURABLE
    assert "35 responses had a label" in told.message
    assert "'b' (30), 'c' (2), 'a' (1) and 2 more" in told.message
    assert told.remedy == REMEDY


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        (("V1", "V2"), "--expect 'V1=9,V2=1'"),
        (("1", "2"), "--expect '1=9,2=1'"),
        (("shop-v1", "shop-v2"), "--expect 'shop-v1=9,shop-v2=1'"),
        (("registry/shop:v1",), "--expect 'registry/shop:v1=9,v2=1'"),
        (("v1-7d9", "v2-5f6"), "--expect 'v1-7d9=9,v2-5f6=1'"),
        (("v1-7d9", "v1-8e0"), "'v1-7d9' by 'v1'"),
        ((" v1 ",), "' v1 ' by 'v1'"),
        (("v1\n",), r"'v1\n' by 'v1'"),
    ],
)
def test_what_differs_in_case_blanks_or_a_prefix_is_asked_about(found, remedy):
    assert remedy in reason(*found).remedy


@pytest.mark.parametrize("found", ["v10", "v3", "av1", "v", "1.10", "x"])
def test_what_is_only_a_little_alike_is_not(found):
    assert reason(found).remedy == REMEDY
