"""Names and their codes stay within bounds, whatever answers."""

from __future__ import annotations

from analysis.data.batch import OTHER
from sampler.labels.names import MAX_NAME_LENGTH, MAX_NAMES, NameCodes


def test_names_beyond_the_limit_share_one_code():
    names = NameCodes()

    codes = [names.code(f"v{number}") for number in range(MAX_NAMES + 5)]

    assert codes[:MAX_NAMES] == list(range(MAX_NAMES))
    assert set(codes[MAX_NAMES:]) == {MAX_NAMES}
    assert names.names[-1] == OTHER
    assert names.code("v0") == 0
    assert len(names.names) == MAX_NAMES + 1


def test_a_long_name_is_cut():
    names = NameCodes()

    names.code("x" * 10_000)

    assert names.names == ("x" * MAX_NAME_LENGTH + "…",)


def test_nobody_is_called_as_the_rest_is():
    names = NameCodes()
    names.code(OTHER)

    assert OTHER not in names.names
