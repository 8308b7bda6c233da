"""The page of a watch as a browser shows it, while events come and after they were recorded."""

from __future__ import annotations

import msgspec
import pytest

from analysis.data.live import to_line
from analysis.data.live_events import event_of
from analysis.render.live import View, to_live_page
from analysis.review.chronicle import Chronicle
from sampler.show.drawing import style_sheet
from tests.browser.chromium import (
    NEEDED,
    opened,
    require_no_barrier,
    require_no_sideways_scrolling,
    started,
)
from tests.stories import ALARM, BEGIN, DRIFT, Story
from tests.watch.proxied import proxied
from tests.watch.served import serving

pytestmark = NEEDED

EVENTS = list(Story().events())
BEFORE = [each for each in EVENTS if each.at <= BEGIN + DRIFT]
DURING = [each for each in EVENTS if BEGIN + DRIFT < each.at <= BEGIN + ALARM + 9]
HOSTILE = ("$x^2$", "<script>document.title='owned'</script>", "v1\u202e2v", "x" * 200)


def made_again(events, **settings):
    """Return the page of what was recorded, line by line."""
    chronicle = Chronicle(event_of(to_line(each)) for each in events)
    return to_live_page(chronicle, View(colours=style_sheet(".live"), **settings))


@pytest.fixture
def served():
    with serving() as one:
        one.tell(*BEFORE)
        yield one


@pytest.fixture
def page(served, context):
    made = opened(context, served.url)
    made.get_by_text("Live: each new second is shown.").wait_for()
    yield made
    made.close()


def shown(page):
    """Return what is in sight, apart from the line about the connection."""
    return page.evaluate(
        "() => { const copy = document.body.cloneNode(true);"
        "for (const own of copy.querySelectorAll('#stream, script')) own.textContent = '';"
        "return copy.innerHTML.trim(); }"
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pages of runs: a drift, twelve versions, and names that strangers chose."""
    folder = tmp_path_factory.mktemp("live")
    stories = {
        "drift": BEFORE + DURING,
        "twelve": list(
            Story(tuple(f"release-2026.{n}" for n in range(12)), (3,) * 12, 90).events()
        ),
        "hostile": list(Story(HOSTILE, (3,) * 4, 90, target=HOSTILE[1]).events()),
    }
    for name, events in stories.items():
        (folder / f"{name}.html").write_text(made_again(events), encoding="utf-8")
    return folder


@pytest.fixture(params=["drift", "twelve", "hostile"])
def recorded_page(request, files, context):
    made = opened(context, (files / f"{request.param}.html").as_uri())
    yield made
    made.close()


def test_a_drift_is_seen_without_loading_the_page_again(served, page):
    page.evaluate("window.stays = true")
    assert page.locator("h1").text_content().split() == ["✓", "PASS", "OK"]

    served.tell(*DURING)
    page.get_by_text("FAIL").wait_for()

    assert page.locator("[role=status] h1").text_content().split() == ["✗", "FAIL", "DRIFT"]
    assert "alarm" in page.locator("#events + div").text_content()
    assert page.title() == "✗ FAIL, DRIFT: shop"
    assert page.evaluate("window.stays")
    assert page.complaints == []


def test_a_page_that_lived_is_the_one_that_is_made_again_of_the_record(served, page, context):
    for first in range(0, len(DURING), 9):
        before = page.evaluate("document.body.dataset.at")
        served.tell(*DURING[first : first + 9])
        page.wait_for_function("at => document.body.dataset.at !== at", arg=before)
    lived = shown(page)
    loaded = opened(context, served.url)
    afresh = shown(loaded)
    loaded.goto(f"{served.url}report.html")
    snapshot = loaded.content()
    loaded.set_content(made_again(BEFORE + DURING))
    again = loaded.content()
    loaded.close()

    assert lived == afresh
    assert snapshot == again


def test_who_is_cut_off_says_so_and_catches_up(served, page):
    served.stop()
    page.get_by_text("The connection is lost").wait_for()
    assert "2026-11-30 14:51:40 UTC" in page.locator("#stream").text_content()
    assert page.locator("body.lost").count() == 1

    served.tell(*DURING)
    served.start()
    page.get_by_text("FAIL").wait_for()
    page.get_by_text("Live: each new second is shown.").wait_for()

    assert page.locator("body.lost").count() == 0
    assert all("ERR_" in each for each in page.complaints)


@pytest.mark.needs("nginx")
def test_a_proxy_that_buffers_delays_nothing(served, context, tmp_path):
    with proxied(served.port, tmp_path) as url:
        page = opened(context, url)
        page.get_by_text("Live: each new second is shown.").wait_for()
        served.tell(*DURING)
        page.get_by_text("FAIL").wait_for()
        complaints = page.complaints
        page.close()

    assert complaints == []


def test_what_a_reader_has_in_hand_stays_while_the_page_goes_on(served, page):
    page.locator("details summary").click()
    page.locator("[aria-labelledby=labels]").focus()
    served.tell(*DURING)
    page.get_by_text("FAIL").wait_for()

    assert page.locator("details[open]").count() == 1
    assert page.evaluate("document.activeElement.getAttribute('aria-labelledby')") == "labels"


def test_the_time_shown_is_chosen_by_a_link(served, page):
    page.get_by_role("link", name="3 hours").click()

    assert page.locator("[aria-current]").text_content() == "3 hours"
    assert page.locator(".panel").count() == 2


def test_of_several_targets_each_has_its_page(served, page):
    other = Story(target="cart", seed=2)
    served.tell(
        *(
            msgspec.structs.replace(each, seq=10_000 + n)
            for n, each in enumerate(list(other.events())[:40])
        )
    )
    page.get_by_role("link", name="cart").click()

    assert page.title().endswith(": cart")
    assert page.locator("header nav li").count() == 2


def test_a_page_that_is_opened_before_the_first_state_fills_itself(context):
    with serving() as one:
        made = opened(context, one.url)
        made.get_by_text("Nothing was measured yet").wait_for()
        one.tell(*BEFORE)
        made.get_by_text("PASS").wait_for()
        made.close()


def test_without_scripts_the_page_is_whole(playwright, served, tmp_path):
    chromium = started(playwright, tmp_path, java_script_enabled=False)
    page = opened(chromium, served.url)
    counts = [
        page.locator(each).count() for each in (".panel svg[role=img]", "table", ".chart svg")
    ]
    complaints, asked = page.complaints, page.requests
    chromium.close()

    assert counts[0] == counts[2] == 2
    assert counts[1] >= 6
    assert complaints == []
    assert [each for each in asked if not each.startswith("data:")] == [served.url]


def test_a_recorded_page_asks_for_nothing_and_obeys_no_stranger(recorded_page):
    assert recorded_page.complaints == []
    assert [each for each in recorded_page.requests if not each.startswith("data:")] == [
        recorded_page.url
    ]
    assert "owned" not in recorded_page.title().partition("<script>")[0]
    assert recorded_page.evaluate("document.title") != "owned"


@pytest.mark.needs("axe-core")
@pytest.mark.parametrize(
    ("name", "schemes"), [("drift", ("light", "dark")), ("hostile", ("light",))]
)
def test_axe_finds_no_barrier(files, context, name, schemes):
    page = opened(context, (files / f"{name}.html").as_uri())
    require_no_barrier(page, *schemes)
    page.close()


def test_nothing_but_tables_scrolls_sideways(recorded_page):
    for width in (320, 500, 1400):
        require_no_sideways_scrolling(recorded_page, width)


def test_the_band_is_drawn_where_its_numbers_are(files, context):
    page = opened(context, (files / "drift.html").as_uri())
    places = page.eval_on_selector_all(
        ".panel:nth-of-type(2) svg[role=img] path",
        "all => Object.fromEntries(all.map(each => [each.getAttribute('class'), each.getBBox()])"
        ".map(([name, box]) => [name, [box.y, box.y + box.height]]))",
    )
    page.close()

    assert set(places) >= {"accepted", "interval", "share", "expected"}
    assert places["accepted"][0] < places["expected"][0] < places["accepted"][1]
    assert places["interval"][0] < places["share"][0]


def test_print_is_light_and_has_the_chart(files, context):
    page = opened(context, (files / "drift.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    width = page.locator(".panel svg[role=img]").first.bounding_box()["width"]
    printed = page.pdf(format="A4")
    page.close()

    assert background == "rgb(255, 255, 255)"
    assert width > 250
    assert printed.startswith(b"%PDF")
