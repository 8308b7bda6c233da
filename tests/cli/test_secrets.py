"""Secrets that are planted at every input are found in no stream and in no file."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.answering import answering, each_connection, response

pytestmark = pytest.mark.in_process

SECRET = "PSECRET"
PLANTED = (
    "--header", f"Authorization: Bearer {SECRET}1",
    "--header", f"X-Api-Key: {SECRET}2",
    "--header", f"Cookie: session={SECRET}3",
)  # fmt: skip
QUERY = f"?access_token={SECRET}4&page=2&X-Amz-Signature={SECRET}5#code={SECRET}6"
DOCUMENTS = ("json", "junit", "markdown", "metrics", "dotenv", "html", "annotations")


@contextmanager
def echoing(make):
    """Serve an answer made from the request, for each connection; give the host and port."""
    with each_connection(lambda _, request: make(request)) as address:
        yield address


def page(request):
    """Quote the request, as error pages do."""
    head = f"HTTP/1.1 500 Oops\r\nContent-Length: {len(request)}\r\nConnection: close\r\n\r\n"
    return head.encode() + request


def redirect(request):
    path = request.split(b" ")[1]
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://u:%s7@h%s\r\n\r\n" % (
        SECRET.encode(),
        path,
    )


def no_http(request):
    return b"ERR " + request


def late_no_http(request):
    return b"HTTP/1.1 200 OK\r\nX: " + request.replace(b"\r\n", b" ") + b"\0\r\n\r\n"


def document(request):
    body = b'{"password": "%s8", "asked": "%s"}' % (SECRET.encode(), request.split(b"\r")[0])
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def found_in(folder, *texts):
    """Give where a secret can be read."""
    places = [str(file) for file in folder.rglob("*") if file.is_file()
              and SECRET.encode() in file.read_bytes()]  # fmt: skip
    return places + [text for text in texts if SECRET in text]


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("answer", [page, redirect, no_http, late_no_http, document])
def test_a_secret_of_the_request_is_in_no_stream_and_no_file(
    weighbridge, tmp_path, monkeypatch, answer, transport
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/-/jobs/1")
    monkeypatch.setenv("SHOP_TOKEN", f"{SECRET}7")
    documents = [word for name in DOCUMENTS for word in (f"--{name}", f"out.{name}")]
    with echoing(answer) as place:
        url = f"http://{place}/p{QUERY}"
        done = weighbridge("check", url, "--expect", "v1=9,v2=1", "--max-samples", "40",
                           "--transport", transport, "--github", *PLANTED, *documents)  # fmt: skip
        run = next((tmp_path / "reports").iterdir())
        again = weighbridge("report", str(run), "--html")
        weighed = weighbridge("judge", str(run), "--expect", "v1=9,v2=1", "--json", "again.json")

    assert found_in(tmp_path, *(each for one in (done, again, weighed) for each in
                                (one.stdout, one.stderr))) == []  # fmt: skip
    assert (tmp_path / "out.html").exists()
    assert done.returncode != 70


@pytest.mark.parametrize(
    "arguments",
    [
        ("--header", f"Authorization Bearer {SECRET}"),
        ("--header", f"Authorization: Bearer {SECRET}\u2026"),
        ("--header", f"Author ization: {SECRET}"),
        ("--max-time", "soon", "--header", f"X-Api-Key: {SECRET}"),
    ],
)
def test_a_slip_at_an_option_shows_no_secret(weighbridge, tmp_path, arguments):
    done = weighbridge("check", "http://127.0.0.1:9/", "--expect", "v1=1", *arguments)

    assert done.returncode == 2
    assert found_in(tmp_path, done.stdout, done.stderr) == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}/x@127.0.0.1:9/",
        f"http:/user:{SECRET}@127.0.0.1:9/",
        f"http:user:{SECRET}@127.0.0.1:9/",
        f"user:{SECRET}@127.0.0.1:9/",
        f"http:///user:{SECRET}@127.0.0.1:9/",
        f"https:\\\\user:{SECRET}@127.0.0.1:9/",
        f"user:{SECRET}/x@127.0.0.1:9/",
        f"ftp://127.0.0.1/?password={SECRET}",
        f"http://127.0.0.1:99999/?token={SECRET}",
        f"http://[::1/?token={SECRET}",
    ],
)
def test_a_slip_in_a_url_shows_no_secret(weighbridge, tmp_path, url):
    done = weighbridge("check", url, "--expect", "v1=1")

    assert found_in(tmp_path, done.stdout, done.stderr) == []


def test_the_search_finds_a_secret_that_is_there(weighbridge, tmp_path):
    with answering(lambda _: response("200 OK", SECRET)) as url:
        done = weighbridge("sample", url, "--max-samples", "20")

    assert len(found_in(tmp_path, done.stdout)) > 2  # a label is no secret
