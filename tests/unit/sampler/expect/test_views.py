"""What changed between two expectations, by what their numbers count."""

from __future__ import annotations

import pytest

from analysis import Split
from analysis.data.report import Source
from sampler.expect.rules.model import Expectation, Number, Quantity
from sampler.expect.views import Views, describe_change

SOURCE = Source("Service", "shop", "generation 1")


def expectation(quantity, what="in any words", **counts):
    numbers = tuple(
        Number(count, quantity, what, "EndpointSlice", "shop", "here", label)
        for label, count in counts.items()
    )
    return Expectation(Split(tuple(counts), tuple(counts.values())), SOURCE, numbers)


@pytest.mark.parametrize("quantity", [Quantity.READY_ENDPOINTS, Quantity.TERMINATING_ENDPOINTS])
def test_endpoints_that_come_and_go_are_told_by_label(quantity):
    before, after = expectation(quantity, v1=9, v2=1), expectation(quantity, v1=9, v2=2)

    assert describe_change(before, after) == (
        True,
        "ready endpoints changed: v2 1 → 2; the split is v1=9,v2=2",
    )


def test_another_weight_is_no_change_of_endpoints():
    words = "ready endpoints"  # whatever people are told, the number is a weight
    before = expectation(Quantity.WEIGHT, words, v1=9, v2=1)
    after = expectation(Quantity.WEIGHT, words, v1=8, v2=2)

    assert describe_change(before, after) == (False, "weights changed: v1=9,v2=1 → v1=8,v2=2")


def test_pods_of_the_same_number_were_replaced():
    both = expectation(Quantity.READY_ENDPOINTS, v1=9, v2=1)

    assert describe_change(both, both) == (True, "pods were replaced; the split stays v1=9,v2=1")


def test_what_is_declared_and_configured_otherwise_is_a_contradiction():
    declared = expectation(Quantity.REPLICAS, v1=9, v2=1)
    configured = expectation(Quantity.REPLICAS, v1=8, v2=2)

    contradiction = Views(declared, configured, configured).contradiction()

    assert contradiction is not None
    assert "the declared split is v1=9,v2=1" in str(contradiction)
    assert Views(declared, declared, declared).contradiction() is None
