"""The ends that are no verdict: slips, full disks, Ctrl-C; each with its code and a way out."""

from __future__ import annotations

import subprocess

import pytest

from sampler.base.errors import ExitCode
from sampler.base.version import __version__
from sampler.cli import entry
from tests.processes import WEIGHBRIDGE, surroundings


@pytest.mark.parametrize(
    ("pure", "found"), [("1", "no"), pytest.param("", "yes", marks=pytest.mark.needs("_fastpath"))]
)
def test_the_version_says_whether_the_compiled_part_is_used(in_process, monkeypatch, pure, found):
    monkeypatch.setenv("WEIGHBRIDGE_PURE", pure)

    assert in_process("--version").stdout == (
        f"weighbridge, version {__version__} (compiled: {found})\n"
    )


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
        cwd=tmp_path, env=surroundings(PYTHONIOENCODING="utf-8:strict"), input=b"kind: \xff\n",
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert b"stdin cannot be read: it is not UTF-8 or UTF-16 text" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["chek"], "there is no command 'chek'", "did you mean check?"),
        (["check", "u", "--expct", "v1=1"], "there is no option --expct", "did you mean --expect?"),
        (["check", "u", "--qqq"], "there is no option --qqq",
         "weighbridge check --help lists what there is"),
        (["rollout", "promot"], "weighbridge rollout has no command 'promot'",
         "did you mean promote?"),
        (["plan"], "--expect is missing", "weighbridge plan --help lists what there is"),
        (["sample"], "missing argument 'URL'", "weighbridge sample --help lists what there is"),
    ],
)  # fmt: skip
def test_every_error_has_one_form(weighbridge, arguments, error, hint):
    done = weighbridge(*arguments)

    assert done.returncode == 2
    assert done.stderr == f"error: {error}\nhint: {hint}\n"


def test_the_shell_completes_how_long_a_connection_lives(weighbridge, monkeypatch):
    monkeypatch.setenv("COMP_WORDS", "weighbridge check --connection fr")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setenv("_WEIGHBRIDGE_COMPLETE", "bash_complete")

    assert weighbridge().stdout == "plain,fresh\n"
