"""The Makefile makes the environment with the Python that it was told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import REPOSITORY


@pytest.fixture
def make(tmp_path):
    """Run make beside an environment of some version, up to what it would do."""
    (tmp_path / "Makefile").write_bytes((REPOSITORY / "Makefile").read_bytes())

    def run(*arguments, version):
        python = tmp_path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
        python.chmod(0o755)
        (tmp_path / ".venv" / ".created").touch()
        return subprocess.run(
            ["make", ".venv/.created", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def test_an_environment_of_another_python_is_made_anew(make):
    told = make("--dry-run", f"PYTHON={sys.executable}", version="3.11.0 of another day")

    assert "venv --clear .venv" in told.stdout


def test_an_environment_of_that_python_stays(make):
    told = make("--dry-run", f"PYTHON={sys.executable}", version=sys.version)

    assert "venv --clear" not in told.stdout


def test_without_the_python_that_was_told_nothing_is_removed(make, tmp_path):
    told = make("PYTHON=python3.99", version=sys.version)

    assert told.returncode == 2
    assert "needs Python 3.11 or newer" in told.stderr
    assert (tmp_path / ".venv" / "bin" / "python").exists()
