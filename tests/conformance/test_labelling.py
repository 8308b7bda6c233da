"""Every rule reads the same from both transports."""

from __future__ import annotations

import pytest

from analysis import Outcome
from sampler.exchange.failure import FailureCode

HTML = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 22\r\n\r\n<html>upstream</html>\r\n"


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("/label", "v1"),
        ("header:X-VERSION", "blue"),
        ("status", "201"),
        (r'regex:"label": "(\w+)"', "v1"),
    ],
)
def test_a_rule_finds_its_label(exchange, answer, rule, expected, connection):
    wire = answer(status="201 Created", fields="X-Other: no\r\nx-version:  blue \r\n")

    seen = exchange([wire], n=3, label=rule, replica="status", connection=connection)

    assert seen.only() is Outcome.OK
    assert seen.labels == [expected] * 3
    assert seen.replicas == ["201"] * 3
    assert set(seen.batch.status) == {201}


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
def test_labels_are_those_of_their_own_answers(exchange, answer, connection):
    names = [f"v{number % 3}" for number in range(30)]

    seen = exchange(lambda request: [answer(names[request.number])], n=30, connection=connection)

    assert seen.labels == names


def test_a_header_that_changes_is_read_each_time(exchange, answer):
    seen = exchange(
        lambda request: [answer(fields=f"X-Pod: p{request.number}\r\n")],
        n=4,
        label="header:x-pod",
        connection="reuse",
    )

    assert seen.labels == ["p0", "p1", "p2", "p3"]


def test_an_answer_without_a_label_is_unlabelled_and_described(exchange):
    seen = exchange([HTML], n=2)

    assert seen.only() is Outcome.UNLABELLED
    assert seen.labels == [None, None]
    assert set(seen.batch.status) == {502}
    assert (seen.failure.code, seen.failure.status) == (FailureCode.NO_LABEL, 502)
    assert "502" in seen.failure.text
    assert "/label" in seen.failure.text
    assert "<html>upstream" in seen.failure.text


def test_a_server_that_wants_tls_is_told_from_one_without_a_label(exchange):
    body = b"<title>400 The plain HTTP request was sent to HTTPS port</title>"
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)

    seen = exchange([head + body])

    assert (seen.failure.code, seen.failure.status) == (FailureCode.HTTPS_EXPECTED, 400)


def test_a_redirect_has_no_label_in_its_body(exchange):
    seen = exchange([b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"])

    assert seen.only() is Outcome.UNLABELLED


def test_a_header_rule_does_not_need_the_body_to_be_json(exchange):
    seen = exchange([HTML.replace(b"\r\n", b"\r\nX-Version: v2\r\n", 1)], label="header:X-Version")

    assert seen.labels == ["v2"]
