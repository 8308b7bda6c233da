"""What an answer without a label holds instead, and where its version may be."""

from __future__ import annotations

import json

import pytest

from sampler.labels.missing import describe_missing, place_of
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule

RULE = LabelRule.parse("/label")


def test_an_unlabelled_answer_is_described_by_its_status_the_rule_and_its_start():
    text = describe_missing(RULE, 502, (), b"<html>\xff" + b"x" * 1_000)

    assert "502" in text
    assert "/label" in text
    assert "<html>" in text
    assert len(text) < 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "status 200, nothing at /label; the body is empty"),
        (b"v1", "nothing at /label because it is not JSON; the body starts 'v1'"),
        (b"\xff", "nothing at /label because it is not JSON"),
        (b'{"label": null}', "no name at /label but null"),
        (b'{"label": ""}', "no name at /label but an empty string"),
        (b'{"label": {"of": "v1"}}', "no name at /label but an object"),
        (b'{"label": ["v1"]}', "no name at /label but an array"),
        (b"{}", "nothing at /label; the body starts '{}'"),
        (
            b'{"version": "v1", "at/x": {"n": 1, "none": null}, "list": [{"a": true}]}',
            "nothing at /label but something at /version, /at~1x/n, /list/0/a; ",
        ),
        (b'[{"label": "v1"}]', "nothing at /label but something at /0/label; "),
        (b'"v1"', "nothing at /label; the body starts"),
    ],
)
def test_what_is_there_instead_of_a_label_is_told(body, told):
    assert told in describe_missing(RULE, 200, (), body)


def test_pointers_that_are_told_find_what_they_name():
    body = json.dumps({"a~b": {"c/d": [{"e": "found"}]}}).encode()

    told = describe_missing(RULE, 200, (), body).partition("something at ")[2].partition(";")[0]

    reader = LabelReader(LabelRule.parse(told))
    reader.codes(200, (), body)
    assert reader.labels.names == ("found",)


def test_a_redirect_tells_where_it_leads_without_its_secrets():
    headers = ((b"LOCATION", b"https://shop/login?token=abc"),)

    told = describe_missing(RULE, 302, headers, b"")

    assert told.startswith("status 302, a redirect to https://shop/login?token=***, nothing at")
    assert "redirect" not in describe_missing(RULE, 200, headers, b"")


def test_describing_a_hostile_body_stays_short():
    wide = json.dumps({"x" * 10_000: 1, **{f"m{n}": n for n in range(10_000)}}).encode()

    for body in (wide, b"[" * 500 + b"]" * 500, b"[" * 100_000):
        assert len(describe_missing(RULE, 200, (), body)) < 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"label":"v2","load":NaN}', "because NaN is not JSON"),
        (b'{"label":"v2","load":-Infinity}', "because -Infinity is not JSON"),
        (rb'{"label":"v2\udfff"}', "but half of a surrogate pair"),
    ],
)
def test_what_some_libraries_write_and_json_has_not_is_named(body, told):
    reader = LabelReader(RULE)

    assert reader.codes(200, (), body)[0] < 0
    assert told in describe_missing(RULE, 200, (), body)


@pytest.mark.parametrize("coding", [b"compress", b"DCB", b"gzip, br", b"x-own"])
def test_a_coding_that_is_not_unpacked_is_named(coding):
    told = describe_missing(RULE, 200, ((b"Content-Encoding", coding),), b"\x0b\x07\x80")

    assert f"because of 'Content-Encoding: {coding.decode().lower()}', which is not unp" in told


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b"Deflate", b"br"])
def test_a_coding_that_is_unpacked_is_none_of_its_business(coding):
    headers = ((b"Content-Encoding", coding),)

    assert "Content-Encoding" not in describe_missing(RULE, 200, headers, b"hello")


@pytest.mark.parametrize(
    ("headers", "body", "place"),
    [
        ({}, b'{"pod": {"version": "v1"}}', ("/pod/version", "v1")),
        ({}, b'{"color": "v2", "version": "7"}', ("/color", "v2")),
        ({"X-App-Version": "v1"}, b"ok", ("header:X-App-Version", "v1")),
        ({"X-App-Version": "1.4"}, b"ok", ("header:X-App-Version", "1.4")),
        ({"Server": "v1"}, b"ok", ("header:Server", "v1")),
        ({"Server": "nginx/1.2", "X-AspNet-Version": "4", "Api-Version": "2"}, b"ok", None),
        ({"Set-Cookie": "track=v2; Path=/"}, b"ok", ("cookie:track", "v2")),
        ({"Set-Cookie": "sid=1234"}, b"ok", None),
        ({"Content-Encoding": "dcb", "X-Version": "v1"}, b"v2", ("header:X-Version", "v1")),
        ({"Content-Encoding": "dcb"}, b"v2", None),
        ({}, b"<p>hello from v2</p>", (r"regex:\b(?:v1|v2)\b", "v2")),
        ({}, b"<p>hello from v22</p>", None),
        ({}, b'{"label":"v2","x":NaN}', (r'regex:"label"\s*:\s*"([^"]+)"', "v2")),
        ({}, b'{"at": 17}', None),
    ],
)
def test_the_place_of_a_version_is_found_and_read_by_its_rule(headers, body, place):
    fields = tuple((name.encode(), value.encode()) for name, value in headers.items())

    found = place_of(200, fields, body, ("v1", "v2"))

    assert found == place
    if found is not None:
        reader = LabelReader(LabelRule.parse(found[0]))
        reader.codes(200, fields, body)
        assert reader.labels.names == (found[1],)
