"""The canary's health, replicas and the step before, as a user of ``check`` meets them."""

from __future__ import annotations

import json
from random import Random

import pytest

from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from tests.answering import answering, response

pytestmark = pytest.mark.in_process


@pytest.fixture
def slow_canary():
    """Pods of which v2's are slow: from its seed, each test meets the same draws of them."""
    with EmbeddedService({"v1": 3, "v2": 1}, {"v2": Faults(delay_s=0.02)}, seed=3) as service:
        yield service


def failing_canary(number):
    """Answer as v1 or v2, evenly; half of v2's answers are a 503 that still carries the label."""
    draws = Random(number)
    label = draws.choice(["v1", "v2"])
    is_failed = label == "v2" and draws.random() < 0.5
    return response("503 Busy" if is_failed else "200 OK", label)


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


def test_a_failing_canary_fails_where_a_limit_was_asked_for(weighbridge):
    with answering(failing_canary) as url:
        done = weighbridge(
            "check", url, "--expect", "v1=1,v2=1", "--max-error-ratio", "1.5x",
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
