"""Make the examples under ``reports/example``: a PASS, a FAIL, an INCONCLUSIVE, and two compared.

Real requests to the embedded Service, by the installed command line; each run keeps all of its
documents. Run from the repository: ``.venv/bin/python -m tests.example_reports``.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed

EXAMPLES = REPOSITORY / "reports" / "example"

# Name, pods of the Service, what is expected of it, further arguments, exit code.
RUNS = (
    ("pass", {"v1": 9, "v2": 1}, "v1=9,v2=1", (), 0),
    ("fail", {"v1": 9, "v2": 1}, "v1=5,v2=5", (), 1),
    ("inconclusive", {"v1": 9, "v2": 1}, "v1=9,v2=1", ("--max-samples", "60"), 3),
)
ATTEMPTS = 5
"""A right split is failed in one run of a hundred; an example shows the usual case."""


def main() -> None:
    """Replace the examples."""
    for name, pods, expect, more, code in RUNS:
        with EmbeddedService(pods) as service, tempfile.TemporaryDirectory() as folder:
            run = _run(name, service.url, expect, more, code, Path(folder))
            shutil.rmtree(EXAMPLES / name, ignore_errors=True)
            shutil.copytree(run, EXAMPLES / name)
        print(f"{name}: {sorted(path.name for path in (EXAMPLES / name).iterdir())}")
    _compare("pass", "fail")


def _compare(first: str, second: str) -> None:
    """Compare two of the examples."""
    folder = EXAMPLES / "compared"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = [("--json", "json"), ("--markdown", "md"), ("--html", "html")]
    arguments = [part for option, end in files for part in (option, f"compared/comparison.{end}")]
    command = [*WEIGHBRIDGE, "report", first, second, *arguments]
    completed(command, EXAMPLES, timeout_s=120).check_returncode()
    print(f"compared: {sorted(path.name for path in folder.iterdir())}")


def _run(name: str, url: str, expect: str, more: tuple[str, ...], code: int, folder: Path) -> Path:
    arguments = ["check", url, "--expect", expect, *more, "--name", name, "--seed", "1"]
    said = ""
    for attempt in range(ATTEMPTS):
        out = Path("reports", str(attempt))
        command = [*WEIGHBRIDGE, *arguments, "--out", str(out), "--html", "page.html"]
        done = completed(command, folder, timeout_s=120)
        if done.returncode == code:
            (run,) = (folder / out).iterdir()
            return run
        said = done.stdout + done.stderr
    raise RuntimeError(f"{name}: expected exit code {code}: {said}")


if __name__ == "__main__":
    main()
