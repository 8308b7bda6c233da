"""Each command imports what it uses: who asks for help does not wait for NumPy."""

from __future__ import annotations

import sys

import pytest

from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, completed

NUMERIC = {"numpy", "msgspec", "pyarrow"}
RARELY_USED = {
    "aiohttp",
    "importlib.metadata",
    "jinja2",
    "kubernetes_asyncio",
    "matplotlib",
    "numpy.ma",
    "pandas",
    "yaml",
    "scipy",
    "uvloop",
}
_RUN = """
import sys
from sampler.cli import main
code = main(sys.argv[2:])
print(*sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def imported(folder, modules, *arguments):
    """Run a command; give its exit code, and those of some modules that it imported."""
    done = completed([sys.executable, "-c", _RUN, ",".join(modules), *arguments], folder)
    return done.returncode, done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("command", [[], ["check"], ["judge"], ["plan"], ["expect"], ["demo"]])
def test_help_imports_nothing_that_computes(tmp_path, command):
    heavy = NUMERIC | RARELY_USED | {"asyncio", "rich"}

    assert imported(tmp_path, heavy, *command, "--help") == (0, [])


def test_a_plan_in_words_imports_nothing_that_draws_or_sends(tmp_path):
    heavy = RARELY_USED | {"asyncio", "pyarrow"}

    assert imported(tmp_path, heavy, "plan", "--expect", "v1=9,v2=1") == (0, [])


def test_a_check_imports_no_library_that_it_does_not_need(tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        few = ("--tolerance", "0.5pp", "--alpha", "1e-9", "--max-samples", "300")
        arguments = ("check", service.url, "--expect", "v1=9,v2=1", *few, "--out", "reports")
        code, found = imported(tmp_path, RARELY_USED, *arguments)

    assert (code, found) == (3, [])


def test_expectations_of_manifests_import_nothing_that_sends(tmp_path):
    manifests = REPOSITORY / "tests" / "manifests" / "service_replicas" / "input.yaml"
    heavy = RARELY_USED - {"yaml"} | {"asyncio", "pyarrow"}

    code, found = imported(
        tmp_path, heavy, "expect", "--manifests", str(manifests), "--service", "app"
    )

    assert found == []
    assert code == 0
