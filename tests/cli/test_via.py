"""``check --via``: what a server says becomes the report and the exit code of a check."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sampler.cli.entry import main
from tests.processes import REPOSITORY

REPORT = (REPOSITORY / "tests" / "stored" / "first" / "report.json").read_bytes()
ID = "0123456789abcdef"


class Answers:
    """A server that gives one answer after another, and keeps what it was asked."""

    def __init__(self):
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str, object, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = self.headers.get("Authorization")
                outer.asked.append((self.command, self.path, body and json.loads(body), token))
                status, data = outer.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names of http.server

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server():
    answers = Answers()
    yield answers
    answers.server.shutdown()
    answers.server.server_close()


def document(verdict, exit_code=None, report=f"/v1/checks/{ID}/report"):
    told = {"id": ID, "final": exit_code is not None, "verdict": verdict, "hint": "do that"}
    return json.dumps(
        told | {"line": f"{verdict}: so it is", "exit_code": exit_code, "report": report}
    ).encode()


def problem(status):
    told = {"status": status, "detail": "this is wrong", "hint": "do that"}
    return status, json.dumps(told).encode()


@pytest.mark.parametrize(
    ("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 3), ("INCONCLUSIVE", 4)]
)
def test_the_verdict_of_a_server_is_printed_written_and_the_exit_code(
    server, capsys, tmp_path, verdict, code
):
    server.answers = [
        (202, document("PENDING")),
        (200, document("PENDING")),
        (200, document(verdict, code)),
        (200, REPORT),
    ]
    token, file = tmp_path / "token", tmp_path / "report.json"
    token.write_text("# mine\nsecret\n", encoding="ascii")

    ended = main(["check", "--via", f"{server.url}/", "--gate", "shop", "--expect", "v1=9,v2=1",
                  "--token-file", str(token), "--json", str(file)])  # fmt: skip

    assert ended == code
    assert [(method, path) for method, path, _, _ in server.asked] == [
        ("POST", "/v1/gates/shop/checks"),
        ("GET", f"/v1/checks/{ID}?wait=20"),
        ("GET", f"/v1/checks/{ID}?wait=20"),
        ("GET", f"/v1/checks/{ID}/report"),
    ]
    assert server.asked[0][2] == {"wait": 0, "expect": "v1=9,v2=1"}
    assert {asked[3] for asked in server.asked} == {"Bearer secret"}
    assert json.loads(REPORT)["verdict"] in capsys.readouterr().out
    assert json.loads(file.read_text(encoding="utf-8"))["verdict"] == json.loads(REPORT)["verdict"]


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (problem(400), 2, "this is wrong"),
        (problem(401), 2, "this is wrong"),
        (problem(404), 2, "do that"),
        (problem(422), 2, "this is wrong"),
        (problem(500), 4, "this is wrong"),
        (problem(503), 4, "do that"),
        ((200, b"<html>"), 4, "no server of gates"),
        ((302, b""), 4, "no server of gates"),
        ((200, b"[]"), 4, "no server of gates"),
        ((200, document("INCONCLUSIVE", 4, "")), 4, "so it is"),
        ((200, document("INCONCLUSIVE", 2, "")), 2, "so it is"),
    ],
)
def test_what_a_server_refuses_or_cannot_do_is_never_a_verdict(server, capsys, answer, code, said):
    server.answers = [answer]

    assert main(["check", "--via", server.url, "--gate", "shop"]) == code
    assert said in capsys.readouterr().err


def test_a_report_that_is_gone_or_none_is_no_pass(server):
    for answer in ((404, b"{}"), (200, b"{}")):
        server.answers = [(200, document("PASS", 0)), answer]
        assert main(["check", "--via", server.url, "--gate", "shop"]) == 4


def test_nobody_who_listens_is_exit_code_4(capsys, closed_port):
    url = f"http://127.0.0.1:{closed_port}"

    assert main(["check", "--via", url, "--gate", "shop"]) == 4
    assert "cannot be asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--via", "http://h/"], "--gate"),
        (["--via", "ftp://h/", "--gate", "a"], "expected the URL of a server"),
        (["--via", "http://h:x/", "--gate", "a"], "expected the URL of a server"),
        (["--via", "http://h/", "--gate", "a", "--concurrency", "4"], "--concurrency"),
        (["--via", "http://h/", "--gate", "a", "--max-time", "4"], "--max-time"),
        (["--via", "http://h/", "--gate", "a", "http://shop/"], "URL"),
        (["--via", "http://h/", "--gate", "a", "--token-file", "none"], "--token-file none"),
        (["http://shop/", "--expect", "v1=1", "--gate", "a"], "--gate is of a server"),
        (["http://shop/", "--expect", "v1=1", "--token-file", "a"], "--token-file is of a server"),
    ],
)
def test_options_that_mean_nothing_are_refused(capsys, arguments, said):
    assert main(["check", *arguments]) == 2
    assert said in capsys.readouterr().err
