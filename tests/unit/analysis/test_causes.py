from __future__ import annotations

import pytest

from analysis.batch import Batch
from analysis.causes import likely_causes, log_likelihood
from analysis.report import ReasonCode
from analysis.tally import Tally


def names(evidence):
    return [cause.message for cause in likely_causes(evidence)]


def test_weights_that_never_took_effect_look_like_one_to_one(run):
    (cause,) = likely_causes(run("v1=9,v2=1", {"v1": 24, "v2": 26}))

    assert cause.code is ReasonCode.LOOKS_LIKE
    assert "look like 1:1, the same share for every version" in cause.message
    assert "never took effect" in cause.message
    assert cause.remedy


def test_the_message_gives_the_counts(run):
    evidence = run("v1=9,v2=1", ["v1", "v2"] * 20)

    assert f"(v1 {evidence.counts['v1']}, v2 {evidence.counts['v2']})" in names(evidence)[0]


def test_weights_the_wrong_way_round_are_named_first(run):
    labels = ["v2", "v2", "v2", "v1", "v2", "v2", "v2", "v2"]

    assert "1:9, the declared weights the wrong way round" in names(run("v1=9,v2=1", labels))[0]


def test_everything_to_one_version_is_named(run):
    (message,) = names(run("v1=9,v2=1", ["v1"] * 200))

    assert "look like v1 taking everything" in message


def test_one_of_three_versions_that_gets_nothing_is_named(run):
    (message,) = names(run("a=6,b=2,c=2", {"a": 75, "b": 25}))

    assert "c getting nothing and the others their parts of the rest" in message


@pytest.mark.parametrize("counts", [{"v1": 90, "v2": 10}, {"v1": 80, "v2": 20}, {"v1": 3, "v2": 1}])
def test_nothing_is_named_that_the_declared_split_explains_or_nothing_does(run, counts):
    assert likely_causes(run("v1=9,v2=1", counts, max_samples=100)) == ()


def test_a_declared_even_split_is_no_cause_of_itself(run):
    assert likely_causes(run("v1=1,v2=1", {"v1": 30, "v2": 30})) == ()


def test_no_version_is_called_absent_while_labels_are_missing(run):
    evidence = run("v1=5,v2=5", ["v1", None] + ["v1"] * 60)

    assert not any("everything" in name or "nothing" in name for name in names(evidence))


def test_what_was_in_flight_when_the_verdict_fell_tells_more_if_given(run):
    """Four of four to v2 fit three causes; the drained ones say which it was."""
    evidence = run("v1=9,v2=1", ["v2"] * 4)
    seen = Tally.of(Batch.of_labels(["v2"] * 4 + ["v1", "v2"] * 30))

    (cause,) = likely_causes(evidence, seen)

    assert len(likely_causes(evidence)) == 3
    assert "(v1 30, v2 34) look like 1:1" in cause.message


def test_labels_missing_from_the_drained_ones_leave_absence_open_too(run):
    evidence = run("v1=5,v2=5", ["v1"] * 12)
    seen = Tally.of(Batch.of_labels(["v1"] * 12 + [None]))

    assert "v1 taking everything" in names(evidence)[0]
    assert likely_causes(evidence, seen) == ()


def test_nothing_is_named_without_counts(run):
    assert likely_causes(run("v1=9,v2=1", [])) == ()
    assert likely_causes(run("v1=1", ["x"])) == ()


def test_a_contradicted_split_has_no_likelihood():
    assert log_likelihood([3, 1], [1, 0]) == float("-inf")
    assert log_likelihood([3, 0], [1, 0]) == 0
