"""What an installation takes, how soon it gives a verdict, and what the image holds.

Everything starts from ``dist/weighbridge-*.whl`` and an empty folder. Downloads are part of the
times with an empty cache, so these depend on the index and the line to it. The check is that of
`tests.benchmarks.startup`: nine pods of v1 and one of v2, on loopback.

Run from the repository, as root, after ``make wheel``: ``make install-figures``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.demo.process import EmbeddedService
from tests import container
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance
from tests.benchmarks.startup import EXPECT, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_MB = 3
"""Packages smaller than this are added up."""
_TIMEOUT_S = 900
_SIZES = """
import json, os
from importlib.metadata import distributions
print(json.dumps({
    each.name: sum(
        os.path.getsize(file.locate()) for file in each.files or () if os.path.exists(file.locate())
    )
    for each in distributions()
}))
"""


def main() -> None:
    """Measure, and write ``reports/install.md`` and ``reports/image.md``."""
    (wheel,) = (REPOSITORY / "dist").glob("weighbridge-*.whl")
    made = paragraph(provenance({}))
    rows: list[tuple[str, str, float]] = []
    with (
        EmbeddedService(WEIGHTS, seed=1) as service,
        tempfile.TemporaryDirectory(prefix="wb-") as name,
    ):
        folder = Path(name)
        check = ("check", service.url, "--expect", EXPECT, "--out", "none")
        uv = _tool(folder, "uv")
        for way, caches in (("pip", folder / "pip"), ("uv", folder / "uv-cache")):
            for cache in ("empty", "filled"):
                with _clock(rows, way, cache):
                    if way == "pip":
                        here = folder / f"venv-{cache}"
                        _run(sys.executable, "-m", "venv", str(here))
                        _run(
                            f"{here}/bin/pip",
                            "install",
                            "--quiet",
                            "--cache-dir",
                            str(caches),
                            str(wheel),
                        )
                        _run(f"{here}/bin/weighbridge", *check)
                    else:
                        _run(uv, "tool", "run", "--cache-dir", str(caches), "--quiet",
                             "--from", str(wheel), "weighbridge", *check)  # fmt: skip
        sizes = json.loads(_run(str(folder / "venv-empty/bin/python"), "-c", _SIZES))
        image = container.built()
        work = folder / "work"
        work.mkdir()
        with _clock(rows, "image", "unpacked on the node"):
            command, environment = image.command(work, folder / "log", *check)
            _run(*command, env=environment)
    (REPOSITORY / "reports" / "install.md").write_text(_install(made, sizes, rows), "utf-8")
    (REPOSITORY / "reports" / "image.md").write_text(_image(made, image), "utf-8")


@contextmanager
def _clock(rows: list[tuple[str, str, float]], way: str, cache: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    rows.append((way, cache, time.perf_counter() - began))


def _tool(folder: Path, name: str) -> str:
    _run(sys.executable, "-m", "venv", str(folder / name))
    _run(str(folder / name / "bin" / "pip"), "install", "--quiet", name)
    return str(folder / name / "bin" / name)


def _run(*command: str, env: dict[str, str] | None = None) -> str:
    """Run a command; a check may also end undecided."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=env or os.environ,
        cwd=REPOSITORY.parent,
        stdin=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
    )
    if done.returncode not in {0, 3}:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _table(sizes: dict[str, int]) -> str:
    shown = {name: size for name, size in sizes.items() if size >= LEAST_MB * 1e6}
    lines = [
        f"| {name} | {size / 1e6:.0f} |"
        for name, size in sorted(shown.items(), key=lambda item: -item[1])
    ]
    others = sum(sizes.values()) - sum(shown.values())
    lines.append(f"| {len(sizes) - len(shown)} others | {others / 1e6:.0f} |")
    lines.append(f"| **all** | **{sum(sizes.values()) / 1e6:.0f}** |")
    return "\n".join(["| part | MB |", "| --- | ---: |", *lines])


def _install(made: str, sizes: dict[str, int], rows: list[tuple[str, str, float]]) -> str:
    times = "\n".join(f"| {way} | {cache} | {took:.1f} |" for way, cache, took in rows)
    return f"""# What an installation takes

{made}
## Size

Files of the packages in a virtual environment with the wheel; pip and setuptools come with the
environment.

{_table(sizes)}

## From nothing to the first verdict

From an empty folder, the wheel and Python to the end of the first `check`. With an empty cache,
everything is downloaded; the image is one that a node has pulled already. The machine had other
work to do meanwhile: {os.getloadavg()[2]:.0f} processes wanted its {os.cpu_count()} processors.

| way | cache | s |
| --- | --- | ---: |
{times}
"""


def _image(made: str, image: container.Image) -> str:
    sizes: Counter[str] = Counter()
    packages = "opt/weighbridge/lib/"
    for folder, _, names in os.walk(image.root):
        for name in names:
            path = Path(folder, name)
            inside = path.relative_to(image.root).as_posix()
            if inside.startswith(packages):
                parts = inside.removeprefix(packages).split("/")
                part = parts[2] if len(parts) > 2 else parts[-1]
                sizes[part.removesuffix(".libs")] += path.lstat().st_size
            elif "/python3" in inside:
                sizes["Python"] += path.lstat().st_size
            else:
                sizes["Debian"] += path.lstat().st_size
    archive = REPOSITORY / "build" / "image" / "weighbridge.oci.tar"
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        small = Path(folder) / "small.gz"
        with small.open("wb") as stream:
            subprocess.run(["gzip", "-c", str(archive)], stdout=stream, check=True)
        compressed = small.stat().st_size
    again = _again()
    same = "the same" if again == image.digest else f"another one ({again})"
    return f"""# What the image holds

{made}
Built by `make image` on a base of Debian that mmdebstrap makes, one layer; compressed
{compressed / 1e6:.0f} MB. An image on the base that the `Containerfile` names differs in the rows
*Debian* and *Python*. Built again from the same parts, its digest was {same}:

    {image.digest}

Sizes are those of the files, compiled Python included.

{_table(dict(sizes))}
"""


def _again() -> str:
    """Build the image once more from the same parts, and return its digest."""
    subprocess.run(
        ["bash", "packaging/image.sh"],
        cwd=REPOSITORY,
        check=True,
        env=os.environ | {"PYTHON": sys.executable, "AGAIN": "1"},
        timeout=_TIMEOUT_S,
    )
    return (REPOSITORY / "build" / "image" / "digest").read_text("utf-8").strip()


if __name__ == "__main__":
    main()
