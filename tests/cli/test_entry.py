"""The ends that are no verdict: slips, full disks, Ctrl-C; each with its code and a way out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sampler.base.errors import ExitCode
from sampler.cli import entry
from tests.processes import WEIGHBRIDGE, surroundings


@pytest.mark.parametrize(("typed", "meant"), [("chek", "check"), ("smaple", "sample")])
def test_a_misspelt_command_is_told_which_one_may_be_meant(weighbridge, typed, meant):
    done = weighbridge(typed)

    assert done.returncode == 2
    assert f"such as {meant}, got '{typed}'" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a file of Linux")
def test_a_full_disk_behind_stdout_is_no_bug(tmp_path):
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - no file to make
        done = subprocess.run(
            [*WEIGHBRIDGE, "plan", "--expect", "v1=9,v2=1"], cwd=tmp_path, env=surroundings(),
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert done.returncode == 4
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_ctrl_c_outside_of_a_run_says_so(monkeypatch, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(entry.weighbridge, "main", interrupted)

    assert entry.main(["plan"]) == ExitCode.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_what_nobody_foresaw_is_a_bug_with_its_traceback(monkeypatch, capsys):
    def failing(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(entry.weighbridge, "main", failing)

    assert entry.main(["plan"]) == ExitCode.BUG
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "please report it" in said


def test_manifests_that_are_no_text_are_no_bug(tmp_path):
    done = subprocess.run(
        [*WEIGHBRIDGE, "expect", "--manifests", "-", "--service", "app"],
        cwd=tmp_path, env=surroundings(PYTHONIOENCODING="utf-8:strict"), input=b"\xff\xfe",
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert b"stdin cannot be read: it is no UTF-8 text" in done.stderr
