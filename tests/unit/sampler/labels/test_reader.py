"""Labels read from responses: what counts as a name, and what is told where there is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis import ABSENT
from sampler.labels.missing import describe_missing
from sampler.labels.parts import LARGEST_DOCUMENT
from sampler.labels.pointer import to_pointer
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule

# Few distinct names, so that pointers often lead somewhere.
NAMES = st.sampled_from(["label", "a", "b", "", "0", "1", "01", "-", "é", "a/b", "m~n", "x y", "²"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=8)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
POINTERS = st.lists(NAMES, min_size=1, max_size=4)


@given(document=DOCUMENTS, tokens=POINTERS)
@example(document={"a": [{"b": "v1"}]}, tokens=["a", "0", "b"])
@example(document={"": {"": "v1"}}, tokens=["", ""])
@example(document={"0": "v1"}, tokens=["0"])
@example(document=["v0", "v1"], tokens=["01"])
@example(document={"a/b": {"m~n": 7}}, tokens=["a/b", "m~n"])
def test_a_pointer_finds_what_rfc_6901_says(document, tokens):
    reader = LabelReader(LabelRule.parse(to_pointer(tokens)))

    label, replica = reader.codes(200, (), json.dumps(document, ensure_ascii=False).encode())

    assert _name(reader, label) == _name_by_walking(document, tokens)
    assert replica == ABSENT


@given(tokens=st.lists(st.text(max_size=5), min_size=1, max_size=3))
@example(tokens=['quo"te'])
@example(tokens=["back\\slash"])
@example(tokens=["new\nline"])
def test_a_pointer_may_name_any_member(tokens):
    document: object = "v1"
    for token in reversed(tokens):
        document = {token: document, token + "x": "other"}
    reader = LabelReader(LabelRule.parse(to_pointer(tokens)))

    label, _ = reader.codes(200, (), json.dumps(document).encode())

    assert _name(reader, label) == "v1"


@given(body=st.binary(max_size=64))
@example(body=b"[" * 100_000)
@example(body=b'{"label": ' * 100_000)
@example(body=b'{"label": "\xff"}')
@example(body=b'{"label": "v1"} trailing')
@example(body=b"<html></html>")
def test_a_body_that_is_not_json_has_no_label(body):
    reader = LabelReader(LabelRule.parse("/label"))

    assert reader.codes(200, (), body) == (ABSENT, ABSENT)


@pytest.mark.parametrize(
    ("value", "name"),
    [("v1", "v1"), (2, "2"), (1.5, "1.5"), (True, "true"), (False, "false"), (0, "0")],
)
def test_a_scalar_is_a_name(value, name):
    assert _read("/label", json.dumps({"label": value}).encode()) == name


@pytest.mark.parametrize("text", ["1.10", "1.1", "1E2", "-0.0", "1e400", "1" * 30])
@pytest.mark.parametrize(
    "form", ['{"label": %s}', '{"label": %s , "x": 1}', '{"x": [], "label":%s}']
)
def test_a_number_is_the_name_that_it_is_spelled_as(text, form):
    assert _read("/label", (form % text).encode()) == text
    assert _read("/0/label", f"[{form % text}]".encode()) == text


@pytest.mark.parametrize(
    "body",
    [
        b'{"label": "\\ud800"}',
        b'{"label": ["\\ud800"], "list": ["\\ud800"]}',
        b'{"label": NaN}',
        b'{"label": 01}',
        b'{"label": "a\tb"}',
    ],
)
@pytest.mark.parametrize("pointer", ["/label", "/label/0", "/list/0"])
def test_what_json_does_not_allow_is_no_name(body, pointer):
    assert _read(pointer, body) is None


@pytest.mark.parametrize("size", [LARGEST_DOCUMENT - 100, 4 * LARGEST_DOCUMENT])
def test_a_large_document_is_read_but_not_taken_apart(size, monkeypatch):
    decoded = []
    decode = json.JSONDecoder.decode

    def watched(self, text):
        decoded.append(len(text))
        return decode(self, text)

    monkeypatch.setattr(json.JSONDecoder, "decode", watched)
    items = [{"name": "v1"}, "x" * size]
    body = json.dumps({"items": items, "label": "v1"}).encode()

    assert _read("/label", body) == "v1"
    assert not decoded
    is_small = size < LARGEST_DOCUMENT
    assert _read("/items/0/name", body) == ("v1" if is_small else None)
    describe_missing(LabelRule.parse("/none"), 200, (), body)
    assert all(length <= LARGEST_DOCUMENT for length in decoded)
    assert bool(decoded) == is_small


def test_of_two_members_with_one_name_the_last_one_counts():
    assert _read("/label", b'{"label": "v1", "label": "v2"}') == "v2"
    assert _read("/a/b", b'{"a": {"b": "v1"}, "a": {"b": "v2"}}') == "v2"


@pytest.mark.parametrize("value", [None, "", [], ["v1"], {}, {"label": "v1"}])
def test_nothing_and_structures_are_no_name(value):
    assert _read("/label", json.dumps({"label": value}).encode()) is None


def test_a_header_is_found_whatever_its_case_and_spaces():
    reader = LabelReader(LabelRule.parse("header:x-Version"))
    headers = ((b"Date", b"now"), (b"X-VERSION", b" v1 "), (b"x-version", b"v2"))

    assert _name(reader, reader.codes(200, headers, b"")[0]) == "v1"
    assert reader.codes(200, headers[:1], b"") == (ABSENT, ABSENT)


def test_the_status_is_a_name():
    reader = LabelReader(LabelRule.parse("status"))

    assert _name(reader, reader.codes(503, (), b"")[0]) == "503"


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (r"v\d", "v1"),
        (r"version: (\w+)", "v1"),
        (r"(?:blue|green)-(\d+)", "77"),
        (r"^second$", "second"),
        (r"(x)?version", None),
        ("nothing", None),
    ],
)
def test_a_regular_expression_gives_its_first_group_or_all_of_its_match(expression, name):
    assert _read(f"regex:{expression}", b"version: v1\nsecond\nblue-77") == name


def test_label_and_replica_may_come_from_different_parts():
    reader = LabelReader(LabelRule.parse("/label"), LabelRule.parse("header:X-Pod"))
    body = b'{"label": "v1"}'

    codes = [reader.codes(200, ((b"X-Pod", pod),), body) for pod in (b"p1", b"p2", b"p1")]

    assert codes == [(0, 0), (0, 1), (0, 0)]
    assert reader.labels.names == ("v1",)
    assert reader.replicas.names == ("p1", "p2")


@given(names=st.lists(st.sampled_from(["v1", "v2", "v3", None]), max_size=40))
def test_remembered_bodies_read_the_same_as_new_ones(names):
    reader = LabelReader(LabelRule.parse("/label"))

    read = [reader.codes(200, (), json.dumps({"label": name}).encode())[0] for name in names]

    assert [_name(reader, code) for code in read] == names


def test_bodies_that_never_repeat_are_all_read():
    reader = LabelReader(LabelRule.parse("/label"))

    codes = [
        reader.codes(200, (), b'{"label": "v%d", "at": %d}' % (number % 2, number))[0]
        for number in range(6_000)
    ]

    assert codes == [number % 2 for number in range(6_000)]


def _read(rule, body):
    reader = LabelReader(LabelRule.parse(rule))
    return _name(reader, reader.codes(200, (), body)[0])


def _name(reader, code):
    return None if code == ABSENT else reader.labels.names[code]


def _name_by_walking(document, tokens):
    """Evaluate a pointer as RFC 6901 section 4 tells it, one token after another."""
    value = document
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list):
            is_index = token.isascii() and token.isdigit() and (token == "0" or token[0] != "0")
            value = value[int(token)] if is_index and int(token) < len(value) else None
        else:
            return None
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return value or None
    return None


def head(*fields):
    return tuple((name.encode(), value.encode()) for name, value in fields)


SEVERAL = head(("X-Version", "gateway-7"), ("x-version", "v1"))
COOKIES = head(
    ("Set-Cookie", "sid=88; HttpOnly"),
    ("Set-Cookie", 'version="v2"; Path=/'),
    ("set-cookie", "gone=; Max-Age=0"),
)


@pytest.mark.parametrize(
    ("rule", "headers", "label"),
    [
        ("header:X-Version", SEVERAL, "v1"),
        ("header:X-Version", SEVERAL[:1], "gateway-7"),
        ("header:X-Version", head(("X-Version", "a"), ("X-Version", "b")), "a"),
        ("header:X-Version", head(("X-Version", "v2"), ("X-Version", "v1")), None),
        ("header:X-Version", head(("X-Version", "v1"), ("X-Version", " v1")), "v1"),
        ("header:X-Version:^v[0-9]+$", SEVERAL, "v1"),
        ("header:X-Version:gateway-(.+)", SEVERAL, "7"),
        ("header:X-Version:nothing", SEVERAL, None),
        ("header:Server:shop/(?:a|b):([0-9.]+)", head(("Server", "shop/a:1.10 (x)")), "1.10"),
        ('header:Set-Cookie:version="?([^;"]+)', COOKIES, "v2"),
        ("cookie:version", COOKIES, "v2"),
        ("cookie:Version", COOKIES, None),
        ("cookie:gone", COOKIES, None),
        ("cookie:sid", (*COOKIES, *head(("Set-Cookie", "sid=99"))), "99"),
    ],
)
def test_one_of_several_fields_or_cookies_is_read(rule, headers, label):
    reader = LabelReader(LabelRule.parse(rule), expected=("v1", "v2"))

    code, _ = reader.codes(200, headers, b"")

    assert (None if code < 0 else reader.labels.names[code]) == label
    assert LabelRule.parse(str(reader.label)) == reader.label
