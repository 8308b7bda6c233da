"""How Sphinx builds the site: ``make docs``. The pages are those that a forge shows, unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sampler.base.version import __version__

project = "weighbridge"
author = "the authors of weighbridge"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "*.md",
    "docs/**.md",
    "deploy/*.md",
    "examples/**.md",
    "notebooks/*.md",
    "reports/*.md",
    "reports/benchmarks/*.md",
    "tests/recordings/README.md",
]
suppress_warnings = [
    "misc.highlighting_failure",  # of mermaid, which would need a script
    "toc.not_included",  # a page may be reached from others alone
]

myst_heading_anchors = 4
autodoc_typehints = "none"  # numpydoc has them, with their units
numpydoc_show_class_members = False
autosummary_generate = False

html_theme = "furo"
html_title = f"weighbridge {__version__}"
html_extra_path = ["site"]  # the first page, at the root
html_favicon = "site/favicon.svg"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
}
"""What the theme leaves out: a heading's level, names of landmarks, keys for what scrolls."""


def setup(app: Any) -> None:
    """Read links as a forge does, and make the built pages accessible."""
    app.connect("source-read", _link_no_folder)
    app.connect("build-finished", _make_accessible)


def _link_no_folder(app: Any, docname: str, source: list[str]) -> None:
    """Let a link to a folder lead to its page; one without a page stays as its text."""
    here = (Path(app.srcdir) / docname).parent

    def page_of(link: re.Match[str]) -> str:
        page = f"{link[2]}README.md"
        return f"[{link[1]}]({page})" if (here / page).exists() else link[1]

    source[0] = re.sub(r"\[([^\]]+)\]\(([^)\s:]+/)\)", page_of, source[0])


def _make_accessible(app: Any, error: Exception | None) -> None:
    for page in () if error else Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if "_downloads" not in page.parts and ACCESSIBLE["<pre>"] not in text:
            for given, wanted in ACCESSIBLE.items():
                text = text.replace(given, wanted)
            page.write_text(text, encoding="utf-8")
