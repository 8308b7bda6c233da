from dataclasses import replace

import numpy as np
import pytest

from analysis import Batch, Evidence, Policy, Split, Tally, Tolerance, Verdict, decide, weigh
from analysis.data.batch import Outcome
from analysis.data.report import ReasonCode, Worker, Zone
from analysis.review.timeline import (
    MOST_WINDOWS,
    Timeline,
    log_histogram,
    ordered_labels,
    quantiles,
)
from analysis.verdict.decision import Ended
from tests.recorded import recorded


@pytest.fixture(scope="module")
def passed():
    return recorded(["v1", "v2"], [9, 1], n=3000, lost=0.002)


def test_every_sample_is_in_exactly_one_window_and_row(passed):
    batch, report = passed
    timeline = Timeline.of(batch, report)
    tally = Tally.of(batch)

    assert timeline.launched.sum() == len(batch)
    assert dict(zip(timeline.labels, timeline.by_label.sum(axis=1), strict=True)) == tally.labels
    assert timeline.unlabelled.sum() == tally.outcomes[Outcome.UNLABELLED]
    assert timeline.failed.sum() == tally.outcomes[Outcome.TIMEOUT]


def test_windows_count_the_samples_sent_between_their_edges(passed):
    batch, report = passed
    timeline = Timeline.of(batch, report)

    counted, _ = np.histogram(batch.sent_ns / 1e9, timeline.edges_s)

    assert timeline.launched.tolist() == counted.tolist()


def test_a_run_of_centuries_is_cut_into_windows_like_any_other(passed):
    batch, report = passed
    stretch = (1 << 62) // int(batch.sent_ns.max())

    timeline = Timeline.of(replace(batch, sent_ns=batch.sent_ns * stretch), report)

    assert timeline.launched.tolist() == Timeline.of(batch, report).launched.tolist()


def test_of_several_zones_it_is_that_of_the_one_whose_numbers_are_told(passed):
    (batch, report), (other, _) = passed, recorded(["v1", "v2"], [1, 1], n=3000, seed=2)
    worker = np.repeat(np.arange(2, dtype=np.uint16), 3000)
    both = replace(Batch.joined([other, replace(batch, first=len(other))]), worker=worker)
    both = both.chosen(np.argsort(both.sent_ns, kind="stable"))
    seen = report.observed
    zone = Zone(
        Verdict.PASS, "", seen.counts, seen.shares, seen.intervals, report.expected.shares,
        report.expected.tolerance,
    )  # fmt: skip
    report = replace(
        report,
        observed=replace(seen, by_zone={"a": replace(zone, counts={"v1": 1, "v2": 1}), "b": zone}),
        performance=replace(
            report.performance,
            workers=[Worker(each, zone=each, launched=3000, lost=0) for each in "ab"],
        ),
    )

    timeline, alone = Timeline.of(both, report), Timeline.of(*passed)

    assert (timeline.zone, alone.zone) == ("b", "")
    assert timeline.by_label.tolist() == alone.by_label.tolist()
    assert timeline.looks.counts.tolist() == alone.looks.counts.tolist()
    assert timeline.looks.decided_on is not None


@pytest.mark.parametrize(("n", "windows"), [(20, 1), (400, 10), (100_000, MOST_WINDOWS)])
def test_windows_adapt_to_the_number_of_samples(n, windows):
    batch, report = recorded(["v1", "v2"], [9, 1], n=n)

    assert len(Timeline.of(batch, report).launched) == windows


def test_the_last_look_is_the_one_that_the_decision_fell_on(passed):
    batch, report = passed
    looks = Timeline.of(batch, report).looks

    assert report.verdict is Verdict.PASS
    assert looks.judged[-1] == report.decision.decided_after < len(batch)
    assert looks.at_s[-1] == batch.sent_ns[report.decision.decided_after - 1] / 1e9
    assert looks.counts[:, -1].tolist() == list(report.observed.counts.values())
    assert (looks.counts.sum(axis=0) + looks.missing == looks.judged).all()


@pytest.mark.parametrize("expect", [[9, 1], [5, 5], [1, 1]])
def test_the_band_ends_where_the_report_says_and_contains_the_share(expect):
    batch, report = recorded(["v1", "v2"], [9, 1], expect=expect)
    timeline = Timeline.of(batch, report)

    for position, label in enumerate(timeline.labels):
        low, high = timeline.band(position, report)
        share = timeline.looks.counts[position] / timeline.looks.judged
        assert (low[-1], high[-1]) == report.observed.intervals[label]
        assert (low <= share).all()
        assert (share <= high).all()


def test_what_came_after_the_decision_is_counted_on_to_the_end():
    batch, report = recorded(["v1", "v2"], [9, 1], expect=[5, 5], n=3000)
    timeline = Timeline.of(batch, report)
    looks, later = timeline.looks, timeline.later

    assert report.verdict is Verdict.FAIL
    assert (later.judged[0], later.at_s[0]) == (looks.judged[-1], looks.at_s[-1])
    assert later.counts[:, 0].tolist() == looks.counts[:, -1].tolist()
    assert later.judged[-1] == len(batch)
    assert later.counts[:, -1].tolist() == timeline.by_label.sum(axis=1).tolist()
    low, high = timeline.later_band(1, report)
    assert high[-1] - low[-1] < high[0] - low[0]
    assert low[-1] < later.counts[1, -1] / later.judged[-1] < high[-1]


def test_after_a_pass_the_share_goes_on_and_its_band_does_not():
    batch, report = recorded(["v1", "v2"], [9, 1], n=3000)
    timeline = Timeline.of(batch, report)

    assert report.verdict is Verdict.PASS
    assert timeline.later.judged[-1] == len(batch)
    assert timeline.later_band(1, report).shape == (2, 0)


def test_what_was_in_flight_at_the_decision_is_not_drawn_as_a_part_of_its_own():
    batch, report = recorded(["v1", "v2"], [9, 1], n=3000)
    assert report.decision is not None
    most = int(report.decision.decided_after * 1.1)

    assert not len(Timeline.of(batch[:most], report).later.judged)
    assert len(Timeline.of(batch[: most + 1], report).later.judged)


def test_the_band_of_a_pass_only_narrows_where_no_share_leaves_it(passed):
    batch, report = passed
    timeline = Timeline.of(batch, report)

    low, high = timeline.band(1, report)

    widths = high - low
    assert widths[-1] < widths[len(widths) // 2] < widths[1]


def test_a_share_that_must_be_zero_has_a_band_that_shrinks_from_one():
    batch, report = recorded(["v1", "v2"], [1, 0])
    timeline = Timeline.of(batch, report)

    low, high = timeline.band(1, report)

    assert not low.any()
    assert high[-1] == report.observed.intervals["v2"][1] <= 0.01 < high[0]


def test_expected_labels_come_first_and_foreign_ones_by_count():
    batch = Batch.of_labels(["b", "x", "y", "y", "a", None])
    _, report = recorded(["a", "b", "c"], [1, 1, 1])

    labels, rows = ordered_labels(batch, report)

    assert labels == ("a", "b", "c", "y", "x")
    assert [labels[row] if row < 5 else None for row in rows[batch.label]] == [
        "b", "x", "y", "y", "a", None,
    ]  # fmt: skip


def test_a_run_without_a_sample_has_one_empty_window():
    _, report = recorded(["v1", "v2"], [9, 1])
    empty = Batch.of_labels([])

    timeline = Timeline.of(empty, report)

    assert timeline.launched.tolist() == [0]
    assert len(timeline.looks.judged) == 0
    assert np.isnan(timeline.shares(0)).all()


def test_quantiles_are_within_a_step_of_the_exact_ones():
    values = np.random.default_rng(3).lognormal(14, 1, 50_000).astype(np.int64)

    upper, share = log_histogram(values, 400)

    step = (values.max() / values.min()) ** (1 / 400)
    for level, found in zip(
        (0.5, 0.9, 0.99), quantiles(upper, share, (0.5, 0.9, 0.99)), strict=True
    ):
        exact = np.quantile(values, level, method="inverted_cdf")
        assert exact <= found * (1 + 1e-9)
        assert found <= exact * step * (1 + 1e-9)
    assert share[-1] == 1


@pytest.mark.parametrize("values", [[], [0], [5, 5, 5]])
def test_a_histogram_of_next_to_nothing_is_no_error(values):
    upper, share = log_histogram(np.array(values, dtype=np.int64), 10)

    assert len(upper) == len(share) == min(len(values), 1)


PAIR, PURE = (["v1", "v2"], [9, 1]), (["v1", "v2"], [10, 0])
LOSING = {
    "the worst assumed of each loss": (PAIR, {}, 0.002),
    "losses that are known to be alike": (PAIR, {"missing_ratio": 1.5}, 0.02),
    "sides that are not alike": (
        PAIR, {"missing_ratio": 2, "tolerance": Tolerance.parse("-4pp+5pp")}, 0.01,
    ),
    "a share of zero": (PURE, {}, 0.0003),
    "a share of zero, known losses": (PURE, {"missing_ratio": 2}, 0.004),
    "three labels": ((["a", "b", "c"], [6, 3, 1]), {"missing_ratio": 1.2}, 0.01),
}  # fmt: skip


@pytest.mark.parametrize(("expect", "asked", "lost"), LOSING.values(), ids=LOSING)
def test_the_band_is_inside_the_tolerance_exactly_while_the_decision_says_so(expect, asked, lost):
    (labels, weights), policy = expect, Policy(max_samples=9000, **asked)
    batch, report = recorded(labels, weights, n=9000, lost=lost, policy=policy, seed=8)
    assert report.verdict is Verdict.PASS
    assert report.expected is not None
    assert report.samples.outcomes.keys() >= {"timeout", "unlabelled"}
    timeline = Timeline.of(batch, report)
    split = Split(tuple(labels), tuple(weights))
    ends = np.flatnonzero(batch.ordinal == 0)[timeline.looks.judged - 1] + 1

    held = []
    for look, end in enumerate(ends.tolist()):
        evidence = weigh(Evidence.start(split, policy), batch[:end])
        parts = {
            check.label: check.verdict is Verdict.PASS
            for check in decide(evidence, Ended.TIME).checks
            if check.label is not None
        }
        for arm, is_proven in parts.items():
            is_certain = split.share(arm) in {0.0, 1.0}
            passes = evidence.settled is ReasonCode.WITHIN_TOLERANCE
            holds = passes if is_certain else is_proven
            low, high = timeline.band(labels.index(arm), report)[:, look]
            accepted = report.expected.tolerance[arm]
            is_inside = (low > accepted[0] or accepted[0] == 0) and (
                high <= accepted[1] + 1e-12 or accepted[1] == 1
            )
            assert is_inside == holds, (arm, look, evidence.judged)
            held.append(holds)

    assert {True, False} == set(held)
