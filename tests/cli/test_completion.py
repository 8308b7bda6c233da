"""``weighbridge completion``: what a shell offers while a command line is typed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sampler.cli.entry import main
from tests.processes import surroundings

_TYPED = """\
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=($TYPED)
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_weighbridge_completion weighbridge
printf '%s\\n' "${COMPREPLY[@]}"
complete -p weighbridge
"""


@pytest.fixture
def script(capsys):
    """Return what is printed for bash."""
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("weighbridge comp", ["completion"]),
        ("weighbridge check --conn", ["--connect-timeout", "--connection"]),
        ("weighbridge check --transport f", ["fast", "full"]),
        ("weighbridge schema co", ["config"]),
        ("weighbridge rollout pro", ["promote"]),
    ],
)
def test_bash_offers_what_can_follow(script, tmp_path, typed, offered):
    program = tmp_path / "weighbridge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sampler.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "--norc", "-c", _TYPED],
        env=surroundings(PATH=path, SCRIPT=script, TYPED=typed),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    *replies, registered = done.stdout.splitlines()
    assert sorted(replies) == offered, done.stderr
    assert registered == "complete -o nosort -F _weighbridge_completion weighbridge"


@pytest.mark.parametrize(("shell", "line"), [
    ("zsh", "#compdef weighbridge"),
    ("fish", "function _weighbridge_completion;"),
])  # fmt: skip
def test_the_other_shells_have_a_script_of_their_own(capsys, shell, line):
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert script.startswith(line)
    assert f"_WEIGHBRIDGE_COMPLETE={shell}_complete" in script
