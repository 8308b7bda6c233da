"""Run the notebooks and store their outputs: ``make notebooks``.

``python -m notebooks.execute [NAME ...] [--out DIR]`` runs those whose file begins with a NAME
(all of them otherwise), from the folder of the notebooks, and writes them back, or to DIR. A
cell that raises, warns or writes to the standard error ends it with 1.

What changes although nothing changed (times, versions, which kernel) is left out, so that
the difference of two executions is the difference of what they show.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent
TIMEOUT_S = 240
"""Longest that one cell may take [s]."""

STRICT = """
import warnings

warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")  # the kernel's own, at its end
"""
"""Run before the first cell: whoever reads a notebook should not see a warning in it."""
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(Exception):
    """A notebook that cannot be shown as it is."""


def main(arguments: list[str]) -> int:
    """Execute what was asked for; the exit code says whether all of it can be shown."""
    parser = argparse.ArgumentParser(prog="notebooks.execute", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of a file's name")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    options = parser.parse_args(arguments)
    failed = 0
    for path in chosen(options.names):
        try:
            notebook = execute(path)
        except NotebookError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        store(notebook, options.out / path.name)
        print(path.name, file=sys.stderr)
    return 1 if failed else 0


def chosen(names: list[str]) -> list[Path]:
    """Give the notebooks whose names begin with one of `names`; all of them without any."""
    every = sorted(FOLDER.glob("*.ipynb"))
    return [path for path in every if path.name.startswith(tuple(names) or ("",))]


def execute(path: Path) -> NotebookNode:
    """Run a notebook from its first cell to its last, in a kernel of its own.

    Raises
    ------
    NotebookError
        If a cell raises, warns, or writes to the standard error.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT_S,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
            # Sockets in a folder of this user: no port is opened.
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
        )
        paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            client.execute(env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
        except CellExecutionError as error:
            raise NotebookError(str(error)) from error
    del notebook.cells[0]
    tidy(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(f"cell {cell.id} wrote to the standard error: {output.text}")
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Leave out what differs from one execution to the next, and count cells from 1."""
    notebook.metadata = NotebookNode(_METADATA)
    count = 0
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = _joined(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def _joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed in pieces: where it was cut is chance."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" and _kind(output) == _kind(joined[-1]):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _kind(output: NotebookNode) -> tuple[str, str | None]:
    return output.output_type, output.get("name")


def store(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook."""
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
