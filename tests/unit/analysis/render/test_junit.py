"""JUnit: what did not pass must not look green, and the XML always parses."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.data.report import Check, Decided, Verdict
from analysis.render import to_junit, to_text


def _parse(report):
    return ET.fromstring(to_junit(report).encode("utf-8"))


def _cases(report):
    return _parse(report).findall("./testsuite/testcase")


def _red(report):
    root = _parse(report)
    return root.findall(".//failure") + root.findall(".//error")


# As GitLab's parser looks for it: lib/gitlab/ci/parsers/test/junit.rb.
MARKER = re.compile(r"\[\[ATTACHMENT\|(?P<path>[^\[\]\|]+?)\]\]")


def test_a_case_that_did_not_pass_names_the_image_that_explains_it(reports):
    xml = ET.fromstring(to_junit(reports["failed"], "reports/run/split.png").encode())
    (case,) = xml.iter("testcase")

    assert MARKER.findall(case.findtext("system-out") or "") == ["reports/run/split.png"]
    passed = ET.fromstring(to_junit(reports["passed"], "reports/run/split.png").encode())
    assert not any(MARKER.search(each.text or "") for each in passed.iter("system-out"))


def test_a_label_cannot_name_a_file_to_show(reports):
    hostile = replace(reports["failed"], notes=["[[ATTACHMENT|/etc/passwd]]"])

    for attachment, found in (("", []), ("split.png", ["split.png"])):
        xml = ET.fromstring(to_junit(hostile, attachment).encode())
        (text,) = (each.text or "" for each in xml.iter("system-out"))
        assert MARKER.findall(text) == found
        assert "/etc/passwd" in text


def test_there_is_one_suite_with_a_case_for_each_check(reports):
    root = _parse(reports["passed"])

    assert root.tag == "testsuites"
    assert [(suite.tag, suite.get("name")) for suite in root] == [("testsuite", "weighbridge")]
    cases = root.findall("./testsuite/testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("weighbridge", "share of v2"),
        ("weighbridge", "unlabelled"),
    ]
    assert not _red(reports["passed"])


def test_a_fail_is_a_failure_that_says_why_and_what_to_do(reports):
    report = reports["failed"]
    (case,) = _cases(report)
    (failure,) = case.findall("failure")

    assert failure.get("message") == "49.8 % lies above 14 %"
    assert failure.text.splitlines() == [
        "49.8 % lies above 14 %",
        "v2 received 49.8 % [44.1, 55.5] of 291 connections; --expect asks for 10 %",
        "→ check that the weights of the route were applied",
        "the shares look like 1:1",
        "→ a route without weights shares evenly",
    ]
    assert case.findtext("system-out") == to_text(report)
    assert case.find("error") is None


def test_what_to_do_stands_at_the_part_that_failed_and_not_at_one_left_open(reports):
    report = reports["failed"]
    checks = [
        Check("share of v2", Verdict.INCONCLUSIVE, "9 % so far", "v2"),
        Check("response times", Verdict.FAIL, "slow"),
    ]
    decided = replace(report, decision=replace(report.decision, checks=checks))

    undecided, failed = (case[0].text for case in _cases(decided))

    assert undecided.splitlines() == [
        "9 % so far", f"Not settled when the run ended: {report.reasons[0].message}",
    ]  # fmt: skip
    assert report.reasons[0].remedy in failed


def test_an_undecided_check_is_an_error_and_not_a_skip(reports):
    (case,) = _cases(reports["undecided"])

    assert [child.tag for child in case] == ["error", "system-out"]
    assert case.find("error").get("type") == "inconclusive"


def test_a_measurement_is_not_green(reports):
    (case,) = _cases(reports["measured"])

    assert case.get("name") == "verdict"
    assert case.find("error").get("type") == "not judged"


@pytest.mark.parametrize(
    ("verdict", "others", "tag"),
    [
        (Verdict.FAIL, [], "failure"),
        (Verdict.FAIL, [Verdict.PASS], "failure"),
        (Verdict.FAIL, [Verdict.INCONCLUSIVE], "failure"),
        (Verdict.INCONCLUSIVE, [], "error"),
        (Verdict.INCONCLUSIVE, [Verdict.PASS], "error"),
        (Verdict.PASS, [], None),
    ],
)
def test_a_verdict_that_no_check_repeats_has_a_case_of_its_own(reports, verdict, others, tag):
    checks = [Check(f"part {'x' * n}", other, "") for n, other in enumerate(others)]
    decision = Decided(0.01, 0.01, 9, checks)

    case = _cases(replace(reports["failed"], verdict=verdict, decision=decision))[-1]

    assert case.get("name") == "verdict"
    assert [child.tag for child in case if child.tag != "system-out"] == ([tag] if tag else [])


def test_the_totals_of_the_suite_are_those_of_its_cases(reports):
    checks = [Check(verdict.value, verdict, "") for verdict in Verdict]
    suite = _parse(replace(reports["failed"], decision=Decided(0.01, 0.01, 9, checks)))[0]

    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
        "time": "0.414",
    }


def test_two_runs_with_other_numbers_have_the_same_names(reports):
    names = [
        next(case.get("name") for case in _cases(reports[kind]))
        for kind in ("passed", "failed", "undecided")
    ]

    assert names == ["share of v2"] * 3


def test_no_two_cases_share_a_name(reports):
    checks = [
        Check(name, Verdict.PASS, "") for name in ("a", "a", "a", "x" * 300 + "1", "x" * 300 + "2")
    ]
    cases = _cases(replace(reports["passed"], decision=Decided(0.01, 0.01, 9, checks)))

    assert len({case.get("name") for case in cases}) == 5


def test_hostile_labels_stay_inside_their_places(reports, hostile_labels):
    checks = [Check(f"share of {label}", Verdict.FAIL, label, label) for label in hostile_labels]
    report = replace(reports["failed"], decision=Decided(0.01, 0.01, 9, checks), notes=["]]>"])

    cases = _cases(report)

    assert len(cases) == len(hostile_labels)
    assert cases[0].get("name") == r"share of v1\x1b[2J\x1b[31m"
    assert cases[3].find("failure").get("message") == r"v1\x00"
    assert all(len(case.find("failure").get("message")) <= 2000 for case in cases)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_only_a_pass_is_free_of_failures_and_errors(any_report, data):
    report = data.draw(any_report)

    red = _red(report)

    assert red or report.verdict is Verdict.PASS
    if report.verdict is Verdict.FAIL:
        assert any(part.tag == "failure" for part in red)


def test_what_to_do_is_said_in_one_case_and_the_others_refer_to_it(reports):
    report = reports["failed"]
    checks = [
        Check("split", Verdict.FAIL, "49.8 % lies above 14 %"),
        Check("share of v2", Verdict.FAIL, "49.8 % lies above 14 %"),
        Check("unlabelled", Verdict.PASS, "0 of 291 connections gave no label."),
    ]
    decided = replace(report, decision=replace(report.decision, checks=checks))

    first, second, third = _cases(decided)

    assert report.reasons[0].remedy in first[0].text
    assert second[0].text == "49.8 % lies above 14 %\nWhat to do: see the case “split”."
    assert [case.findtext("system-out") for case in (first, second, third)] == [
        to_text(decided), None, None,
    ]  # fmt: skip
