"""What is sent is what was asked for, once, and nothing else."""

from __future__ import annotations

import pytest

from analysis import Outcome
from sampler.plan.target import USER_AGENT
from tests.conformance.scripted import Act, Turns


def test_a_request_carries_our_fields_and_no_others(exchange, answer):
    seen = exchange([answer()], path="/a%20b/?q=%2F&r=1#gone", connection="reuse")

    (request,) = seen.server.requests
    assert request.line == "GET /a%20b/?q=%2F&r=1 HTTP/1.1"
    assert sorted(request.fields) == [
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("host", f"127.0.0.1:{seen.server.port}"),
        ("user-agent", USER_AGENT),
    ]


def test_a_path_is_sent_as_it_was_given(exchange, answer):
    path = "/%7Euser/../a//b;c=1/%E2%82%AC+x?a=b+c&d=%5B%5D&e='(1)'"

    seen = exchange([answer()], path=path)

    assert seen.server.requests[0].line == f"GET {path} HTTP/1.1"


def test_headers_of_the_target_are_sent_and_replace_ours(exchange, answer):
    headers = (
        ("Host", "shop.example"),
        ("user-agent", "probe"),
        ("X-Twice", "a"),
        ("X-Twice", "b"),
        ("Authorization", "Bearer t"),
    )

    seen = exchange([answer()], headers=headers, connection="reuse")

    assert sorted(seen.server.requests[0].fields) == [
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer t"),
        ("host", "shop.example"),
        ("user-agent", "probe"),
        ("x-twice", "a"),
        ("x-twice", "b"),
    ]


@pytest.mark.parametrize("body", [b"", b'{"n": 1}', b"x" * 6_000_000], ids=["none", "small", "big"])
def test_a_body_is_sent_with_its_length_alone(exchange, answer, body):
    seen = exchange([answer()], n=2, method="POST", body=body, connection="reuse")

    assert seen.labels == ["v1"] * 2
    for request in seen.server.requests:
        assert request.line == "POST / HTTP/1.1"
        assert request.body == body
        fields = dict(request.fields)
        assert fields["content-length"] == str(len(body))
        assert not {"content-type", "transfer-encoding", "expect"} & set(fields)


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
def test_a_server_may_answer_before_it_has_read_a_large_body(exchange, answer, connection):
    refusal = answer("v1", status="413 Content Too Large", fields="Connection: close\r\n")

    seen = exchange(
        greeting=[Turns(), refusal, Turns(60), Act.CLOSE],
        n=3,
        method="POST",
        body=b"x" * 16_000_000,
        connection=connection,
        unread=3,
    )

    assert seen.labels == ["v1"] * 3
    assert set(seen.batch.status) == {413}
    assert seen.server.connections == 3


def test_a_connection_whose_request_is_not_out_is_not_used_for_the_next_one(exchange, answer):
    seen = exchange(
        greeting=[Turns(), answer(), Turns(60), Act.CLOSE],
        n=3,
        method="POST",
        body=b"x" * 16_000_000,
        connection="reuse",
        unread=3,
    )

    assert seen.labels == ["v1"] * 3
    assert seen.server.connections == 3


def test_a_redirect_is_an_answer_and_is_not_followed(exchange, answer):
    wire = answer(status="302 Found", fields="Location: /elsewhere\r\n")

    seen = exchange([wire], n=2, label="status", connection="reuse")

    assert seen.labels == ["302"] * 2
    assert {request.line for request in seen.server.requests} == {"GET / HTTP/1.1"}


def test_cookies_are_not_sent_back(exchange, answer):
    wire = answer(fields="Set-Cookie: pod=7; Path=/\r\n")

    # aiohttp's jar ignores what an address sets, but not what a name sets.
    seen = exchange([wire], n=3, host="localhost", connection="2:2")

    assert seen.only() is Outcome.OK
    assert all("cookie" not in dict(request.fields) for request in seen.server.requests)


def test_a_proxy_named_in_the_environment_is_not_used(exchange, answer, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert exchange([answer()]).labels == ["v1"]


def test_credentials_of_a_netrc_are_not_sent(exchange, answer, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    seen = exchange([answer()])

    assert "authorization" not in dict(seen.server.requests[0].fields)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
@pytest.mark.parametrize("connection", ["fresh", "reuse"])
@pytest.mark.parametrize("last", [Act.CLOSE, Act.RESET])
def test_no_request_is_ever_repeated(exchange, method, connection, last):
    seen = exchange([last], n=5, concurrency=2, method=method, connection=connection)

    # `exchange` holds the server's count against ours.
    assert len(seen.server.requests) == 5
    assert seen.only() is (Outcome.CLOSED if last is Act.CLOSE else Outcome.RESET)


def test_a_request_is_not_repeated_when_the_server_takes_connections_and_drops_them(exchange):
    seen = exchange(greeting=[Act.CLOSE], n=5, unread=5)

    assert seen.server.connections == 5
    assert set(seen.outcomes) <= {Outcome.CLOSED, Outcome.RESET}


def test_an_answer_on_an_opening_connection_is_no_reason_to_hang(exchange, answer):
    seen = exchange(greeting=[answer(), Act.CLOSE], n=3, unread=3, timeout_s=1)

    assert sum(seen.outcomes.values()) == 3
