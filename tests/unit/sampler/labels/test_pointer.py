"""JSON pointers, by the letter of RFC 6901."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sampler.base.errors import UsageError
from sampler.labels.pointer import MISSING, follow, parse_pointer, to_pointer

OF_SECTION_5 = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_section_5_are_found(pointer, value):
    assert follow(OF_SECTION_5, parse_pointer(pointer)) == value


@pytest.mark.parametrize(
    "pointer",
    ["/foo/2", "/foo/00", "/foo/-", "/foo/-1", "/foo/²", "/foo/bar", "/foo/0/0", "/x", "//0"],
)
def test_what_is_not_there_is_missing(pointer):
    assert follow(OF_SECTION_5, parse_pointer(pointer)) is MISSING


def test_null_is_a_value():
    assert follow({"a": None}, ("a",)) is None


@pytest.mark.parametrize("text", ["", "foo", "/a~b", "/~", "/a~2"])
def test_another_text_is_refused(text):
    with pytest.raises(UsageError, match="RFC 6901") as caught:
        parse_pointer(text)

    assert "~1" in (caught.value.hint or "")


@given(st.lists(st.text(alphabet="ab/~01", max_size=4), min_size=1))
@example(["~1", "~01", "/"])
def test_a_pointer_that_was_written_is_read_back(tokens):
    assert list(parse_pointer(to_pointer(tokens))) == tokens
