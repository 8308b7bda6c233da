"""How pages are opened, and what every page is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.requirements import path_of

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_PATIENCE_MS = 90_000
"""Of a machine with other work."""
NEEDED = pytest.mark.needs("chromium", "libatomic.so.1")


def started(playwright, profile, **settings):
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=path_of("chromium"),
        args=ARGUMENTS,
        timeout=_PATIENCE_MS,
        **settings,
    )
    context.set_default_timeout(_PATIENCE_MS)
    return context


def opened(context, url):
    """Open a page that keeps what it complains of, and what it asks for."""
    page = context.new_page()
    page.complaints = []
    page.requests = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda asked: page.requests.append(asked.url))
    page.goto(url)
    return page


def require_no_barrier(page, *schemes):
    rules = Path(path_of("axe-core") or "").read_text(encoding="utf-8")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(f"{rules}; axe.run()")
        told = [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found["violations"]]
        assert told == [], scheme


def require_no_sideways_scrolling(page, width):
    """Nothing but what is made to scroll is wider than the window."""
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.eval_on_selector_all(
        "body *:not(svg *):not(.scroll *)",
        "(all, width) => all.filter(e => e.getBoundingClientRect().right > width + 1)"
        ".map(e => e.tagName)",
        width,
    )
    assert outside == []
