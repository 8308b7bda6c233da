"""The image holds what it promises, and checks a Service where nothing is permitted."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sampler import __version__
from sampler.demo.process import EmbeddedService
from tests import container, image_lock
from tests.processes import REPOSITORY, children
from tests.requirements import COMPILER

pytestmark = [pytest.mark.needs(*container.NEEDS), pytest.mark.timeout(container.BUILD_S)]

MOST_MB = 425
"""Unpacked; reports/image.md says what of."""
EXTRAS = {"dask", "distributed", "pandas", "IPython", "pytest"}
"""What our modules import only where a user has it."""


@pytest.fixture(scope="module")
def image():
    return container.built()


@pytest.fixture
def work(tmp_path):
    """Give the folder that is the container's working directory."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def log(tmp_path):
    """Give the file that is the container's termination log."""
    return tmp_path / "termination-log"


@pytest.fixture
def run(image, work, log):
    """Run the image to its end, or start it."""

    def run(*arguments, entry=None, start=False):
        command, environment = image.command(work, log, *arguments, entry=entry)
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if start:
            return process
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


def files_of(image):
    for folder, _, names in os.walk(image.root):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(image.root), path.lstat()


def test_its_labels_and_its_user_are_those_of_the_project(image):
    config = image.config["config"]

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["weighbridge"]
    assert {"HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"} <= set(config["Env"])
    labels = {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in config["Labels"].items()
        if name.startswith("org.opencontainers.image.")
    }
    assert labels.keys() >= {"title", "description", "licenses", "version", "revision", "created"}
    assert labels["version"] == __version__
    assert labels["created"] == image.config["created"]
    assert "source" not in labels  # no address is public yet


def test_it_holds_no_installer_no_setuid_program_and_nothing_to_compile(image):
    files = dict(files_of(image))

    assert [path for path, about in files.items() if about.st_mode & 0o6000] == []
    assert [path for path in files if {"pip", "ensurepip", "setuptools"} & set(path.parts)] == []
    assert [path for path in files if path.name in {"pip", "pip3"}] == []
    sources = [path for path in files if path.suffix == ".py" and path.parts[0] == "opt"]
    assert len(sources) > 1000
    for source in sources:
        folder = image.root / source.parent / "__pycache__"
        (cached,) = folder.glob(f"{source.stem}.cpython-*.pyc")  # of the image's Python
        # Unchecked: whatever time stamp a runtime gives the source, it is not compiled again.
        assert cached.read_bytes()[4:8] == b"\x01\0\0\0", source
    assert sum(about.st_size for about in files.values()) < MOST_MB * 10**6
    written = [
        path for path, about in files.items() if stat.S_ISREG(about.st_mode) and about.st_mode & 2
    ]
    assert written == []


@pytest.mark.needs(*COMPILER)
def test_all_that_our_modules_import_is_there(image, run):
    """Whatever the Containerfile leaves out of other packages."""
    site = next(image.root.glob("opt/weighbridge/lib/python3*/site-packages"))
    sources = [
        path
        for ours in ("weighbridge", "sampler", "analysis")
        for path in (site / ours).rglob("*.py")
    ]
    names = {".".join(path.relative_to(site).with_suffix("").parts) for path in sources}
    for node in (node for path in sources for node in ast.walk(ast.parse(path.read_text("utf-8")))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    wanted = sorted(
        name
        for name in names
        if name.partition(".")[0] not in EXTRAS
        and not name.endswith((".__main__", "pytest_plugin"))
    )
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = run(entry=("python3", "-c", program, *wanted))

    assert len(wanted) > 400
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.needs(*COMPILER)
def test_its_compiled_part_is_used(run):
    assert run("--version").stdout == f"weighbridge, version {__version__} (compiled: yes)\n"


def test_nothing_is_permitted_where_it_is_run_here(run):
    program = """
import os
print(os.getpid(), os.getuid(), os.getgid(), os.getgroups())
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")))
print(os.access("/", os.W_OK), os.access("/opt/weighbridge", os.W_OK), os.access("/work", os.W_OK))
"""
    done = run(entry=("python3", "-c", program))

    assert done.stderr == ""
    first, capabilities, access = done.stdout.splitlines()
    assert first == "1 65532 65532 []"
    assert set(capabilities.split()) == {"0" * 16}
    assert access == "False False True"


def test_a_check_passes_and_leaves_its_verdict_and_its_page(run, work, log):
    with EmbeddedService({"v1": 10}, seed=1) as service:
        arguments = ("check", service.url, "--expect", "v1=1", "--html", "report.html")
        done = run(*arguments, "--json", "-")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "PASS"
    assert "<svg" in (work / "report.html").read_text("utf-8")
    (path,) = (work / "reports").iterdir()
    assert (path / "samples.parquet").stat().st_size > 0
    assert log.read_text("utf-8").startswith("PASS: v1 received ")


@pytest.mark.parametrize(
    ("expected", "code", "last"),
    [("v1=1,v2=1", 1, "FAIL: "), ("v1", 2, "error: "), ("other=1", 4, "INCONCLUSIVE: ")],
)
def test_every_exit_code_comes_through(run, log, expected, code, last):
    with EmbeddedService({"v1": 10}, seed=1) as service:
        done = run("check", service.url, "--expect", expected, "--out", "none")

    assert done.returncode == code, done.stderr
    assert log.read_text("utf-8").startswith(last)


def test_sigterm_ends_the_first_process_with_a_report(run, log):
    with EmbeddedService({"v1": 10}, seed=1) as service:
        arguments = (
            "check",
            service.url,
            "--expect",
            "v1=1",
            "--tolerance",
            "0.01pp",
            "--beta",
            "1e-9",
        )
        process = run(*arguments, "--out", "none", "--json", "-", "--rate", "50/s", start=True)
        while service.counts().total < 20:
            assert process.poll() is None, process.communicate()
        (first,) = children(process)
        os.kill(first, signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 143, err
    assert json.loads(out)["reasons"][0]["code"] == "interrupted"
    assert log.read_text("utf-8").startswith("INCONCLUSIVE: ")


def test_the_containerfile_names_its_base_by_digest_and_installs_by_path():
    text = (REPOSITORY / "Containerfile").read_text("utf-8")

    base = text.partition("ARG BASE=")[2].splitlines()[0]
    assert "@sha256:" in base
    assert len(base.rpartition(":")[2]) == 64


def test_the_lock_holds_what_the_project_asks_for():
    """With `make lock`, after a change of the dependencies."""
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", image_lock.LOCK.read_text("utf-8"), re.MULTILINE))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    asked = list(project["dependencies"])
    asked += [
        each for extra in image_lock.EXTRAS for each in project["optional-dependencies"][extra]
    ]

    assert len(asked) > 15
    for wanted in map(Requirement, asked):
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted
