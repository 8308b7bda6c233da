"""In a pod, the verdict or the error is left where the kubelet reads it."""

from __future__ import annotations

import os

import pytest

from sampler.cli import main, termination_log
from sampler.demo.process import EmbeddedService


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Stand in for the file that the kubelet mounts."""
    place = tmp_path / "termination-log"
    place.touch()
    monkeypatch.setattr(termination_log, "PLACE", place)
    monkeypatch.chdir(tmp_path)
    return place


def test_the_verdict_of_a_check_is_left_there(log):
    with EmbeddedService({"v1": 10}, seed=1) as service:
        assert main(["check", service.url, "--expect", "v1=1", "--out", "none"]) == 0

    (line,) = log.read_text("utf-8").splitlines()
    assert line.startswith("PASS: v1 received ")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["check", "http://127.0.0.1:1/"], "error: "),
        (["chekc"], "error: there is no command 'chekc'; hint: did you mean check?"),
        (["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--out", "none"], "INCONCLUSIVE: "),
    ],
)
def test_so_is_why_there_is_none(log, arguments, start):
    assert main(arguments) in {2, 4}

    (line,) = log.read_text("utf-8").splitlines()
    assert line.startswith(start)


def test_it_fits_into_what_the_kubelet_keeps(log):
    termination_log.leave("ß\n" + "𐍈" * 3000)

    data = log.read_bytes()
    assert len(data) <= 4096
    assert data.decode().startswith("ß\\x0a𐍈")
    assert data.endswith("𐍈\n".encode())


def test_where_there_is_no_such_file_none_is_made(log):
    log.unlink()

    termination_log.leave("PASS")

    assert not log.exists()


def test_nothing_but_a_file_is_written_to(log, tmp_path):
    log.unlink()
    other = tmp_path / "other"
    other.touch()
    log.symlink_to(other)
    termination_log.leave("PASS")
    assert other.read_bytes() == b""

    log.unlink()
    os.mkfifo(log)
    termination_log.leave("PASS")
    assert log.is_fifo()
