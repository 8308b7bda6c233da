"""``weighbridge completion``: what a shell offers while a command line is typed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from contextlib import suppress

import pytest

from sampler.cli.entry import main
from tests.processes import completed, program_in, surroundings

_TYPED = """\
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=($TYPED)
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_weighbridge_completion weighbridge
printf '%s\\n' "${COMPREPLY[@]}"
complete -p weighbridge
"""


_ZSHRC = """\
PROMPT='%% '
unsetopt list_ambiguous  # lists at once, also where the words have a beginning in common
autoload -Uz compinit
compinit -D
eval "$(weighbridge completion zsh)"
"""
COMPLETED = pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("weighbridge comp", ["completion"]),
        ("weighbridge check --conn", ["--connect-timeout", "--connection"]),
        ("weighbridge check --transport f", ["fast", "full"]),
        ("weighbridge schema co", ["config"]),
        ("weighbridge rollout pro", ["promote"]),
    ],
)


@pytest.fixture
def script(capsys):
    """Return what is printed for bash."""
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


@pytest.fixture
def path(tmp_path):
    """Give a PATH on which our program comes first."""
    return program_in(tmp_path)


@COMPLETED
def test_bash_offers_what_can_follow(script, path, tmp_path, typed, offered):
    command = ("bash", "--norc", "-c", _TYPED)
    done = completed(command, tmp_path, PATH=path, SCRIPT=script, TYPED=typed)

    *replies, registered = done.stdout.splitlines()
    assert sorted(replies) == offered, done.stderr
    assert registered == "complete -o nosort -F _weighbridge_completion weighbridge"


@pytest.mark.needs("fish")
@COMPLETED
def test_fish_offers_the_same(path, tmp_path, typed, offered):
    script = f"weighbridge completion fish | source; complete --do-complete '{typed}'"
    command = ("fish", "--no-config", "--command", script)
    done = completed(command, tmp_path, PATH=path, HOME=str(tmp_path))

    # Beside each, fish shows its help.
    assert sorted(line.split("\t")[0] for line in done.stdout.split("\n") if line) == offered


@pytest.mark.needs("zsh")
@COMPLETED
def test_zsh_writes_or_lists_the_same(path, tmp_path, typed, offered):
    """Typed on a terminal, because zsh completes nowhere else."""
    (tmp_path / ".zshrc").write_text(_ZSHRC, encoding="utf-8")
    own, its = pty.openpty()
    settings = {"PATH": path, "ZDOTDIR": str(tmp_path), "HOME": str(tmp_path), "TERM": "dumb"}
    shell = subprocess.Popen(
        ["zsh", "-d", "-i"],
        stdin=its,
        stdout=its,
        stderr=its,
        env=surroundings(**settings),
        start_new_session=True,
    )
    os.close(its)
    try:
        shown = shown_until(own, ["% "])
        os.write(own, f"{typed}\t".encode())
        shown = shown_until(own, offered)
    finally:
        shell.kill()
        shell.wait()
        os.close(own)

    assert all(word in shown for word in offered), shown


def shown_until(terminal, words):
    """Return what a terminal shows, once it shows all `words`, or nothing more for a minute."""
    shown = ""
    with suppress(OSError):
        while not all(word in shown for word in words) and select.select([terminal], [], [], 60)[0]:
            shown += os.read(terminal, 65_536).decode(errors="replace")
    return shown
