"""Weights as people write them."""

from __future__ import annotations

import pytest

from analysis.data.errors import InputError
from analysis.data.weights import parse_weights


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("v1=9,v2=1", {"v1": 9, "v2": 1}),
        ("v1=90,v2=10", {"v1": 90, "v2": 10}),
        ("v1=90%,v2=10%", {"v1": 90, "v2": 10}),
        ("v1=90%/v2=10%", {"v1": 90, "v2": 10}),
        ("v1=99.5 %, v2=.5%", {"v1": 199, "v2": 1}),
        ("a=33.3%,b=33.3%,c=33.4%", {"a": 333, "b": 333, "c": 334}),
        ("v1=100%,v2=0%", {"v1": 100, "v2": 0}),
        ("v1=0.9,v2=0.1", {"v1": 90, "v2": 10}),
        ("v1=.955,v2=.045,v3=0", {"v1": 191, "v2": 9, "v3": 0}),
        ("v1=1.0,v2=0.0", {"v1": 100, "v2": 0}),
        ('{"v1": 9, "v2": 1}', {"v1": 9, "v2": 1}),
        (' {"v1": 0.9, "v2": 0.1}\n', {"v1": 90, "v2": 10}),
        ('{"v1": "90%", "v2": "10%"}', {"v1": 90, "v2": 10}),
        ("a/b=1,c=1", {"a/b": 1, "c": 1}),
        ("x=y=1,1.10=3", {"x=y": 1, "1.10": 3}),
    ],
)
def test_weights_shares_and_json_are_read_exactly(text, weights):
    assert dict(zip(*parse_weights(text), strict=True)) == weights


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("v1=90%,v2=11%", "add up to 100%, got 101%"),
        ("v1=90%,v2=9.99%", "add up to 100%, got 99.99%"),
        ("v1=0.9,v2=0.2", "add up to 1, got 1.1"),
        ("v1=1.5,v2=1", "add up to 1, got 2.5"),
        ("v1=90%,v2=1", "expected percentages throughout, got '1' for v2"),
        ("90%/10%", "whose share each one is, by the labels that .*, such as v1=90%,v2=10%"),
        (" 9:1", "such as v1=9,v2=1"),
        ("0.9, .1", "such as v1=0.9,v2=.1"),
        ("100%", "such as v1=100%"),
        ("v1=-1,v2=2", "the weight of v1 must be a whole number"),
        ("v1=1e1,v2=1", "the weight of v1 must be a whole number"),
        ("v1=many,v2=1", "the weight of v1 must be a whole number"),
        ("v1=90% v2=10%", "expected a comma between two labels"),
        ('{"v1": 9', "expected weights by label as JSON"),
        ('{"v1": null, "v2": 1}', "the weight of v1 must be a number, got null"),
        ('{"v1": [9], "v2": 1}', "the weight of v1 must be a number, got"),
        ('{"v1": NaN, "v2": 1}', "the weight of v1 must be a whole number"),
    ],
)
def test_what_does_not_add_up_or_is_no_weight_is_told(text, told):
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        parse_weights(text)
