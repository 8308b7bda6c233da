from __future__ import annotations

from random import Random

import pytest

from analysis.bets.sizing import Sizing, required_samples, tolerable_missing
from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.planning.forecast import remaining


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


def test_ten_pods_take_about_seven_hundred_connections():
    assert required_samples(Split.parse("v1=9,v2=1"), Policy()).mean == pytest.approx(716, abs=2)


def test_a_share_of_zero_takes_exactly_the_clean_connections():
    assert required_samples(Split.parse("v1=10,v2=0"), Policy()) == Sizing(459, 459, 459)


def test_several_arms_take_as_long_as_the_slowest_and_a_little_more_where_others_are_as_slow():
    policy = Policy(tolerance=Tolerance.parse("2pp"))

    slowest = required_samples(Split.parse("v1=80,v2=20"), policy)
    one_is_slow = required_samples(Split.parse("a=80,b=15,c=5"), policy)
    two_are_slow = required_samples(Split.parse("a=2,b=2,c=1"), policy)

    for name in ("mean", "q95", "q99"):
        assert getattr(slowest, name) <= getattr(one_is_slow, name)
        assert getattr(one_is_slow, name) == pytest.approx(getattr(slowest, name), rel=0.06)
    both = required_samples(Split.parse("v1=3,v2=2"), policy)
    assert two_are_slow.mean > 1.1 * both.mean


@pytest.mark.parametrize("split", ["a=1,b=1,c=1", "a=8,b=1,c=1", "a=5,b=3,c=1,d=1,e=0"])
def test_more_runs_stay_within_more_connections(split):
    size = required_samples(Split.parse(split), Policy())

    assert size.mean < size.q95 < size.q99


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


@pytest.mark.parametrize(
    ("split", "tolerance", "ratio", "expected"),
    [
        ("v1=9,v2=1", "2pp", float("inf"), 0.0222222222),
        ("v1=1,v2=1", "10pp", float("inf"), 0.2),
        ("v1=10,v2=0", "1pp", float("inf"), 0.01),
        ("v1=9,v2=1", "2pp", 1.0, 1.0),
        ("v1=9,v2=1", "2pp", 2.0, 0.02 / (0.214285714 - 0.1)),
    ],
)
def test_the_rate_of_missing_labels_beyond_which_nothing_passes(split, tolerance, ratio, expected):
    policy = Policy(tolerance=Tolerance.parse(tolerance), missing_ratio=ratio)

    assert tolerable_missing(Split.parse(split), policy) == pytest.approx(expected, abs=1e-8)
