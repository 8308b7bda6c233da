"""``weighbridge plan``: what it says, exactly and by closed form, and what it refuses."""

from __future__ import annotations

import json

import jsonschema
import pytest

from analysis.render.document import schema

pytestmark = pytest.mark.in_process


def plan_of(done):
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema("plan"))
    jsonschema.validate(document, schema("plan"))
    return document


def at(plan, share):
    (row,) = [row for row in plan["characteristics"] if row["share"] == pytest.approx(share)]
    return row


def test_the_need_of_nine_pods_and_one_in_connections_and_seconds(weighbridge):
    plan = plan_of(weighbridge("plan", "--expect", "v1=9,v2=1", "--rate", "50/s", "--json", "-"))

    assert plan["method"] == "closed form"
    assert plan["samples"] == {"mean": 716, "q95": 1300, "q99": 1822}
    assert plan["seconds"]["q99"] == pytest.approx(1822 / 50)
    assert plan["budget"] == 1822


def test_exact_figures_are_those_of_the_documentation(weighbridge):
    plan = plan_of(weighbridge("plan", "--expect", "v1=9,v2=1", "--exact", "--json", "-"))

    assert plan["method"] == "exact"
    assert at(plan, 0.1)["pass"] == pytest.approx(0.992, abs=5e-4)
    assert at(plan, 0.1)["mean_samples"] == pytest.approx(703, abs=0.5)
    assert at(plan, 2 / 11)["fail"] == pytest.approx(0.894, abs=5e-3)
    assert at(plan, 0.5)["mean_samples"] == pytest.approx(23, abs=0.5)
    (apart,) = plan["told_apart"]
    assert at(plan, apart["above"])["fail"] >= 0.95
    assert at(plan, apart["below"])["fail"] >= 0.95


def test_calibrated_thresholds_are_planned_exactly_and_cost_what_the_documentation_says(
    weighbridge,
):
    plan = plan_of(weighbridge("plan", "--expect", "v1=9,v2=1", "--calibrated", "--json", "-"))

    assert plan["method"] == "exact"
    assert plan["budget"] == 1822
    assert at(plan, 0.1)["mean_samples"] == pytest.approx(657, abs=0.5)
    assert at(plan, 2 / 11)["fail"] == pytest.approx(0.956, abs=5e-4)


def test_the_text_has_the_table_and_the_document_goes_to_its_file(weighbridge, tmp_path):
    done = weighbridge(
        "plan", "--expect", "v1=8,v2=1,v3=1", "--tolerance", "4pp", "--max-samples", "500",
        "--json", str(tmp_path / "plan.json"),
    )  # fmt: skip

    assert done.returncode == 0
    assert "ends undecided after 500 connections" in done.stdout
    assert "INCONCLUSIVE" in done.stdout
    assert "Simulated from a fixed seed: chances within 9 points, means within 10 %" in done.stdout
    plan = json.loads((tmp_path / "plan.json").read_text())
    jsonschema.validate(plan, schema("plan"))
    assert plan["method"] == "simulation"


def test_a_tolerance_may_differ_by_label_and_by_side(weighbridge):
    plan = plan_of(
        weighbridge(
            "plan", "--expect", "a=8,b=1,c=1", "--tolerance", "c=-2pp+4pp,4pp", "--json", "-"
        )
    )

    accepted = {label: pytest.approx(ends) for label, ends in plan["expected"]["tolerance"].items()}
    assert accepted == {"a": [0.76, 0.84], "b": [0.06, 0.14], "c": [0.08, 0.14]}
    apart = {row["label"]: row for row in plan["told_apart"]}
    assert apart["b"]["below"] < apart["c"]["below"] < 0.08
    assert apart["b"]["above"] == pytest.approx(apart["c"]["above"], abs=2e-3)


def test_a_tolerance_that_begins_with_a_minus_is_read(weighbridge):
    plan = plan_of(
        weighbridge("plan", "--expect", "v1=9,v2=1", "--tolerance", "-2pp+4pp", "--json", "-")
    )

    assert plan["expected"]["tolerance"]["v2"] == pytest.approx([0.08, 0.14])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--expect", "v1=8,v2=1,v3=1", "--exact"), "two versions"),
        (("--expect", "v1=999,v2=1", "--exact"), "at most 50000"),
        (("--expect", "v1=9,v2=1", "--tolerance", "10pp"), "no traffic at all"),
        (("--expect", "v1=9,v2=1", "--tolerance", "v1=1pp,v2"), "by label: v2=2pp,v1=4pp"),
        (("--expect", "v1=9,v2=1", "--tolerance", "v3=1pp"), "v3 is not expected"),
        (("--expect", "v1=9,v2=1", "--rate", "0"), "--rate"),
        (("--expect", "9:1"), "v1=9,v2=1"),
        (("--expect", "v1=9,v2=1", "--alpha", "0.7"), "alpha"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_remedy(weighbridge, arguments, word):
    done = weighbridge("plan", *arguments)

    assert done.returncode == 2
    assert word in done.stderr


@pytest.mark.parametrize(
    ("life", "code", "told"),
    [
        ("10:30", 0, "after 795 connections"),
        ("auto", 0, "after 716 connections"),
        ("auto", 0, "first sends 11 connections with 4 requests each, which are not judged"),
        ("reuse", 2, "as many as --concurrency"),
        ("3:1", 2, "1 <= MIN <= MAX"),
    ],
)
def test_connections_with_several_requests_are_planned(weighbridge, life, code, told):
    done = weighbridge("plan", "--expect", "v1=9,v2=1", "--connection", life)

    assert done.returncode == code
    assert told in done.stdout + done.stderr
