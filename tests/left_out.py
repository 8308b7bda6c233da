"""What a run left out because this machine or this user lacks a part, and how to get it.

A test says what it needs by a mark: ``needs("git")``, or ``network`` for what the network bed
stands on. Where a part is missing, the test is skipped, and the last lines of the run say so.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.requirements import BED, lack_of, purpose_of, remedy

if TYPE_CHECKING:
    from collections.abc import Generator

_LACKS = "lacks"


def needs_of(item: pytest.Item) -> list[str]:
    """Return the names of all parts that a test says it needs."""
    named = [name for mark in item.iter_markers("needs") for name in mark.args]
    return [*(BED if item.get_closest_marker("network") else ()), *named]


def skip_without_parts(item: pytest.Item) -> None:
    """Skip a test that needs what is not here."""
    lacks = {name: lack for name in needs_of(item) if (lack := lack_of(name))}
    if lacks:
        # Reports carry this to the process that sums up.
        item.user_properties.extend((_LACKS, name) for name in lacks)
        pytest.skip("; ".join(lacks.values()))


class LeftOut:
    """Counts the tests that lacked a part; a plugin of pytest.

    Attributes
    ----------
    tests : int
        How many there were.
    by_part : Counter of str
        How many lacked each part; a test may lack several.
    """

    def __init__(self) -> None:
        self.tests = 0
        self.by_part: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down what a skipped test lacked."""
        lacks = [str(name) for key, name in report.user_properties if key == _LACKS]
        if report.skipped and lacks:
            self.tests += 1
            self.by_part.update(lacks)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Say it after everything else."""
        yield
        if not self.tests:
            return
        tests = "1 test was" if self.tests == 1 else f"{self.tests} tests were"
        terminalreporter.section(f"{tests} left out for want of")
        for name, count in self.by_part.most_common():
            terminalreporter.line(f"{count:5}  {name} ({purpose_of(name)})")
        terminalreporter.line(f"to run them too: {remedy(self.by_part)}")
