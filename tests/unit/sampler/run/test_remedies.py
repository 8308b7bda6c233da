"""What to do about a target that gives no label."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter

import pytest

from analysis import Outcome
from analysis.data.report import ReasonCode
from analysis.data.tally import Tally
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.target import Target
from sampler.run.gate import sample
from sampler.run.remedies import explain_unlabelled


def explain(outcome, detail):
    tally = Tally(outcomes=Counter({outcome: 16}))
    return explain_unlabelled(tally, Target("http://shop/x?a=1&b=2"), {outcome: [detail]})


def missing(status, body=b"", headers=()):
    return LabelReader(LabelRule.parse("/label")).describe_missing(status, headers, body)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (200, b"<html>", "say where its version is with --label"),
        (204, b"", "say where its version is with --label"),
        (302, b"", "redirects are not followed"),
        (400, b"The plain HTTP request was sent to HTTPS port", "ask it with https://"),
        (400, b"no", "say where its version is with --label"),
        (401, b"", "--header 'Authorization: …'"),
        (403, b"", "--header 'Authorization: …'"),
        (404, b"", "check the path"),
        (503, b"", "ready endpoints"),
    ],
)
def test_an_answer_without_a_label_has_the_remedy_for_its_status(status, body, remedy):
    reason = explain(Outcome.UNLABELLED, missing(status, body))

    assert reason.code is ReasonCode.UNMEASURABLE
    assert f"status {status}" in reason.message
    assert remedy in reason.remedy


@pytest.mark.parametrize(
    ("outcome", "detail", "remedy"),
    [
        (Outcome.CONNECT_FAILED, "connect to shop:80: Connection refused", "curl -v 'http://shop/"),
        (Outcome.CONNECT_FAILED, "connect to shop:443: certificate: expired", "--cacert FILE"),
        (Outcome.CONNECT_FAILED, "connect to shop:1: TLS: WRONG_VERSION_NUMBER", "http://"),
        (Outcome.CONNECT_TIMEOUT, "connect to shop:80: no answer within 2 s", "ready endpoints"),
        (Outcome.TIMEOUT, "no complete answer within 5 s", "--timeout"),
        (Outcome.TOO_LARGE, "the response body is larger than 1 bytes", "smaller"),
        (Outcome.PROTOCOL, "not an HTTP/1 response", "right port"),
        (Outcome.CLOSED, "closed by the server without an answer", "expects https"),
        (Outcome.CLIENT_LIMIT, "Too many open files", "ulimit -n"),
        (Outcome.CLIENT_LIMIT, os.strerror(errno.EADDRNOTAVAIL), "ip addr"),
    ],
)
def test_each_failure_has_a_remedy_of_its_own(outcome, detail, remedy):
    reason = explain(outcome, detail)

    assert detail in reason.message
    assert "of the first 16 requests to http://shop/x?a=1&b=2 none gave a label" in reason.message
    assert remedy in reason.remedy


def test_a_run_that_ends_before_its_first_request_was_due_measured_nothing():
    load, limits = Load(rate=1e-6), Limits(max_time_s=0.001)

    report = asyncio.run(sample(Target("http://127.0.0.1:9/"), limits, load=load, seed=1))

    (reason,) = report.reasons
    assert reason.code is ReasonCode.UNMEASURABLE
    assert "at 1e-06 requests/s none was due within 0.001 s" in reason.message
