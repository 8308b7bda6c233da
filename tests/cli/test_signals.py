"""Interruption: stop, drain, keep what was measured."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from sampler import read
from sampler.cli.entry import main
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from sampler.run.gate import Weighing
from tests.processes import only_run, started

if TYPE_CHECKING:
    import subprocess


def wait_for_requests(process: subprocess.Popen[str], service: EmbeddedService, n: int) -> None:
    while service.counts().total < n:
        assert process.poll() is None


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_keeps_what_was_measured(tmp_path, signum, code):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = started(
            tmp_path, "check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "0.1pp",
            "--json", "-",
        )  # fmt: skip
        wait_for_requests(process, service, 200)
        process.send_signal(signum)
        stdout, _ = process.communicate(timeout=30)
        served = service.counts().total

    report = json.loads(stdout)
    assert process.returncode == code
    assert report["verdict"] == "INCONCLUSIVE"
    assert report["reasons"][0]["code"] == "interrupted"
    assert report["samples"]["launched"] == sum(report["samples"]["outcomes"].values()) == served
    assert pq.read_table(only_run(tmp_path) / "samples.parquet").num_rows == served


def test_a_second_signal_gives_up_what_is_in_flight(tmp_path):
    with EmbeddedService({"v1": 1}, {"v1": Faults(hang=0.5)}, seed=1) as service:
        process = started(
            tmp_path, "sample", service.url, "--timeout", "60s", "--max-time", "60s",
            "--concurrency", "4", "--json", "-",
        )  # fmt: skip
        wait_for_requests(process, service, 8)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "once more gives it up" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)

    report = json.loads(stdout)
    assert process.returncode == 130
    assert report["samples"]["outcomes"]["aborted"] >= 1
    assert report["samples"]["launched"] == sum(report["samples"]["outcomes"].values())


def test_a_killed_run_can_be_read_up_to_its_last_second(tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = started(tmp_path, "sample", service.url, "--max-time", "60s")
        stream = None
        while stream is None or stream.stat().st_size < 40_000:
            found = list(tmp_path.glob("reports/*/samples.arrows"))
            stream = found[0] if found else None
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=30)

    table = read(only_run(tmp_path)).table
    assert table.num_rows > 100
    assert set(table["label"].unique().to_pylist()) <= {"v1", "v2"}
    assert not (only_run(tmp_path) / "report.json").exists()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_request_still_gets_a_report(tmp_path, monkeypatch, signum, code):
    class Interrupted(Weighing):
        def __init__(self, *arguments):
            os.kill(os.getpid(), signum)
            super().__init__(*arguments)

    monkeypatch.setattr("sampler.cli.execute.Weighing", Interrupted)
    monkeypatch.chdir(tmp_path)
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        returned = main(["check", service.url, "--expect", "v1=9,v2=1", "--json", "report.json"])
        served = service.counts().total

    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert returned == code
    assert report["reasons"][0]["code"] == "interrupted"
    assert report["samples"]["launched"] == served == 0
