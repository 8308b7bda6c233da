from __future__ import annotations

import pytest

from analysis.text.rounding import amount, band_decimals, bracketed, counted, percent_interval


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "0"), (999, "999"), (1200, "1 200"), (14_200.0, "14 200"), (12_345_678, "12 345 678"),
     (20.25, "20.2"), (-1500, "-1 500")],
)  # fmt: skip
def test_digits_stand_in_groups_of_three(number, written):
    assert amount(number) == written


def test_numbers_agree_with_their_nouns():
    assert counted(1, "connection") == "1 connection"
    assert counted(0, "connection") == "0 connections"
    assert counted(1200, "connection") == "1 200 connections"


def test_ends_are_rounded_outwards():
    assert bracketed((0.3806, 0.5624), 1) == "[38.0, 56.3]"


def test_ends_that_are_round_stay_round():
    assert bracketed((0.1 - 0.02, 0.1 + 0.02), 1) == "[8.0, 12.0]"
    for tenths in range(1000):
        share = tenths / 1000
        assert bracketed((share, share), 1) == f"[{tenths / 10:.1f}, {tenths / 10:.1f}]"


def test_an_interval_of_shares_is_cut_at_none_and_all():
    assert bracketed((-0.01, 1.01), 1) == "[0.0, 100.0]"


def test_an_interval_of_a_difference_may_be_negative():
    assert percent_interval((-0.0312, 0.0), 1) == ("-3.2", "0.0")


@pytest.mark.parametrize(
    ("expected", "band", "places"),
    [
        (0.1, (0.05, 0.15), 1),
        (0.1, (0.0985, 0.1015), 2),
        (0.0, (0.0, 0.02), 1),
        (1.0, (1.0, 1.0), 1),
    ],
)
def test_a_band_has_as_many_decimals_as_tell_its_shares_apart(expected, band, places):
    assert band_decimals(expected, band) == places
