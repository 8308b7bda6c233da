"""A target without labels ends every run alike, and soon, whatever comes back first."""

from __future__ import annotations

import pytest

from tests.poor_targets import NAMES, STARTING, ending

MOST_SENT = 64


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_a_target_without_a_label_is_4_each_time_after_few_requests(name, transport):
    endings = [ending(name, seed, transport=transport) for seed in range(3)]

    assert {each.code for each in endings} == {4}
    assert max(each.sent for each in endings) <= MOST_SENT


@pytest.mark.parametrize("concurrency", [1, 3, 200])
@pytest.mark.parametrize("name", ["dead", "503", "first hangs"])
def test_no_more_is_sent_with_few_or_many_in_flight(name, concurrency):
    end = ending(name, 1, concurrency=concurrency)

    assert end.code == 4
    assert end.sent <= MOST_SENT


def test_a_target_that_is_slow_to_start_passes_each_time_if_it_is_waited_for():
    assert {ending(STARTING, seed).code for seed in range(5)} == {0}
