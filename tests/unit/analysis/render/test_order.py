"""Labels, replicas and outcomes stand in the same order in every document."""

from __future__ import annotations

from dataclasses import replace

from analysis.data.report import labels_in_order
from analysis.figures.replicas import even_rows
from analysis.render import to_text
from analysis.render.comparison import tables
from analysis.render.table import replicas_of
from analysis.review.comparison import RunRecord, compare
from tests.recorded import recorded


def test_expected_labels_come_as_declared_and_the_others_by_how_often_they_came(reports):
    expected = reports["passed"].expected

    assert labels_in_order(expected, {"x": 1, "b": 2, "a": 2, "v2": 9}) == [
        *("v1", "v2"), *("a", "b", "x"),
    ]  # fmt: skip
    assert labels_in_order(None, {"x": 1, "v2": 9}) == ["v2", "x"]


def test_replicas_follow_their_labels_and_not_the_alphabet():
    _, report = recorded(["stable", "canary"], [9, 1])

    assert list(report.observed.replicas) == ["canary", "stable"]
    assert list(replicas_of(report)) == ["stable", "canary"]
    assert [row.label for row in even_rows(report)] == ["stable"] * 3 + ["canary"] * 3
    text = " ".join(to_text(report, width=100).split())
    assert text.index("stable from 3 replicas") < text.index("canary from 3 replicas")


def test_replicas_of_a_label_that_was_not_judged_come_last():
    _, report = recorded(["v2", "v1"], [9, 1])
    more = {"late": {"pod": 1}, **report.observed.replicas, "empty": {}}
    report = replace(report, observed=replace(report.observed, replicas=more))

    assert list(replicas_of(report)) == ["v2", "v1", "late"]


def test_outcomes_that_were_equally_frequent_are_compared_in_alphabetical_order():
    batch, report = recorded(["v1"], [1], n=50)
    ended = {"reset": 2, "closed": 2, "aborted": 2, "ok": 44}
    report = replace(report, samples=replace(report.samples, outcomes=ended))
    other = replace(report, run=replace(report.run, id="other"))

    comparison = compare(RunRecord(report, batch), RunRecord(other, batch))
    outcomes = next(each for each in tables(comparison) if each.title == "Outcomes")

    assert [row[0] for row in outcomes.rows] == ["ok", "aborted", "closed", "reset"]
