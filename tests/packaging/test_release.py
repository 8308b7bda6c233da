"""What `make release-check` rehearses, as far as it fits here: equal builds, and notes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sampler.base.version import __version__
from tests.processes import REPOSITORY
from tests.release import digests, notes

CHANGES = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.0.0 - 2026-01-01\n\n- first\n"


def test_the_wheel_is_the_same_when_it_is_built_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("once", "again"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / name],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            timeout=240,
        )

    assert digests(tmp_path / "once") == digests(tmp_path / "again")
    assert len(digests(tmp_path / "once")) == 1


def test_the_notes_are_the_section_of_the_version():
    assert notes(CHANGES, "1.0.0") == "- first\n"
    assert notes(CHANGES, "1.1.0") == "- new\n"
    assert "\n- " in notes((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), __version__)


def test_a_version_without_a_word_is_not_released():
    with pytest.raises(ValueError, match=r"nothing of 1\.1\.0"):
        notes("# Changelog\n\n## 1.1.0\n\n## 1.0.0\n\n- first\n", "1.1.0")
