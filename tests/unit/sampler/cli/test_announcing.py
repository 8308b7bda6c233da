"""What is said before a run sends: what a tolerance costs, and what the limits leave."""

from __future__ import annotations

import pytest

from analysis import Policy, Split, Tolerance
from sampler.cli.announcing import announce, doubts, in_words
from sampler.labels.rule import LabelRule
from sampler.plan.load import ConnectionLife, Limits, Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target

SPLIT = Split.parse("v1=9,v2=1")


def plan(tolerance="auto", *, most=None, time_s=60.0, name="check", calibrated=False, **load):
    return RunPlan(
        target=Target("http://10.0.0.1/"),
        load=Load(**load),
        limits=Limits(most, time_s),
        label=LabelRule.parse("/label"),
        replica=None,
        split=SPLIT,
        policy=Policy(tolerance=Tolerance.parse(tolerance), calibrated=calibrated),
        name=name,
    )


@pytest.mark.parametrize(("written", "meant"), [("5%", "5pp"), ("v2=5%,4pp", "v2=5pp,4pp")])
def test_a_part_of_a_share_that_costs_much_is_asked_about(written, meant):
    ((problem, hint),) = doubts(SPLIT, Policy(tolerance=Tolerance.parse(written)))

    assert f"--tolerance {written}" in problem
    assert "about 50 000 connections" in problem
    assert hint.endswith(f"write --tolerance {meant}")


@pytest.mark.parametrize("written", ["auto", "0.4pp", "40%"])
def test_a_tolerance_that_is_meant_or_cheap_is_not(written):
    assert doubts(SPLIT, Policy(tolerance=Tolerance.parse(written))) == []


@pytest.mark.parametrize(
    ("given", "said", "remedy"),
    [
        ({"most": 100}, "at most 100 fit", "raise --max-samples"),
        ({"most": 100}, "--max-samples 1300 is enough for 95 %", "raise --max-samples"),
        ({"rate": 5.0}, "at most 300 fit", "raise --max-time or --rate"),
        ({"rate": 5.0}, "--max-time 260s is enough for 95 %", "raise --max-time or --rate"),
        ({"time_s": 0.1}, "at most 200 fit", "raise --max-time or --max-rate"),
        (
            {"most": 1000, "connection": ConnectionLife(10, 10)},
            "at most 100 fit",
            "raise --max-samples",
        ),
    ],
)
def test_limits_that_a_correct_split_exceeds_are_named_with_the_right_option(
    capsys, given, said, remedy
):
    announce(plan(**given))

    told = capsys.readouterr().err
    assert said in told
    assert f"hint: {remedy}, or widen --tolerance\n" in told


def test_connections_that_are_kept_without_end_are_told_to_be_too_few(capsys):
    announce(plan(connection=ConnectionLife(None, None)))

    told = capsys.readouterr().err
    assert "at most 16 are opened if they are kept" in told
    assert "hint: leave out --connection reuse" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "takes 720 connections to pass on average (95 %: 1 300), at least 0.36 s (0.65 s)"),
        ({"calibrated": True}, "takes less than 720 connections to pass on average"),
        ({"rate": 50.0}, "(95 %: 1 300), 14 s (26 s)"),
        ({"max_rate": None}, "(95 %: 1 300); PASS needs"),
    ],
)
def test_what_a_correct_split_takes_is_said_with_the_time_at_this_rate(given, told):
    assert told in in_words(plan(**given))


def test_a_plan_that_fits_is_announced_in_one_line(capsys):
    announce(plan())

    assert capsys.readouterr().err == f"{in_words(plan())}\n"


def test_a_name_that_no_folder_can_have_is_said_to_change(capsys):
    announce(plan(name="a b/c"))

    assert "--name 'a b/c' becomes 'a-b-c' in the run's folder" in capsys.readouterr().err
