"""Whether every test ran: where ``EVERY_TEST=1`` asks for it, a run of some of them has failed.

``.ci/run`` asks. A test that was skipped or deselected, a file of tests of which none was
called, or a session that never began (``--collect-only``, ``--help``) then ends with 1,
however green the rest is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.requirements import NO_IPV6

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SHOWN = 20
_LEFT_OUT = "left_out"


def is_asked_for() -> bool:
    """Whether this run may leave nothing out."""
    return os.environ.get("EVERY_TEST", "") not in {"", "0"}


class Completeness:
    """Watches a session; a plugin of pytest.

    Parameters
    ----------
    folder : Path
        Where all tests are.
    root : Path
        What the names of tests are relative to.

    Attributes
    ----------
    gaps : list of str or None
        What did not run, one line each; None before the end of a session.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._files = {path.relative_to(root).as_posix() for path in folder.rglob("test_*.py")}
        self._called: set[str] = set()
        self._left_out: list[str] = []
        self.gaps: list[str] | None = None

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Take down what an option like ``-k`` left out."""
        self._left_out += [f"{item.nodeid}: deselected" for item in items]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down which files had their turn, and what was skipped."""
        if report.when == "call":
            self._called.add(report.nodeid.partition("::")[0])
        self._skipped(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take down whole modules that were skipped."""
        self._skipped(report)

    def _skipped(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # What is expected to fail is skipped too, in the words of a report.
        if report.skipped and NO_IPV6 not in str(report.longrepr):
            self._left_out.append(f"{report.nodeid}: {_reason(report)}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what one of several processes left out, if pytest-xdist divides the tests."""
        for line in getattr(node, "workeroutput", {}).get(_LEFT_OUT, ()):
            if line not in self._left_out:  # each of them collects, and deselects, all
                self._left_out.append(line)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let an incomplete session fail."""
        divided = getattr(session.config, "workeroutput", None)
        if divided is not None:
            divided[_LEFT_OUT] = self._left_out
            return
        silent = sorted(self._files - self._called)
        self.gaps = [f"{file}: none of its tests was called" for file in silent] + self._left_out
        if self.gaps and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is missing."""
        if not self.gaps:
            return
        terminalreporter.section("EVERY_TEST=1, and these did not run")
        for line in self.gaps[:_SHOWN]:
            terminalreporter.line(line)
        if len(self.gaps) > _SHOWN:
            terminalreporter.line(f"and {len(self.gaps) - _SHOWN} more")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    match report.longrepr:
        case (_, _, str(reason)):
            return reason
        case _:
            return str(report.longrepr)
