"""Interruption: stop, drain, keep what was measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from sampler.cli.entry import main
from sampler.cli.interrupts import end_quietly, loop_handles_them
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from sampler.run.gate import Weighing
from tests.processes import WEIGHBRIDGE, completed, only_run, started, surroundings


def wait_for_requests(process: subprocess.Popen[str], service: EmbeddedService, n: int) -> None:
    while service.counts().total < n:
        assert process.poll() is None


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_and_keeps_what_was_measured(tmp_path, signum, code):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = started(
            tmp_path, "check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "0.1pp",
            "--json", "-",
        )  # fmt: skip
        wait_for_requests(process, service, 200)
        process.send_signal(signum)
        stdout, _ = process.communicate(timeout=60)
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
        while "a second one aborts them" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)

    report = json.loads(stdout)
    assert process.returncode == 130
    assert report["samples"]["outcomes"]["aborted"] >= 1
    assert report["samples"]["launched"] == sum(report["samples"]["outcomes"].values())


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_request_still_gets_a_report(tmp_path, monkeypatch, signum, code):
    class Interrupted(Weighing):
        def __init__(self, *arguments, **more):
            os.kill(os.getpid(), signum)
            super().__init__(*arguments, **more)

    monkeypatch.setattr("sampler.cli.execute.Weighing", Interrupted)
    monkeypatch.chdir(tmp_path)
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        returned = main(["check", service.url, "--expect", "v1=9,v2=1", "--json", "report.json"])
        served = service.counts().total

    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert returned == code
    assert report["reasons"][0]["code"] == "interrupted"
    assert report["samples"]["launched"] == served == 0


@pytest.mark.parametrize("wait_for", [0, 1, *Random(1).sample(range(250), 6)])
def test_a_signal_while_modules_are_imported_ends_quietly(tmp_path, wait_for):
    """Python says on stderr which module it has imported: the signal comes after one of them."""
    first = "click"
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", *WEIGHBRIDGE[1:], "check", service.url,
             "--expect", "v1=9,v2=1", "--tolerance", "0.1pp"],
            cwd=tmp_path, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stderr is not None
        seen = [next(line for line in process.stderr if first in line)]
        seen += islice(process.stderr, wait_for)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)

    said = "".join(line for line in (*seen, rest) if "import time:" not in line)
    assert process.returncode == 130, said
    for word in ("Traceback", "KeyboardInterrupt", "ImportError", "bug"):
        assert word not in rest


SWALLOWING = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    [None for _ in range(1000)]
except KeyboardInterrupt:
    raise ImportError("a C extension cannot tell why it was not imported")
"""


def test_a_module_that_makes_another_error_of_a_signal_does_not_show_it(tmp_path):
    (tmp_path / "swallowing.py").write_text(SWALLOWING, encoding="utf-8")
    program = "from sampler.cli.interrupts import end_quietly\nend_quietly()\nimport swallowing"

    done = completed([sys.executable, "-c", program], tmp_path)

    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_signal_outside_of_an_import_is_an_exception_as_always():
    before = signal.getsignal(signal.SIGINT)
    try:
        end_quietly()
        ours = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with loop_handles_them():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is ours
    finally:
        signal.signal(signal.SIGINT, before)
