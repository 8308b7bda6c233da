"""Secrets in URLs do not reach what is printed or written."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sampler.base.errors import UsageError
from sampler.base.redaction import without_secrets
from sampler.plan.target import Target


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/?token=s3cret", "http://h/?token=***"),
        ("http://h/?page=2&access_token=s3cret&x=1", "http://h/?page=2&access_token=***&x=1"),
        ("http://h/?X-Amz-Signature=s3cret", "http://h/?X-Amz-Signature=***"),
        ("http://h/?apiKey=s3cret;authToken=s3cret", "http://h/?apiKey=***;authToken=***"),
        ("http://h/#id_token=s3cret", "http://h/#id_token=***"),
        ("http://user:s3cret@h/p", "http://***@h/p"),
        ("curl -i 'https://h/?sig=s3cret' and look", "curl -i 'https://h/?sig=***' and look"),
        ("http://h/?CLIENT_SECRET=s3cret", "http://h/?CLIENT_SECRET=***"),
    ],
)
def test_secrets_in_urls_are_left_out(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://h/?page=2&design=blue&assignment=v1", "http://h/keys/token?q=tokens",
        "v1=9,v2=1", "--expect", "http://h/?keyboard=de", "mail user@host",
    ],
)  # fmt: skip
def test_everything_else_stays_as_it_is(text):
    assert without_secrets(text) == text


def test_what_is_asked_keeps_its_secret_and_what_is_shown_is_still_a_url():
    target = Target("http://h/?token=s3cret")

    assert target.request_target == "/?token=s3cret"
    assert Target(target.shown).request_target == "/?token=***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/?code=s3cret", "http://h/?code=***"),
        ("http://h/?pw=s3cret&status_code=500", "http://h/?pw=***&status_code=500"),
        ("http://h/?access%5Ftoken=s3cret", "http://h/?access%5Ftoken=***"),
        ("http://h/?token1=s3cret&tokens=s3cret", "http://h/?token1=***&tokens=***"),
        ("http://h/?token=s3c;ret&x=1", "http://h/?token=***&x=1"),
        ("http://h/?token=s3c?ret", "http://h/?token=***"),
        ("http://h/?next=/x?token=s3cret", "http://h/?next=/x?token=***"),
        ("http://h/?" + "x" * 500 + "_token=s3cret", "http://h/?" + "x" * 500 + "_token=***"),
        ("http://user:s3/cret@h/", "http://***@h/"),
        ("http://user:s3?cr#et@h/", "http://***@h/"),
        ("http://user:s3c@ret@h/", "http://***@h/"),
        ("1http://user:s3cret@h/", "1http://***@h/"),
        ("x://a/?u=http://user:s3cret@h/ end", "x://a/?u=http://***@h/ end"),
        ("GET /p?access_token=s3cret HTTP/1.1", "GET /p?access_token=*** HTTP/1.1"),
        ('{"access_token": "s3cret", "x": "y"}', '{"access_token": "***", "x": "y"}'),
        (r"{\"password\":\"s3cret\"}", r"{\"password\":\"***\"}"),
        ("{'api_key': 's3cret'}", "{'api_key': '***'}"),
        ("Authorization: Bearer s3cret", "Authorization: ***"),
        ("X-Api-Key: s3cret", "X-Api-Key: ***"),
        ("the token 'Bearer s3cret' is wrong", "the token 'Bearer ***' is wrong"),
    ],
)
def test_a_secret_is_known_however_it_is_written(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://h:8080/@scope/name", "http://[::1]:80/a@b", "http://h/a@b?x=c@d",
        "see http://h: a@b",
        '{"label": "v1"}', "a bearer of news", "http://h/?a=b;c=d", "://", "?=", "?token=",
    ],
)  # fmt: skip
def test_what_only_resembles_one_stays(text):
    assert without_secrets(text) == text


def test_in_a_url_a_quote_or_a_blank_ends_no_secret():
    url = "http://h/?token=s3c'r\"e t&x=1"

    assert without_secrets(url, is_url=True) == "http://h/?token=***&x=1"
    assert without_secrets("http://u:s3c're t@h/", is_url=True) == "http://***@h/"


@pytest.mark.parametrize(
    "piece",
    ["a", "a://", "://a", "?a", "&a=", ";", "?token=;", "://a:b", '"', '"a', '"token":"', "Bearer ",
     "authorization", "-", "api-", "\\", "@", "://a:b@", " ", "?token=a;b", "'a':'\\"],
)  # fmt: skip
def test_the_time_is_that_of_reading_once(piece):
    """Sixteen times the text may not take a hundred times as long, as a quadratic rule would."""

    def seconds(count):
        text = piece * count
        started = time.process_time()
        without_secrets(text)
        return time.process_time() - started

    short = max(min(seconds(4_000) for _ in range(3)), 1e-4)
    assert any(seconds(64_000) < 100 * short for _ in range(3))  # once may be the machine


SECRET = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=12, max_size=20)
PLACES = [
    "http://shop/?access_token={}", "http://u:{}@shop/", "http://u:x/{}@shop/",
    "http://shop/#code={}", "Authorization: Bearer {}", '{{"password": "{}"}}', "?sig={}",
    "/p?a=b&X-Amz-Signature={} HTTP/1.1",
]  # fmt: skip


@given(SECRET, st.sampled_from(PLACES), st.text(max_size=30), st.text(max_size=30))
def test_a_planted_secret_is_found_in_any_text(secret, place, before, after):
    assume(secret not in before + after)

    assert secret not in without_secrets(f"{before} {place.format(secret)} {after}")


@given(SECRET, st.sampled_from(["http://shop/?access_token={}", "http://shop/?q=1&pw={}x#y"]))
def test_no_form_of_a_target_shows_a_planted_secret(secret, url):
    target = Target(url.format(secret), headers=(("X-Key", secret),), body=secret.encode(),
                    allow_unsafe=True)  # fmt: skip

    assert secret not in f"{target!r} {target} {target.shown}"
    assert secret in target.request_target


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://user:PSEC/RET@127.0.0.1:23841/", ()),
        ("http://user:PSECRET@h/", ()),
        ("http:/h/?token=PSECRET", ()),
        ("ftp://h/?token=PSECRET", ()),
        ("http://h:0/?token=PSECRET", ()),
        ("http://h/?token=PSE CRET", ()),
        ("http://[x/?token=PSECRET", ()),
        ("http://h/", (("Authorization", "Bearer PSECRET…"),)),
        ("http://h/", (("Author ization", "PSECRET"),)),
        ("http://h/", (("Authorization: PSECRET", ""),)),
    ],
)
def test_no_refusal_of_a_target_shows_a_secret(url, headers):
    with pytest.raises(UsageError) as refused:
        Target(url, headers=headers)

    said = f"{refused.value} {refused.value.hint}"
    assert not re.search("PSE|CRET|RET@", said)


def test_certificates_for_plain_http_are_refused_without_the_secret():
    with pytest.raises(UsageError, match=r"http://h/\?token=\*\*\* has none"):
        Target("http://h/?token=PSECRET", insecure=True)
