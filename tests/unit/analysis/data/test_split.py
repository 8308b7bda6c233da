from __future__ import annotations

import pytest

from analysis import Evidence, Policy
from analysis.data.errors import InputError
from analysis.data.split import Split, Tolerance, ToleranceKind
from analysis.data.split import tested_arms as judged_arms


@pytest.mark.parametrize(
    ("text", "arms", "weights"),
    [
        ("v1=9,v2=1", ("v1", "v2"), (9, 1)),
        (" v1 = 9 , v2=0", ("v1", "v2"), (9, 0)),
        ("a=b=3", ("a=b",), (3,)),
    ],
)
def test_splits_are_read(text, arms, weights):
    assert Split.parse(text) == Split(arms, weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v1", "LABEL=WEIGHT, got 'v1'"),
        ("v1=x,v2=1", "weight of v1 must be a whole number"),
        ("v1=0.9,v2=0.2", "add up to 1, got 1.1"),
        ("v1=-1,v2=1", "whole number"),
        ("v1=1,v1=2", "v1 twice"),
        ("v1=0,v2=0", "at least one weight must be above zero"),
        ("", "LABEL=WEIGHT"),
        ("v1=1,", "LABEL=WEIGHT"),
        ("v1=9 v2=1", "comma"),
        ("v1=9;v2=1", "comma"),
        ("v1=99999999999999999999", "at most 15 digits"),
    ],
)
def test_splits_that_cannot_be_meant_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Split.parse(text)


@pytest.mark.parametrize(
    ("arms", "weights", "message"),
    [
        ((), (), "one weight for each label"),
        (("a",), (1, 2), "one weight for each label"),
        (("a", ""), (1, 2), "must not be empty"),
        (("a", "b"), (1, -2), "whole number >= 0"),
        (("a", "b"), (0.9, 0.1), "whole number >= 0"),
        (("a", "b"), (1, float("nan")), "whole number >= 0"),
    ],
)
def test_splits_made_by_hand_are_checked_too(arms, weights, message):
    with pytest.raises(ValueError, match=message):
        Split(arms, weights)


def test_an_undeclared_label_expects_nothing():
    assert Split.parse("v1=9,v2=1").share("v3") == 0


@pytest.mark.parametrize(
    ("weights", "arms"),
    [((9, 1), (1,)), ((1, 9), (0,)), ((1, 1), (1,)), ((5,), (0,)), ((8, 1, 1), (0, 1, 2))],
)
def test_the_smaller_of_two_arms_is_tested_and_all_of_more(weights, arms):
    assert judged_arms(Split(tuple("abc"[: len(weights)]), weights)) == arms


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("auto", ToleranceKind.AUTO, 0),
        ("4pp", ToleranceKind.ABSOLUTE, 0.04),
        ("0.5 pp", ToleranceKind.ABSOLUTE, 0.005),
        ("10%", ToleranceKind.RELATIVE, 0.1),
    ],
)
def test_tolerances_are_read(text, kind, amount):
    tolerance = Tolerance.parse(text)

    assert tolerance.kind is kind
    assert tolerance.amount == pytest.approx(amount)


@pytest.mark.parametrize(
    "text",
    ["4", "0.04", "-1pp", "+1pp", "+2pp-1pp", "pp", "4 p p", "", "nan%", "v1=", "v1=4,2pp", "2pp,"],
)
def test_tolerances_of_another_form_are_refused(text):
    with pytest.raises(ValueError, match=r"percentage points|without a label"):
        Tolerance.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2pp,3pp", "one tolerance without a label, got also '3pp'"),
        ("v1=2pp,v1=3pp", "v1 may have one tolerance, got 2"),
        ("v1=0pp", "between 0 and 100 %"),
        ("-0%+3pp", "between 0 and 100 %"),
    ],
)
def test_tolerances_that_cannot_be_meant_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Tolerance.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "auto",
        "4pp",
        "0.5pp",
        "10%",
        "-2pp+4pp",
        "-50%+4pp",
        "v2=1pp",
        "v2=-1pp+10%,v1=auto",
        "v2=1pp,v3=2pp,5%",
        "a=b=1pp,-1pp+2pp",
    ],
)
def test_tolerances_write_what_they_read(text):
    assert str(Tolerance.parse(text)) == text


def ends_of(split, tolerance):
    bands = Tolerance.parse(tolerance).bands(Split.parse(split))
    return {band.arm: pytest.approx((band.low, band.high)) for band in bands}


def test_each_label_has_its_own_tolerance_and_the_others_the_general_one():
    ends = ends_of("a=70,b=20,c=10", "c=-2pp+4pp,b=10%,5pp")

    assert ends == {"a": (0.65, 0.75), "b": (0.18, 0.22), "c": (0.08, 0.14)}


def test_labels_without_a_tolerance_of_their_own_have_the_default():
    bands = Tolerance.parse("c=2pp").bands(Split.parse("a=8,b=1,c=1"))

    assert bands[:2] == Tolerance().bands(Split.parse("a=8,b=1,c=1"))[:2]
    assert (bands[2].below, bands[2].above) == (0.02, 0.02)


@pytest.mark.parametrize(
    ("tolerance", "canary"),
    [
        ("v2=-2pp+4pp", (0.08, 0.14)),
        ("v1=-2pp+4pp", (0.06, 0.12)),  # too little of v1 is too much of v2
        ("v1=3pp,v2=-1pp+4pp", (0.09, 0.13)),
        ("v1=3pp,2pp", (0.08, 0.12)),
        ("v1=2pp,3pp", (0.08, 0.12)),
        ("v2=3pp,2pp", (0.07, 0.13)),
    ],
)
def test_of_two_labels_a_tolerance_for_one_is_one_for_both(tolerance, canary):
    ends = ends_of("v1=9,v2=1", tolerance)

    assert ends == {"v2": canary, "v1": (1 - canary[1], 1 - canary[0])}


def test_of_a_label_that_must_not_answer_only_the_upper_side_counts():
    nothing = Tolerance.parse("v1=2pp").bands(Split.parse("v1=10,v2=0"))[1]

    assert nothing.high == 0.02


def test_a_tolerance_for_a_label_that_is_not_expected_is_refused():
    with pytest.raises(ValueError, match="v3 is not expected, only v1, v2"):
        Tolerance.parse("v3=2pp").bands(Split.parse("v1=9,v2=1"))


def test_nine_pods_and_one_tell_half_a_pod_apart():
    stable, canary = Tolerance().bands(Split.parse("v1=9,v2=1"))

    assert (canary.low, canary.high) == pytest.approx((0.05, 0.1 + 0.9 / 22))
    assert (stable.low, stable.high) == pytest.approx((1 - canary.high, 0.95))


@pytest.mark.parametrize(
    ("split", "below", "above"),
    [("a=95,b=5", 0.0212, 0.0212), ("a=99,b=1", 0.005, 0.005), ("a=50,b=50", 0.05, 0.05)],
)
def test_weights_that_are_no_replica_counts_get_the_floor(split, below, above):
    band = Tolerance().bands(Split.parse(split))[1]

    assert (band.below, band.above) == pytest.approx((below, above), abs=1e-4)


def test_shares_of_zero_and_one_get_one_percentage_point():
    nothing, everything = Tolerance().bands(Split.parse("a=0,b=3"))

    assert (nothing.above, everything.below) == (0.01, 0.01)


@pytest.mark.parametrize(
    ("split", "tolerance", "message"),
    [
        ("v1=9,v2=1", "10pp", "v2 could get no traffic at all and pass"),
        ("v1=1,v2=1,v3=8", "20pp", "no traffic at all and pass"),
        ("v1=1,v2=1", "50pp", "v2 could get no traffic at all and pass"),
        ("a=8,b=1,c=1", "b=2pp,c=-10pp+2pp", "c could get no traffic at all and pass"),
        ("v1=9,v2=1", "v1=10pp", "v2 could get no traffic at all and pass"),
    ],
)
def test_a_tolerance_that_cannot_be_refuted_is_refused(split, tolerance, message):
    with pytest.raises(ValueError, match=message):
        Tolerance.parse(tolerance).bands(Split.parse(split))


@pytest.mark.parametrize("weight", [10**15, 2**62, 10**20])
def test_a_weight_that_no_number_of_connections_could_tell_is_refused(weight):
    with pytest.raises(InputError, match="the weight of v1 must have at most 15 digits"):
        Split(("v1", "v2"), (weight, 1))


def test_the_largest_weight_can_be_judged():
    Evidence.start(Split(("v1", "v2"), (10**15 - 1, 1)), Policy())
