"""Renderers: a `Report` in, text out. None of them touches a file, a terminal or a clock."""

from __future__ import annotations

from analysis.render.document import from_json, schema, to_json
from analysis.render.dotenv import to_dotenv
from analysis.render.junit import to_junit
from analysis.render.markdown import to_markdown
from analysis.render.metrics import to_metrics
from analysis.render.text import to_text

__all__ = [
    "from_json",
    "schema",
    "to_dotenv",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_metrics",
    "to_text",
]
