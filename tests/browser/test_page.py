"""The page of a run as a browser shows it: headless Chromium, driven by Playwright."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from analysis import Policy
from analysis.data.events import Event
from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.render.html import to_html
from analysis.review.comparison import RunRecord, compare
from sampler.show.comparing import Pair, comparison_page
from sampler.show.documents import draw_all
from tests.browser.chromium import (
    NEEDED,
    opened,
    require_no_barrier,
    require_no_sideways_scrolling,
    started,
)
from tests.recorded import recorded

HOSTILE = ("$x^2$", "<script>document.title='owned'</script>", "v1\u202e2v", "x" * 10_000)

pytestmark = NEEDED


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files of five pages: a plain PASS, twelve versions, hostile labels; two runs compared."""
    folder = tmp_path_factory.mktemp("pages")
    twelve = [f"release-2026.{number}" for number in range(12)]
    made = {
        "pass": recorded(["v1", "v2"], [9, 1], n=1500, replicas=5),
        "twelve": recorded(twelve, [3] * 12, n=3000, replicas=17, lost=0.01),
        "hostile": recorded(HOSTILE, [3] * 4, n=1200, per_connection=4, lost=0.02),
    }
    for name, (batch, report) in made.items():
        told = replace(report, health=health(report), events=events(report))
        page = to_html(told, draw_all(told, batch, Policy()))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    made["uneven"] = recorded(["v1", "v2", "v3"], [7, 2, 1], n=1500, seed=2)
    compared = {"compared": ("pass", "uneven"), "compared-hostile": ("hostile", "pass")}
    for name, sides in compared.items():
        first, second = (made[side] for side in sides)
        renamed = replace(second[1], run=replace(second[1].run, id="other"))
        records = RunRecord(first[1], first[0]), RunRecord(renamed, second[0])
        page = comparison_page(Pair(compare(*records), *records))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


def health(report):
    labels = list(report.observed.counts)[:2]
    canary, stable = (HealthArm(label, 640, 12, {"p50": 0.02, "p95": 0.2}) for label in labels)
    return Health(
        canary,
        stable,
        HealthErrors(500, 30.5, 1e-9, 2.0, 0.5),
        HealthTimes(64, 60, 9.0, {"p50": (-0.01, 0.03)}, 0.95),
    )


def events(report):
    label = next(reversed(report.observed.counts))
    return tuple(Event(0.2 * number, "weight", f"{label} gets {number} %") for number in range(9))


@pytest.fixture(params=["pass", "twelve", "hostile"])
def page(request, pages, context):
    made = opened(context, (pages / f"{request.param}.html").as_uri())
    yield made
    made.close()


@pytest.fixture(params=["pass", "twelve", "hostile", "compared", "compared-hostile"])
def any_page(request, pages, context):
    made = opened(context, (pages / f"{request.param}.html").as_uri())
    yield made
    made.close()


@pytest.fixture
def plain(pages, context):
    made = opened(context, (pages / "pass.html").as_uri())
    yield made
    made.close()


def test_the_page_opens_without_complaint_and_asks_for_nothing_else(any_page):
    assert any_page.complaints == []
    assert [url for url in any_page.requests if not url.startswith("data:")] == [any_page.url]
    assert "owned" not in any_page.title()


def test_every_figure_is_seen_and_speaks(any_page):
    figures = any_page.locator("figure svg[role=img]")

    assert figures.count() >= 2
    for number in range(figures.count()):
        figure = figures.nth(number)
        box = figure.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 100
        for spoken in figure.get_attribute("aria-labelledby").split():
            assert any_page.locator(f"[id='{spoken}']").text_content().strip()


def test_the_headings_make_an_outline(any_page):
    levels = any_page.eval_on_selector_all(
        "h1,h2,h3", "all => all.map(each => Number(each.tagName[1]))"
    )

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert set(levels[1:]) <= {2, 3}
    assert levels[1] == 2
    ids = any_page.eval_on_selector_all("[id]", "all => all.map(each => each.id)")
    assert len(ids) == len(set(ids))


def unfold(page):
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")


def test_the_keyboard_reaches_what_scrolls(page):
    scrolling = page.eval_on_selector_all(
        "[tabindex]", "all => all.map(each => each.getAttribute('aria-labelledby'))"
    )
    unfold(page)
    reached = []
    # With a script, the figures and the choice of a version are stops of their own.
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('aria-labelledby')"))

    assert (
        {"labels", "outcomes", "replicas", "again", "health", "events"}
        <= set(scrolling)
        <= set(reached)
    )


def read(page, name):
    """Texts that stand below a figure."""
    return page.locator(f"output[for='figure-{name}-reader'] span").all_text_contents()


def test_the_pointer_reads_the_window_that_it_is_over(plain):
    plain.locator("#figure-split").scroll_into_view_if_needed()
    box = plain.locator("[id='figure-split-panel-1'] path").first.bounding_box()
    seen = []
    for part in (0.25, 0.75):
        plain.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        seen.append(read(plain, "split"))

    assert seen[0] != seen[1]
    for part, (head, *rows) in zip((0.5, 1.5), seen, strict=True):  # of two seconds
        assert abs(float(head.split()[0]) - part) < 0.1
        assert [row[:3] for row in rows] == ["v1:", "v2:"]
        assert "so far" in rows[0]
    line = plain.locator("#figure-split .cursor")
    assert abs(line.bounding_box()["x"] - (box["x"] + 0.75 * box["width"])) < box["width"] / 40


def test_the_keyboard_reads_a_figure_and_says_it(plain):
    unfold(plain)
    slider = plain.locator("[id='figure-evidence-reader']")
    slider.focus()
    at_end = read(plain, "evidence")
    plain.keyboard.press("ArrowLeft")

    assert at_end[0] == "after 526 connections"
    assert at_end[1].startswith("inside 10")
    assert read(plain, "evidence") != at_end
    assert slider.get_attribute("aria-valuetext").startswith("after 5")


def test_one_version_can_be_chosen_and_all_come_back(plain):
    def faded():
        return plain.eval_on_selector_all(
            ".faded", "all => all.map(each => each.id || each.tagName)"
        )

    plain.get_by_label("v2", exact=True).check()
    of_v2 = faded()
    rows = read(plain, "split")
    plain.get_by_label("all", exact=True).check()

    assert {
        "figure-split-panel-0",
        "figure-split-name-0",
        "figure-times-times-0",
        "TR",
        "SPAN",
        "svg",
    } == {each for each in of_v2 if "-p" not in each.removeprefix("figure-split-p")}
    assert not any(each.endswith("-1") for each in of_v2)
    assert [row[:3] for row in rows[1:]] == ["v2:"]
    assert faded() == []


def test_without_scripts_the_page_is_whole(playwright, pages, tmp_path):
    chromium = started(playwright, tmp_path, java_script_enabled=False)
    page = opened(chromium, (pages / "pass.html").as_uri())
    counts = [page.locator(each).count() for each in ("figure svg[id]", "table", "input", "output")]
    complaints = page.complaints
    chromium.close()

    assert counts[0] == 4
    assert counts[1] >= 5
    assert counts[2:] == [0, 0]
    assert complaints == []


@pytest.mark.parametrize(
    "attack",
    [
        "const s = document.createElement('script'); s.text = 'owned()'; document.body.append(s)",
        "document.body.innerHTML += '<img src=x onerror=owned()>'",
        "document.body.innerHTML += '<iframe src=\"data:text/html,x\"></iframe>'",
        "document.body.innerHTML += '<a href=\"javascript:owned()\" id=x>x</a>'; x.click()",
    ],
)
def test_the_policy_of_the_page_runs_no_script_but_its_own(plain, attack):
    with plain.expect_console_message() as told:
        plain.evaluate(f"() => {{ window.owned = () => {{ document.title = 'owned' }}; {attack} }}")

    assert "Content Security Policy" in told.value.text
    assert "owned" not in plain.title()


@pytest.mark.parametrize("width", [320, 400, 1200])
def test_nothing_but_tables_scrolls_sideways(any_page, width):
    require_no_sideways_scrolling(any_page, width)


def test_the_dark_scheme_changes_page_and_figures(any_page):
    def colours(scheme):
        any_page.emulate_media(color_scheme=scheme)
        return any_page.evaluate(
            "() => [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure svg text')).fill,"
            " getComputedStyle(document.querySelector('figure svg path')).fill]"
        )

    light, dark = colours("light"), colours("dark")

    assert light[0] == "rgb(255, 255, 255)"
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_print_is_light_and_holds_the_figures(any_page):
    any_page.emulate_media(media="print", color_scheme="dark")

    background = any_page.evaluate("getComputedStyle(document.body).backgroundColor")
    widths = any_page.eval_on_selector_all(
        ".figures figure > svg", "all => all.map(each => each.getBoundingClientRect().width)"
    )
    controls = any_page.locator("input:visible, output:visible").count()
    printed = any_page.pdf(format="A4")

    assert background == "rgb(255, 255, 255)"
    assert widths
    assert min(widths) > 250
    assert controls == 0
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_a_page_prints_on_two_sheets_without_what_is_folded(plain):
    printed = plain.pdf(format="A4")

    assert len(re.findall(rb"/Type /Page\b", printed)) == 2
    plain.emulate_media(media="print")
    assert plain.locator("#statistics").is_hidden()
    unfold(plain)
    assert plain.locator("#statistics").is_visible()


def test_the_chart_shows_each_version_where_its_numbers_are(plain):
    rows = plain.eval_on_selector_all(
        ".chart svg",
        "all => all.map(svg => Object.fromEntries(['accepted', 'interval'].map(name => {"
        "const part = svg.querySelector(`.${name}`).getBoundingClientRect();"
        "const whole = svg.getBoundingClientRect();"
        "return [name, [part.left, part.right].map(at => (at - whole.left) / whole.width)];})))",
    )
    told = plain.locator(".chart .told").all_text_contents()

    assert len(rows) == len(told) == 2
    for row, text in zip(rows, told, strict=True):
        low, high = (float(each) / 100 for each in text.partition("[")[2].strip("]").split(","))
        assert row["interval"] == pytest.approx([low, high], abs=0.006)
        assert row["accepted"][0] <= row["interval"][0] < row["interval"][1] <= row["accepted"][1]


@pytest.mark.needs("axe-core")
def test_axe_finds_no_barrier(any_page):
    # Colours are the same in each page: the slow second look is taken at the small ones.
    require_no_barrier(any_page, *(("light",) if "twelve" in any_page.url else ("light", "dark")))
