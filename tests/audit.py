"""Known holes in what weighbridge stands on: ``python -m tests.audit``, called by ``make audit``.

Two sets are looked up, by pip-audit: what is installed here, and the lowest versions that
``pyproject.toml`` lets in. Where no source of advisories can be reached nothing is checked, and
that is said; with ``REQUIRE=1`` it is a failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = ("pypi", "osv")
"""Services that pip-audit asks: PyPI's JSON API, then osv.dev."""
_PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_BOUND = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)")
_TIMEOUT_S = 300
_OURS = "weighbridge"


def bounds(project: Path = _PROJECT) -> dict[str, str]:
    """Return the lowest version of each package that a user may get."""
    document = tomllib.loads(project.read_text())["project"]
    wanted = [*document["dependencies"]]
    for extra in document.get("optional-dependencies", {}).values():
        wanted += extra
    found = {}
    for each in wanted:
        match = _BOUND.match(each)
        if match is None:
            raise SystemExit(f"{each} has no lower bound")
        found[match[1]] = match[2]
    return found


def holes(arguments: list[str]) -> tuple[str, list[str]] | None:
    """Return the source that answered and what it knows; None if none could be reached."""
    for source in SOURCES:
        command = [
            *(sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
            *("--vulnerability-service", source, *arguments),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
        try:
            document = json.loads(done.stdout)
        except ValueError:
            print(f"  {source}: {(done.stderr.strip().splitlines() or ['no answer'])[-1][:200]}")
            continue
        packages = document["dependencies"]
        if packages and all("skip_reason" in each for each in packages):
            # A mirror of the packages that has no advisories knows none of them.
            print(f"  {source}: {packages[0]['skip_reason']}")
            continue
        return source, list(_told(packages))
    return None


def _told(packages: list[dict[str, Any]]) -> Iterator[str]:
    for each in packages:
        if "skip_reason" in each and each["name"] != _OURS:
            yield f"{each['name']}: not checked: {each['skip_reason']}"
        for hole in each.get("vulns", ()):
            mended = ", ".join(hole["fix_versions"]) or "no version"
            yield f"{each['name']} {each['version']}: {hole['id']}, mended in {mended}"


def main() -> int:
    """Look both sets up; give the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        lowest = Path(folder) / "lowest.txt"
        lowest.write_text("".join(f"{name}=={version}\n" for name, version in bounds().items()))
        sets = {
            "the lowest versions": ["--no-deps", "--disable-pip", "--requirement", str(lowest)],
            "what is installed": ["--path", sysconfig.get_path("purelib")],
        }
        code = 0
        for what, arguments in sets.items():
            print(f"{what}:")
            found = holes(arguments)
            if found is None:
                print("  NOT CHECKED: no source of advisories can be reached from here")
                code = max(code, int(os.environ.get("REQUIRE") == "1"))
                continue
            source, known = found
            print("\n".join(f"  {each}" for each in known) or f"  no known hole ({source})")
            code = max(code, bool(known))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
