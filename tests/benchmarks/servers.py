"""Real HTTP servers, and whether they count what we count: both transports, fresh and reused.

    python -m tests.benchmarks.servers [--install] [NAME …]

``--install`` first gets what Debian, PyPI and npm bring. Writes ``reports/servers.md``. Ends with 1
if a count differs, or a request was not answered.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.provenance import REPOSITORY, provenance
from tests.servers.catalog import DEBIAN, LEFT_OUT, NPM, ORIGIN, PYPI, SERVERS
from tests.servers.comparing import compared
from tests.servers.running import COMBINATIONS, INSTALLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.servers.comparing import Compared
    from tests.servers.running import Server

REQUESTS = 400
_PREAMBLE = (
    "Two of each listen on loopback, one answers with v1 and one with v2, and each counts. "
    f"{{requests}} requests of every combination: both transports, with fresh and with reused "
    f"connections ({', '.join(COMBINATIONS)}), to each framing that the server has: with "
    "Content-Length, chunked, and ended by the server (`close`). A combination is equal if every "
    "request was answered, and the server has the same counts of both versions. Made by `make "
    "servers`."
)


def install() -> None:
    """Get the packages; those that cannot be had are left out, one by one."""
    if not (INSTALLED / "bin").exists():
        subprocess.run([sys.executable, "-m", "venv", str(INSTALLED)], check=True)
    pip = [str(INSTALLED / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    npm = ["npm", "install", "--prefix", str(INSTALLED), "--no-fund", "--no-audit"]
    for command, packages in (
        (["bash", "tests/install.sh"], DEBIAN),
        ([*pip, "install"], PYPI),
        ([*npm, "--loglevel=error"], NPM),
    ):
        _install(command, packages)


def _install(command: Sequence[str], packages: Iterable[str]) -> None:
    def run(*names: str) -> bool:
        done = subprocess.run([*command, *names], check=False, cwd=REPOSITORY, env=os.environ)
        return done.returncode == 0

    if not run(*packages):
        for package in packages:
            run(package)


def row(server: Server, results: Sequence[Compared]) -> str:
    """Return the row of a server."""
    by_version = ", ".join(
        f"{label} {sum(each.ours[label] for each in results):,}" for label in results[0].ours
    )
    wrong = [each for each in results if not each.is_equal]
    equal = f"{len(results) - len(wrong)} of {len(results)}"
    notes = [server.note, *(each.tell() for each in wrong)]
    return (
        f"| {server.name} | {server.told_version() or '?'} | {', '.join(server.framings)} | "
        f"{server.by} | {by_version} | {equal} | {'; '.join(filter(None, notes))} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="get the servers first")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each combination")
    parser.add_argument("names", nargs="*", help="of servers; all, and the report, if none")
    options = parser.parse_args(arguments)
    if options.install:
        install()
    made = provenance({})
    rows, is_right = [], True
    left_out = [f"* {name}: {why}." for name, why in LEFT_OUT.items()]
    for server in SERVERS:
        if options.names and server.name not in options.names:
            continue
        lack = server.lack()
        if lack:
            left_out.append(f"* {server.name}: {lack} is not installed.")
            continue
        with tempfile.TemporaryDirectory(prefix="wb-servers-") as folder:
            try:
                results = compared(server, Path(folder), options.requests, ORIGIN)
            except TimeoutError as error:
                left_out.append(f"* {server.name}: {error}")
                is_right = False
                continue
        is_right = is_right and all(each.is_equal for each in results)
        rows.append(row(server, results))
        print(rows[-1], flush=True)
    text = "\n".join([
        "# Real HTTP servers", "", _PREAMBLE.format(requests=options.requests), "",
        f"Measured at {made['measured_at']}, commit {made['commit']}.", "",
        "| server | version | framings | counted by | our counts | equal | notes |",
        "| --- | --- | --- | --- | --- | --- | --- |", *rows, "",
        "Left out:", "", *left_out, "",
    ])  # fmt: skip
    print(*left_out, sep="\n")
    if not options.names:
        (REPOSITORY / "reports" / "servers.md").write_text(text, encoding="utf-8")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
