"""A folder of somebody else that is called `analysis` or `sampler` is named, with what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.processes import REPOSITORY, completed

CALL = "import weighbridge; weighbridge.check"
COMMAND = (
    "import sys; sys.argv = ['weighbridge', '--version']; "
    "from weighbridge.__main__ import run; sys.exit(run())"
)
"""What the script that pip installs does."""


def ended(folder, *arguments, path=()):
    """Run Python in a folder; its own modules come first, those of PYTHONPATH before ours."""
    places = os.pathsep.join([*map(str, path), str(REPOSITORY)])
    return completed([sys.executable, *arguments], folder, PYTHONPATH=places)


def foreign(folder, name, *, is_package):
    place = folder / name / "__init__.py" if is_package else folder / f"{name}.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text("", encoding="utf-8")
    return place


@pytest.mark.parametrize("is_package", [True, False], ids=["package", "module"])
@pytest.mark.parametrize("name", ["analysis", "sampler"])
def test_a_foreign_module_is_named_to_a_program(tmp_path, name, is_package):
    place = foreign(tmp_path, name, is_package=is_package)

    done = ended(tmp_path, "-c", CALL)

    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(f"ImportError: weighbridge needs its own package '{name}'")
    assert str(place) in last
    assert "Rename it" in last
    assert "python -P" in last


@pytest.mark.parametrize("name", ["analysis", "sampler"])
def test_a_foreign_module_that_was_imported_before_is_named(tmp_path, name):
    place = foreign(tmp_path, name, is_package=True)

    done = ended(tmp_path, "-c", f"import {name}; {CALL}")

    assert f"ImportError: weighbridge needs its own package '{name}'" in done.stderr
    assert str(place) in done.stderr


def test_a_foreign_folder_of_files_that_was_imported_before_is_named(tmp_path):
    (tmp_path / "analysis").mkdir()
    code = f"import sys; sys.path.remove({str(REPOSITORY)!r}); import analysis; "

    done = ended(tmp_path, "-c", f"{code} sys.path.append({str(REPOSITORY)!r}); {CALL}")

    assert "ImportError: weighbridge needs its own package 'analysis'" in done.stderr
    assert str(tmp_path / "analysis") in done.stderr


def test_a_folder_of_files_that_nobody_imported_does_no_harm(tmp_path):
    (tmp_path / "analysis").mkdir()

    done = ended(tmp_path, "-c", CALL)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_option_that_is_advised_helps(tmp_path):
    foreign(tmp_path, "analysis", is_package=True)

    done = ended(tmp_path, "-P", "-c", CALL)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["analysis", "sampler"])
def test_a_foreign_module_is_named_to_the_command_line(tmp_path, name):
    place = foreign(tmp_path, name, is_package=True)

    done = ended(tmp_path, "-m", "weighbridge", "--version")

    assert done.returncode == 2
    assert done.stderr.startswith(f"weighbridge: weighbridge needs its own package '{name}'")
    assert str(place) in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_command_names_a_foreign_module_on_the_path(tmp_path):
    place = foreign(tmp_path, "analysis", is_package=True)

    done = ended(REPOSITORY.parent, "-P", "-c", COMMAND, path=[tmp_path])

    assert done.returncode == 2
    assert str(place) in done.stderr
    assert "python -P" not in done.stderr  # it is in force, and did not help


def test_the_command_line_is_the_module_of_the_same_name(tmp_path):
    done = ended(tmp_path, "-m", "weighbridge", "--version")

    assert done.returncode == 0
    assert done.stdout.startswith("weighbridge, version ")


def test_the_console_script_is_the_one_that_looks(tmp_path):
    script = Path(sys.executable).parent / "weighbridge"
    foreign(tmp_path, "sampler", is_package=True)

    done = completed([str(script), "--version"], tmp_path, PYTHONPATH=str(tmp_path))

    assert done.returncode == 2
    assert str(tmp_path / "sampler") in done.stderr


def test_importing_the_package_imports_nothing_that_computes_or_sends(tmp_path):
    code = "import sys; was = set(sys.modules); import weighbridge; print(*set(sys.modules) - was)"

    done = ended(tmp_path, "-c", code)

    assert set(done.stdout.split()) <= {"__future__", "weighbridge"}
