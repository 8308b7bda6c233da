"""The Python of the README does what it says; `tests/cli/test_console.py` runs its commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from sampler.demo.process import EmbeddedService
from tests.processes import completed

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8080/"

PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def service():
    """The Service of the README: from its seed, each command meets the same draws of pods."""
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as running:
        yield running


def test_there_is_something_to_type():
    assert len(PYTHON) == 1


def test_the_python_of_the_readme_runs(service, tmp_path):
    script = tmp_path / "readme.py"
    script.write_text(PYTHON[0].replace(URL, service.url), encoding="utf-8")

    done = completed([sys.executable, str(script)], tmp_path)

    assert done.stdout.startswith("PASS"), done.stderr
