"""Write ``packaging/image.lock``: what the image installs, each file by its hash (``make lock``).

uv resolves for the oldest Python, whose releases newer ones take as well, and then finds the files
for all platforms; kept are the wheels for Linux on x86-64 and aarch64, and for each CPython that a
base may bring. The extras are those that
the `Containerfile` may be asked for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from tests.processes import REPOSITORY

EXTRAS = ("kubernetes", "dask")
LOCK = REPOSITORY / "packaging" / "image.lock"
_WHEEL = re.compile(
    r"-(?:py3|py2\.py3|cp3[\d.cp]*)-(?:none|abi3|cp31[1-4])"
    r"-(?:any|(?:.*\.)?manylinux[^-]*_(?:x86_64|aarch64))\.whl$"
)
_HEAD = """\
# Written by `make lock`; do not edit. What the image installs: hashes of wheels for Linux.
"""


def main() -> None:
    """Resolve anew, and write the lock."""
    with tempfile.TemporaryDirectory() as folder:
        releases, resolved = Path(folder, "releases.txt"), Path(folder, "pylock.toml")
        _compile(releases, "--no-header", "--no-annotate")
        _compile(resolved, "--universal", "--constraints", str(releases))
        packages = tomllib.loads(resolved.read_text("utf-8"))["packages"]
    LOCK.write_text(_HEAD + "".join(map(_entry, packages)), encoding="utf-8")


def _compile(output: Path, *options: str) -> None:
    """Resolve `pyproject.toml` for the oldest Python."""
    extras = (word for extra in EXTRAS for word in ("--extra", extra))
    command = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", "pyproject.toml", *extras)
    subprocess.run(
        [*command, "--python-version", "3.11", "--output-file", str(output), *options],
        cwd=REPOSITORY,
        check=True,
        timeout=300,
    )


def _entry(package: dict[str, Any]) -> str:
    """Return the lines of one package.

    Raises
    ------
    SystemExit
        If it has no wheel for Linux, so that it would have to be built.
    """
    hashes = sorted(
        wheel["hashes"]["sha256"]
        for wheel in package["wheels"]
        if _WHEEL.search(wheel["url"].rpartition("/")[2])
    )
    if not hashes:
        sys.exit(f"{package['name']} {package['version']} has no wheel for Linux")
    lines = [f"{package['name']}=={package['version']}"]
    return " \\\n".join([*lines, *(f"    --hash=sha256:{each}" for each in hashes)]) + "\n"


if __name__ == "__main__":
    main()
