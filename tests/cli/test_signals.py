"""Interruption: stop, drain, keep what was measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sampler import read
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService

REPOSITORY = Path(__file__).resolve().parents[2]


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sampler.cli", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_requests(service: EmbeddedService, n: int) -> None:
    while service.counts().total < n:
        pass


def run_folder(tmp_path: Path) -> Path:
    (run,) = (tmp_path / "reports").iterdir()
    return run


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_keeps_what_was_measured(tmp_path, signum, code):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = start(
            tmp_path, "check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "0.1pp",
            "--json", "-",
        )  # fmt: skip
        wait_for_requests(service, 200)
        process.send_signal(signum)
        stdout, _ = process.communicate(timeout=30)
        served = service.counts().total

    report = json.loads(stdout)
    assert process.returncode == code
    assert report["verdict"] == "INCONCLUSIVE"
    assert report["reasons"][0]["code"] == "interrupted"
    assert report["samples"]["launched"] == sum(report["samples"]["outcomes"].values()) == served
    assert pq.read_table(run_folder(tmp_path) / "samples.parquet").num_rows == served


def test_a_second_signal_gives_up_what_is_in_flight(tmp_path):
    with EmbeddedService({"v1": 1}, {"v1": Faults(hang=0.5)}, seed=1) as service:
        process = start(
            tmp_path, "sample", service.url, "--timeout", "60s", "--max-time", "60s",
            "--concurrency", "4", "--json", "-",
        )  # fmt: skip
        wait_for_requests(service, 8)
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
        process = start(tmp_path, "sample", service.url, "--max-time", "60s")
        stream = None
        while stream is None or stream.stat().st_size < 40_000:
            found = list(tmp_path.glob("reports/*/samples.arrows"))
            stream = found[0] if found else None
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=30)

    table = read(run_folder(tmp_path)).table
    assert table.num_rows > 100
    assert set(table["label"].unique().to_pylist()) <= {"v1", "v2"}
    assert not (run_folder(tmp_path) / "report.json").exists()
