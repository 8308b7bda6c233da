"""No shipped text installs, includes or links what has not been published (docs/install.md)."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from sampler import __version__
from sampler.expect.cluster import credentials
from tests.processes import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
UNSHIPPED = ("tests/", "reports/", "notebooks/runs/", "docs/decisions/", "CHANGELOG.md")
"""What no user copies lines from: tests, recorded runs, measurements and history."""

pytestmark = pytest.mark.needs("git")

_INSTALLER = r"(?:pip3?|pipx|uv pip|uv tool|uv|poetry|conda)\s+(?:install|add|run|download)|uvx"
# The name as an index knows it: no path, no file, no option's value.
_FROM_INDEX = re.compile(
    rf"(?:{_INSTALLER})\b[^\n`|;&]*?[\s\"'=]weighbridge(?:\[[\w,]*\])?(?:[=~<>@][^\s]*)?[\"'\s`]"
)
KINDS = {
    "a package of an index": _FROM_INDEX,
    "a requirement with a version": re.compile(r"\bweighbridge(?:\[[\w,]+\])?\s*(?:==|~=|>=|@\s)"),
    "an extra by name": re.compile(r"\bweighbridge\[\w"),
    "a component": re.compile(r"component:\s*['\"]?[\w$.{}/-]*weighbridge"),
    "an action": re.compile(r"uses:\s*['\"]?[\w.-]+/weighbridge"),
    "a project's address": re.compile(
        r"(?:https?://|git@|git\+\w+://)[^\s/:]+[/:](?:[\w.-]+/)*weighbridge\b"
    ),
    # `localhost/` is what buildah calls an image that no registry has.
    "an image": re.compile(
        r"(?<![\w./-])(?!localhost/)[a-z0-9-]+\.[a-z0-9.-]+/(?:[\w-]+/)*weighbridge[:@]"
    ),
}


def shipped() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=True,
        cwd=REPOSITORY,
        text=True,
        timeout=60,
    )
    names = [name for name in done.stdout.split("\0") if name and not name.startswith(UNSHIPPED)]
    return [path for name in names if (path := REPOSITORY / name).is_file()]


def findings(text: str) -> list[str]:
    # The way of running a wheel names the command after it, and what asks no index names what was
    # built here.
    plain = re.sub(r"--from\s+\S+\s+weighbridge\b|--no-index\s[^\n`|;&]*\bweighbridge\b", "", text)
    return [
        f"{kind}: {found[0].strip()}"
        for kind, pattern in KINDS.items()
        for found in pattern.finditer(plain)
    ]


def test_shipped_texts_name_nothing_that_was_not_published():
    files = shipped()
    assert len(files) > 300

    wrong = []
    for path in files:
        if path == REPOSITORY / "pyproject.toml":
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(REPOSITORY)}: {each}" for each in findings(text)]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "pip install weighbridge\n",
        "python -m pip install --quiet 'weighbridge[kubernetes]'\n",
        "pip install --upgrade weighbridge==0.1.0 \n",
        "`pipx install weighbridge`",
        "uvx weighbridge check\n",
        "uv tool install weighbridge\n",
        "weighbridge==$WEIGHBRIDGE_VERSION",
        "- component: $CI_SERVER_FQDN/weighbridge/weighbridge/check@0.1.0",
        "- uses: acme/weighbridge@v1",
        "https://github.com/acme/weighbridge",
        "git+https://gitlab.example/team/weighbridge.git",
        "image: ghcr.io/acme/weighbridge:1",
        "image: registry.example/weighbridge:1",
    ],
)
def test_each_kind_of_line_that_does_not_work_is_found(line):
    assert findings(line)


@pytest.mark.parametrize(
    "line",
    [
        "pip install .\n",
        "pip install '.[kubernetes]'\n",
        "pip install dist/weighbridge-*.whl\n",
        "uvx --from dist/weighbridge-*.whl weighbridge check\n",
        'pip install --no-index --find-links dist "weighbridge[kubernetes]"\n',
        "uv tool install .; weighbridge check\n",
        "image: localhost/weighbridge:0.1.0",
        "weighbridge check http://shop.example/ --expect v1=9,v2=1",
        "uses: ./",
    ],
)
def test_lines_that_work_are_left_alone(line):
    assert findings(line) == []


def test_no_address_of_the_project_is_invented():
    assert "urls" not in PROJECT


def test_the_version_is_written_in_one_place():
    """Elsewhere only as the tag of an image that is built here."""
    elsewhere = {
        path.relative_to(REPOSITORY).as_posix(): found
        for path in shipped()
        if path.suffix not in {".ipynb", ".lock"} and path.name != "version.py"
        for found in re.findall(
            rf"^.*(?<![\d.]){re.escape(__version__)}(?![\d.]).*$",
            path.read_text("utf-8", errors="replace"),
            re.MULTILINE,
        )
        if f"weighbridge:{__version__}" not in found and "newTag:" not in found
    }
    assert elsewhere == {}


def test_the_hint_about_a_missing_extra_brings_what_the_extra_brings():
    assert PROJECT["optional-dependencies"]["kubernetes"] == [credentials.PACKAGE]
