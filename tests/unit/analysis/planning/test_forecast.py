"""How many connections a decision still takes, as a run goes on."""

from __future__ import annotations

from random import Random

import pytest

from analysis.bets.sizing import required_samples
from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.planning.forecast import IN_SIGHT, remaining
from tests.kept import kept, of_counts


def seen(split, counts, policy=None, **batch):
    """Evidence after counts of each label, well mixed."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    Random(4).shuffle(labels)
    evidence = Evidence.start(Split.parse(split), policy or Policy(max_samples=100_000))
    return weigh(evidence, Batch.of_labels(labels, **batch))


def forecast(evidence):
    more = remaining(evidence)
    assert more is not None
    return more


def of_several(counts):
    """Evidence after connections of ten answers each, of which so many were v2's."""
    policy = Policy(per_connection=10, max_samples=100_000)
    evidence = Evidence.start(Split.parse("v1=9,v2=1"), policy)
    return weigh(evidence, kept(of_counts(counts, 10), planned=10))


def test_the_forecast_starts_below_the_plan_and_falls_to_the_end():
    fresh = seen("v1=9,v2=1", {})
    later = seen("v1=9,v2=1", {"v1": 270, "v2": 30})

    start, rest = forecast(fresh), forecast(later)

    plan = required_samples(Split.parse("v1=9,v2=1"), Policy()).mean
    assert 0.6 * plan < start < plan
    assert rest == pytest.approx(start - 300, abs=30)


def test_a_forecast_comes_true_if_the_counts_go_on_as_they_were():
    n = 200
    evidence = seen("v1=9,v2=1", {"v1": 180, "v2": 20})
    more = forecast(evidence)
    cycle = ["v1"] * 9 + ["v2"]

    ended = weigh(evidence, Batch.of_labels(cycle * (2 * more // 10), first=n))

    assert ended.settled is not None
    assert ended.judged == pytest.approx(n + more, abs=45)  # one v2 weighs like 40 v1


@pytest.mark.parametrize(
    "counts", [{"v1": 100, "v2": 30}, {"v1": 198, "v2": 2}, {"v1": 50, "v2": 50}]
)
def test_there_is_no_forecast_for_a_run_that_is_not_heading_for_pass(counts):
    assert remaining(seen("v1=9,v2=1", counts)) is None


def test_there_is_no_forecast_where_missing_labels_leave_no_room():
    assert remaining(seen("v1=9,v2=1", {"v1": 85, "v2": 9, None: 6}, Policy())) is None


def test_missing_labels_make_the_forecast_longer():
    some = forecast(seen("v1=9,v2=1", {"v1": 267, "v2": 30, None: 3}))

    assert some > forecast(seen("v1=9,v2=1", {"v1": 270, "v2": 30}))


def test_a_share_of_zero_counts_down():
    assert forecast(seen("v1=10,v2=0", {"v1": 100})) == 359


def test_the_slowest_part_of_a_mixed_expectation_is_forecast():
    assert forecast(seen("v1=1,v2=1,v3=0", {})) >= 459


def test_nothing_remains_of_a_run_that_is_settled():
    evidence = seen("v1=9,v2=1", {"v1": 10, "v2": 1, "v9": 1})

    assert evidence.settled is not None
    assert remaining(evidence) is None


def test_a_share_that_would_take_far_longer_than_planned_is_not_in_sight():
    planned = required_samples(Split.parse("v1=9,v2=1"), Policy()).mean

    # The edge is at 14.1 %.
    assert remaining(seen("v1=9,v2=1", {"v1": 430, "v2": 70})) is None
    assert forecast(seen("v1=9,v2=1", {"v1": 440, "v2": 60})) <= IN_SIGHT * planned


def test_the_first_connections_with_several_answers_are_no_forecast_yet():
    planned = required_samples(Split.parse("v1=9,v2=1"), Policy(per_connection=10)).mean

    assert forecast(of_several([1] * 5)) == planned - 5


def test_answers_of_a_connection_that_scatter_little_need_fewer_connections():
    steady, scattered = of_several([1] * 60), of_several([0, 2, 0, 3, 0, 1] * 10)

    assert forecast(steady) < forecast(scattered)
