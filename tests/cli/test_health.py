"""The canary's health, replicas and the step before, as a user of ``check`` meets them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from random import Random

import pytest

from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService


@pytest.fixture
def weighbridge(in_process):
    """Nothing here needs a process of its own."""
    return in_process


@pytest.fixture
def slow_canary():
    """Pods of which v2's are slow: from its seed, each test meets the same draws of them."""
    with EmbeddedService({"v1": 3, "v2": 1}, {"v2": Faults(delay_s=0.02)}, seed=3) as service:
        yield service


@pytest.fixture
def failing_canary():
    """Serve v1 and v2 evenly; half of v2's answers are a 503 that still carries the label.

    What a request gets is drawn from its number: threads would share the draws as they please.
    """
    numbers = count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            draws = Random(next(numbers))
            label = draws.choice(["v1", "v2"])
            body = json.dumps({"label": label, "host": f"{label}-0"}).encode()
            self.send_response(503 if label == "v2" and draws.random() < 0.5 else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def codes(report):
    return [reason["code"] for reason in report["reasons"]]


def test_a_slow_canary_is_shown_and_does_not_gate_unless_asked(weighbridge, slow_canary):
    done = weighbridge("check", slow_canary.url, "--expect", "v1=3,v2=1", "--seed", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nhealth  v2 took " in done.stdout
    # The measured figures before it decide where its lines break.
    assert "against chance" in " ".join(done.stdout.split())


def test_a_slow_canary_fails_where_a_limit_was_asked_for(weighbridge):
    # On a busy machine, answers of v1 take tens of milliseconds, too.
    with EmbeddedService({"v1": 3, "v2": 1}, {"v2": Faults(delay_s=0.5)}, seed=3) as service:
        done = weighbridge(
            "check", service.url, "--expect", "v1=3,v2=1", "--max-slowdown", "2", "--json", "-"
        )

    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (1, "FAIL"), done.stderr
    assert codes(report)[0] == "slowdown"
    assert report["health"]["times"]["max_slowdown"] == 2
    checks = {check["name"]: check["verdict"] for check in report["decision"]["checks"]}
    assert checks["response times"] == "FAIL"


def test_a_failing_canary_fails_where_a_limit_was_asked_for(weighbridge, failing_canary):
    done = weighbridge(
        "check", failing_canary, "--expect", "v1=1,v2=1", "--max-error-ratio", "1.5x",
        "--tolerance", "4pp", "--no-overload-stop", "--json", "-",
    )  # fmt: skip

    report = json.loads(done.stdout)
    assert (done.returncode, codes(report)[0]) == (1, "error_ratio"), done.stderr
    assert report["health"]["stable"]["errors"] == 0
    assert report["health"]["canary"]["errors"] > 0


def test_a_replica_that_never_answers_is_a_note(weighbridge, slow_canary):
    done = weighbridge(
        "check", slow_canary.url, "--expect", "v1=3,v2=1", "--replicas", "v1=4", "--json", "-"
    )

    assert done.returncode == 0, done.stderr
    assert any(
        "v1: 1 of 4 replicas answered none" in note for note in json.loads(done.stdout)["notes"]
    )


def test_the_step_before_is_recognised(weighbridge, slow_canary):
    done = weighbridge("check", slow_canary.url, "--expect", "v1=1,v2=9", "--previous", "v1=3,v2=1")

    assert done.returncode == 1
    assert "3:1, the previous step" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--max-slowdown", "0.5"), "factor of at least 1"),
        (("--max-error-ratio", "lots"), "factor of at least 1"),
        (("--canary", "v3"), "canary must be one of the labels"),
        (("--replicas", "v3=1"), "'v3' is not in --expect"),
        (("--replicas", "9"), "hint: write v1=9,v2=1"),
        (("--previous", "v1"), "hint: write v1=10,v2=0"),
    ],
)
def test_a_health_option_that_makes_no_sense_is_refused(weighbridge, options, complaint):
    done = weighbridge("check", "http://127.0.0.1:9/", "--expect", "v1=9,v2=1", *options)

    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())


def test_a_limit_without_two_versions_to_compare_is_refused(weighbridge):
    done = weighbridge(
        "check", "http://127.0.0.1:9/", "--expect", "v1=10,v2=0", "--max-slowdown", "2"
    )

    assert done.returncode == 2
    assert "nothing to compare" in done.stderr
