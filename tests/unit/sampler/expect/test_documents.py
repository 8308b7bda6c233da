"""Documents are read as kubectl reads them, and know where their values stand."""

from __future__ import annotations

import json
import time

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.documents import documents, is_json
from tests.processes import completed
from tests.requirements import path_of

SCALARS = """
010 0o10 0o8 08 0x1F 0b11 -0b11 1_000 1__0 _1 1_ 0x_1f +5 -7 -0 00 1.0 9.0 9.5 1.10 1. .5 5e-1
1e3 1E3 1e21 1e-7 1e500 123e4567 99999999999999999999 -9223372036854775808
2024-05-01 2024-05-01T10:00:00Z 1:20 190:20:30.15 y Y yes YES yEs n N no on
On oN off OFF true True tRUE null Null NULL ~ nil v1 1.2.3 -.inf0 ... .. . + <<x = x=y 0.0.0 1,000
!!str|5 !!int|5 !!float|5 !!binary|dg== !foo|5 '010' "on" '' 1e 0x 0b2 1e+3 +.5 -.5 0777
0888 +0x1f -0o7 1_0.5 .5_0 0b1_1 1e1_0
"""

STREAMS = {
    "merge": "a: &a {x: 1, y1: 2}\nb: {x: 3, <<: *a, y1: 4}\nc: {<<: [*a, {x: 5, z: 6}]}",
    "tabs": "a: 1\t# c\nb:\t2\t\nc: {d: 3,\te: 4}\nd:\n- x\t",
    "keys": "1: a\ntrue: b\n1.5: c\n010: d\nno: e",
    "json": '{"a": "\\u00e9", "b": [1.0, 1e3, -0.5, true, null, 12345678901]}',
    "block": "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: 'it''s'\nd: \"a\\tb\"",
    "anchors": "a: &a [1, two]\nb: *a\nc: &c 010\nd: *c",
}


def kubectl(text, tmp_path):
    """Return the data of a ConfigMap as kubectl reads it."""
    file = tmp_path / "some.yaml"
    file.write_text(text, encoding="utf-8")
    command = (str(path_of("kubectl")), "annotate", "--local", "-o", "json", "-f", str(file), "a=b")
    done = completed(command, tmp_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


def object_with(data):
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:"
    if data.startswith("{"):
        return f"{head} {data}\n"
    return head + "".join(f"\n  {line}" for line in data.splitlines()) + "\n"


@pytest.mark.needs("kubectl")
def test_scalars_are_what_kubectl_takes_them_for(tmp_path):
    scalars = [each.replace("|", " ") for each in SCALARS.split()]
    text = object_with("\n".join(f"k{n}: {each}" for n, each in enumerate(scalars)))

    (document,) = documents("some.yaml", text)

    said = {each: document.value["data"][f"k{n}"] for n, each in enumerate(scalars)}
    read = kubectl(text, tmp_path)
    meant = {each: read[f"k{n}"] for n, each in enumerate(scalars)}
    differ = {each for each in meant if json.dumps(said[each]) != json.dumps(meant[each])}
    assert {each: (said[each], meant[each]) for each in differ} == {}


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS)
def test_streams_are_what_kubectl_takes_them_for(data, tmp_path):
    text = object_with(data)

    (document,) = documents("some.yaml", text)

    assert document.value["data"] == kubectl(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": 1}{"b": 2}\n[3]', [{"a": 1}, {"b": 2}, [3]]),
        ('\ufeff{"a": 1}\n---\nb: 2\n', [{"a": 1}, {"b": 2}]),
        ('{"a": "\\ud83d\\ude00", "b": 1}', [{"a": "\ufffd\ufffd", "b": 1}]),
        ("\ufeffa: 1\n--- # c\n\ufeffb: 2\n", [{"a": 1}, None, {"b": 2}]),
        ("--- \t\na: 1\n---\t# c\nb: 2\n---\n", [{"a": 1}, {"b": 2}, None]),
        ("", []),
        ("# nothing\n", []),
    ],
)
def test_a_text_is_one_document_or_several(text, values):
    assert [each.value for each in documents("some.yaml", text)] == values


def test_every_value_knows_its_line_and_its_characters():
    text = '{"a": {\n  "b": [1,\n 2]}}\n{"c":\n {"d": "x"}}\n'

    one, other = documents("some.json", text)

    assert [one.line(path) for path in ((), ("a",), ("a", "b"), ("a", "b", 1))] == [1, 1, 2, 3]
    assert [other.line(path) for path in ((), ("c", "d"), ("gone",))] == [4, 5, 4]
    spot = other.marks[id(other.value["c"])].spots["d"]
    assert text[spot.start : spot.end] == '"x"'

    text = "\ufeffa: 1\n---\n\ufeffb: 2\n"
    *_, last = documents("two_files.yaml", text)
    spot = last.marks[id(last.value)].spots["b"]
    assert (last.line(("b",)), text[spot.start : spot.end]) == (3, "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "some.yaml:2: the key 'a' stands twice"),
        ("a: .inf\n", r"some.yaml:1: JSON has no .inf"),
        ("a: !!int x\n", "some.yaml:1: 'x' is no tag:yaml.org,2002:int"),
        ("~: 1\n", "some.yaml:1: expected text as a key, got nothing"),
        (
            "a:\n  image: {{ .Values.image }}\n",
            "some.yaml:2: expected text as a key, got a mapping",
        ),
        ("a: *b\n", "some.yaml:1: "),
        ("<<: 1\n", "some.yaml:1: expected mappings to merge"),
        ("a:\n\tb: 1\n", "some.yaml:2: this is not YAML"),
        ('{"a": 1}\n{"b": \n', "some.yaml:"),
    ],
)
def test_what_kubectl_does_not_read_is_refused_with_its_line(text, said):
    with pytest.raises(ExpectationError, match=said):
        list(documents("some.yaml", text))


def test_only_json_is_json():
    assert [
        is_json(text) for text in ('{"a": 1}\n', '{"a": 1}[]', "{a: 1}", "a: 1", '{"a": 1} x')
    ] == [*(True, True, False, False, False)]


@pytest.mark.parametrize("text", ["[" * 500_000, '{"a":' * 200_000, "- " * 500_000, "{}" * 100_000])
def test_texts_made_to_be_slow_are_not(text):
    began = time.process_time()
    try:
        count = sum(1 for _ in documents("some.yaml", text))
    except ExpectationError:
        count = 0

    assert count in {0, 100_000}
    assert time.process_time() - began < 60  # a bound against quadratic work, not a measurement
