"""The notebooks run, and what is stored in them is what they show."""

from __future__ import annotations

import base64
import json
import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import REPOSITORY, completed

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

FOLDER = REPOSITORY / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
MEGABYTE = 1_000_000


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shape(cell: dict[str, Any]) -> list[object]:
    """Kinds of the outputs of a cell, and its printed sentences without their numbers."""
    kinds: list[object] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            kinds.append(re.sub(r"[-+\d.,\s]+", " ", "".join(output["text"])))
        else:
            kinds.append(sorted(output.get("data", {})))
    return kinds


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own: what a kernel's client warns of is not ours.
    return completed([sys.executable, *arguments], REPOSITORY, timeout_s=280)


def test_there_are_six_of_them():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_without_a_warning_and_shows_what_is_stored(name, tmp_path):
    done = python("-m", "notebooks.execute", name, "--out", str(tmp_path))

    assert done.returncode == 0, done.stderr
    stored, shown = read(FOLDER / name), read(tmp_path / name)
    assert [cell["source"] for cell in stored["cells"]] == [
        cell["source"] for cell in shown["cells"]
    ]
    for before, after in zip(code_cells(stored), code_cells(shown), strict=True):
        assert shape(before) == shape(after), f"{before['id']}: store it again with make notebooks"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_was_executed_from_top_to_bottom(name):
    cells = code_cells(read(FOLDER / name))

    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds <= {"stream", "execute_result", "display_data"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_stored_that_changes_by_itself(name):
    notebook = read(FOLDER / name)

    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert set(notebook["metadata"]["language_info"]) == {"name"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    text = json.dumps(code_cells(notebook))
    assert not re.search(r"0x[0-9a-f]{8}", text)
    assert str(REPOSITORY) not in text


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_pictures_of_moderate_size(name):
    pictures = [
        base64.b64decode(output["data"]["image/png"])
        for cell in code_cells(read(FOLDER / name))
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]

    assert pictures
    assert max(map(len, pictures)) < 120_000
    assert (FOLDER / name).stat().st_size < MEGABYTE / 3


@pytest.mark.parametrize("name", NAMES)
def test_each_question_has_an_answer_below_it(name):
    kinds = [
        (cell["cell_type"], "".join(cell["source"]).lstrip().startswith("## "), cell)
        for cell in read(FOLDER / name)["cells"]
    ]

    for (_, is_question, cell), (kind, _, answer) in pairwise(kinds):
        if is_question and "What to remember" not in "".join(cell["source"]):
            assert kind == "code"
            assert answer["outputs"], cell["source"]


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_public_is_used(name):
    source = "\n".join("".join(cell["source"]) for cell in code_cells(read(FOLDER / name)))

    assert re.search(r"^from (sampler|analysis)", source, re.MULTILINE)
    assert not re.search(r"(?<![\w)\]])\b(?:sampler|analysis)[\w.]*\._", source)
    assert not re.search(r"^from (?:sampler|analysis).* import .*\b_\w", source, re.MULTILINE)


def test_links_between_notebooks_lead_somewhere():
    for name in NAMES:
        text = "\n".join("".join(cell["source"]) for cell in read(FOLDER / name)["cells"])
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (FOLDER / target).exists(), f"{name}: {target}"


def test_the_recorded_runs_are_small():
    files = [path for path in (FOLDER / "runs").rglob("*") if path.is_file()]

    assert {path.name for path in files} <= {
        "report.json",
        "samples.parquet",
        "plan.json",
        "expectation.json",
    }
    assert sum(path.stat().st_size for path in files) < MEGABYTE


def written(path: Path, *sources: str) -> Path:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source,
            "outputs": [], "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]  # fmt: skip
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


EXECUTE = """
import json, sys
from pathlib import Path
from notebooks.execute import NotebookError, execute
try:
    print(json.dumps(execute(Path(sys.argv[1]))))
except NotebookError as error:
    print(error)
"""

LIVE = """
from pathlib import Path
from analysis import Split
from sampler import Target, check, read
from sampler.demo.process import EmbeddedService
with EmbeddedService({"v1": 5, "v2": 5}, seed=1) as service:
    expected = Split.parse("v1=9,v2=1")
    report = await check(Target(service.url), expected, out=Path(FOLDER))
print(report.verdict)
"""


def test_a_cell_weighs_a_service_and_the_run_shows_itself(tmp_path):
    path = written(
        tmp_path / "live.ipynb",
        LIVE.replace("FOLDER", repr(str(tmp_path))),
        "run = read(report.run.path)\nrun",
        "run.figure()",
    )

    done = python("-c", EXECUTE, str(path))

    said, shown, drawn = (cell["outputs"][0] for cell in json.loads(done.stdout)["cells"])
    assert said["text"] == "FAIL\n"
    assert "<svg" in shown["data"]["text/html"]
    assert drawn["data"]["image/png"]


BAD = {
    # One of a library, which Python would not show.
    "a warning": "import warnings\n"
    "warnings.warn_explicit('look at me', DeprecationWarning, 'library.py', 1, 'library')",
    "the standard error": "import sys\nprint('oops', file=sys.stderr)",
}


@pytest.mark.parametrize("what", BAD)
def test_a_notebook_that_shows_what_it_should_not_is_refused(what, tmp_path):
    done = python("-c", EXECUTE, str(written(tmp_path / "bad.ipynb", BAD[what])))

    assert not done.stdout.startswith("{"), "it was executed as if nothing was wrong"
    assert ("look at me" in done.stdout) or ("cell cell-0 wrote" in done.stdout), done.stderr
