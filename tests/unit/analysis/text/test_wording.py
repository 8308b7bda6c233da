from __future__ import annotations

from math import log

import pytest

from analysis.data.split import Band
from analysis.text.wording import accepted, decimals, interval, listed, odds, quoted


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
        (0.0, "1.0:1"), (log(3.19), "3.1:1"), (-log(0.01), "100:1"),
        (50.0, "more than a million to one"),
        (log(1e4), "more than 10 000:1"), (log(1e6) - 1e-3, "more than 100 000:1"),
        (log(1e6), "more than a million to one"), (-1.1, "1:3.0"),
        (-log(2e4), "less than 1:10 000"),
        (-50.0, "less than one to a million"),
    ],
)  # fmt: skip
def test_evidence_is_told_as_odds_and_never_as_more_than_it_is(nats, told):
    assert odds(nats) == told


def test_names_are_listed_as_a_sentence_lists_them():
    assert listed(["v1"]) == "v1"
    assert listed(["v1", "v2"]) == "v1 and v2"
    assert listed(["v1", "v2", "v3"]) == "v1, v2 and v3"


def test_labels_are_escaped_and_cut():
    assert quoted("v3") == "'v3'"
    assert quoted("\x1b[31mred\n") == r"'\x1b[31mred\n'"
    assert len(quoted("x" * 5000)) == 60
    assert len(quoted("\x00" * 5000)) == 60
