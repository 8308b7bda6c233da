"""Numbers that the README states are those of the program, and of the example that it kept."""

from __future__ import annotations

import json
import re

import pytest

from analysis import Policy, Split
from analysis.planning.outlook import foresee
from tests.processes import REPOSITORY

README = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_the_verdicts_on_the_first_screen_are_those_of_the_example_runs(verdict):
    example = REPOSITORY / "reports" / "example" / verdict / "report.json"
    first, *others = json.loads(example.read_text(encoding="utf-8"))["reasons"]
    quotes = [f"{verdict.upper()} {first['message']}"]
    quotes += [f"also {each['message']} → {each['remedy']}" for each in others]

    assert [each for each in quotes if each not in README] == [], "the examples were made again"


def test_the_price_of_a_verdict_is_that_of_the_plan():
    split = Split.parse("v1=9,v2=1")
    low, high = (100 * edge for edge in Policy().tolerance.bands(split)[1].clipped)
    mean = foresee(split, Policy()).samples.mean

    assert f"any share of v2 from {low:.0f} % to {high:.1f} % is correct" in README
    assert f"about {round(mean, -2)} connections" in README


def test_the_loop_that_is_replaced_misses_the_canary_as_often_as_it_says():
    found = re.findall(
        r"(\d+) % canary, (\d+) such lines miss it entirely one time in (\d+)\.", README
    )

    ((share, lines, one_in),) = found
    assert int(one_in) == round((1 - int(share) / 100) ** -int(lines))
