"""What a terminal shows: the verdict first, then tables and bars; in a pipe, plain text."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress

import pytest

from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, WEIGHBRIDGE, surroundings

SGR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(folder, *arguments, columns=120, **environment):
    """Run a command on a terminal; return its exit code and what it wrote."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*WEIGHBRIDGE, *arguments], cwd=folder, stdin=its, stdout=its, stderr=its,
        env=surroundings(**{"TERM": "xterm-256color", "COLUMNS": "", **environment}),
    )  # fmt: skip
    os.close(its)
    parts = []
    with suppress(OSError):  # Linux makes an error of the end
        while part := os.read(own, 65536):
            parts.append(part)
    os.close(own)
    return process.wait(timeout=30), b"".join(parts).decode().replace("\r", "")


@pytest.fixture
def service():
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as running:
        yield running


def test_a_terminal_gets_the_verdict_then_a_table_with_bars(tmp_path, service):
    code, text = shown(tmp_path, "check", service.url, "--expect", "v1=5,v2=5")

    assert code == 1
    plain = SGR.sub("", text)
    verdict, heading, row = (
        plain.index(part) for part in ("FAIL  v2 received", "expected [accepted]", "✗ outside")
    )
    assert verdict < heading < row
    assert re.search(r"✗ outside +[─━●]+", plain)
    assert "share [interval]" in plain
    assert "\x1b[31m✗ outside" in text


def test_numbers_are_whole_on_a_narrow_terminal(tmp_path, service):
    _, text = shown(tmp_path, "check", service.url, "--expect", "v1=5,v2=5", columns=50)

    lines = SGR.sub("", text).splitlines()
    assert any(re.search(r"v2 +0 +0\.0 % \[ 0\.0, +\d+\.\d\]", line) for line in lines), text
    assert "●" not in "".join(line for line in lines if "outside" in line)
    announced = [line for line in lines if "at most" in line or "2 000/s" in line]
    assert any("2 000/s" in line for line in announced)  # never broken within


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(tmp_path, environment):
    _, text = shown(tmp_path, "plan", "--expect", "v1=9,v2=1", **environment)

    assert "as expected" in text
    assert not re.search(r"\x1b\[(?:1;)?3[0-9]m", text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--expect", "v1=9,v2=1"),
        ("expect", "--manifests", str(REPOSITORY / "examples/gitops/i/k8s"), "--service", "app"),
    ],
)
def test_a_terminal_and_a_pipe_show_the_same_words(tmp_path, weighbridge, arguments):
    _, text = shown(tmp_path, *arguments, columns=200)

    drawn = SGR.sub("", text).replace("─", " ").split()
    assert drawn == weighbridge(*arguments).stdout.split()
