"""The canary's health in the text: said where it matters, silent where it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.render import from_json, schema, to_json, to_text


def health(*, errors=0.0, times=0.0, label="v2", **limits):
    return Health(
        canary=HealthArm(label, 640, 12, {"p50": 0.0524, "p95": 0.120}),
        stable=HealthArm("v1", 5000, 3, {"p50": 0.0201, "p95": 0.041}),
        errors=HealthErrors(
            500, errors, 1e-9, limits.get("max_ratio"), limits.get("errors_beyond")
        ),
        times=HealthTimes(
            64, 60, times, {"p50": (0.031, 0.0334)}, 0.95,
            limits.get("max_slowdown"), limits.get("times_beyond"),
        ),
    )  # fmt: skip


def block(report):
    """Give the paragraph on health as one line; empty if there is none."""
    paragraphs = to_text(report, width=100).split("\n\n")
    return " ".join(" ".join(p for p in paragraphs if p.startswith("health")).split())


def test_a_healthy_canary_is_not_worth_a_line(reports):
    assert block(replace(reports["passed"], health=health())) == ""
    assert block(reports["passed"]) == ""


def test_proven_errors_are_said_with_their_odds(reports):
    assert block(replace(reports["passed"], health=health(errors=5.0))) == (
        "health 12 of 640 answers of v2 (1.9 %) returned status 500 or above, 3 of 5 000 answers "
        "of v1 (0.06 %); the evidence against chance reached 148:1"
    )


def test_proven_slowness_is_said_with_medians_difference_and_pairs(reports):
    assert block(replace(reports["passed"], health=health(times=30.0))) == (
        "health v2 took 52.4 ms at the median, v1 20.1 ms (difference [+31.0, +33.4] ms): slower "
        "in 60 of 64 pairs; the evidence against chance reached more than a million to one"
    )


def test_a_limit_is_reported_on_even_where_nothing_is_proven(reports):
    text = block(replace(reports["passed"], health=health(max_slowdown=1.5, times_beyond=0.7)))

    assert text.endswith("60 of 64 pairs; not proven to exceed 1.5 times (evidence reached 2.0:1)")


def test_what_a_reason_says_already_is_not_repeated(reports):
    given = health(times=30.0, max_slowdown=1.5, times_beyond=9.0)

    assert block(replace(reports["failed"], health=given)) == ""


def test_times_that_were_never_measured_are_said_to_be_missing(reports):
    given = health(max_slowdown=2.0, times_beyond=0.0)
    given = replace(given, canary=replace(given.canary, times_s={}))

    assert "too few answers to compare times" in block(replace(reports["passed"], health=given))


def test_a_faster_canary_has_a_difference_with_a_minus(reports):
    given = health(times=30.0)
    given = replace(given, times=replace(given.times, differences_s={"p50": (-0.002, 0.001)}))

    assert "(difference [-2.0, +1.0] ms)" in block(replace(reports["passed"], health=given))


def test_the_p95_is_shown_where_it_has_an_interval(reports):
    given = health(times=30.0)
    given = replace(given, times=replace(given.times, differences_s={"p95": (0.07, 0.09)}))

    assert "120 ms at p95, v1 41.0 ms (difference [+70, +90] ms)" in block(
        replace(reports["passed"], health=given)
    )


@pytest.mark.parametrize("given", [None, health(), health(max_ratio=2.0, errors_beyond=0.5)])
def test_health_follows_the_schema_and_reads_back(reports, given):
    report = replace(reports["passed"], health=given)
    text = to_json(report)

    Draft202012Validator(schema()).validate(json.loads(text))
    assert from_json(text) == report


def test_a_report_from_before_there_was_health_can_be_read(reports):
    document = json.loads(to_json(reports["passed"]))
    del document["health"]

    assert from_json(json.dumps(document)) == reports["passed"]
