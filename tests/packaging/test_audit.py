"""The audit of what weighbridge stands on: what it looks up, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests import audit

ANSWER = {
    "dependencies": [
        {"name": "jinja2", "version": "3.1", "vulns": [{"id": "X-1", "fix_versions": ["3.1.6"]}]},
        {"name": "click", "version": "8.1.7", "vulns": []},
    ]
}


SKIPPED = {
    "dependencies": [
        {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited"},
        {"name": "click", "skip_reason": "Dependency not found on PyPI and could not be audited"},
    ]
}


@pytest.fixture
def pip_audit(monkeypatch):
    """Let pip-audit give one answer, or nothing; collect what it was asked."""

    def use(answer):
        asked = []

        def run(command, **_more):
            asked.append(command)
            out = "" if answer is None else json.dumps(answer)
            return subprocess.CompletedProcess(command, 1, out, "ConnectionError: no way")

        monkeypatch.setattr(subprocess, "run", run)
        return asked

    return use


def test_each_dependency_has_a_lower_bound_that_is_looked_up(pip_audit):
    asked = pip_audit({"dependencies": ANSWER["dependencies"][1:]})

    assert audit.main() == 0
    assert {"aiohttp", "pyarrow", "jinja2"} <= set(audit.bounds())
    assert len(asked) == 2


def test_a_known_hole_is_named_with_its_remedy(pip_audit, capsys):
    pip_audit(ANSWER)

    assert audit.main() == 1
    assert "jinja2 3.1: X-1, mended in 3.1.6" in capsys.readouterr().out


def test_a_package_that_was_not_looked_up_is_not_said_to_be_without_holes(pip_audit, capsys):
    pip_audit({"dependencies": [ANSWER["dependencies"][1], SKIPPED["dependencies"][0]]})

    assert audit.main() == 1
    assert "jinja2: not checked: Dependency not found" in capsys.readouterr().out


@pytest.mark.parametrize("is_required", [False, True])
@pytest.mark.parametrize("answer", [None, SKIPPED])
def test_where_nobody_can_be_asked_that_is_said(
    pip_audit, capsys, monkeypatch, answer, is_required
):
    asked = pip_audit(answer)
    monkeypatch.setenv("REQUIRE", str(int(is_required)))

    assert audit.main() == int(is_required)
    assert len(asked) == 2 * len(audit.SOURCES)
    printed = capsys.readouterr().out
    assert printed.count("NOT CHECKED: no source of advisories can be reached") == 2
    assert "no known hole" not in printed
