"""``weighbridge demo``: the story, and the Service alone, as a visitor meets them."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from sampler.cli.entry import main
from tests.processes import started


@contextmanager
def serving(folder, *arguments):
    """Keep ``demo --serve`` up; give the process and its URL."""
    process = started(folder, "demo", "--serve", *arguments)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def host_of(url):
    with urlopen(url) as answer:
        return json.load(answer)["host"]


def words(text):
    return " ".join(text.split())


def test_the_story_is_told_with_four_verdicts_that_are_right_and_its_runs_are_kept(
    weighbridge, tmp_path
):
    done = weighbridge("demo", "--out", "runs")

    verdicts = [
        json.loads((run / "report.json").read_text())["verdict"]
        for run in sorted((tmp_path / "runs").iterdir())
    ]
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts == ["PASS", "PASS", "FAIL", "PASS"]
    assert done.stderr == ""


def test_the_story_repeats_from_its_seed(weighbridge, tmp_path):
    counts = []
    for out in ("first", "second"):
        weighbridge("demo", "--out", out, "--seed", "4", "--concurrency", "1")
        canary = sorted((tmp_path / out).iterdir())[1]
        counts.append(json.loads((canary / "report.json").read_text())["observed"]["counts"])

    assert counts[0] == counts[1]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_service_with_faults_answers_until_it_is_interrupted_and_says_what_it_served(
    tmp_path, end
):
    with serving(tmp_path, "--pods", "a=1", "--fault", "a:error=100%") as (process, url):
        with pytest.raises(HTTPError) as caught:
            urlopen(url)
        caught.value.close()
        process.send_signal(end)
        _, told = process.communicate()

        assert (process.returncode, caught.value.code) == (0, 503)
        assert f"check {url} --expect a=1" in told
        assert "requests served: 1\n" in told
        assert "a error 1" in told


def test_picks_repeat_from_the_seed_of_a_service(tmp_path):
    heard = []
    for _ in range(2):
        with serving(tmp_path, "--seed", "3", "--pods", "v1=5,v2=5") as (_, url):
            heard.append([host_of(url) for _ in range(12)])

    assert heard[0] == heard[1]


def test_a_port_that_is_taken_is_a_usage_error_with_a_way_out(weighbridge):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = weighbridge("demo", "--serve", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 2
    assert "another port" in words(done.stderr)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--fault", "v2:drop=50%"), "--serve"),
        (("--pods", "v1=1"), "--serve"),
        (("--port", "0"), "--serve"),
        (("--serve", "--out", "runs"), "--out"),
        (("--serve", "-c", "2"), "--concurrency"),
        (("--serve", "--fault", "v2:drop"), "v2:drop"),
        (("--serve", "--fault", "v2:drop=150%"), "150%"),
        (("--serve", "--fault", "v2:dorp=5%"), "dorp"),
        (("--serve", "--fault", "v2:delay=2m"), "60s"),
        (("--serve", "--fault", "v2:drop=60%", "--fault", "v2:hang=60%"), "more than 1"),
        (("--serve", "--fault", "drop=5%"), "label"),
        (("--serve", "--fault", "v3:html"), "v3"),
        (("--serve", "--pods", "v1=20000"), "10000"),
        (("--serve", "--pods", "v1"), "--pods"),
        (("--serve", "--host", "192.0.2.1"), "192.0.2.1"),
        (("--serve", "--host", "no.such.host.invalid"), "127.0.0.1"),
        (("--serve", "--port", "70000"), "65535"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_was_expected(capsys, arguments, named):
    code = main(["demo", *arguments])

    said = words(capsys.readouterr().err)
    assert code == 2, said
    assert named in said
    assert "Traceback" not in said
