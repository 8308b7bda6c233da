from __future__ import annotations

import pytest

from analysis.split import Band
from analysis.wording import accepted, counted, decimals, ends, interval, quoted


def test_an_interval_is_rounded_outwards():
    assert interval(0.4711, 0.3806, 0.5624, 1) == "47.1 % [38.0, 56.3]"


def test_ends_that_are_round_stay_round():
    assert ends(0.08, 0.12, 1) == "[8.0, 12.0]"
    assert ends(0.1 - 0.02, 0.1 + 0.02, 1) == "[8.0, 12.0]"
    for tenths in range(1000):
        share = tenths / 1000
        assert ends(share, share, 1) == f"[{tenths / 10:.1f}, {tenths / 10:.1f}]"


def test_ends_are_clipped_to_shares():
    assert ends(-0.01, 1.01, 1) == "[0.0, 100.0]"


@pytest.mark.parametrize(
    ("tolerance", "places"), [(0.05, 1), (0.01, 1), (0.005, 2), (0.0015, 2), (0.0004, 3)]
)
def test_small_tolerances_get_more_decimals(tolerance, places):
    assert decimals(Band("v2", 0.1, tolerance, tolerance)) == places


def test_a_band_is_written_with_its_share():
    assert accepted(Band("v2", 0.1, 0.05, 0.9 / 22)) == "10 % [5.0, 14.1]"


def test_numbers_agree_with_their_nouns():
    assert counted(1, "connection") == "1 connection"
    assert counted(0, "connection") == "0 connections"


def test_labels_are_escaped_and_cut():
    assert quoted("v3") == "'v3'"
    assert quoted("\x1b[31mred\n") == r"'\x1b[31mred\n'"
    assert len(quoted("x" * 5000)) == 60
    assert len(quoted("\x00" * 5000)) == 60
