"""What a report on a terminal and in a file must not do."""

from __future__ import annotations

import os

import pytest

from sampler.cli.options import command_line
from sampler.demo.process import EmbeddedService
from tests.processes import WEIGHBRIDGE, completed


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["check", "u", "--expect", "v1=1"], "weighbridge check u --expect v1=1"),
        (["check", "--header", "Token: s3cret"], "weighbridge check --header 'Token: …'"),
        (["check", "--header=Token: s3cret"], "weighbridge check '--header=Token: …'"),
        (["check", "--body", "s3cret"], "weighbridge check --body '…'"),
        (["check", "--body", "@body.json", "u"], "weighbridge check --body @body.json u"),
    ],
)
def test_the_command_line_in_a_report_holds_no_secret(arguments, line):
    assert command_line(arguments) == line


def test_a_terminal_that_cannot_spell_the_marks_still_gets_the_verdict(tmp_path):
    with EmbeddedService({"v1": 1}) as service:
        command = (*WEIGHBRIDGE, "check", service.url, "--expect", "v1=1")
        done = completed(command, tmp_path, PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS")


def test_a_folder_whose_name_is_not_in_utf_8_takes_a_run_and_gives_it_back(in_process, tmp_path):
    out = tmp_path / os.fsdecode(b"r\xe9sultat")

    with EmbeddedService({"v1": 1}, seed=3) as service:
        sampled = in_process("sample", service.url, "--max-samples", "50", "--out", str(out))

    (run,) = out.iterdir()
    judged = in_process("judge", str(run), "--expect", "v1=1")
    assert (sampled.returncode, judged.returncode) == (0, 3), sampled.stderr + judged.stderr
    assert "only 50 independent connections" in judged.stdout
