from __future__ import annotations

import pytest

from analysis.data.policy import OutOfRangeError, Policy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 0.0),
        ("alpha", 0.5),
        ("beta", -0.1),
        ("beta", float("nan")),
        ("inner", 1.1),
        ("inner", -0.1),
        ("missing_ratio", 0.99),
        ("missing_ratio", float("nan")),
        ("max_unlabelled", 0.0),
        ("max_unlabelled", 1.5),
        ("max_samples", 0),
        ("calibrated", 1),
    ],
)
def test_numbers_outside_their_range_are_refused(field, value):
    with pytest.raises(OutOfRangeError, match=field) as caught:
        Policy(**{field: value})

    assert caught.value.field == field


def test_the_default_policy_is_strict():
    policy = Policy()

    assert (policy.alpha, policy.beta, policy.inner) == (0.01, 0.01, 1.0)
    assert str(policy.tolerance) == "auto"


def test_a_tolerance_that_is_still_text_is_refused_where_it_is_given():
    with pytest.raises(ValueError, match=r"Tolerance\.parse\('4pp'\), got '3pp'"):
        Policy(tolerance="3pp")  # type: ignore[arg-type]
