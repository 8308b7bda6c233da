"""The wheel that a user installs holds what it needs, and runs away from the repository."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from zipfile import ZipFile

import pytest

from sampler.base import version as _version
from tests.processes import REPOSITORY, completed


def pip(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Without the build backend at hand, pip fetches it.
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    pip("wheel", "--no-deps", *here, "--wheel-dir", str(folder), str(REPOSITORY))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    names = (name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name)
    in_wheel = {name for name in names if not name.endswith(".so")}  # test_compiled.py has those

    in_repository = {
        path.relative_to(REPOSITORY).as_posix()
        for package in ("weighbridge", "sampler", "analysis")
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".c", ".so"}
    }
    assert in_wheel == in_repository
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in ZipFile(wheel).namelist())


def test_the_installed_command_runs_outside_the_repository(installed, tmp_path):
    command = (sys.executable, str(installed / "bin" / "weighbridge"), "--version")
    done = completed(command, tmp_path, PYTHONPATH=str(installed))

    assert done.returncode == 0, done.stdout + done.stderr
    assert _version.__version__ in done.stdout


@pytest.mark.parametrize("package", ["weighbridge", "sampler", "analysis"])
def test_what_is_installed_is_what_is_imported(installed, tmp_path, package):
    command = (sys.executable, "-c", f"import {package}; print({package}.__path__[0])")
    done = completed(command, tmp_path, PYTHONPATH=str(installed))

    assert done.stdout.strip() == str(installed / package), done.stderr
