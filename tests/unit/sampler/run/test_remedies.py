"""What to do about a target that gives no label."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from analysis.data.report import ReasonCode
from analysis.data.tally import Tally
from sampler.exchange.failure import Failure, FailureCode, no_label
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.target import Target
from sampler.run.door import sample
from sampler.run.remedies import explain_unlabelled


def explain(failure):
    tally = Tally(outcomes=Counter({failure.outcome: 16}))
    target = Target("http://shop/x?a=1&b=2")
    return explain_unlabelled(tally, target, {failure.outcome: [failure]})


def missing(status, body=b"", headers=()):
    return no_label(LabelReader(LabelRule.parse("/label")), status, headers, body)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (200, b"<html>", "set --label to the place of its version"),
        (204, b"", "set --label to the place of its version"),
        (302, b"", "redirects are not followed"),
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
