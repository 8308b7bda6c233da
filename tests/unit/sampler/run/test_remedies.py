"""What to do about a target that gives no label."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from analysis.data.report import ReasonCode
from analysis.data.split import Split
from analysis.data.tally import Tally
from sampler.exchange.failure import Failure, FailureCode, no_label
from sampler.exchange.http1.response import ProtocolViolation, ResponseReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.door import sample
from sampler.run.remedies import explain_unlabelled


def explain(failure, label="/label", url="http://shop/x?a=1&b=2", **target):
    tally = Tally(outcomes=Counter({failure.outcome: 16}))
    plan = RunPlan(
        Target(url, **target), label=LabelRule.parse(label), split=Split.parse("v1=9,v2=1")
    )
    return explain_unlabelled(tally, plan, {failure.outcome: [failure]})


def missing(status, body=b"", headers=(), label="/label"):
    fields = tuple((name.encode(), value.encode()) for name, value in headers)
    return no_label(LabelRule.parse(label), status, fields, body)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (200, b"<html>", "set --label to the place of its version"),
        (204, b"", "set --label to the place of its version"),
        (302, b"", "redirects are not followed"),
        (200, b'<form><input name="p" type="password"></form>', "not behind the login"),
        (400, b"The plain HTTP request was sent to HTTPS port", "use https://"),
        (400, b"no", "set --label to the place of its version"),
        (401, b"", "--header 'Authorization: …'"),
        (403, b"", "--header 'Authorization: …'"),
        (404, b"", "check the path"),
        (503, b"", "ready endpoints"),
    ],
)
def test_an_answer_without_a_label_has_the_remedy_for_its_status(status, body, remedy):
    reason = explain(missing(status, body))

    assert reason.code is ReasonCode.UNMEASURABLE
    assert f"status {status}" in reason.message
    assert remedy in reason.remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (FailureCode.REFUSED, "curl -v 'http://shop/"),
        (FailureCode.UNREACHABLE, "ready endpoints"),
        (FailureCode.CERTIFICATE, "--cacert FILE"),
        (FailureCode.NOT_TLS, "http://"),
        (FailureCode.HANDSHAKE, "curl -v 'http://shop/"),
        (FailureCode.NO_CONNECTION_IN_TIME, "ready endpoints"),
        (FailureCode.NO_ANSWER_IN_TIME, "--timeout"),
        (FailureCode.TOO_LARGE, "smaller"),
        (FailureCode.NOT_HTTP, "right port"),
        (FailureCode.CLOSED, "does it expect https?"),
        (FailureCode.NO_RESOURCES, "ulimit -n"),
        (FailureCode.NO_ADDRESS, "ip addr"),
    ],
)
def test_each_failure_has_a_remedy_of_its_own(code, remedy):
    reason = explain(Failure(code, "as the system words it"))

    assert "(as the system words it)" in reason.message
    assert "none of the first 16 requests to http://shop/x?a=1&b=2 gave a label" in reason.message
    assert remedy in reason.remedy
    assert reason.failure == code.key


@pytest.mark.parametrize("code", FailureCode)
def test_no_failure_is_left_without_a_remedy(code):
    assert explain(Failure(code, "")).remedy


@pytest.mark.parametrize(
    ("status", "headers", "remedy"),
    [
        (301, (("Location", "https://shop/new"),), "lead to: https://shop/new"),
        (302, (("Location", "https://shop/login?next=/"),), "the target wants a login"),
        (302, (("Location", "/oauth2/start?rd=/"),), "the target wants a login"),
        (302, (("Location", "https://shop/authors"),), "lead to: https://shop/authors"),
        (405, (("Allow", "HEAD"),), "(allowed: HEAD): --method NAME"),
        (405, (("Allow", "POST, PUT"),), "--method NAME --allow-unsafe"),
        (407, (), "proxy"),
        (421, (), "--resolve NAME"),
        (426, (("Upgrade", "h2c"),), "the target wants h2c"),
        (429, (("Retry-After", "1"),), "--max-rate"),
        (431, (), "shorter --header"),
        (496, (), "--cert FILE"),
        (200, (("Content-Encoding", "dcb"),), "turn off the compression"),
        (200, (("X-App-Version", "v1"),), "--label header:X-App-Version"),
        (404, (("X-App-Version", "v1"),), "--label header:X-App-Version"),
        (404, (("X-App-Version", "7"),), "check the path"),
        (200, (("Set-Cookie", "version=v2"),), "--label cookie:version"),
    ],
)
def test_the_head_of_an_answer_says_what_to_do(status, headers, remedy):
    assert remedy in explain(missing(status, b"no", headers)).remedy


@pytest.mark.parametrize(
    ("start", "remedy"),
    [
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "speaks HTTP/2 alone"),
        (b"\x00\x00$\x04\x00\x00\x00\x00\x00", "speaks HTTP/2 alone"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "use https://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
        (b"220 mail ESMTP\r\n", "is this the right port"),
    ],
)
def test_the_start_of_what_is_no_http_says_what_it_is(start, remedy):
    with pytest.raises(ProtocolViolation) as caught:
        ResponseReader(bodyless=False, max_header_bytes=1000, max_body_bytes=1000).feed(start)

    assert remedy in explain(Failure(FailureCode.NOT_HTTP, str(caught.value))).remedy


def test_a_400_about_a_certificate_wants_one():
    page = b"<center>No required SSL certificate was sent</center>"

    assert "--cert FILE" in explain(missing(400, page)).remedy


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("Set-Cookie", "--label cookie:NAME"), ("X-Version", "--label header:X-Version:EXPR")],
)
def test_several_fields_with_different_values_are_told_how_to_read_one(name, remedy):
    label, fields = f"header:{name}", ((name, "a=1"), (name, "b=2"))

    reason = explain(missing(200, b"no", fields, label), label)

    assert f"2 fields {name} with different values" in reason.message
    assert remedy in reason.remedy


def test_a_label_in_the_head_takes_no_body():
    large = Failure(FailureCode.TOO_LARGE, "the response body is larger than 9 bytes")

    assert "--method HEAD" in explain(large, "header:X-Version").remedy
    assert "--method HEAD" not in explain(large).remedy


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("TLSV1_UNRECOGNIZED_NAME", "https://NAME:8443/ with --resolve NAME:8443:10.0.0.7"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "--cert FILE"),
        ("TLSV1_ALERT_UNKNOWN_CA", "--cert FILE"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "no version of TLS in common"),
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "HTTP/1.1"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "s_client -connect 10.0.0.7:8443"),
        ("EE_KEY_TOO_SMALL", "stronger"),
        ("", "curl -v"),
    ],
)
def test_an_alert_has_a_remedy_of_its_own(reason, remedy):
    failure = Failure(FailureCode.HANDSHAKE, "", reason=reason)

    assert remedy in explain(failure, url="https://10.0.0.7:8443/").remedy


def test_a_client_certificate_that_was_shown_is_not_asked_for():
    failure = Failure(FailureCode.HANDSHAKE, "", reason="TLSV1_ALERT_UNKNOWN_CA")

    told = explain(failure, url="https://shop/", cert="me.pem").remedy

    assert "does not accept the client certificate me.pem" in told


@pytest.mark.parametrize(
    ("number", "remedy"),
    [("10", "expired"), ("9", "clocks"), ("62", "--resolve"), ("18", "--cacert")],
)
def test_a_certificate_is_told_what_is_wrong_with_it(number, remedy):
    assert remedy in explain(Failure(FailureCode.CERTIFICATE, "", reason=number)).remedy


def test_words_of_another_failure_decide_nothing():
    certificate = "connect to shop:443: certificate: TLS: WRONG_VERSION_NUMBER, status 404"

    assert explain(Failure(FailureCode.REFUSED, certificate)) == replace(
        explain(Failure(FailureCode.REFUSED, "")),
        message=explain(Failure(FailureCode.REFUSED, certificate)).message,
    )


def test_a_run_that_ends_before_its_first_request_was_due_measured_nothing():
    load, limits = Load(rate=1e-6), Limits(max_time_s=0.001)

    report = asyncio.run(sample(Target("http://127.0.0.1:9/"), limits, load=load, seed=1))

    (reason,) = report.reasons
    assert reason.code is ReasonCode.UNMEASURABLE
    assert "at 1e-06 requests/s none was due within 0.001 s" in reason.message
