"""The closed form: chances of the verdicts after some connections."""

from __future__ import annotations

from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.planning.closed_form import Passage


def test_chances_add_up_to_at_most_one_and_grow_with_the_budget():
    split, policy = Split.parse("a=8,b=1,c=1"), Policy()
    passage = Passage(split, policy)

    before = (0.0, 0.0)
    for n in (0, 1, 100, 500, 1000, 2000, 4000):
        chances = passage.chances((0.8, 0.1, 0.1), n)
        assert sum(chances) <= 1
        assert chances >= before
        before = chances
    assert before[0] > 0.99


def test_a_right_split_takes_fewer_connections_than_one_near_the_edge():
    split, policy = Split.parse("v1=9,v2=1"), Policy()
    edge = policy.tolerance.bands(split)[1].high
    passage = Passage(split, policy)

    right, near = passage.mean((0.9, 0.1), 5000), passage.mean((1.01 - edge, edge - 0.01), 5000)

    assert 0 < right < near <= 5000


def test_no_run_takes_more_connections_than_its_budget():
    passage = Passage(Split.parse("v1=9,v2=1"), Policy())

    assert passage.mean((0.9, 0.1), 50) <= 50
