"""What an installation takes, how soon it gives a verdict, and what the image holds.

Everything starts from ``dist/weighbridge-*.whl`` and an empty folder. Downloads are part of the
times with an empty cache, so these depend on the index and the line to it. The check is that of
`tests.benchmarks.startup`: nine pods of v1 and one of v2, on loopback. Each step is said as it
begins, and all of them together end within ``--minutes``, which is enough for a machine that has
nothing else to do.

Run from the repository, as root, after ``make wheel``: ``make install-figures``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.demo.process import EmbeddedService
from tests import container
from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance
from tests.benchmarks.startup import EXPECT, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEAST_MB = 3
"""Packages smaller than this are added up."""
VERDICTS = {0, 1, 3}
"""The split is right, but a verdict is random."""
_ARCHIVE = REPOSITORY / "build" / "image" / "weighbridge.oci.tar"
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


class Steps:
    """Runs commands one after the other, with one deadline for all of them.

    Parameters
    ----------
    most_s : float
        Seconds until the deadline.
    """

    def __init__(self, most_s: float) -> None:
        self.most_s = most_s
        self.ends = time.monotonic() + most_s

    def run(
        self,
        *command: str | Path,
        codes: frozenset[int] | set[int] = frozenset({0}),
        env: Mapping[str, str] | None = None,
        folder: Path = REPOSITORY,
    ) -> str:
        """Run a command and return what it printed.

        Raises
        ------
        SystemExit
            If it ends with a code that is not among `codes`, or not before the deadline.
        """
        words = [str(word) for word in command]
        print(f"{time.strftime('%T')} {' '.join(words)[:100]}", file=sys.stderr, flush=True)
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **(env or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                timeout=max(1.0, self.ends - time.monotonic()),
            )
        except subprocess.TimeoutExpired:
            sys.exit(f"{words} did not end within the {self.most_s:g} s that all steps have")
        if done.returncode not in codes:
            sys.exit(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


def main() -> None:
    """Measure, and write ``reports/install.md`` and ``reports/image.md``."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=9.5, help="for all steps together")
    steps = Steps(parser.parse_args().minutes * 60)
    # The compiled one, where there is one.
    wheel = min((REPOSITORY / "dist").glob("weighbridge-*.whl"))
    # A commit that comes between two builds is not what these are compared by.
    os.environ["REVISION"], os.environ["SOURCE_DATE_EPOCH"] = steps.run(
        "git", "log", "-1", "--format=%H %ct"
    ).split()
    made, load = paragraph(provenance({})), os.getloadavg()[0]
    image = _image(steps)
    with tempfile.TemporaryDirectory(prefix="wb-") as name:
        sizes, times = _installed(steps, wheel, Path(name), image)
    (REPOSITORY / "reports" / "install.md").write_text(_install_page(made, load, sizes, times))
    (REPOSITORY / "reports" / "image.md").write_text(_image_page(steps, made, image))


def _installed(
    steps: Steps, wheel: Path, folder: Path, image: container.Image
) -> tuple[dict[str, int], dict[tuple[str, str], float]]:
    """Return bytes by package, and seconds to the first verdict by way and state of the cache."""
    times: dict[tuple[str, str], float] = {}
    steps.run(sys.executable, "-m", "venv", folder / "tools")
    steps.run(folder / "tools" / "bin" / "pip", "install", "--quiet", "uv")
    with EmbeddedService(WEIGHTS, seed=1) as service:
        check = ("check", service.url, "--expect", EXPECT, "--out", "none")
        for cache in ("empty", "filled"):
            began = time.perf_counter()
            place = folder / f"pip-{cache}" / "bin"
            steps.run(sys.executable, "-m", "venv", place.parent)
            here = ("--quiet", "--cache-dir", folder / "pip-cache")
            steps.run(place / "pip", "install", *here, wheel, folder=folder)
            steps.run(place / "weighbridge", *check, codes=VERDICTS, folder=folder)
            times["pip", cache] = time.perf_counter() - began
        for cache in ("empty", "filled"):
            began = time.perf_counter()
            uv = (folder / "tools" / "bin" / "uv", "tool", "run", "--quiet")
            source = ("--cache-dir", folder / "uv-cache", "--from", wheel)
            steps.run(*uv, *source, "weighbridge", *check, codes=VERDICTS, folder=folder)
            times["uv", cache] = time.perf_counter() - began
        (folder / "work").mkdir()
        command, environment = image.command(folder / "work", folder / "log", *check)
        began = time.perf_counter()
        steps.run(*command, codes=VERDICTS, env=environment)
        times["image", "unpacked on the node"] = time.perf_counter() - began
    sizes = steps.run(folder / "pip-empty" / "bin" / "python", "-c", _SIZES, folder=folder)
    return json.loads(sizes), times


def _image(steps: Steps, **variables: str) -> container.Image:
    """Build the image with its archive, and return it."""
    environment = {"PYTHON": sys.executable, "ARCHIVE": "1", **variables}
    steps.run("bash", "packaging/image.sh", env=environment)
    return container.read()


def _table(sizes: Mapping[str, int]) -> str:
    shown = {name: size for name, size in sizes.items() if size >= LEAST_MB * 1e6}
    lines = [
        f"| {name} | {size / 1e6:.0f} |"
        for name, size in sorted(shown.items(), key=lambda item: -item[1])
    ]
    others = sum(sizes.values()) - sum(shown.values())
    lines.append(f"| {len(sizes) - len(shown)} others | {others / 1e6:.0f} |")
    lines.append(f"| **all** | **{sum(sizes.values()) / 1e6:.0f}** |")
    return "\n".join(["| part | MB |", "| --- | ---: |", *lines])


def _install_page(
    made: str, load: float, sizes: Mapping[str, int], times: Mapping[tuple[str, str], float]
) -> str:
    rows = "\n".join(f"| {way} | {cache} | {took:.1f} |" for (way, cache), took in times.items())
    return f"""# What an installation takes

{made}
## Size

Files of the packages in a virtual environment with the wheel, compiled Python included; pip and
setuptools come with the environment. What was tried to make it smaller is in
[decision 25](../docs/decisions/0025-what-an-installation-holds.md).

{_table(sizes)}

## From nothing to the first verdict

From an empty folder, the wheel and Python to the end of the first `check`. With an empty cache,
everything is downloaded; the image is one that a node has pulled already. As this began, {load:.1f}
processes of others wanted the {os.cpu_count()} processors.

| way | cache | s |
| --- | --- | ---: |
{rows}
"""


def _parts(root: Path) -> Iterator[tuple[str, int]]:
    """Give the part that each file of the image belongs to, and its bytes."""
    packages = "opt/weighbridge/lib/"
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            inside = path.relative_to(root).as_posix()
            size = path.lstat().st_size
            if inside.startswith(packages):
                parts = inside.removeprefix(packages).split("/")
                yield (parts[2] if len(parts) > 2 else parts[-1]).removesuffix(".libs"), size
            else:
                yield ("Python" if "/python3" in inside else "Debian"), size


def _image_page(steps: Steps, made: str, image: container.Image) -> str:
    sizes: Counter[str] = Counter()
    for part, size in _parts(image.root):
        sizes[part] += size
    packed = _ARCHIVE.stat().st_size
    again = _image(steps, AGAIN="1").digest
    same = "the same" if again == image.digest else f"another one ({again})"
    return f"""# What the image holds

{made}
Built by `make image` on a base of Debian that mmdebstrap makes, one layer; its archive, which is
about what a node pulls, has {packed / 1e6:.0f} MB. An image on the base that the `Containerfile`
names differs in the rows *Debian* and *Python*. Built again from the same parts, its digest was
{same}:

    {image.digest}

Sizes are those of the files, compiled Python included. The `Containerfile` says what is left out.

{_table(sizes)}
"""


if __name__ == "__main__":
    main()
