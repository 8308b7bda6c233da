"""Values change in their places; every other byte stays."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.base.errors import UsageError
from sampler.rollout.text import Change, change

MANY_STYLES = """\
# two documents, and a list
---
kind: First   # a remark
'spec':
    replicas:   3     # odd   spaces
    "labels" : { version: 'v1' , other: "v1" }
    text: |
      replicas: 3
    more: [ 1,2,  3 ]
---
kind: List
items:
- kind: Second
  spec: {paused: false}
- kind: Third
  spec:
    image: "registry:5000/app:v1"
"""


@pytest.fixture
def file(tmp_path):
    def make(text):
        path = tmp_path / "some.yaml"
        path.write_bytes(text.encode())
        return path

    return make


def test_each_value_keeps_its_quotes_and_its_surroundings(file):
    changes = [
        Change(3, ("spec", "replicas"), 12),
        Change(3, ("spec", "labels", "version"), "it's"),
        Change(3, ("spec", "labels", "other"), 'a "b"'),
        Change(13, ("spec", "replicas"), 1),
        Change(15, ("spec", "image"), "registry:5000/app:v2"),
    ]

    after = change(file(MANY_STYLES), changes).after

    expected = MANY_STYLES
    for old, new in (
        ("replicas:   3     #", "replicas:   12     #"),
        ("'v1' ,", "'it''s' ,"),
        ('other: "v1"', 'other: "a \\"b\\""'),
        ("{paused: false}", "{replicas: 1, paused: false}"),
        ("app:v1", "app:v2"),
    ):
        assert old in expected
        expected = expected.replace(old, new)
    assert after == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_key_that_is_missing_stands_in_front_of_the_others(file, newline, mark):
    text = mark + newline.join(["kind: A", "spec:", "  # first", "  paused: no", ""])

    after = change(file(text), [Change(1, ("spec", "replicas"), 9)]).after

    assert after == text.replace("  paused", f"  replicas: 9{newline}  paused")


@pytest.mark.parametrize("value", ["1.10", "true", "null", "1e3", "0x10", "a: b", "# no", "]"])
def test_plain_text_that_yaml_would_take_for_something_else_is_quoted(file, value):
    after = change(file("kind: A\nversion: v1\n"), [Change(1, ("version",), value)]).after

    assert YAML(typ="safe").load(after) == {"kind": "A", "version": value}


def test_a_value_that_stands_elsewhere_too_is_not_changed(file):
    path = file("kind: A\none: &n 3\ntwo: *n\nmap: &m {x: 1}\nsame: *m\n")

    for place in (("one",), ("two",), ("map", "x"), ("same", "x")):
        with pytest.raises(UsageError, match=r"some\.yaml:1: .* is an anchor|anchor"):
            change(path, [Change(1, place, 4)])


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("kind: A\nspec: |\n  x\n", ("spec",), "one plain value"),
        ("kind: A\nspec: {}\n", ("spec", "replicas"), "a mapping with keys"),
        ("kind: A\nspec: [1]\n", ("spec", "x", "y"), "there is no spec.x.y"),
        ("kind: [\n", ("kind",), "is not YAML"),
    ],
)
def test_what_cannot_be_changed_is_said_with_its_place(file, text, path, said):
    with pytest.raises(UsageError, match=said):
        change(file(text), [Change(1, path, 4)])


def test_an_object_that_has_moved_meanwhile_is_not_guessed(file):
    with pytest.raises(UsageError, match="the object that was read there is gone"):
        change(file("# new line\nkind: A\nn: 1\n"), [Change(1, ("n",), 2)])
