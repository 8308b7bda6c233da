"""What a forge shows of a run, through the environment that it gives its jobs.

GitLab: links to the documents beside the job, and the figure beside a case that failed. GitHub:
an annotation, the step summary, and an output. Without that environment, the options that
need it are refused before anything is sent.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from analysis.render import summary, to_markdown
from analysis.render.annotations import to_gitlab_annotations
from analysis.render.printable import visible
from sampler.base.errors import UsageError
from sampler.show.documents import SPLIT_PNG, is_drawn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis import Report

_JOB_URL = "CI_JOB_URL"
_PROJECT = "CI_PROJECT_DIR"
_SUMMARY = "GITHUB_STEP_SUMMARY"
_OUTPUT = "GITHUB_OUTPUT"
_LARGEST_SUMMARY = 1_048_576
"""Bytes of all summaries of a step; what goes beyond is not shown at all."""
_NAMES = {"html": "page", "markdown": "summary", "junit": "JUnit", "json": "report.json",
          "metrics": "metrics"}  # fmt: skip
# GitLab looks for a marker that holds none of these.
_NOT_IN_A_MARKER = frozenset("[]|\n\r")


def require_gitlab() -> None:
    """Refuse annotations outside a GitLab job.

    Raises
    ------
    UsageError
        If the environment names no job.
    """
    if not os.environ.get(_JOB_URL, "").startswith(("http://", "https://")):
        raise UsageError(
            f"--annotations needs a GitLab job, and {_JOB_URL} is not set",
            hint="GitLab sets it in jobs; leave the option out elsewhere",
        )


def step_summary() -> str:
    """Return the file to which a GitHub Actions step appends its summary.

    Raises
    ------
    UsageError
        If the environment names none.
    """
    file = os.environ.get(_SUMMARY, "")
    if not file:
        raise UsageError(
            f"--github needs a GitHub Actions step, and {_SUMMARY} is not set",
            hint="GitHub sets it in steps; --markdown FILE writes the same elsewhere",
        )
    return file


def gitlab_links(report: Report, documents: Mapping[str, str]) -> str:
    """Render links to the documents of a job, the page first, and to the run's folder."""
    job = os.environ[_JOB_URL].rstrip("/")
    verdict = "measured" if report.verdict is None else report.verdict.value
    verdict += " (--insecure)" if summary.trust(report) else ""
    ranked = sorted(documents.items(), key=lambda item: item[0] != "html")
    links = {}
    for name, file in ranked:
        path = _in_project(Path(file)) if file != "-" and name in _NAMES else None
        if path is not None:
            links[f"weighbridge {verdict}: {_NAMES[name]}"] = f"{job}/artifacts/file/{quote(path)}"
    folder = None if report.run.path is None else _in_project(Path(report.run.path))
    if folder is not None:
        links[f"weighbridge {verdict}: run"] = f"{job}/artifacts/browse/{quote(folder)}/"
    return to_gitlab_annotations(links)


def attachment(report: Report, documents: Mapping[str, str]) -> str:
    """Return the figure that a failed case shows, relative to the project; empty without one.

    The figure is drawn with the page, so there is one only where a page was asked for, and
    there is something to draw.
    """
    if "html" not in documents or report.run.path is None or not is_drawn(report):
        return ""
    path = _in_project(Path(report.run.path) / SPLIT_PNG)
    return "" if path is None or _NOT_IN_A_MARKER & set(path) else path


def summary_within(report: Report, file: str) -> str:
    """Render the step summary, within what earlier ones have left of its size limit."""
    try:
        taken = Path(file).stat().st_size
    except OSError:
        taken = 0
    return to_markdown(report, limit=max(_LARGEST_SUMMARY - taken - 1, 0))


def step_output() -> str | None:
    """Return the file of the outputs of a GitHub Actions step; None if the step has none."""
    return os.environ.get(_OUTPUT) or None


def outputs(report: Report) -> str:
    """Render the outputs of a GitHub Actions step, a line each."""
    verdict = "" if report.verdict is None else report.verdict.value
    return f"verdict={verdict}\nline={visible(str(report))}\nrun-id={visible(report.run.id)}\n"


def _in_project(path: Path) -> str | None:
    """Return a path relative to the project, with slashes; None if it is outside."""
    project = Path(os.environ.get(_PROJECT) or ".").resolve()
    try:
        return path.resolve().relative_to(project).as_posix()
    except ValueError:
        return None
