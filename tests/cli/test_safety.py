"""What spares the target and what this machine's limits do, as a user meets it."""

from __future__ import annotations

import json
import resource

import pytest

from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from tests.answering import answering, response
from tests.processes import limited


def test_the_cap_is_named_before_anything_is_sent_and_kept(weighbridge):
    with EmbeddedService({"v1": 1}, seed=1) as service:
        done = weighbridge(
            "sample", service.url, "--max-rate", "100/s", "--max-samples", "80", "--json", "-"
        )
        served = service.counts().total

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert "at most 100/s" in done.stderr.splitlines()[0]
    assert served == 80 <= 2 + 100 * report["performance"]["duration_s"]
    assert report["performance"]["max_rate_per_s"] == 100


@pytest.mark.parametrize("lifted", ["0", "none"])
def test_the_cap_can_be_lifted(weighbridge, lifted):
    with EmbeddedService({"v1": 1}, seed=1) as service:
        done = weighbridge(
            "sample", service.url, "--max-rate", lifted, "--max-samples", "50", "--json", "-"
        )

    assert "no cap on the rate" in done.stderr
    assert json.loads(done.stdout)["performance"]["max_rate_per_s"] is None


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("label", ["v1", None])
def test_a_target_that_answers_503_is_left_alone(weighbridge, transport, label):
    def answer(number: int) -> bytes:
        return response("200 OK", "v1") if number < 30 else response("503 Busy", label)

    with answering(answer) as url:
        done = weighbridge(
            "check", url, "--expect", "v1=9,v2=1", "--tolerance", "0.1pp", "--transport",
            transport, "--max-unlabelled", "100%", "--max-time", "20s", "--json", "-",
        )  # fmt: skip

    report = json.loads(done.stdout)
    codes = [reason["code"] for reason in report["reasons"]]
    if label is None:
        assert codes[0] in {"target_overloaded", "missing_labels"}
    else:
        # One label of two: whatever the counts prove first, the stop is said.
        assert codes[0] in {"target_overloaded", "outside_tolerance"}
    assert report["samples"]["launched"] < 1_000


def test_an_overloaded_target_of_a_sample_ends_with_3_and_a_remedy(weighbridge):
    with answering(lambda _: response("500 Oops", "v1")) as url:
        done = weighbridge("sample", url, "--max-time", "20s", "--json", "-")

    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert report["reasons"][0]["code"] == "target_overloaded"
    assert "--no-overload-stop" in report["reasons"][0]["remedy"]
    assert 100 <= report["samples"]["launched"] < 1_000


def test_an_overloaded_target_of_a_check_is_inconclusive(weighbridge):
    with answering(lambda number: response("500 Oops", f"v{1 + number % 2}")) as url:
        done = weighbridge(
            "check", url, "--expect", "v1=1,v2=1", "--tolerance", "1pp", "--json", "-"
        )

    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (3, "INCONCLUSIVE")
    assert report["reasons"][0]["code"] == "target_overloaded"
    assert any("of its last 100 answers" in note for note in report["notes"])


@pytest.mark.parametrize("transport", ["fast", "full"])
def test_retry_after_is_kept_to(weighbridge, transport):
    def answer(number: int) -> bytes:
        # The same bytes before and after the first pause: they must not be remembered. Between
        # the two lie more requests than the client can send before it sees the first one.
        if number in {20, 420}:
            return response("429 Slow down", "v1", "Retry-After: 1\r\n")
        return response("200 OK", "v1")

    with answering(answer) as url:
        done = weighbridge(
            "sample", url, "--max-samples", "900", "--transport", transport, "--json", "-"
        )

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["performance"]["duration_s"] >= 2
    assert any("paused 2 times" in note for note in report["notes"])


def test_a_canary_that_fails_its_tenth_of_the_traffic_is_weighed_to_the_end(weighbridge):
    faults = {"v2": Faults(error=1.0)}
    with EmbeddedService({"v1": 9, "v2": 1}, faults, seed=1) as service:
        done = weighbridge(
            "sample", service.url, "--max-samples", "2000", "--max-rate", "none", "--json", "-"
        )

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["samples"]["launched"] == 2_000
    assert not any("overloaded" in note for note in report["notes"])


@pytest.mark.parametrize("transport", ["fast", "full"])
def test_too_few_descriptors_never_end_in_a_verdict(weighbridge, transport):
    with EmbeddedService({"v1": 9, "v2": 1}, {"v1": Faults(delay_s=0.05)}, seed=1) as service:
        done = weighbridge(
            "check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "1pp", "-c", "200",
            "--transport", transport, "--max-time", "2s", "--json", "-",
            prefix=limited("RLIMIT_NOFILE", 48, 48),
        )  # fmt: skip

    report = json.loads(done.stdout)
    assert "ulimit -n" in done.stderr
    assert (done.returncode, report["verdict"]) == (3, "INCONCLUSIVE"), done.stderr
    assert report["reasons"][0]["code"] == "client_limit"
    assert report["samples"]["outcomes"]["client_limit"] > 0


def test_the_soft_limit_of_descriptors_is_raised_where_it_may_be(weighbridge):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with EmbeddedService({"v1": 1}, {"v1": Faults(delay_s=0.05)}, seed=1) as service:
        done = weighbridge(
            "sample", service.url, "-c", "100", "--max-samples", "300", "--json", "-",
            prefix=limited("RLIMIT_NOFILE", 48, min(hard, 4_096)),
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert json.loads(done.stdout)["samples"]["outcomes"] == {"ok": 300}
