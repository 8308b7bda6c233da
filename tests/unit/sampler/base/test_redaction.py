"""Secrets in URLs do not reach what is printed or written."""

from __future__ import annotations

import pytest

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
