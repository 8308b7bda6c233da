"""Numbers that the README states are those of the program, and of the example that it kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

from analysis import Policy, Split
from analysis.planning.outlook import foresee

REPOSITORY = Path(__file__).resolve().parents[2]
README = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())


def test_the_verdict_on_the_first_screen_is_that_of_the_example_run():
    example = REPOSITORY / "reports" / "example" / "pass" / "report.json"
    message = json.loads(example.read_text(encoding="utf-8"))["reasons"][0]["message"]

    assert f"PASS {message}" in README, f"the examples were made again; quote: PASS  {message}"


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
