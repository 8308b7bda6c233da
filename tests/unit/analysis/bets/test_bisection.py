"""The search for the point where a property turns."""

from __future__ import annotations

from math import inf, nextafter

import pytest

from analysis.bets.bisection import turning_point


@pytest.mark.parametrize(("no", "yes"), [(0.0, 1.0), (1.0, 0.0), (0.25, 0.75), (0.9, 0.1)])
def test_the_result_holds_and_its_neighbour_does_not(no, yes):
    edge = 0.3 if no < yes else 0.7

    def holds(share):
        return share >= edge if no < yes else share <= edge

    found = turning_point(no, yes, holds)

    assert holds(found)
    assert not holds(nextafter(found, no))


def test_a_step_to_infinity_is_found_as_any_other():
    assert turning_point(0.0, 1.0, lambda share: (inf if share > 0.5 else 0.0) > 1) == nextafter(
        0.5, 1
    )


def test_where_it_never_holds_the_far_end_stays():
    assert turning_point(0.2, 1.0, lambda _: False) == pytest.approx(1.0, abs=0)


@pytest.fixture
def tried():
    return []


@pytest.fixture
def holds(tried):
    """Hold from 0.4 on, and remember what was asked."""

    def asked(share: float) -> bool:
        tried.append(share)
        return share > 0.4

    return asked


def test_the_ends_are_not_tried(tried, holds):
    turning_point(0.0, 1.0, holds)

    assert not {0.0, 1.0} & set(tried)


def test_a_coarse_search_tries_as_often_as_it_is_told(tried, holds):
    found = turning_point(0.0, 1.0, holds, 10)

    assert len(tried) == 10
    assert 0.4 < found <= 0.4 + 2**-10
