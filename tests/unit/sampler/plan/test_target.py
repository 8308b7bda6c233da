"""What may be asked, and of whom."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.base.errors import ExitCode, UsageError
from sampler.plan.target import Target

PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path", "is_tls"),
    [
        ("http://shop", "shop", 80, "shop", "/", False),
        ("https://shop", "shop", 443, "shop", "/", True),
        ("HTTP://Shop/A?b=%2F#c", "shop", 80, "shop", "/A?b=%2F", False),
        ("http://shop:8080/", "shop", 8080, "shop:8080", "/", False),
        ("https://shop:80/", "shop", 80, "shop:80", "/", True),
        ("http://shop:80", "shop", 80, "shop", "/", False),
        ("http://shop?q=1", "shop", 80, "shop", "/?q=1", False),
        ("http://[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x", False),
        ("http://[fe80::1%25eth0]:8080/", "fe80::1%eth0", 8080, "[fe80::1]:8080", "/", False),
        ("http://[fe80::1%eth0]/", "fe80::1%eth0", 80, "[fe80::1]", "/", False),
        ("shop/?next=http://other/", "shop", 80, "shop", "/?next=http://other/", False),
        ("http://[2001:db8::1]", "2001:db8::1", 80, "[2001:db8::1]", "/", False),
        ("10.0.0.1:30080/label", "10.0.0.1", 30080, "10.0.0.1:30080", "/label", False),
        ("shop", "shop", 80, "shop", "/", False),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_ask(url, host, port, authority, path, is_tls):
    target = Target(url)

    assert (target.host, target.port, target.authority) == (host, port, authority)
    assert target.request_target == path
    assert target.is_tls is is_tls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http:///path",
        "http:/shop/",
        "HTTPS:/shop",
        "ftp://shop/",
        "file:///etc/passwd",
        "http://shop:0/",
        "http://shop:65536/",
        "http://shop:x/",
        "http://[::1/",
        "http://user@shop/",
        "http://user:secret@shop/",
        "http://shop/a b",
        "http://shop/\r\nX: y",
        "http://shop/é",
        "http://münchen/",
        "http://shop/\x7f",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_with_a_hint(url):
    with pytest.raises(UsageError) as caught:
        Target(url)

    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "url", ["http://::1/", "http://::1:8080/x", "https://fe80::12", "http://2001:db8::1:80/"]
)
def test_an_address_of_ipv6_without_brackets_is_told_to_have_them(url):
    with pytest.raises(UsageError) as caught:
        Target(url)

    assert "brackets" in str(caught.value.hint)


@given(path=st.text(PRINTABLE, max_size=20), query=st.text(PRINTABLE, max_size=20))
def test_the_request_target_is_the_path_and_query_as_they_were_given(path, query):
    url = f"http://shop/{path}?{query}"

    asked = Target(url).request_target

    assert asked.startswith("/")
    assert "#" not in asked
    assert url.partition("#")[0].removeprefix("http://shop").removesuffix("?") == (
        asked.removesuffix("?")
    )


@given(text=st.text(max_size=30))
def test_any_text_is_either_a_target_or_a_usage_error(text):
    try:
        target = Target(text)
    except UsageError:
        return
    assert target.host
    assert 1 <= target.port <= 65_535
    assert urlsplit(f"http://{target.authority}").hostname == target.host


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_that_only_read_are_permitted(method):
    assert Target("shop", method=method).method == method


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "get", "PURGE"])
def test_methods_that_may_change_the_target_need_permission(method):
    with pytest.raises(UsageError) as caught:
        Target("shop", method=method)

    assert "--allow-unsafe" in (caught.value.hint or "")
    assert Target("shop", method=method, allow_unsafe=True).method == method


def test_a_body_needs_permission_even_with_get():
    with pytest.raises(UsageError):
        Target("shop", body=b"x")

    assert Target("shop", body=b"x", allow_unsafe=True).body == b"x"


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "GET /", "ÄGET"])
def test_a_method_that_is_no_token_is_refused(method):
    with pytest.raises(UsageError):
        Target("shop", method=method, allow_unsafe=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("X Y", "x"),
        ("X:", "x"),
        ("X\r\nY", "x"),
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\x00b"),
        ("X", "…"),
    ],
)
def test_a_header_that_would_break_the_request_is_refused(name, value):
    with pytest.raises(UsageError):
        Target("shop", headers=((name, value),))


@pytest.mark.parametrize("name", ["Connection", "content-length", "TRANSFER-ENCODING"])
def test_framing_headers_belong_to_the_sampler(name):
    with pytest.raises(UsageError):
        Target("shop", headers=((name, "x"),))


def test_ordinary_headers_are_kept_in_order():
    headers = (("Host", "a"), ("Cookie", "b=c; d=é"), ("X", ""), ("X", "\t"))

    assert Target("shop", headers=headers).headers == headers


@pytest.mark.parametrize("headers", [{"X-Canary": "always"}, "X-Canary: always"])
def test_headers_of_another_shape_are_refused_with_the_right_one(headers):
    with pytest.raises(UsageError, match="pairs of a header's name and value") as told:
        Target("http://app/", headers=headers)

    assert told.value.hint is not None
    assert "headers.items()" in str(told.value.hint)
