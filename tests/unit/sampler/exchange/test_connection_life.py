"""Planned lengths of connections."""

from __future__ import annotations

import numpy as np
import pytest

from sampler.exchange.connection_life import DrawnLengths
from sampler.plan.load import ConnectionLife


def test_a_length_is_a_function_of_seed_and_number():
    life, numbers = ConnectionLife(3, 9), np.arange(500)
    lengths = DrawnLengths(life, 5)

    codes = lengths.codes(numbers)

    assert [lengths.of(number) for number in numbers.tolist()] == codes.tolist()
    assert codes.tolist() == DrawnLengths(life, 5).codes(numbers).tolist()
    assert codes.tolist() != DrawnLengths(life, 6).codes(numbers).tolist()


def test_lengths_are_spread_evenly_over_their_range():
    codes = DrawnLengths(ConnectionLife(2, 5), 11).codes(np.arange(40_000))

    values, counts = np.unique(codes, return_counts=True)

    assert values.tolist() == [2, 3, 4, 5]
    assert counts == pytest.approx(np.full(4, 10_000), abs=500)  # 5.8 standard deviations


@pytest.mark.parametrize(("text", "length"), [("fresh", 1), ("reuse", -1), ("7:7", 7)])
def test_one_length_for_all_needs_no_draw(text, length):
    lengths = DrawnLengths(ConnectionLife.parse(text), 1)

    assert lengths.of(3) == length
    assert lengths.codes(np.arange(2)).tolist() == [length, length]
