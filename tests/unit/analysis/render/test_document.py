"""The JSON document: what it holds, what its schema refuses, and that it reads back."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from math import inf, nan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from analysis.data.report import Reason, ReasonCode, Verdict
from analysis.render import from_json, schema, to_json
from analysis.review.classical import classical_test

JUDGED = {"verdict", "reasons", "expected", "decision"}


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(schema())


@pytest.fixture
def document(reports):
    return json.loads(to_json(reports["failed"]))


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(schema())


def test_the_schema_lists_every_code_and_every_verdict():
    definitions = schema()["$defs"]

    assert definitions["reason"]["properties"]["code"]["examples"] == list(ReasonCode)
    assert definitions["verdict"]["enum"] == list(Verdict)


def test_each_kind_of_report_follows_the_schema_and_reads_back(report, validator):
    text = to_json(report)

    validator.validate(json.loads(text))
    assert from_json(text) == report
    assert to_json(from_json(text)) == text


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_strangers_send_the_document_is_valid_and_reads_back(any_report, validator, data):
    report = data.draw(any_report)

    text = to_json(report)

    validator.validate(json.loads(text.encode("utf-8")))
    assert from_json(text) == report


def test_the_fields_stand_in_the_documented_order(document):
    assert list(document) == [
        "schema",
        "verdict",
        "reasons",
        "expected",
        "observed",
        "samples",
        "decision",
        "performance",
        "run",
        "notes",
        "health",
        "groups",
        "events",
        "classical",
    ]


def test_the_classical_test_follows_from_the_report_and_is_not_read_back(reports, validator):
    report = reports["failed"]
    document = json.loads(to_json(report))
    older = {key: value for key, value in document.items() if key != "classical"}

    assert document["classical"] == msgspec.to_builtins(classical_test(report))
    assert document["classical"]["p_value"] < 0.01
    assert from_json(json.dumps(document | {"classical": {"p_value": "edited"}})) == report
    assert from_json(json.dumps(older)) == report
    validator.validate(older)
    assert json.loads(to_json(reports["measured"]))["classical"] is None


def test_the_text_is_indented_by_two_blanks_and_ends_with_one_newline(reports):
    text = to_json(reports["passed"])

    assert text.startswith('{\n  "schema": "weighbridge.report/1",\n  "verdict": "PASS",\n')
    assert text.endswith("\n}\n")


def test_letters_are_written_as_they_are(reports):
    assert '"größe→漢"' in to_json(replace(reports["passed"], notes=["größe→漢"]))


def test_a_measurement_has_no_keys_of_a_judgement(reports):
    document = json.loads(to_json(reports["measured"]))

    assert not JUDGED & document.keys()


def test_a_measurement_keeps_the_reason_why_there_is_none(reports, validator):
    refused = Reason(ReasonCode.UNMEASURABLE, "all requests were refused", "is it running?")
    report = replace(reports["measured"], reasons=[refused])

    text = to_json(report)

    validator.validate(json.loads(text))
    assert from_json(text) == report


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_is_not_finite_is_refused_with_its_place(reports, number):
    right = reports["passed"]
    wrong = replace(right, performance=replace(right.performance, rate_per_s=number))

    with pytest.raises(ValueError, match=r"finite.*report\.performance\.rate_per_s"):
        to_json(wrong)


def test_an_interval_that_is_not_finite_is_refused_with_its_place(reports):
    right = reports["passed"]
    wrong = replace(right, observed=replace(right.observed, intervals={"v1": (0.0, nan)}))

    with pytest.raises(ValueError, match=r"report\.observed\.intervals\.v1\[1\]"):
        to_json(wrong)


@pytest.mark.parametrize("field", ["verdict", "expected", "decision"])
def test_half_a_judgement_is_not_written(reports, field):
    with pytest.raises(ValueError, match=f"lacks {field}"):
        to_json(replace(reports["passed"], **{field: None}))


def _without(path):
    def change(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        del document[last]

    return change


def _with(value, *path):
    def change(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        document[last] = value

    return change


WRONG = {
    **{
        f"no {'.'.join(map(str, path))}": _without(path)
        for path in [
            ("schema",),
            ("verdict",),
            ("reasons",),
            ("expected",),
            ("decision",),
            ("observed",),
            ("samples",),
            ("performance",),
            ("run",),
            ("notes",),
            ("expected", "weights"),
            ("samples", "outcomes"),
            ("decision", "checks"),
            ("reasons", 0, "code"),
            ("run", "seed"),
        ]
    },
    "another schema": _with("weighbridge.report/2", "schema"),
    "a verdict in lower case": _with("pass", "verdict"),
    "no verdict in it": _with(None, "verdict"),
    "a share above 1": _with(1.5, "observed", "shares", "v1"),
    "an interval of one end": _with([0.1], "observed", "intervals", "v1"),
    "an interval of three": _with([0.1, 0.2, 0.3], "observed", "intervals", "v1"),
    "half a request": _with(0.5, "samples", "launched"),
    "a negative count": _with(-1, "observed", "counts", "v1"),
    "an outcome that did not occur": _with(0, "samples", "outcomes", "ok"),
    "no reason": _with([], "reasons"),
    "an alpha of 1": _with(1, "decision", "alpha"),
    "an inner part above 1": _with(1.5, "decision", "inner"),
    "a missing ratio below 1": _with(0.5, "decision", "missing_ratio"),
    "a tolerance that is no text": _with(0.04, "decision", "tolerance"),
    "a local time": _with("2024-05-01T10:11:12+02:00", "run", "started_at"),
    "a number as text": _with("7", "run", "seed"),
    "a p-value above 1": _with(1.5, "classical", "p_value"),
    "a test that is not known": _with("vibes", "classical", "test"),
    "a p-value without its note": _without(("classical", "note")),
    "a check that says nothing of itself": _with([{"name": "x"}], "decision", "checks"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_the_schema_refuses(document, validator, change):
    wrong = copy.deepcopy(document)
    change(wrong)

    assert not validator.is_valid(wrong)
    assert validator.is_valid(document)


HAS_DEFAULT = {"no notes", "no decision.checks"}
UNREADABLE = [name for name in WRONG if name.startswith("no ")] + ["a verdict in lower case"]


@pytest.mark.parametrize("name", sorted({*UNREADABLE} - HAS_DEFAULT - {"no reason"}))
def test_a_document_that_lost_a_part_is_not_read(document, name):
    WRONG[name](document)

    with pytest.raises(ValueError, match=r"weighbridge\.report/1"):
        from_json(json.dumps(document))


def test_fields_of_a_later_version_are_ignored(document, validator):
    later = copy.deepcopy(document)
    later["weather"] = "fine"
    later["samples"]["retried"] = 0
    later["decision"]["checks"][0]["e_value"] = 12.5

    validator.validate(later)
    assert from_json(json.dumps(later)) == from_json(json.dumps(document))


def test_labels_of_checks_are_read_from_the_names_of_earlier_versions(document):
    earlier = copy.deepcopy(document)
    for check in earlier["decision"]["checks"]:
        del check["label"]
    for reason in earlier["reasons"]:
        del reason["failure"]

    read, whole = (json.loads(to_json(from_json(json.dumps(each)))) for each in (earlier, document))

    assert read == whole
    assert [check["label"] for check in read["decision"]["checks"]] == ["v2"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no JSON"),
        ("PASS", "no JSON"),
        ('{"schema": NaN}', "NaN is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ("[1, 2]", r"a JSON object, got \[1, 2\]"),
        ("{}", "without a schema; give the report.json of a run"),
        ('{"schema": "k6/1"}', "got the schema 'k6/1'; give the report.json"),
        ('{"schema": "weighbridge.plan/9"}', "got the schema 'weighbridge.plan/9'"),
        ('{"schema": "weighbridge.report/1.5"}', "got the schema"),
        ('{"schema": ["weighbridge.report/1"]}', "got the schema"),
        (
            '{"schema": "weighbridge.report/2", "run": {"version": "3.0"}}',
            r"got weighbridge.report/2, written by a newer weighbridge \('3.0'\); update",
        ),
    ],
)
def test_what_is_not_this_document_is_refused_with_what_to_do(text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        from_json(text)

    assert "expected weighbridge.report/1" in str(caught.value)


def test_a_code_of_a_later_version_names_the_version_that_wrote_it(document):
    document["reasons"][0]["code"] = "eaten_by_a_grue"
    document["run"]["version"] = "9.9"

    with pytest.raises(ValueError, match=r"eaten_by_a_grue.*\('9\.9'\)"):
        from_json(json.dumps(document))


def test_a_complaint_does_not_repeat_escape_sequences(document):
    document["schema"] = "\x1b[2J" * 1000

    with pytest.raises(ValueError, match="got the schema") as caught:
        from_json(json.dumps(document))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
