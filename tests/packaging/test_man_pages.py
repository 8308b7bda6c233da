"""The manual pages: one for each command, without a complaint of man."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.processes import completed


@pytest.mark.needs("man")
def test_man_shows_a_page_of_each_command(tmp_path):
    done = completed([sys.executable, "-m", "tests.man_pages", "man"], tmp_path)
    assert done.returncode == 0, done.stderr

    pages = sorted((tmp_path / "man").iterdir())
    names = {page.name for page in pages}
    assert {"weighbridge.1", "weighbridge-check.1", "weighbridge-rollout-promote.1"} <= names
    shown = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", *map(str, pages)],
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stderr == ""
    text = " ".join(shown.stdout.split())
    assert "decides, with guaranteed error rates" in text
    assert "Exit codes: 0 PASS, 1 FAIL" in text
    assert "-c, --concurrency N Maximum number of requests in flight." in text
