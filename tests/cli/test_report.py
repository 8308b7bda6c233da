"""``weighbridge report``: a run as it was, cut off at any moment, or out of disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from sampler import read
from sampler.demo.process import EmbeddedService
from tests.processes import limited, only_run, started
from weighbridge import runs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.in_process

ENDLESS = ("--expect", "v1=9,v2=1", "--tolerance", "0.1pp", "--max-time", "60s")


@pytest.fixture
def service():
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as running:
        yield running


# Runs a module as a program that is killed as it is about to do something (PEP 578), here the
# first thing of the kind `argv[1]` whose second argument ends with `argv[2]`.
CUT_OFF = """
import os, runpy, signal, sys
_, kind, end, _python, _m, module, *sys.argv[1:] = sys.argv
def look(event, arguments):
    if event == kind and str(arguments[1]).endswith(end):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(look)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def cut_off_at(event: str, end: str) -> tuple[str, ...]:
    """Give the words in front of a command that is killed at an event."""
    return (sys.executable, "-c", CUT_OFF, event, end)


def stream_size(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in tmp_path.glob("reports/*/samples.arrows"))


def kill_when(process: subprocess.Popen[str], condition) -> None:
    """Kill the process the moment that something holds."""
    try:
        while not condition():
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)


def test_a_finished_run_is_rendered_as_it_was(weighbridge, service, tmp_path):
    checked = weighbridge("check", service.url, "--expect", "v1=9,v2=1", "--json", "first.json")
    run = only_run(tmp_path).relative_to(tmp_path)
    done = weighbridge("report", str(run), "--json", "second.json", "--junit", "junit.xml")

    assert done.returncode == 0, done.stderr
    assert done.stdout == checked.stdout
    first, second = (tmp_path / name for name in ("first.json", "second.json"))
    assert second.read_text() == first.read_text()
    assert ET.parse(tmp_path / "junit.xml").getroot().tag == "testsuites"


@pytest.mark.parametrize("size", [1, 120_000])
def test_a_killed_check_is_reported_as_interrupted(weighbridge, service, tmp_path, size):
    process = started(
        tmp_path, "check", service.url, *ENDLESS, "--name", "killed", output=subprocess.DEVNULL
    )
    kill_when(process, lambda: stream_size(tmp_path) >= size)
    launched = service.counts().total

    done = weighbridge("report", str(only_run(tmp_path)), "--json", "-", "--junit", "j.xml")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (report["verdict"], report["reasons"][0]["code"]) == ("INCONCLUSIVE", "interrupted")
    assert report["expected"]["weights"] == {"v1": 9, "v2": 1}
    assert sum(report["samples"]["outcomes"].values()) == read(only_run(tmp_path)).table.num_rows
    # The rate is capped, so what is missing is little more than the last second's.
    assert launched - 2 * 2_000 <= report["samples"]["launched"] <= launched
    assert "cut off" in report["notes"][0]
    assert report["run"]["id"].endswith("-killed")
    assert ET.parse(tmp_path / "j.xml").findall(".//error")


def test_a_run_that_was_killed_before_its_first_second_still_says_what_it_was(
    weighbridge, service, tmp_path
):
    cut = weighbridge("check", service.url, *ENDLESS, prefix=cut_off_at("socket.connect", ""))
    assert cut.returncode == -signal.SIGKILL

    done = weighbridge("report", str(only_run(tmp_path)), "--json", "-")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report["verdict"] == "INCONCLUSIVE"
    assert report["samples"]["launched"] == 0


def test_a_run_that_was_killed_while_it_was_written_loses_nothing_that_was_streamed(
    weighbridge, service, tmp_path
):
    cut = weighbridge(
        "sample", service.url, "--max-time", "1200ms",
        prefix=cut_off_at("os.rename", "samples.parquet"),
    )  # fmt: skip
    (part,) = tmp_path.glob("reports/*/.samples.parquet.*.part")
    part.write_bytes(part.read_bytes()[:1_000])  # it may have come less far
    assert cut.returncode == -signal.SIGKILL

    done = weighbridge("report", str(only_run(tmp_path)), "--json", "-")

    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "verdict" not in report
    assert report["samples"]["launched"] == service.counts().total > 0


def test_a_stream_cut_at_any_byte_is_read_up_to_its_last_whole_batch(
    weighbridge, service, tmp_path
):
    process = started(
        tmp_path, "sample", service.url, "--max-time", "60s", output=subprocess.DEVNULL
    )
    kill_when(process, lambda: stream_size(tmp_path) >= 500_000)  # of some batches
    run = only_run(tmp_path)
    stream = (run / "samples.arrows").read_bytes()
    rows = []
    for cut in [0, 7, 100, len(stream) // 2, len(stream) - 9, len(stream)]:
        (run / "samples.arrows").write_bytes(stream[:cut])
        rows.append(read(run).table.num_rows)

    assert rows == sorted(rows)
    assert rows[0] == 0
    assert rows[3] > 0
    assert weighbridge("report", str(run)).returncode == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "holds neither"), ("{", "cannot be read"), ('{"schema": "x"}', "another document")],
)
def test_a_run_without_a_readable_plan_is_a_usage_error(weighbridge, tmp_path, content, said):
    (tmp_path / "samples.arrows").write_bytes(b"")
    if content is not None:
        (tmp_path / "plan.json").write_text(content)

    done = weighbridge("report", str(tmp_path))

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_run_is_a_usage_error(weighbridge, tmp_path):
    done = weighbridge("report", str(tmp_path))

    assert done.returncode == 2
    assert "the folder of a run" in done.stderr


def test_a_full_disk_is_said_and_what_was_written_can_be_read(weighbridge, service, tmp_path):
    limit = limited("RLIMIT_FSIZE", 150_000, 150_000)
    done = weighbridge("check", service.url, *ENDLESS, prefix=limit)

    assert done.returncode == 4, done.stderr
    assert "cannot be written" in done.stderr
    assert "weighbridge report" in done.stderr
    assert "Traceback" not in done.stderr
    again = weighbridge("report", str(only_run(tmp_path)), "--json", "-")
    assert again.returncode == 0, again.stderr
    kept = json.loads(again.stdout)["samples"]["launched"]
    assert kept > 1_000
    assert f"first {kept} samples" in done.stderr


def test_a_disk_that_is_full_at_the_end_costs_the_report_and_no_sample(
    weighbridge, service, tmp_path
):
    limit = limited("RLIMIT_FSIZE", 1_500, 1_500)
    done = weighbridge("sample", service.url, "--max-samples", "200", prefix=limit)

    assert done.returncode == 4, done.stderr
    assert "nothing of it was kept" in done.stderr
    assert not (only_run(tmp_path) / "samples.parquet").exists()
    assert not list(only_run(tmp_path).glob(".*.part"))


def test_the_newest_run_is_found_the_others_are_listed_and_old_ones_go(
    weighbridge, service, tmp_path
):
    for place in range(3):
        asked = ("check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "9pp")
        weighbridge(*asked, "--name", f"n{place}", "--keep", "2")
    listed = weighbridge("report", "--list")
    newest = weighbridge("report", "latest", "--json", "-")

    assert listed.returncode == newest.returncode == 0, listed.stderr + newest.stderr
    head, first, second = listed.stdout.strip().splitlines()
    assert head.split() == ["run", "expected", "observed", "judged", "took", "target", "verdict"]
    assert "-n2 " in first
    assert "-n1 " in second
    assert "v1 90, v2 10 %" in first
    assert json.loads(newest.stdout)["run"]["id"].endswith("-n2")
    (table,) = [runs(tmp_path / "reports")]
    assert [name[-2:] for name in table["run"]] == ["n1", "n2"]
    assert table["started_at"].is_monotonic_increasing
    assert set(table["verdict"]) <= {"PASS", "FAIL", "INCONCLUSIVE"}


def test_a_list_names_runs_that_were_cut_off_or_damaged(weighbridge, tmp_path):
    for name, report in (("a", None), ("b", "{")):
        run = tmp_path / "reports" / f"20260101T000000.000000Z-{name}"
        run.mkdir(parents=True)
        (run / "plan.json").write_text("{}")
        if report is not None:
            (run / "report.json").write_text(report)

    listed = weighbridge("report", "--list")

    damaged, cut = listed.stdout.strip().splitlines()[1:]
    assert damaged.endswith("damaged")
    assert cut.endswith("cut off")
    assert set(runs(tmp_path / "reports")["reason"]) == {"damaged", "cut_off"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "weighbridge report latest"),
        (("latest",), "folder of runs"),
        (("--list", "--junit", "x"), "--junit"),
        (("--list", "latest"), "latest"),
    ],
)
def test_what_names_no_run_is_a_usage_error(weighbridge, arguments, said):
    done = weighbridge("report", *arguments)

    assert done.returncode == 2
    assert said in done.stderr
