"""On a machine that lacks a real part, the tests say which and how to get it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest

from tests import requirements
from tests.processes import REPOSITORY, completed


@pytest.fixture
def machine(monkeypatch):
    """Make a machine that lacks the given parts, with or without the right to be root."""

    def make(*lacks, root=True):
        there = requirements.path_of
        monkeypatch.setattr(
            requirements,
            "path_of",
            lambda name: None if name in lacks else there(name) or f"/usr/bin/{name}",
        )
        monkeypatch.setattr("shutil.which", lambda name, path: f"/usr/bin/{name}")
        monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
        made = subprocess.CompletedProcess([], 0, "", "")
        monkeypatch.setattr(requirements, "_ip", lambda *arguments: made)
        requirements.lack_of.cache_clear()

    yield make
    monkeypatch.undo()
    requirements.lack_of.cache_clear()


def test_a_missing_part_is_named_with_the_command_that_brings_it(machine, capsys):
    machine("wrk")

    assert requirements.main([]) == 1
    assert "wrk is missing" in (said := capsys.readouterr().err)
    assert "apt-get install wrk" in said
    assert "nginx" not in said


def test_a_machine_that_lacks_nothing_may_run_every_test(machine, capsys):
    machine()

    assert requirements.main([]) == 0
    assert capsys.readouterr().err == ""


def test_what_debian_brings_is_installed_and_looked_for_again(machine, monkeypatch, capsys):
    machine("wrk", "node")
    ran = []

    def install(command, **options):
        ran.append(command[1:])
        machine()

    monkeypatch.setattr("subprocess.run", install)

    assert requirements.main(["--install"]) == 0
    assert ran == [[os.path.join("tests", "install.sh"), "wrk", "nodejs"]]  # noqa: PTH118
    assert capsys.readouterr().err == ""


def test_what_cannot_be_installed_is_still_missing(machine, monkeypatch, capsys):
    machine("wrk")
    monkeypatch.setattr("subprocess.run", lambda command, **options: None)

    assert requirements.main(["--install"]) == 1
    assert "wrk is missing" in capsys.readouterr().err


def test_the_test_group_declares_every_wheel():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))

    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependency-groups"]["test"]}
    assert {part.package for part in requirements.WHEELS} <= declared


@pytest.mark.parametrize(
    ("root", "lacks", "line"),
    [
        (False, ["nginx", requirements.ROOT], "sudo make test"),
        (False, ["axe-core"], "npm install --prefix .venv/npm axe-core"),
        (False, ["axe-core", "npm"], "sudo make test"),
        (True, ["wrk", "nginx"], "apt-get install nginx-light wrk"),
        (True, ["promtool", "prometheus"], "apt-get install prometheus"),
        (
            True,
            ["node", "gitlab-ci-local"],
            "apt-get install nodejs && npm install --prefix .venv/npm gitlab-ci-local@4.61.0",
        ),
        (True, ["_fastpath"], ".venv/bin/python -m pip install --editable ."),
        (
            True,
            ["_fastpath", "gcc"],
            "apt-get install gcc && .venv/bin/python -m pip install --editable .",
        ),
    ],
)
def test_one_line_gets_all_that_is_missing(machine, root, lacks, line):
    machine(*lacks, root=root)

    assert requirements.remedy(lacks) == line


def test_what_npm_does_not_reach_without_npm_needs_npm_too(machine):
    machine("axe-core", "npm")

    assert requirements.remedy(["axe-core"]) == (
        "apt-get install npm && npm install --prefix .venv/npm axe-core"
    )


def test_a_system_without_apt_get_is_told_the_names(machine, monkeypatch):
    machine("wrk", "nginx", root=False)
    monkeypatch.setattr("shutil.which", lambda name, path: None)

    assert requirements.remedy(["wrk", "nginx"]) == (
        "install nginx-light, wrk as this system does, then: su -c 'make test'"
    )


@pytest.mark.parametrize("step", ["netns", "-n"])
def test_a_container_that_can_make_or_enter_no_namespace_is_told_so(machine, monkeypatch, step):
    machine()

    def ip(*arguments):
        code = int(arguments[0] == step)
        return subprocess.CompletedProcess([], code, "", "mount --make-rslave / failed\n")

    monkeypatch.setattr(requirements, "_ip", ip)

    assert "make-rslave" in (said := requirements.remedy([requirements.ROOT]))
    assert said.endswith("needs --privileged")


def test_a_library_is_looked_for_as_the_linker_does():
    assert requirements.path_of("libc.so.6") == "libc.so.6"
    assert requirements.path_of("libnothing.so.1") is None


def test_what_npm_brings_is_looked_for_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("WEIGHBRIDGE_AXE", str(tmp_path / "axe.js"))
    assert requirements.path_of("axe-core") is None

    (tmp_path / "axe.js").touch()
    assert requirements.path_of("axe-core") == str(tmp_path / "axe.js")


@pytest.fixture
def install(tmp_path):
    """Run ``tests/install.sh`` with programs that only write down how they were called."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def program(name, script):
        (programs / name).write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        (programs / name).chmod(0o755)

    def run(*packages, user, sudo="exit 1", apt_get='{ echo "apt-get $*"; cat "$POLICY"; } >&2'):
        program("id", f"echo {user}")
        program("sudo", sudo)
        program("apt-get", apt_get)
        path = f"{programs}:{os.environ['PATH']}"
        command = ("bash", "tests/install.sh", *packages)
        return completed(command, REPOSITORY, PATH=path, POLICY=str(tmp_path / "policy"))

    return run


def test_packages_are_installed_while_no_service_may_start(install, tmp_path):
    done = install("nginx-light", "wrk", user=0)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^apt-get .*install .* nginx-light wrk$", done.stderr, re.MULTILINE)
    assert done.stderr.count("exit 101") == 2
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize("code", [0, 100])
def test_a_policy_that_was_there_comes_back_whatever_happens(install, tmp_path, code):
    (tmp_path / "policy").write_text("mine", encoding="utf-8")

    done = install("wrk", user=0, apt_get=f"exit {code}")

    assert done.returncode == code
    assert [path.name for path in tmp_path.glob("policy*")] == ["policy"]
    assert (tmp_path / "policy").read_text(encoding="utf-8") == "mine"


def test_a_user_who_may_not_install_is_told_the_line_for_who_may(install):
    done = install("nginx-light", "wrk", user=1000)

    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("sudo apt-get install nginx-light wrk")
    assert done.stdout == ""


def test_a_user_with_sudo_installs_by_it(install):
    as_root = 'shift; [ "$1" = true ] || echo "sudo $*"'

    done = install("wrk", user=1000, sudo=as_root)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^sudo .*bash tests/install.sh wrk$", done.stdout, re.MULTILINE)


LEAVING_OUT = """
import pytest

@pytest.mark.needs("wrk", "nginx")
def test_of_two_parts():
    raise AssertionError

@pytest.mark.needs("wrk")
def test_of_one_part():
    raise AssertionError

def test_of_nothing():
    pass
"""


def pytest_without(lacks, tmp_path, *options, **environment):
    """Run three tests, of which two need parts, on a machine that lacks some."""
    (tmp_path / "test_parts.py").write_text(LEAVING_OUT, encoding="utf-8")
    (tmp_path / "lacking.py").write_text(
        f"from tests import requirements\nthere = requirements.path_of\n"
        f"requirements.path_of = lambda name: "
        f"None if name in {lacks!r} else there(name) or '/usr/bin/' + name\n",
        encoding="utf-8",
    )
    command = [
        *(sys.executable, "-m", "pytest", str(tmp_path / "test_parts.py")),
        *("--confcutdir", str(REPOSITORY), "-p", "lacking", "-p", "tests.conftest"),
        *("--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pyproject.toml"), *options),
    ]
    variables = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}", "EVERY_TEST": "0"} | environment
    return completed(command, REPOSITORY, **variables)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_ends_with_what_was_left_out_and_the_line_that_gets_it(tmp_path, processes):
    done = pytest_without(["wrk"], tmp_path, "-n", processes)

    assert done.returncode == 0, done.stdout + done.stderr
    *_, title, parts, line, closing = done.stdout.rstrip().splitlines()
    assert "2 tests were left out for want of" in title
    assert parts.split(maxsplit=2)[:2] == ["2", "wrk"]
    assert line.startswith("to run them too: ")
    assert "1 passed, 2 skipped" in closing


def test_where_every_test_is_asked_for_a_missing_part_is_a_failure(tmp_path):
    done = pytest_without(["wrk"], tmp_path, "-n", "0", EVERY_TEST="1")

    assert done.returncode == 1
    assert "EVERY_TEST=1, and these did not run" in done.stdout
    assert "wrk is missing" in done.stdout


def test_continuous_integration_calls_make_test_and_asks_for_every_test():
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")

    assert " make test " in script.splitlines()[-1]
    assert "EVERY_TEST=1" in script
