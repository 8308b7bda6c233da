"""The page of gates and checks, in Chromium: accessible, narrow enough, and inert."""

from __future__ import annotations

import pytest

from analysis.render.gates import Row, to_html
from tests.browser.chromium import (
    NEEDED,
    opened,
    require_no_barrier,
    require_no_sideways_scrolling,
)

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

pytestmark = NEEDED


@pytest.fixture
def page(context, tmp_path):
    rows = [
        Row(
            gate="shop",
            key=f"{HOSTILE}{verdict}" + "x" * 300,
            verdict=verdict,
            state="done",
            line=f"{HOSTILE}\u202e received 4.8 % of 21 connections",
            began="2026-11-30T16:25:34.725+00:00",
            notes=(HOSTILE,),
            state_url="/v1/checks/0123456789abcdef",
            page_url="/v1/checks/0123456789abcdef/report.html",
        )
        for verdict in ("PASS", "FAIL", "INCONCLUSIVE", "PENDING")
    ]
    file = tmp_path / "gates.html"
    file.write_text(to_html([("shop", f"{HOSTILE}=1")], rows, "0.1.0"), encoding="utf-8")
    made = opened(context, file.as_uri())
    yield made
    made.close()


def test_texts_of_strangers_do_nothing(page):
    assert page.complaints == []
    assert page.evaluate("document.title") == "weighbridge: gates"
    assert page.locator("img, script").count() == 0
    assert page.locator("tbody tr").count() == 5


def test_nothing_but_tables_scrolls_sideways(page):
    for width in (320, 1200):
        require_no_sideways_scrolling(page, width)


@pytest.mark.needs("axe-core")
def test_axe_finds_no_barrier(page):
    require_no_barrier(page, "light", "dark")
