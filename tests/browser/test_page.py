"""The page of a run as a browser shows it: headless Chromium, driven by Playwright."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from analysis.render.html import to_html
from sampler.documents import draw_all
from tests.recorded import recorded
from tests.requirements import allow_missing, path_of

CHROMIUM = path_of("chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
REPOSITORY = Path(__file__).resolve().parents[2]
AXE = Path(
    os.environ.get("WEIGHBRIDGE_AXE", REPOSITORY / ".venv/npm/node_modules/axe-core/axe.min.js")
)
"""The accessibility rules; not a part of the project, so `make test` gets them."""
HOSTILE = ("$x^2$", "<script>document.title='owned'</script>", "v1\u202e2v", "x" * 10_000)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and allow_missing(), reason="chromium is missing: apt-get install chromium"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files of three pages: a plain PASS, twelve versions, hostile labels."""
    folder = tmp_path_factory.mktemp("pages")
    twelve = [f"release-2026.{number}" for number in range(12)]
    made = {
        "pass": recorded(["v1", "v2"], [9, 1], n=1500, replicas=5),
        "twelve": recorded(twelve, [3] * 12, n=3000, replicas=17, lost=0.01),
        "hostile": recorded(HOSTILE, [3] * 4, n=1200, per_connection=4, lost=0.02),
    }
    for name, (batch, report) in made.items():
        (folder / f"{name}.html").write_text(
            to_html(report, draw_all(report, batch)), encoding="utf-8"
        )
    return folder


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=CHROMIUM, args=ARGUMENTS
        )
        yield chromium
        chromium.close()


@pytest.fixture(params=["pass", "twelve", "hostile"])
def page(request, pages, context):
    opened = context.new_page()
    opened.complaints = []
    opened.requests = []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda asked: opened.requests.append(asked.url))
    opened.goto((pages / f"{request.param}.html").as_uri())
    yield opened
    opened.close()


def test_the_page_opens_without_complaint_and_asks_for_nothing_else(page):
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [page.url]
    assert "owned" not in page.title()


def test_every_figure_is_seen_and_speaks(page):
    figures = page.locator("figure svg[role=img]")

    assert figures.count() >= 3
    for number in range(figures.count()):
        figure = figures.nth(number)
        box = figure.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 100
        for spoken in figure.get_attribute("aria-labelledby").split():
            assert page.locator(f"[id='{spoken}']").text_content().strip()


def test_the_headings_make_an_outline(page):
    levels = page.eval_on_selector_all(
        "h1,h2,h3", "all => all.map(each => Number(each.tagName[1]))"
    )

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert set(levels[1:]) == {2}
    ids = page.eval_on_selector_all("[id]", "all => all.map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_what_scrolls(page):
    scrolling = page.eval_on_selector_all(
        "[tabindex]", "all => all.map(each => each.getAttribute('aria-labelledby'))"
    )
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('aria-labelledby')"))

    assert {"labels", "outcomes", "replicas", "again"} <= set(scrolling) <= set(reached)


@pytest.mark.parametrize("width", [320, 400, 1200])
def test_nothing_but_tables_scrolls_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.eval_on_selector_all(
        "body *:not(svg *):not(.scroll *)",
        "(all, width) => all.filter(e => e.getBoundingClientRect().right > width + 1)"
        ".map(e => e.tagName)",
        width,
    )
    assert outside == []


def test_the_dark_scheme_changes_page_and_figures(page):
    def colours(scheme):
        page.emulate_media(color_scheme=scheme)
        return page.evaluate(
            "() => [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure svg text')).fill,"
            " getComputedStyle(document.querySelector('figure svg path')).fill]"
        )

    light, dark = colours("light"), colours("dark")

    assert light[0] == "rgb(255, 255, 255)"
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_print_is_light_and_holds_the_figures(page):
    page.emulate_media(media="print", color_scheme="dark")

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    printed = page.pdf(format="A4")

    assert background == "rgb(255, 255, 255)"
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_axe_finds_no_barrier(page):
    if not AXE.is_file():
        remedy = f"{AXE} is missing: npm install --prefix .venv/npm axe-core"
        if allow_missing():
            pytest.skip(remedy)
        pytest.fail(f"{remedy} (make test does it where npm is)", pytrace=False)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(AXE.read_text(encoding="utf-8") + "; axe.run()")
        told = [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found["violations"]]
        assert told == [], scheme
