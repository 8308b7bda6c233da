"""Loads and limits refuse what cannot be carried out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.base.errors import UsageError
from sampler.plan.load import ConnectionLife, Limits, Load


@pytest.mark.parametrize("text", ["fresh", "reuse", "1:2", "10:30", "7:7"])
def test_a_connection_life_is_read_and_written_back(text):
    assert str(ConnectionLife.parse(text)) == text


def test_one_request_on_each_connection_is_fresh():
    assert ConnectionLife.parse("1:1") == ConnectionLife.parse("fresh") == ConnectionLife()
    assert ConnectionLife().is_fresh


@pytest.mark.parametrize("text", ["1:2", "reuse", "2:2"])
def test_more_requests_on_a_connection_are_not_fresh(text):
    assert not ConnectionLife.parse(text).is_fresh


@pytest.mark.parametrize(
    "text", ["", "Fresh", "1", "1:", ":2", "0:1", "3:2", "-1:2", "1:2:3", "1.5:2", "1:1000000000"]
)
def test_a_connection_life_of_another_form_is_refused(text):
    with pytest.raises(UsageError):
        ConnectionLife.parse(text)


@pytest.mark.parametrize(("shortest", "longest"), [(None, 1), (1, None), (0, 0), (2, 1)])
def test_a_range_needs_both_ends_in_order(shortest, longest):
    with pytest.raises(UsageError):
        ConnectionLife(shortest, longest)


@given(shortest=st.integers(-3, 12), longest=st.integers(-3, 12))
def test_a_range_is_accepted_exactly_if_it_holds_a_number(shortest, longest):
    text = f"{shortest}:{longest}"
    if 1 <= shortest <= longest:
        life = ConnectionLife.parse(text)
        assert (life.shortest, life.longest) == (shortest, longest)
    else:
        with pytest.raises(UsageError):
            ConnectionLife.parse(text)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("concurrency", 1, 10_000), ("max_header_bytes", 1, 10**9), ("max_body_bytes", 1, 10**9)],
)
def test_counts_of_a_load_have_a_range(name, lowest, highest):
    assert getattr(Load(**{name: lowest}), name) == lowest
    assert getattr(Load(**{name: highest}), name) == highest
    with pytest.raises(UsageError, match=name):
        Load(**{name: lowest - 1})


def test_concurrency_has_a_highest_value():
    with pytest.raises(UsageError, match="10001"):
        Load(concurrency=10_001)


@pytest.mark.parametrize("name", ["timeout_s", "connect_timeout_s"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 3_601])
def test_timeouts_are_positive_and_finite(name, value):
    with pytest.raises(UsageError, match=name):
        Load(**{name: value})


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, 1e7])
def test_a_rate_is_positive_and_finite(rate):
    with pytest.raises(UsageError, match="rate"):
        Load(rate=rate)


def test_a_run_must_end_by_itself():
    with pytest.raises(UsageError) as caught:
        Limits()

    assert "--max-samples" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "values",
    [
        {"max_samples": 0},
        {"max_samples": -1},
        {"max_time_s": 0},
        {"max_time_s": -1.0},
        {"max_time_s": math.nan},
        {"max_time_s": math.inf},
        {"max_samples": 10, "max_time_s": 0},
    ],
)
def test_limits_are_positive_and_finite(values):
    with pytest.raises(UsageError):
        Limits(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"connection": "reuse"},
        {"transport": "full"},
        {"concurrency": "16"},
        {"concurrency": 2.5},
        {"timeout_s": None},
        {"rate": "5/s"},
        {"dns_ttl_s": -1.0},
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_name(values):
    (name,) = values
    with pytest.raises(UsageError, match=name):
        Load(**values)


@pytest.mark.parametrize("number", [1.5, "9"])
def test_a_limit_of_another_kind_is_refused_by_its_name(number):
    with pytest.raises(UsageError, match="max_samples"):
        Limits(max_samples=number)
