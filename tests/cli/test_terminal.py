"""What a terminal shows: the verdict first, then tables and bars; in a pipe, plain text."""

from __future__ import annotations

import re
import signal

import pytest

from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY
from tests.terminal import terminal

SGR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(folder, *arguments, columns=120, **environment):
    """Run a command on a terminal; return its exit code and what it wrote."""
    with terminal(folder, *arguments, columns=columns, **environment) as running:
        for _ in running.screens():
            pass
    return running.process.returncode, running.raw.decode().replace("\r", "")


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
    assert re.search(r"✗ outside +▕[·\[\]━●]+▏", plain)
    assert "share [interval]" in plain
    assert "\x1b[31m✗ outside" in text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_live_view_fits_and_leaves_nothing_behind(tmp_path, service, columns):
    # A cap sheds no arrivals: on a busy machine, a --rate may end undecided.
    asked = ("--expect", "v1=9,v2=1", "--tolerance", "9pp", "--max-rate", "90")
    with terminal(tmp_path, "check", service.url, *asked, columns=columns) as running:
        screens = list(running.screens())

    views = [lines for lines in screens if any("% of the way" in line for line in lines)]
    assert views
    full = [lines for lines in views if any("v1 ▕" in line for line in lines)]
    assert full
    assert not any("% of the way" in line or "▕·" in line[:8] for line in screens[-1])
    assert any(line.startswith("PASS") for line in screens[-1])


def test_an_interrupt_leaves_a_clean_screen(tmp_path, service):
    asked = ("check", service.url, "--expect", "v1=9,v2=1", "--tolerance", "0.1pp", "--rate", "90")
    with terminal(tmp_path, *asked) as running:
        sent = False
        for lines in running.screens():
            if not sent and any("% of the way" in line for line in lines):
                running.process.send_signal(signal.SIGINT)
                sent = True

    text = "\n".join(running.lines())
    assert running.process.returncode == 130
    assert "SIGINT: stopping" in text
    assert "of the way" not in text
    assert running.raw.count(b"\x1b[?25h") >= 1  # the cursor is back


def test_numbers_are_whole_on_a_narrow_terminal(tmp_path):
    with EmbeddedService({"v1": 9}) as service:
        _, text = shown(tmp_path, "check", service.url, "--expect", "v1=5,v2=5", columns=50)

    lines = SGR.sub("", text).splitlines()
    assert any(re.search(r"interval\] +0\.0 % \[ 0\.0, +\d+\.\d\]$", line) for line in lines), text
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
