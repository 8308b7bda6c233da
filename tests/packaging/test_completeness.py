"""A run that has to be one of all tests fails if it is one of some."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.completeness import Completeness
from tests.processes import REPOSITORY, completed
from tests.requirements import NO_IPV6

SKIPPED = ("tests/test_a.py", 7, "Skipped: nginx is missing")


@pytest.fixture
def watcher(tmp_path):
    """Of a repository with two files of tests."""
    for name in ("test_a.py", "deep/test_b.py", "conftest.py"):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return Completeness(tmp_path / "tests", tmp_path)


def call(watcher, nodeid, *, skipped=False, longrepr=None, when="call"):
    report = SimpleNamespace(nodeid=nodeid, when=when, skipped=skipped, longrepr=longrepr)
    watcher.pytest_runtest_logreport(report)


def end(watcher, status=pytest.ExitCode.OK):
    session = SimpleNamespace(exitstatus=status, config=SimpleNamespace())
    watcher.pytest_sessionfinish(session)
    return session.exitstatus


def test_a_run_in_which_every_file_had_its_turn_is_complete(watcher):
    call(watcher, "tests/test_a.py::test_one[x::y]")
    call(watcher, "tests/deep/test_b.py::test_two")

    assert end(watcher) is pytest.ExitCode.OK
    assert watcher.gaps == []


def test_a_file_of_which_no_test_was_called_is_a_gap(watcher):
    call(watcher, "tests/test_a.py::test_one")
    call(watcher, "tests/deep/test_b.py::test_two", when="setup")

    assert end(watcher) is pytest.ExitCode.TESTS_FAILED
    assert watcher.gaps == ["tests/deep/test_b.py: none of its tests was called"]


def test_what_was_deselected_or_skipped_is_a_gap_with_its_reason(watcher):
    call(watcher, "tests/test_a.py::test_one")
    call(watcher, "tests/deep/test_b.py::test_two")
    watcher.pytest_deselected([SimpleNamespace(nodeid="tests/test_a.py::test_three")])
    call(watcher, "tests/test_a.py::test_four", skipped=True, longrepr=SKIPPED, when="setup")
    watcher.pytest_collectreport(
        SimpleNamespace(nodeid="tests/test_c.py", skipped=True, longrepr="no module")
    )

    assert end(watcher) is pytest.ExitCode.TESTS_FAILED
    assert watcher.gaps == [
        "tests/test_a.py::test_three: deselected",
        "tests/test_a.py::test_four: Skipped: nginx is missing",
        "tests/test_c.py: no module",
    ]


def test_what_a_process_of_several_left_out_is_told_to_the_first_one(watcher, tmp_path):
    worker: Any = Completeness(tmp_path / "tests", tmp_path)
    worker.pytest_deselected([SimpleNamespace(nodeid="tests/test_a.py::test_three")])
    divided = SimpleNamespace(workeroutput={})
    worker.pytest_sessionfinish(SimpleNamespace(exitstatus=0, config=divided))
    call(watcher, "tests/test_a.py::test_one")
    call(watcher, "tests/deep/test_b.py::test_two")

    watcher.pytest_testnodedown(divided)
    watcher.pytest_testnodedown(divided)

    assert end(watcher) is pytest.ExitCode.TESTS_FAILED
    assert watcher.gaps == ["tests/test_a.py::test_three: deselected"]


def test_a_machine_without_ipv6_is_no_gap(watcher):
    call(watcher, "tests/test_a.py::test_one")
    call(watcher, "tests/deep/test_b.py::test_two")
    why = ("tests/conftest.py", 1, f"Skipped: {NO_IPV6}")
    call(watcher, "tests/test_a.py::test_six", skipped=True, longrepr=why, when="setup")

    assert end(watcher) is pytest.ExitCode.OK


def test_a_run_that_failed_keeps_its_own_code(watcher):
    assert end(watcher, pytest.ExitCode.INTERRUPTED) is pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--collect-only", "-q"], "tests/cli/test_check.py: none of its tests was called"),
        (["--help"], "not every test ran"),
        (["--fixtures", "-q"], "not every test ran"),
    ],
)
def test_a_session_without_a_test_is_no_success_where_every_test_is_asked_for(options, said):
    command = (sys.executable, "-m", "pytest", "tests/packaging/test_completeness.py", *options)
    done = completed(command, REPOSITORY, EVERY_TEST="1")

    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
