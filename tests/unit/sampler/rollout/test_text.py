"""Values change in their places; every other byte stays."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.base.errors import UsageError, WeighbridgeError
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
        Change(0, ("spec", "replicas"), 12),
        Change(0, ("spec", "labels", "version"), "it's"),
        Change(0, ("spec", "labels", "other"), 'a "b"'),
        Change(1, ("items", 0, "spec", "replicas"), 1),
        Change(1, ("items", 1, "spec", "image"), "registry:5000/app:v2"),
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

    after = change(file(text), [Change(0, ("spec", "replicas"), 9)]).after

    assert after == text.replace("  paused", f"  replicas: 9{newline}  paused")


@pytest.mark.parametrize(
    "value",
    [
        "1.10",
        "true",
        "null",
        "1e3",
        "0x10",
        "a: b",
        "# no",
        "]",
        "on",
        "y",
        "1:20",
        "010",
        "2024-05-01",
    ],
)
def test_plain_text_that_yaml_would_take_for_something_else_is_quoted(file, value):
    after = change(file("kind: A\nversion: v1\n"), [Change(0, ("version",), value)]).after

    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        assert reader.load(after) == {"kind": "A", "version": value}


def test_a_value_that_stands_elsewhere_too_is_not_changed(file):
    path = file("kind: A\none: &n 3\ntwo: *n\nmap: &m {x: 1}\nsame: *m\n")

    for place in (("one",), ("two",), ("map", "x"), ("same", "x")):
        with pytest.raises(UsageError, match=r"some\.yaml:\d: .* is an anchor"):
            change(path, [Change(0, place, 4)])


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
    with pytest.raises(WeighbridgeError, match=said):
        change(file(text), [Change(0, path, 4)])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": {"b": 1}}', '{"a": {"k": 2, "b": 1}}'),
        ('{\n  "a": {\n    "b": 1\n  }\n}\n', '{\n  "a": {\n    "k": 2,\n    "b": 1\n  }\n}\n'),
        ("{'a': {'b': 1}}", "{'a': {'k': 2, 'b': 1}}"),
        ('{"x": 1}{"y": 1}\n{"a": {"k": null}}', None),
        ("a:\n  k:\n  b: 1\n", "a:\n  k: 2\n  b: 1\n"),
        ("a:\n  k:   # remark\n", "a:\n  k: 2   # remark\n"),
        ("a: {k, b: 1}\n", "a: {k: 2, b: 1}\n"),
        ("a: {k: , b: 1}\n", None),
        ("a:\n  k: &x !!int 1\n", "a:\n  k: &x !!int 2\n"),
        ("a:\n- b\n---\na:\n\tb\n", None),
        ("a:\n  k: 1\t# tab\n", "a:\n  k: 2\t# tab\n"),
    ],
)
def test_a_key_is_written_as_its_neighbours_are(file, before, after):
    if after is None:
        with pytest.raises(WeighbridgeError):
            change(file(before), [Change(0, ("a", "k"), 2)])
    else:
        assert change(file(before), [Change(0, ("a", "k"), 2)]).after == after


def test_utf_16_stays_utf_16(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_bytes("\ufeffkind: A\r\nk: 1\r\n".encode("utf-16-le"))

    changed = change(path, [Change(0, ("k",), 2)])

    assert changed.after.encode(changed.encoding) == "\ufeffkind: A\r\nk: 2\r\n".encode("utf-16-le")


@pytest.mark.parametrize(
    "text", ["x: &x {k: 1}\na: {<<: *x}\n", "x: &x {k: 1}\na: {k: 2, <<: *x}\n"]
)
def test_a_value_that_a_merge_key_brings_is_not_changed(file, text):
    with pytest.raises(UsageError, match="anchor"):
        change(file(text), [Change(0, ("a", "k"), 4)])


def test_an_object_that_has_moved_meanwhile_is_not_guessed(file):
    with pytest.raises(UsageError, match="the object that was read there is gone"):
        change(file("kind: A\nk: 1\n"), [Change(1, ("k",), 2)])
