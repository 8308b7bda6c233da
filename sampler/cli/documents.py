"""Options that name the documents of a report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import StorageError, UsageError
from sampler.cli.sections import with_options
from sampler.store.files import put

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the report as JSON; '-' is stdout.",
)  # fmt: skip
document_options = with_options(
    click.option("--junit", default=None, metavar="FILE",
                 help="Write a JUnit report; '-' is stdout."),
    click.option(
        "--markdown", default=None, metavar="FILE",
        help="Write a summary in Markdown, for a comment or a step summary; '-' is stdout.",
    ),
    click.option(
        "--metrics", default=None, metavar="FILE", help="Write OpenMetrics text; '-' is stdout."
    ),
    click.option(
        "--dotenv", default=None, metavar="FILE",
        help="Write the verdict as variables for later jobs of a pipeline; '-' is stdout.",
    ),
    click.option(
        "--annotations", default=None, metavar="FILE",
        help="In a GitLab job: write links to the documents, for artifacts:reports:annotations; "
        "'-' is stdout.",
    ),
    click.option(
        "--github", is_flag=True,
        help="In a GitHub Actions step: annotate it, append to its summary, and set its outputs "
        "'verdict', 'line' and 'run-id'.",
    ),
    click.option(
        "--html", default=None, metavar="FILE",
        help="Write an HTML page with figures, after printing the verdict; '-' is stdout.",
    ),
)  # fmt: skip
"""Documents that people and forges read."""

_NAMES = {"json": "json_file", "junit": "junit", "markdown": "markdown", "metrics": "metrics",
          "dotenv": "dotenv", "annotations": "annotations", "html": "html"}  # fmt: skip


def documents_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the file of each document that the options ask for; the slowest comes last.

    Raises
    ------
    UsageError
        If one of them cannot be written, or the environment of a forge is missing: before
        anything is measured.
    """
    from sampler.cli import forge  # noqa: PLC0415 - heavy imports wait for a command

    files = {
        name: options[option] for name, option in _NAMES.items() if options.get(option) is not None
    }
    if "annotations" in files:
        forge.require_gitlab()
    if options.get("github"):
        # Its file is not named on the command line, but by the environment.
        files["github"] = forge.step_summary()
        if (output := forge.step_output()) is not None:
            files["github-output"] = output
    require_writable(files)
    return files


def require_writable(documents: Mapping[str, str]) -> None:
    """Refuse, before anything is sent, documents that cannot be written.

    Raises
    ------
    UsageError
        If a folder does not exist, writing is not permitted, or two go to stdout.
    """
    if sum(file == "-" for file in documents.values()) > 1:
        raise UsageError("only one document can go to stdout", hint="give a file for the others")
    for name, file in documents.items():
        path = Path(file)
        if file == "-":
            continue
        if path.parent.is_dir() and not path.is_dir():
            _require_permission(name, path)
            continue
        raise UsageError(
            f"--{name} {file}: expected a file in an existing folder",
            hint="give a file in it" if path.is_dir() else f"make it first: mkdir -p {path.parent}",
        )


def _require_permission(name: str, path: Path) -> None:
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(
            f"--{name} {path}: writing is not permitted",
            hint="give a file in a folder that you may write to",
        )


def write_document(option: str, path: Path, document: str) -> None:
    """Write the document of an option.

    Raises
    ------
    UsageError
        If there is no folder for it.
    StorageError
        If it cannot be written; what was there stays.
    """
    require_writable({option: str(path)})
    save_document(option, path, document)


def save_document(option: str, path: Path, document: str) -> None:
    """Write the document of an option whose file was looked at before the run.

    Raises
    ------
    StorageError
        If it cannot be written; what was there stays.
    """
    try:
        put(path, document.encode())
    except OSError as error:
        raise unwritable(option, path, error.strerror) from error


def unwritable(option: str, file: object, why: str | None) -> StorageError:
    """Return the error that the document of an option could not be written."""
    return StorageError(
        f"--{option} {file} could not be written: {why}",
        hint="free some space, or give another file; weighbridge report makes the documents of a "
        "run again",
    )
