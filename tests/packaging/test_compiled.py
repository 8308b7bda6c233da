"""What is written in C is compiled where that is possible, and missing where it is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from types import SimpleNamespace
from zipfile import ZipFile

import pytest

import hatch_build
from tests.processes import REPOSITORY
from tests.requirements import COMPILER

pytestmark = pytest.mark.needs(*COMPILER)

(MODULE,) = (module.replace(".", "/") for module in hatch_build.MODULES)
COMPILED = f"{MODULE}.abi3.so"
SOURCE = """
#include <Python.h>
#include <assert.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = __FILE__};
PyMODINIT_FUNC PyInit__fastpath(void) { return PyModule_Create(&module); }
"""


class Project:
    """A project with the files that a build of ours needs, and a small module in C.

    Parameters
    ----------
    folder : Path
        Where it is made.
    """

    def __init__(self, folder):
        self.folder = folder
        for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
            folder.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / name, folder)
        for package in ("weighbridge", "analysis", "sampler/base", "sampler/exchange/transport"):
            (folder / package).mkdir(parents=True)
            (folder / package / "__init__.py").touch()
        shutil.copy(REPOSITORY / "sampler/base/version.py", folder / "sampler/base")
        self.source = folder / f"{MODULE}.c"
        self.source.write_text(SOURCE)
        self.beside = folder / COMPILED

    def build(self, target="wheel", **environment):
        """Build, and return what was made and what was said."""
        shutil.rmtree(self.folder / "dist", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"],
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        made = sorted((self.folder / "dist").glob("*")) if not done.returncode else []
        return next(iter(made), None), done.stderr


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def compiled_in(wheel):
    """Return what is compiled in a wheel."""
    with ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".c")]
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".so")}


def tag_of(wheel):
    """Return the tag of a wheel, which its name and its metadata agree on."""
    tag = wheel.stem.split("-", 2)[2]
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        told = archive.read(name).decode()
    assert f"\nTag: {tag}\n" in told
    assert f"\nRoot-Is-Purelib: {'false' if 'abi3' in tag else 'true'}\n" in told
    return tag


@pytest.mark.parametrize("setting", ["auto", "1"])
def test_a_wheel_with_compiled_modules_is_for_every_newer_cpython_on_such_a_system(
    project, setting
):
    project.beside.write_bytes(b"stale")

    wheel, told = project.build(WEIGHBRIDGE_COMPILE=setting)

    assert re.fullmatch(r"cp311-abi3-linux_\w+", tag_of(wheel))
    assert compiled_in(wheel)[COMPILED].startswith(b"\x7fELF")
    assert len(compiled_in(wheel)) == 1
    assert "built without" not in told


def test_without_a_wish_for_it_nothing_is_compiled(project):
    project.beside.write_bytes(b"stale")

    wheel, told = project.build(WEIGHBRIDGE_COMPILE="0")

    assert (tag_of(wheel), compiled_in(wheel)) == ("py3-none-any", {})
    assert "compiled" not in told


@pytest.mark.parametrize("lacks", ["a compiler", "its headers"])
def test_where_nothing_can_be_compiled_the_wheel_is_whole_without_and_one_line_says_so(
    project, lacks
):
    if lacks == "its headers":
        project.source.write_text(f"#include <no/Python.h>\n{SOURCE}")
    environment = {"CC": "no-such-compiler"} if lacks == "a compiler" else {}

    wheel, told = project.build(**environment)

    assert (tag_of(wheel), compiled_in(wheel)) == ("py3-none-any", {})
    (line,) = (line for line in told.splitlines() if "built without" in line)
    assert "gcc, libc6-dev, python3-dev): " in line

    nothing, told = project.build(WEIGHBRIDGE_COMPILE="1", **environment)

    assert nothing is None
    assert "WEIGHBRIDGE_COMPILE=1, and this build cannot have the compiled part" in told


def test_another_setting_is_refused(project):
    assert project.build(WEIGHBRIDGE_COMPILE="yes") == (
        None, "WEIGHBRIDGE_COMPILE: expected one of auto, 0, 1; got 'yes'\n"
    )  # fmt: skip


def test_an_editable_installation_has_it_beside_its_source_and_no_other(project):
    project.beside.write_bytes(b"stale")

    wheel, _ = project.build("wheel:editable")
    assert project.beside.read_bytes().startswith(b"\x7fELF")
    assert compiled_in(wheel) == {}

    project.build("wheel:editable", CC="no-such-compiler")
    assert not project.beside.exists()


def test_the_source_archive_gives_the_same_module_elsewhere(project, tmp_path):
    """And so it holds no path of the machine, be it of the source or of its Python."""
    project.beside.write_bytes(b"stale")
    archive, _ = project.build("sdist")
    # Python 3.11.2 has no filter in tarfile, 3.12 warns without one.
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True, timeout=60)
    unpacked = object.__new__(Project)
    (unpacked.folder,) = tmp_path.glob("weighbridge-*")
    assert not list(unpacked.folder.rglob("*.so"))

    modules = [compiled_in(each.build()[0])[COMPILED] for each in (project, unpacked)]

    assert modules[0] == modules[1]
    assert MODULE.encode() in modules[0]
    for place in (str(tmp_path), sys.base_prefix + "/lib"):
        assert place.encode() not in modules[0]


@pytest.mark.needs("_fastpath")
def test_ours_compiles_without_a_warning_and_what_lies_in_the_tree_is_of_its_source(project):
    """After a change of it, `make` compiles it anew."""
    shutil.copy(REPOSITORY / f"{MODULE}.c", project.source)

    # In place of Python's own.
    flags = f"{sysconfig.get_config_var('CFLAGS')} -Wall -Wextra -Werror"

    wheel, told = project.build(WEIGHBRIDGE_COMPILE="1", CFLAGS=flags)

    assert wheel is not None, told
    assert compiled_in(wheel)[COMPILED] == (REPOSITORY / COMPILED).read_bytes()


def test_ours_counts_what_it_returns_whatever_headers_it_is_compiled_with():
    """The macros of Python 3.12 and newer do not, and what they make ends Python 3.11."""
    source = (REPOSITORY / f"{MODULE}.c").read_text(encoding="utf-8")

    assert not re.findall(r"\bPy_RETURN_\w+;", source)


@pytest.mark.parametrize("system", ["win32", "pypy", "free-threaded"])
def test_where_there_is_no_such_stable_abi_nothing_is_tried(monkeypatch, system):
    if system == "win32":
        monkeypatch.setattr(sys, "platform", system)
    elif system == "pypy":
        monkeypatch.setattr(sys, "implementation", SimpleNamespace(name=system))
    else:
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name: int("GIL" in name))

    with pytest.raises(RuntimeError, match=r"this (CPython has no GIL|is .*(pypy|win32))"):
        hatch_build._compile("", "", "")
