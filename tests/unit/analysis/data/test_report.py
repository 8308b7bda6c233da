"""A report says whether it passed, in little room, and is neither true nor false itself."""

from __future__ import annotations

import pickle
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.data.brief import MOST_ROWS
from analysis.data.report import NotPassedError, Reason, ReasonCode, Verdict
from tests.recorded import recorded

_, PASSED = recorded(["v1", "v2"], [9, 1], n=1500)
_, UNDECIDED = recorded(["v1", "v2"], [9, 1], n=10)
MEASURED = replace(PASSED, verdict=None, reasons=[], expected=None, decision=None)
FAILED = replace(
    PASSED,
    verdict=Verdict.FAIL,
    reasons=[
        Reason(ReasonCode.OUTSIDE_TOLERANCE, "v2 received nothing.", "Look at the weights."),
        Reason(ReasonCode.LOOKS_LIKE, "It looks like 10:0.", "Look at the weights."),
    ],
)
TEXTS = st.text(max_size=3000)


def told(report, *, message="", label="v1", name="run"):
    """Put texts of strangers where a report holds them."""
    counts = {label: 9, f"{label}2": 1}
    return replace(
        report,
        reasons=[Reason(ReasonCode.OUTSIDE_TOLERANCE, message, message)],
        observed=replace(report.observed, counts=counts),
        run=replace(report.run, id=name),
    )


class Tags(HTMLParser):
    """Every tag of a document."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


@pytest.mark.parametrize(
    ("report", "passed"),
    [(PASSED, True), (FAILED, False), (UNDECIDED, False), (MEASURED, False)],
    ids=["passed", "failed", "undecided", "measured"],
)
def test_only_a_pass_has_passed(report, passed):
    assert report.passed is passed
    if passed:
        report.raise_unless_pass()
    else:
        with pytest.raises(NotPassedError) as told_of:
            report.raise_unless_pass()
        assert told_of.value.report is report


def test_what_did_not_pass_tells_the_verdict_the_reasons_and_each_remedy_once():
    with pytest.raises(NotPassedError) as told_of:
        FAILED.raise_unless_pass()

    assert str(told_of.value).splitlines() == [
        "FAIL: v2 received nothing.",
        "  also: It looks like 10:0.",
        "  → Look at the weights.",
    ]


def test_what_was_not_decided_and_what_was_not_judged_say_so():
    assert "proven neither right nor wrong" in str(NotPassedError(UNDECIDED))
    assert "a sample measures" in str(NotPassedError(MEASURED))


def test_the_error_survives_the_way_between_processes():
    again = pickle.loads(pickle.dumps(NotPassedError(FAILED)))

    assert again.report == FAILED
    assert str(again) == str(NotPassedError(FAILED))


@pytest.mark.parametrize("report", [PASSED, FAILED, UNDECIDED, MEASURED])
def test_a_report_is_neither_true_nor_false(report):
    with pytest.raises(TypeError, match=r"report\.passed"):
        bool(report)


def test_a_report_shows_its_verdict_why_and_its_run():
    assert repr(FAILED) == f"<Report FAIL: v2 received nothing. ({FAILED.run.id})>"


@example("x" * 3000, "y" * 3000, "z" * 3000)
@example("\x1b" * 3000, "\U000e0001" * 3000, "\ud800" * 3000)
@given(TEXTS, TEXTS, TEXTS)
def test_a_report_shows_itself_in_less_than_400_characters_of_one_line(message, label, name):
    for report in (PASSED, MEASURED):
        shown = repr(told(report, message=message, label=label, name=name))

        assert len(shown) < 400
        assert shown.isprintable()


@given(TEXTS, TEXTS)
def test_a_cell_holds_no_tag_of_a_stranger(message, label):
    report = told(PASSED, message=message, label=label)
    plain = told(PASSED, message="x", label="v1")

    cell = report._repr_html_()

    assert set(Tags(cell).found) <= set(Tags(plain._repr_html_()).found)
    assert all(line.isprintable() for line in cell.splitlines())


def test_a_cell_shows_the_verdict_the_shares_and_what_to_do():
    cell = FAILED._repr_html_()

    assert "<strong>FAIL</strong> v2 received nothing." in cell
    assert "<th>expected</th>" in cell
    assert "<td>v2</td><td>49</td><td>9.32 %</td>" in cell
    assert cell.count("<li>Look at the weights.</li>") == 1


def test_a_cell_of_many_labels_counts_the_others():
    counts = {f"v{number}": 1 for number in range(MOST_ROWS + 5)}
    report = replace(MEASURED, observed=replace(MEASURED.observed, counts=counts))

    assert "and 5 more" in report._repr_html_()
