"""Two runs side by side: differences, their intervals, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.comparison import LEVEL, RunRecord, compare
from analysis.kt import kt_interval
from tests.recorded import recorded


def run(labels, weights, identity="b", **more):
    batch, report = recorded(labels, weights, **more)
    return RunRecord(replace(report, run=replace(report.run, id=identity)), batch)


def by_label(comparison):
    return {each.label: each for each in comparison.shares}


def test_a_difference_is_second_minus_first_with_the_sum_of_both_widths():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [6, 4], seed=2)
    each = by_label(compare(first, second))["v2"]

    counts = [record.report.observed.counts for record in (first, second)]
    ends = [kt_interval(sum(n.values()), n["v2"], LEVEL / 2) for n in counts]
    assert each.difference == pytest.approx(each.second.share - each.first.share)
    assert each.interval == (ends[1][0] - ends[0][1], ends[1][1] - ends[0][0])
    assert each.is_proven


def test_two_runs_of_one_service_do_not_differ():
    comparison = compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=3))

    assert not any(each.is_proven for each in comparison.shares)
    assert comparison.plan == []


def test_the_interval_of_a_difference_misses_it_less_often_than_its_level():
    """Stopped by their own decision, which a fixed-n interval would not survive."""
    choose = np.random.default_rng(20260102)
    missed = 0
    runs = 150
    for _ in range(runs):
        seeds = choose.integers(0, 2**31, 2)
        first = run(["v1", "v2"], [9, 1], "a", seed=int(seeds[0]), n=900)
        second = run(["v1", "v2"], [8, 2], seed=int(seeds[1]), n=900, expect=[9, 1])
        low, high = by_label(compare(first, second))["v2"].interval
        missed += not low <= 0.1 <= high
    assert missed <= 3


def test_a_label_of_one_run_only_has_a_difference_and_a_note():
    comparison = compare(
        run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2", "v3"], [7, 1, 2], seed=2, n=1500)
    )

    assert by_label(comparison)["v3"].first.count == 0
    assert by_label(comparison)["v3"].is_proven
    assert "v3 answered in the second run only" in comparison.notes


def test_a_label_that_answered_after_an_early_verdict_has_answered():
    first = run(["v1", "v2"], [9, 1], "a")
    second = run(["v1", "v2"], [19, 1], seed=6, expect=[1, 1])
    observed = replace(second.report.observed, counts={"v1": 12, "v2": 0})
    second = replace(second, report=replace(second.report, observed=observed))

    assert not any("run only" in note for note in compare(first, second).notes)


def test_runs_without_a_common_label_are_compared_with_a_warning():
    comparison = compare(run(["v1"], [1], "a", n=100), run(["blue"], [1], n=100))

    assert "no label answered in both runs" in comparison.notes[0]
    assert {each.label for each in comparison.shares} == {"v1", "blue"}


def test_missing_labels_widen_the_interval():
    clean = by_label(compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=4)))
    lost = by_label(
        compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=4, lost=0.02, n=526))
    )

    def width(each):
        return each.interval[1] - each.interval[0]

    assert width(lost["v2"]) > width(clean["v2"])


def test_a_missing_label_could_have_been_any():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=4, lost=0.02)
    each = by_label(compare(first, second))["v2"]

    observed, samples = second.report.observed, second.report.samples
    missing = samples.independent - sum(observed.counts.values())
    assert missing > 0
    most = kt_interval(samples.independent, observed.counts["v2"] + missing, LEVEL / 2)[1]
    n = first.report.observed.counts
    assert each.interval[1] == most - kt_interval(sum(n.values()), n["v2"], LEVEL / 2)[0]


def test_dependent_samples_have_no_interval():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=2)
    observed = replace(second.report.observed, intervals={})
    second = replace(second, report=replace(second.report, observed=observed))

    comparison = compare(first, second)

    assert all(each.interval is None for each in comparison.shares)
    assert any("second run depend on each other" in note for note in comparison.notes)


def test_slower_answers_are_seen_in_the_quantiles():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=2)
    batch = second.batch
    took = batch.done_ns - batch.scheduled_ns
    slower = replace(batch, done_ns=batch.scheduled_ns + 2 * took)

    each = compare(first, replace(second, batch=slower)).times[0]

    assert each.second_s["p50"] == pytest.approx(2 * each.first_s["p50"], rel=0.15)
    low, high = each.differences_s["p50"]
    assert 0 < low < each.second_s["p50"] - each.first_s["p50"] < high


def test_plans_are_compared_setting_by_setting_and_what_names_a_run_is_not():
    plans = [
        {"started_at": "x", "seed": 1, "load": {"concurrency": 16, "rate": None}, "name": "a"},
        {"started_at": "y", "seed": 2, "load": {"concurrency": 32, "rate": None}, "name": "b"},
    ]
    first, second = run(["v1"], [1], "a", n=90), run(["v1"], [1], n=90)
    comparison = compare(replace(first, plan=plans[0]), replace(second, plan=plans[1]))

    assert [(each.name, each.first, each.second) for each in comparison.plan] == [
        ("load.concurrency", "16", "32")
    ]


def test_without_plans_the_reports_tell_what_differs():
    comparison = compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [8, 2], seed=2))

    assert ("weight of v2", "1", "2") in [
        (each.name, each.first, each.second) for each in comparison.plan
    ]
    assert any("a plan is missing" in note for note in comparison.notes)


def test_a_run_is_not_compared_with_itself():
    one = run(["v1"], [1], n=90)

    with pytest.raises(ValueError, match="does not differ from itself"):
        compare(one, one)


def test_a_run_without_a_label_is_refused():
    one, other = run(["v1"], [1], "a", n=90), run(["v1"], [1], n=90)
    nothing = replace(other.report.observed, counts={}, shares={}, intervals={})
    empty = replace(other.report, observed=nothing, expected=None, decision=None, verdict=None)

    with pytest.raises(ValueError, match="holds no label"):
        compare(one, replace(other, report=empty))
