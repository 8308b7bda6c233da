from __future__ import annotations

from math import log

import pytest

from analysis.data.split import Band
from analysis.text.wording import accepted, decimals, interval, odds, quoted


def test_an_interval_is_rounded_outwards():
    assert interval(0.4711, 0.3806, 0.5624, 1) == "47.1 % [38.0, 56.3]"


@pytest.mark.parametrize(
    ("tolerance", "places"), [(0.05, 1), (0.01, 1), (0.005, 2), (0.0015, 2), (0.0004, 3)]
)
def test_small_tolerances_get_more_decimals(tolerance, places):
    assert decimals(Band("v2", 0.1, tolerance, tolerance)) == places


def test_a_band_is_written_with_its_share():
    assert accepted(Band("v2", 0.1, 0.05, 0.9 / 22)) == "10 % [5.0, 14.1]"


def test_a_band_that_reaches_beyond_all_is_cut_there():
    assert accepted(Band("v2", 0.0, 0.02, 0.02)) == "0 % [0.0, 2.0]"


@pytest.mark.parametrize(
    ("nats", "told"),
    [
        (0.0, "1.0:1"), (log(3.19), "3.1:1"), (-log(0.01), "100:1"), (50.0, "10^21:1"),
        (-1.1, "1:3.0"), (-50.0, "1:10^21"),
    ],
)  # fmt: skip
def test_evidence_is_told_as_odds_and_never_as_more_than_it_is(nats, told):
    assert odds(nats) == told


def test_labels_are_escaped_and_cut():
    assert quoted("v3") == "'v3'"
    assert quoted("\x1b[31mred\n") == r"'\x1b[31mred\n'"
    assert len(quoted("x" * 5000)) == 60
    assert len(quoted("\x00" * 5000)) == 60
