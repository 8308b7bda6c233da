import pytest

from sampler.demo.answers import (
    MAX_HEAD_BYTES,
    Answers,
    BadRequestError,
    Request,
    RequestReader,
    read_head,
)
from sampler.demo.pods import Faults, Pod

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"


def head(*lines, version=b"1.1", method=b"GET"):
    return b"\r\n".join((method + b" / HTTP/" + version, b"Host: x", *lines))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("version", "line", "persists", "announces"),
    [
        (b"1.1", b"X: y", True, b""),
        (b"1.1", b"Connection: close", False, b"Connection: close\r\n"),
        (b"1.1", b"connection:Foo , CLOSE", False, b"Connection: close\r\n"),
        (b"1.1", b"Connection: keep-alive", True, b""),
        (b"1.0", b"X: y", False, b"Connection: close\r\n"),
        (b"1.0", b"Connection: Keep-Alive", True, b"Connection: keep-alive\r\n"),
        (b"1.0", b"Connection: keep-alive, close", False, b"Connection: close\r\n"),
    ],
)
def test_the_answer_announces_what_becomes_of_the_connection(
    method, version, line, persists, announces
):
    request = read_head(head(line, version=version, method=method))

    good = Answers.of(Pod("app-3", "v1")).good
    body = b'{"label": "v1", "host": "app-3"}'
    expected = (
        b"HTTP/1.1 200 OK\r\nServer: weighbridge-demo\r\nContent-Type: application/json\r\n"
        b"Content-Length: 32\r\n" + announces + b"\r\n"
    ) + (b"" if method == b"HEAD" else body)
    assert request.persists is persists
    assert good[request.form] == expected
    assert b"Connection: close\r\n" in good[request.closing_form]
    assert good[request.closing_form].endswith(body) is (method == b"GET")


def test_a_label_that_json_must_escape_is_escaped():
    assert (
        Answers.of(Pod("app-1", 'v"1"é'))
        .good[0]
        .endswith(b'{"label": "v\\"1\\"\\u00e9", "host": "app-1"}')
    )


def test_an_error_carries_no_label():
    answers = Answers.of(Pod("app-1", "v1"))

    assert answers.error[0].startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"v1" not in answers.error[0]


def test_a_pod_that_answers_html_says_so():
    answer = Answers.of(Pod("app-1", "v1", Faults(html=True))).good[0]

    assert b"Content-Type: text/html" in answer
    assert b"v1" not in answer


def test_a_known_request_is_recognised_only_as_a_whole():
    reader = RequestReader()
    reader.read(GET)

    assert reader.whole(GET) == Request(form=0, persists=True)
    assert reader.whole(GET + GET) is None
    assert reader.whole(GET[:-1]) is None


def test_a_request_with_a_body_is_never_recognised_as_a_whole():
    reader = RequestReader()
    post = head(b"Content-Length: 3") + b"\r\n\r\n"

    assert reader.read(post) == (Request(form=0, persists=True, body_length=3), len(post))
    assert reader.whole(post) is None


def test_requests_that_all_differ_do_not_fill_the_memory():
    reader = RequestReader()
    requests = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(1000)]

    for request in requests:
        reader.read(request)

    assert sum(reader.whole(request) is not None for request in requests) <= 128


def test_empty_lines_before_a_request_are_ignored():
    assert RequestReader().read(b"\r\n\r\n" + GET) == (
        Request(form=0, persists=True),
        len(GET) + 4,
    )


def test_a_body_that_waits_for_permission_is_noticed():
    lines = (b"Content-Length: 3", b"Expect: 100-continue")

    assert read_head(head(*lines)).expects_continue
    assert not read_head(head(*lines, version=b"1.0")).expects_continue


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"{}",
        b"A" * 40,
    ],
)
def test_what_cannot_become_a_request_is_refused_before_its_end(garbage):
    with pytest.raises(BadRequestError) as caught:
        RequestReader().read(garbage)

    assert caught.value.answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in caught.value.answer


@pytest.mark.parametrize("ending", [b"", b"\r\n\r\n"])
def test_a_head_that_is_too_large_is_refused(ending):
    data = head(b"X: " + b"a" * MAX_HEAD_BYTES) + ending

    with pytest.raises(BadRequestError, match="exceeds"):
        RequestReader().read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/2.0\r\nHost: x",
        b"GET /\r\nHost: x",
        b"GET  / HTTP/1.1\r\nHost: x",
        b"GET / HTTP/1.1",
        head(b"Host: y"),
        head(b"No colon"),
        head(b"Space : x"),
        head(b" folded"),
        head(b"X: a\nb"),
        head(b"X: a\x00b"),
        head(b"Content-Length: -1"),
        head(b"Content-Length: 1, 1"),
        head(b"Content-Length: 1", b"Content-Length: 2"),
    ],
)
def test_a_head_that_breaks_the_rules_is_refused(data):
    with pytest.raises(BadRequestError):
        read_head(data)


def test_a_body_without_a_length_is_refused_with_411():
    with pytest.raises(BadRequestError) as caught:
        read_head(head(b"Transfer-Encoding: chunked"))

    assert caught.value.answer.startswith(b"HTTP/1.1 411 Length Required\r\n")


def test_equal_lengths_count_as_one():
    assert read_head(head(b"Content-Length: 5", b"Content-Length: 5")).body_length == 5
