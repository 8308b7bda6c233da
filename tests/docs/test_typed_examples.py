"""The documented Python passes the two type checkers that users have, in their strictest mode."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.processes import REPOSITORY, completed
from tests.requirements import path_of

PAGES = ("README.md", "docs/library.md")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Return a folder with one file for each page: its blocks, one after the other."""
    folder = tmp_path_factory.mktemp("examples")
    for page in PAGES:
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert blocks, page
        (folder / f"{Path(page).stem.lower()}.py").write_text("\n".join(blocks), encoding="utf-8")
    return folder


def ended(folder, *command):
    return completed([str(word) for word in command], folder)


def test_mypy_accepts_the_documented_examples(examples):
    done = ended(
        examples, sys.executable, "-m", "mypy", "--strict", "--cache-dir", examples / "kept", "."
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("pyright", "node")
def test_pyright_accepts_the_documented_examples(examples):
    program, node = path_of("pyright"), path_of("node")
    # A page shows values as the last lines of cells do.
    settings = {"typeCheckingMode": "strict", "reportUnusedExpression": False}
    (examples / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")

    done = ended(examples, node, program, "--pythonpath", sys.executable)

    assert done.returncode == 0, done.stdout + done.stderr
