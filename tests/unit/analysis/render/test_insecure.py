"""Nobody reads a report without seeing that no certificate was verified."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.render import to_dotenv, to_json, to_junit, to_markdown, to_metrics, to_text
from analysis.render.annotations import to_github_annotations
from analysis.render.html import to_html

NOTE = "--insecure: no certificate was verified; the server may be any"


@pytest.mark.parametrize("name", ["passed", "failed", "undecided", "measured"])
@pytest.mark.parametrize(
    "render",
    [
        to_text,
        to_json,
        to_junit,
        to_markdown,
        to_metrics,
        to_dotenv,
        to_html,
        to_github_annotations,
    ],
)
def test_every_document_shows_it(reports, render, name):
    report = reports[name]
    insecure = replace(report, notes=[*report.notes, NOTE])

    assert "insecure" in render(insecure).lower()
    assert "insecure" not in render(report).lower()
