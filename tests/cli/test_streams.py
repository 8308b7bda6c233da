"""Whatever becomes of stdout, stderr and the documents, the exit code says what was found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from sampler.base.errors import ExitCode
from sampler.cli import entry
from sampler.demo.process import EmbeddedService
from tests.processes import WEIGHBRIDGE, only_run, surroundings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a file of Linux")

STREAMS = {
    "full stdout": ">/dev/full",
    "full stderr": "2>/dev/full",
    "both full": ">/dev/full 2>&1",
    "closed stdout": ">&-",
    "closed stderr": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "broken pipe": "| true",
    "broken pipe for all": "2>&1 | true",
}
VERDICTS = {"v1=1": 0, "v1=1,v2=9": 1}


def in_shell(folder, command, streams):
    """Run a command behind streams of a shell; give the exit code of the command."""
    line = f"set -o pipefail; {' '.join([*WEIGHBRIDGE, *command])} {streams}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=surroundings(), check=False, timeout=60,
        stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def url():
    """Of one version, so that the verdict of each test is certain."""
    with EmbeddedService({"v1": 10}) as service:
        yield service.url


@pytest.mark.parametrize("expect", VERDICTS)
@pytest.mark.parametrize("streams", STREAMS)
def test_the_exit_code_is_that_of_the_verdict(tmp_path, url, streams, expect):
    done = in_shell(tmp_path, ["check", url, "--expect", expect], STREAMS[streams])

    assert done.returncode == VERDICTS[expect], done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (only_run(tmp_path) / "report.json").is_file()


@pytest.mark.parametrize("streams", STREAMS)
def test_the_exit_code_is_that_of_the_error(tmp_path, streams):
    assert in_shell(tmp_path, ["plan", "--expect", "v1=x"], STREAMS[streams]).returncode == 2
    assert in_shell(tmp_path, ["chek"], STREAMS[streams]).returncode == 2
    unreachable = ["check", "http://127.0.0.1:9/", "--expect", "v1=1"]
    assert in_shell(tmp_path, unreachable, STREAMS[streams]).returncode == 4


@pytest.mark.parametrize(
    ("streams", "code"), [(">/dev/full", 4), (">&-", 4), ("| true", 128 + signal.SIGPIPE)]
)
def test_data_that_does_not_arrive_is_no_success(tmp_path, url, streams, code):
    assert in_shell(tmp_path, ["plan", "--expect", "v1=9,v2=1"], streams).returncode == code
    document = ["check", url, "--expect", "v1=1", "--json", "-"]
    assert in_shell(tmp_path, document, streams).returncode == code


def test_a_closed_stdout_gives_its_number_to_no_file(tmp_path, url):
    in_shell(tmp_path, ["check", url, "--expect", "v1=1", "--html", "page.html"], ">&-")

    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((only_run(tmp_path) / "report.json").read_text())["verdict"] == "PASS"


def test_a_pipe_that_does_not_block_gets_everything(tmp_path, url):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received = []

    def read() -> None:
        with open(reader, "rb") as stream:  # noqa: PTH123 - a descriptor
            sleep(0.5)  # meanwhile, the pipe is full
            received.append(stream.read())

    thread = Thread(target=read)
    thread.start()
    done = subprocess.run(
        [*WEIGHBRIDGE, "check", url, "--expect", "v1=1", "--html", "-"], cwd=tmp_path,
        env=surroundings(), stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(writer)
    thread.join()

    assert done.returncode == 0, done.stderr
    assert len(received[0]) > 100_000
    assert received[0].endswith(b"</html>")


DOCUMENTS = ("json", "junit", "markdown", "metrics", "dotenv", "html")


@pytest.mark.parametrize("lost", DOCUMENTS)
def test_a_document_that_cannot_be_written_is_4_and_the_others_are_there(
    weighbridge, tmp_path, url, lost
):
    files = [
        part
        for name in DOCUMENTS
        for part in (f"--{name}", "/dev/full" if name == lost else f"a.{name}")
    ]

    done = weighbridge("check", url, "--expect", "v1=1", *files)

    assert done.returncode == 4
    assert done.stdout.startswith("PASS")
    assert f"error: --{lost} /dev/full could not be written: No space left" in done.stderr
    assert {path.name for path in tmp_path.glob("a.*")} == {
        f"a.{name}" for name in DOCUMENTS if name != lost
    }


def test_every_document_that_is_lost_is_told(weighbridge, url):
    done = weighbridge(
        "check", url, "--expect", "v1=1,v2=9", "--json", "/dev/full", "--html", "/dev/full"
    )

    assert done.returncode == 4
    assert done.stdout.startswith("FAIL")
    assert done.stderr.count("could not be written") == 2


@pytest.mark.parametrize("file", ["missing/a.json", "."])
def test_what_can_be_known_before_is_refused_before_anything_is_sent(weighbridge, file):
    with EmbeddedService({"v1": 1}) as service:
        done = weighbridge("check", service.url, "--expect", "v1=1", "--json", file)
        served = service.counts().total

    assert (done.returncode, served) == (2, 0)


def test_a_file_without_permission_is_refused_before_anything_is_sent(monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or str(path) != ".")

    assert entry.main(["check", "http://127.0.0.1:9/", "--expect", "v1=1", "--json", "a"]) == 2
    assert "error: --json a: writing is not permitted" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
def test_github_gets_what_can_be_written(tmp_path, monkeypatch, url, capsys, lost):
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, "/dev/full" if name == lost else name)

    code = entry.main(["check", url, "--expect", "v1=1", "--github"])

    told = capsys.readouterr()
    assert code == 4
    assert "\n::notice title=weighbridge%3A PASS::" in told.out
    assert "error: --github /dev/full could not be written" in told.err
    kept = "PASS" if lost == "GITHUB_STEP_SUMMARY" else "### ✅ PASS"
    other = {"GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"} - {lost}
    assert kept in Path(*other).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_no_memory_is_named_and_is_no_bug(monkeypatch, capsys, error):
    def failing(**_):
        raise error

    monkeypatch.setattr(entry.weighbridge, "main", failing)

    assert entry.main(["plan"]) == ExitCode.UNMEASURABLE
    said = capsys.readouterr().err
    assert said.startswith("error: out of memory")
    assert "\nhint: " in said
    assert "Traceback" not in said


def test_a_limit_of_memory_is_never_a_bug_nor_a_fail(tmp_path, url):
    codes = {}
    for megabytes in (60, 100, 200):
        done = subprocess.run(
            ["bash", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "-", *WEIGHBRIDGE,
             "check", url, "--expect", "v1=1"],
            cwd=tmp_path, env=surroundings(OPENBLAS_NUM_THREADS="1"), check=False, timeout=60,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
        codes[megabytes] = done.returncode, done.stderr[-300:]

    assert not {1, 70} & {code for code, _ in codes.values()}, codes
    assert 4 in {code for code, _ in codes.values()}, codes


def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        process = subprocess.Popen(
            ["bash", "-c", 'trap "" HUP; exec "$@"', "-", *WEIGHBRIDGE, "sample", service.url,
             "--max-samples", "400", "--max-rate", "200"],
            cwd=tmp_path, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while service.counts().total < 50:
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
        served = service.counts().total

    assert (process.returncode, served) == (0, 400)
