"""Two runs side by side: differences, their intervals, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.bets.kt import kt_interval, kt_sides
from analysis.data.policy import Policy
from analysis.data.report import Verdict, Zone
from analysis.data.split import Split
from analysis.data.tally import Tally
from analysis.evidence.fold import finish, weigh
from analysis.evidence.state import Evidence
from analysis.review.compared import LEVEL
from analysis.review.comparison import RunRecord, compare
from analysis.review.difference import difference_interval
from analysis.verdict.decision import decided
from analysis.verdict.sections import observed_of, samples_of
from tests.kept import kept, of_counts
from tests.recorded import recorded


def run(labels, weights, identity="b", **more):
    batch, report = recorded(labels, weights, **more)
    return RunRecord(replace(report, run=replace(report.run, id=identity)), batch)


def by_label(comparison):
    return {each.label: each for each in comparison.shares}


def kept_run(connections, identity="b", weights="v1=9,v2=1"):
    """Make the record of a run whose connections carried ten requests each."""
    policy = Policy(per_connection=10, alpha=1e-9, beta=1e-9)
    batch = kept(connections, planned=10)
    evidence = finish(weigh(Evidence.start(Split.parse(weights), policy), batch))
    tally = Tally.of(batch)
    _, report = recorded(["v1", "v2"], [9, 1])
    report = replace(
        report,
        observed=observed_of(evidence, tally),
        samples=samples_of(tally, evidence, None),
        decision=decided(policy, evidence.judged, ()),
        run=replace(report.run, id=identity),
    )
    return RunRecord(report, batch)


def test_a_difference_is_second_minus_first_and_its_interval_holds_for_both_runs_together():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [6, 4], seed=2)
    each = by_label(compare(first, second))["v2"]

    counts = [record.report.observed.counts for record in (first, second)]
    ends = [kt_interval(sum(n.values()), n["v2"], LEVEL / 2) for n in counts]
    box = ends[1][0] - ends[0][1], ends[1][1] - ends[0][0]
    assert each.difference == pytest.approx(each.second.share - each.first.share)
    assert box[0] < each.interval[0] < each.difference < each.interval[1] < box[1]
    assert each.is_proven


def test_both_labels_of_a_pair_differ_by_the_same():
    shares = by_label(
        compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [6, 4], seed=2, lost=0.01))
    )

    low, high = shares["v2"].interval
    assert shares["v1"].interval == pytest.approx((-high, -low), abs=1e-9)


def test_answers_of_one_connection_do_not_count_as_so_many_draws():
    """A pod is picked for each connection: 30 of 200 are no proof against 50 of 200."""
    pods = {"1": ["v1"] * 10, "2": ["v2"] * 10}
    first = kept_run([pods[pod] for pod in "11121111112111211111" * 10], "a")
    second = kept_run([pods[pod] for pod in "11211211121112111211" * 10])

    each = by_label(compare(first, second))["v2"]

    as_single = difference_interval(kt_sides(200, 30, 30), kt_sides(200, 50, 50), LEVEL)
    assert (each.first.count, each.second.count) == (300, 500)
    assert each.interval == pytest.approx(as_single, abs=0.01)
    assert not each.is_proven


def test_means_that_scatter_little_tell_runs_apart_that_single_answers_would_not():
    first = kept_run(of_counts([1, 2] * 60, 10), "a")
    second = kept_run(of_counts([2, 3] * 60, 10))

    each = by_label(compare(first, second))["v2"]

    as_single = difference_interval(kt_sides(120, 18, 18), kt_sides(120, 30, 30), LEVEL)
    assert each.is_proven
    assert as_single[0] < 0 < each.interval[0] < 0.1 < each.interval[1] < as_single[1]


def test_runs_of_several_answers_are_not_compared_without_their_samples():
    first, second = kept_run(of_counts([1, 2] * 60, 10), "a"), kept_run(of_counts([2, 3] * 60, 10))

    comparison = compare(replace(first, batch=None), second)

    assert all(each.interval is None for each in comparison.shares)
    assert any("first run are missing" in note for note in comparison.notes)


def test_an_unexpected_label_on_a_connection_with_several_answers_counts_once():
    strange = kept_run([*of_counts([1] * 40, 10), ["v9"] * 10])

    each = by_label(compare(kept_run(of_counts([1] * 40, 10), "a"), strange))["v9"]

    assert each.interval[0] <= 0 < each.interval[1]
    assert not each.is_proven


def test_requests_of_a_measurement_that_never_got_an_answer_could_have_met_any_label():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=4)
    asked = replace(
        second.report,
        decision=None,
        samples=replace(
            second.report.samples,
            launched=second.report.samples.independent + 30,
            outcomes={"ok": second.report.samples.independent, "connect_failed": 30},
        ),
    )

    all_answered = by_label(compare(first, second))["v2"].interval
    some_failed = by_label(compare(first, replace(second, report=asked)))["v2"].interval

    assert some_failed[0] < all_answered[0]
    assert some_failed[1] > all_answered[1] + 0.01


def test_two_runs_of_one_service_do_not_differ():
    comparison = compare(run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=3))

    assert not any(each.is_proven for each in comparison.shares)
    assert comparison.plan == []


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
    n, x, before = samples.independent, observed.counts["v2"], first.report.observed.counts
    one = kt_sides(sum(before.values()), before["v2"], before["v2"])
    none, all_ = (
        difference_interval(one, kt_sides(n, count, count), LEVEL) for count in (x, x + missing)
    )
    assert each.interval == (none[0], all_[1])


def test_dependent_samples_have_no_interval():
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [9, 1], seed=2)
    observed = replace(second.report.observed, intervals={})
    second = replace(second, report=replace(second.report, observed=observed))

    comparison = compare(first, second)

    assert all(each.interval is None for each in comparison.shares)
    assert any("second run depend on each other" in note for note in comparison.notes)


def test_of_runs_by_zone_all_zones_are_counted_and_nothing_is_claimed():
    """Their reports name one zone each, which need not be the same one."""
    first, second = run(["v1", "v2"], [9, 1], "a"), run(["v1", "v2"], [1, 9], seed=2)
    seen, expected = second.report.observed, second.report.expected
    zone = Zone(
        Verdict.PASS, "", seen.counts, seen.shares, seen.intervals, expected.shares,
        expected.tolerance,
    )  # fmt: skip
    zones = {"a": zone, "b": replace(zone, counts={"v1": 1000}, expected={"v1": 1.0})}
    report = replace(second.report, observed=replace(seen, by_zone=zones))

    comparison = compare(first, replace(second, report=report))

    v1 = by_label(comparison)["v1"]
    assert v1.second.count == seen.counts["v1"] + 1000
    assert v1.second.interval is v1.second.expected is v1.interval is None
    assert any("second run are those of several zones" in note for note in comparison.notes)


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
