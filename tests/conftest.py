"""What every test may use: the command line as a user meets it, and the real parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from tests.requirements import allow_missing, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline: the machines that run this are shared, and a slow example is no wrong example.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


class Weighbridge(Protocol):
    """Runs ``weighbridge`` with the given arguments in a process of its own, to its end."""

    def __call__(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[str]: ...


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test of the network where it cannot run, or skip it if the user accepts that."""
    if item.get_closest_marker("network") is None or not missing():
        return
    reason = "; ".join(missing())
    if allow_missing():
        pytest.skip(reason)
    pytest.fail(f"{reason} (ALLOW_MISSING=1 skips such tests)", pytrace=False)


@pytest.fixture
def weighbridge(tmp_path: Path) -> Weighbridge:
    """Run the command line from an empty folder; `prefix` goes in front of the command."""

    def run(
        *arguments: str, prefix: Sequence[str] = (), timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, "-m", "sampler.cli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            timeout=timeout_s,
        )

    return run
