"""What a forge shows beside a job: links in GitLab, annotations in GitHub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.render import summary
from analysis.render.printable import as_command_data, as_command_property, in_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.data.report import Report

_LEVELS = {Verdict.PASS: "notice", Verdict.FAIL: "error", Verdict.INCONCLUSIVE: "warning"}


def to_gitlab_annotations(links: Mapping[str, str]) -> str:
    """Render links for ``artifacts:reports:annotations`` of GitLab 16.3 and later.

    Parameters
    ----------
    links : mapping of str to str
        URL by text of the link.
    """
    section = [{"external_link": {"label": label, "url": url}} for label, url in links.items()]
    return in_json(json.dumps({"weighbridge": section}, indent=2)) + "\n"


def to_github_annotations(report: Report) -> str:
    """Render the verdict as a workflow command of GitHub Actions, to be printed by a step.

    Returns
    -------
    str
        One line: an error for FAIL, a warning for INCONCLUSIVE, else a notice; what to do is
        part of its text.
    """
    level = "notice" if report.verdict is None else _LEVELS[report.verdict]
    title = as_command_property(f"weighbridge: {summary.tag(report)}")
    lines = [summary.why(report), *(f"→ {each}" for each in summary.remedies(report))]
    message = "\n".join([*lines, *summary.trust(report)])
    return f"::{level} title={title}::{as_command_data(message)}\n"
